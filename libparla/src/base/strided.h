/* strided.h - what the library itself needs of strided boxes, beyond <parla/strided.h>. */
#ifndef PL_BASE_STRIDED_H
#define PL_BASE_STRIDED_H

#include <parla/strided.h>

/* Checks that a copy between the two boxes is meaningful: valid shapes, equal ndim, extents and item size, no stride of 0 in dst.
 * Errors: PARLA_E_INVALID, whose detail names the first difference. */
PARLA_MUST_USE int pl_strided_check(const parla_strided *dst, const parla_strided *src);

/* The same copy as parla_strided_copy, for boxes that were checked before. */
void pl_strided_copy_checked(const parla_strided *dst, const parla_strided *src);

/* Checks a box that is to be written. Errors: PARLA_E_INVALID for a bad ndim, a negative extent, or a stride of 0. */
PARLA_MUST_USE int pl_strided_check_written(const parla_strided *dst);

/* Sets every byte of every element of a box that was checked before. */
void pl_strided_fill_checked(const parla_strided *dst, unsigned char value);

/* A copy between two boxes in its simplest form: dimensions of one element are gone, dst is walked upwards, the outermost dimension comes
 * first, and what lies together in both boxes is one. */
typedef struct pl_strided_plan {
    int n; /* dimensions left */
    int64_t extent[PARLA_MAX_NDIM];
    int64_t dst_stride[PARLA_MAX_NDIM]; /* > 0 */
    int64_t src_stride[PARLA_MAX_NDIM];
    size_t run_bytes; /* copied at once at each element of those dimensions */
    char *dst;
    const char *src;
} pl_strided_plan;

/* For boxes that were checked before. False if there is nothing to copy. */
bool pl_strided_plan_make(pl_strided_plan *out, const parla_strided *dst, const parla_strided *src);

#endif
