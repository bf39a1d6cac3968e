/* breaks.h - rules that a test can have broken, to see that the tests notice: PL_BREAK=<number> in a build with PL_TESTING.
 *
 * In the library that is installed the question is always answered "no" at compile time. */
#ifndef PLM_BREAKS_H
#define PLM_BREAKS_H

#include <stdbool.h>

enum {
    PLM_BREAK_HOLE = 140,   /* the row that fills that of a completed request comes without its group */
    PLM_BREAK_FAILED = 141, /* a request that fails counts as one that completes */
    PLM_BREAK_COUNT = 142,  /* requests that have completed go on to count as pending */
    PLM_BREAK_LEAVE = 143,  /* a rank that leaves in good order does not say so */
};

#ifdef PL_TESTING
#include <stdlib.h>

static inline bool plm_is_broken(int rule)
{
    const char *text = getenv("PL_BREAK");
    return text && atoi(text) == rule;
}
#else
static inline bool plm_is_broken(int rule)
{
    (void)rule;
    return false;
}
#endif

#endif
