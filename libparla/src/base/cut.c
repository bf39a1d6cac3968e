/* cut.c - see the header. */
#include "base/cut.h"

pl_cut pl_cut_make(const parla_strided *shape, size_t most_bytes)
{
    size_t inner_bytes = shape->item_bytes;
    int k = shape->ndim - 1;
    if (parla_strided_items(shape) == 0)
        return (pl_cut){.n_pieces = 0};
    if (k < 0)
        return (pl_cut){.n_rows = 1, .n_along = 1, .n_pieces = 1, .piece_bytes = inner_bytes};
    for (; k > 0 && inner_bytes * (size_t)shape->extent[k] <= most_bytes; k--)
        inner_bytes *= (size_t)shape->extent[k];
    int64_t extent = shape->extent[k], n_rows = inner_bytes > 0 ? (int64_t)(most_bytes / inner_bytes) : extent;
    n_rows = n_rows < 1 ? 1 : n_rows > extent ? extent : n_rows;
    pl_cut cut = {.k = k, .n_rows = n_rows, .n_along = (extent - 1) / n_rows + 1, .piece_bytes = inner_bytes * (size_t)n_rows};
    cut.n_pieces = cut.n_along;
    for (int d = 0; d < k; d++)
        cut.n_pieces *= shape->extent[d];
    return cut;
}

parla_strided pl_cut_piece(const pl_cut *cut, const parla_strided *box, int64_t i)
{
    parla_strided piece = {.base = box->base, .item_bytes = box->item_bytes, .ndim = box->ndim - cut->k};
    if (box->ndim == 0)
        return piece;
    int64_t first = i % cut->n_along * cut->n_rows, offset = first * box->stride[cut->k];
    int64_t left = box->extent[cut->k] - first;
    i /= cut->n_along;
    for (int d = cut->k - 1; d >= 0; d--) {
        offset += i % box->extent[d] * box->stride[d];
        i /= box->extent[d];
    }
    piece.base = (char *)box->base + offset;
    for (int d = 0; d < piece.ndim; d++) {
        piece.extent[d] = box->extent[cut->k + d];
        piece.stride[d] = box->stride[cut->k + d];
    }
    piece.extent[0] = left < cut->n_rows ? left : cut->n_rows;
    return piece;
}
