/* strided.h - a strided N-d box of elements in some memory; what copies, instances and transfers are described with. */
#ifndef PARLA_STRIDED_H
#define PARLA_STRIDED_H

#include <parla/common.h>

#define PARLA_MAX_NDIM 8

/* Element (i[0], …, i[ndim-1]) lies at base + sum over k of i[k] * stride[k], for 0 <= i[k] < extent[k].
 * ndim = 0 is one element. Strides are in bytes, may be negative, and may be 0 only in a source. */
typedef struct parla_strided {
    void *base;
    size_t item_bytes;
    int ndim;
    int64_t extent[PARLA_MAX_NDIM];
    int64_t stride[PARLA_MAX_NDIM];
} parla_strided;

PARLA_BEGIN_DECLS

/* Fills `out` as a C-contiguous array (last index fastest) at `base`. Errors: PARLA_E_INVALID for a bad ndim, a negative extent, or
 * a size that does not fit into 64 bits. */
PARLA_API PARLA_MUST_USE int parla_strided_contiguous(parla_strided *out, void *base, size_t item_bytes, int ndim,
                                                      const int64_t *extent);

/* Number of elements, and number of bytes that the elements (not the gaps) take. */
PARLA_API int64_t parla_strided_items(const parla_strided *box);
PARLA_API size_t parla_strided_bytes(const parla_strided *box);

/* Copies element by element between two boxes of equal ndim, extent and item size in memory that this thread can address; the boxes
 * must not overlap. Runs of adjacent elements are copied at once. Errors: PARLA_E_INVALID if the shapes differ. */
PARLA_API PARLA_MUST_USE int parla_strided_copy(const parla_strided *dst, const parla_strided *src);

PARLA_END_DECLS

#endif
