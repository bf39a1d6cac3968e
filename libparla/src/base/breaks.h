/* breaks.h - rules that a test can have broken, to see that the tests notice: PL_BREAK=<number> in a build with PL_TESTING.
 *
 * In the library that is installed the question is always answered "no" at compile time. */
#ifndef PL_BASE_BREAKS_H
#define PL_BASE_BREAKS_H

#include <stdbool.h>

enum {
    PL_BREAK_READERS = 1, /* a writer does not wait for the readers before it */
    PL_BREAK_STALE = 2,   /* copies stay current when another is written */
    PL_BREAK_EVICT = 3,   /* a copy that is the only current one is dropped without being written back */
    PL_BREAK_SETTLE = 4,  /* a writer does not wait for movements that began after its own */
    PL_BREAK_POISON = 5   /* what a failed task was to write can be read */
};

#ifdef PL_TESTING
#include <stdlib.h>

static inline bool pl_is_broken(int rule)
{
    const char *text = getenv("PL_BREAK");
    return text && atoi(text) == rule;
}
#else
static inline bool pl_is_broken(int rule)
{
    (void)rule;
    return false;
}
#endif

#endif
