/* break.h - rules that a test can have broken, to see that the tests notice: PL_BREAK=<number> in a build with PL_TESTING.
 *
 * In the library that is installed the question is always answered "no" at compile time. ctest/CMakeLists.txt names, for each rule, the
 * program that has to fail. */
#ifndef PL_BASE_BREAK_H
#define PL_BASE_BREAK_H

#include <stdbool.h>

enum {
    PL_BREAK_POP = 1,         /* the owner of a deque takes the last item without asking whether a thief was faster */
    PL_BREAK_PARK = 2,        /* a sleeper does not look whether it was woken between its announcement and its sleep */
    PL_BREAK_RELEASE = 3,     /* an edge counts twice when it is released */
    PL_BREAK_LINK = 4,        /* a dependency that failed before the spawn counts as met */
    PL_BREAK_SUSPEND = 5,     /* a suspended task does not count its edges before it links them */
    PL_BREAK_RETIRE = 6,      /* a thread steps back with a successor in hand */
    PL_BREAK_STUCK = 7,       /* bodies that are about to wake up from a wait count as waiting in vain */
    PL_BREAK_KICK = 8,        /* a kick before the sleep is not looked for */
    PL_BREAK_PASS_ON = 9,     /* a sleeper keeps a wake-up that was another's */
    PL_BREAK_WAKE_FIRST = 10, /* a worker counts its wake while it still counts as idle */
    PL_BREAK_AGEING = 11,     /* nothing is kept for tasks that have waited too long */
    PL_BREAK_REPLAY = 12,     /* a node of a replay starts one predecessor too early */
    PL_BREAK_RANGE = 13,      /* who leaves half of a range to others works through it all the same */
    PL_BREAK_READERS = 21,    /* a writer does not wait for the readers before it */
    PL_BREAK_STALE = 22,      /* copies stay current when another is written */
    PL_BREAK_EVICT = 23,      /* a copy that is the only current one is dropped without being written back */
    PL_BREAK_SETTLE = 24,     /* a writer does not wait for movements that began after its own */
    PL_BREAK_POISON = 25,     /* what a failed task was to write can be read */
    PL_BREAK_ARRIVE = 26,     /* a writer does not wait for copies that are on their way */
    PL_BREAK_BELOW = 27,      /* a use does not wait for those of parts of its region */
    PL_BREAK_JOIN = 28,       /* tiles are put together that are current in different places */
    PL_BREAK_BLOCK = 29,      /* a block that is given back from elsewhere does not wait for all queues of its device */
};

#ifdef PL_TESTING
#include <stdlib.h>

static int pl_broken_rule;

/* Before main, so that asking is no access that threads share. */
__attribute__((constructor)) static void pl_read_broken_rule(void)
{
    const char *text = getenv("PL_BREAK");
    pl_broken_rule = text ? atoi(text) : 0;
}

static inline bool pl_is_broken(int rule) { return pl_broken_rule == rule; }
#else
static inline bool pl_is_broken(int rule)
{
    (void)rule;
    return false;
}
#endif

#endif
