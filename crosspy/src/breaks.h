/* breaks.h - rules that a test can have broken, to see that the tests notice: PL_BREAK=<number> in a build with PL_TESTING.
 *
 * In the library that is installed the question is always answered "no" at compile time. */
#ifndef CX_BREAKS_H
#define CX_BREAKS_H

#include <stdbool.h>

enum {
    CX_BREAK_INTERSECT = 101, /* the intersection of ranges ends one number early */
    CX_BREAK_LOCATE = 102,    /* positions in a view forget the view's step */
    CX_BREAK_OWNER = 103,     /* block-cyclic layouts ignore the source coordinates */
    CX_BREAK_FIND = 104,      /* the first number of a block counts as its left neighbour's */
    CX_BREAK_SEGMENT = 105,   /* plans cut one element too late at the source's borders */
    CX_BREAK_VERSION = 106,   /* a write leaves copies at other ranks valid */
    CX_BREAK_FAILURE = 107,   /* a message that cannot be sent is forgotten */
    CX_BREAK_COMPARE = 108,   /* ranks that diverge are not told */
    CX_BREAK_AXES = 221       /* views have the dimensions of their layouts in those' order */
};

#ifdef PL_TESTING
#include <stdlib.h>

static inline bool cx_is_broken(int rule)
{
    const char *text = getenv("PL_BREAK");
    return text && atoi(text) == rule;
}
#else
static inline bool cx_is_broken(int rule)
{
    (void)rule;
    return false;
}
#endif

#endif
