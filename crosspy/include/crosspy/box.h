/* box.h - N-d boxes of indices with steps, and what can be done with them.
 *
 * A range names the numbers start, start + step, … below stop; step >= 1. A box is one range per dimension and names all
 * combinations. Many ranges name the same numbers; the normal form is the one with the smallest stop, step 1 where there are
 * fewer than two numbers, and start = stop = 0 where there are none. Functions that return a range return the normal form. Pure
 * and thread-safe. */
#ifndef CROSSPY_BOX_H
#define CROSSPY_BOX_H

#include <parla/task.h>

#define CX_MAX_NDIM 8

typedef struct cx_box {
    int ndim;
    parla_range range[CX_MAX_NDIM];
} cx_box;

PARLA_BEGIN_DECLS

/* --- Ranges ----------------------------------------------------------------------------------------------------------------- */

/* How many numbers: max(0, ceil((stop - start) / step)). */
PARLA_API int64_t cx_range_count(parla_range range);

PARLA_API parla_range cx_range_normal(parla_range range);

/* The numbers that are in both. */
PARLA_API parla_range cx_range_intersect(parla_range a, parla_range b);

/* `positions` counts along `range`: the result names range[positions]. Positions lie below cx_range_count(range). */
PARLA_API parla_range cx_range_compose(parla_range range, parla_range positions);

/* The opposite: at which positions along `range` the numbers of `part` lie. Every number of `part` is in `range`. */
PARLA_API parla_range cx_range_locate(parla_range range, parla_range part);

/* --- Boxes ------------------------------------------------------------------------------------------------------------------ */

/* All of an array: 0 <= i[k] < extent[k]. Errors: PARLA_E_INVALID for a bad ndim, a negative extent, or more than 2^63 - 1
 * elements. */
PARLA_API PARLA_MUST_USE int cx_box_whole(cx_box *out, int ndim, const int64_t *extent);

/* Errors: PARLA_E_INVALID unless every step is >= 1 and every element lies inside an array of these extents. */
PARLA_API PARLA_MUST_USE int cx_box_check(const cx_box *box, int ndim, const int64_t *extent);

PARLA_API int64_t cx_box_volume(const cx_box *box);
PARLA_API bool cx_box_is_empty(const cx_box *box);

/* True if both name the same elements. */
PARLA_API bool cx_box_equal(const cx_box *a, const cx_box *b);
PARLA_API uint64_t cx_box_hash(const cx_box *box);

PARLA_API bool cx_box_contains(const cx_box *box, const int64_t *index);

/* The elements that are in both; the boxes have the same ndim. */
PARLA_API cx_box cx_box_intersect(const cx_box *a, const cx_box *b);

/* The box moved by `offset` (one number per dimension). */
PARLA_API cx_box cx_box_translate(const cx_box *box, const int64_t *offset);

/* A view is a box whose elements are counted anew, from 0 in each dimension. compose: the elements that `part`, counted in the
 * view, names. locate: where in the view the elements of `part` (all inside the view) lie. locate(view, compose(view, part)) is
 * part. */
PARLA_API cx_box cx_box_compose(const cx_box *view, const cx_box *part);
PARLA_API cx_box cx_box_locate(const cx_box *view, const cx_box *part);

PARLA_END_DECLS

#endif
