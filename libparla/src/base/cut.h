/* cut.h - boxes in pieces of so many bytes at most, for whoever sends them on through buffers. */
#ifndef PL_BASE_CUT_H
#define PL_BASE_CUT_H

#include <parla/strided.h>

/* Pieces are runs of `n_rows` indices of dimension `k`, at one index each of the dimensions before it, with all of those behind it. */
typedef struct pl_cut {
    int k;
    int64_t n_rows;
    int64_t n_along;    /* pieces along dimension k */
    int64_t n_pieces;   /* 0 for an empty box */
    size_t piece_bytes; /* of the largest; more than was asked for only if a single element is larger */
} pl_cut;

/* How to cut all boxes of this shape, which was checked before. */
pl_cut pl_cut_make(const parla_strided *shape, size_t most_bytes);

/* Piece i of a box of that shape. */
parla_strided pl_cut_piece(const pl_cut *cut, const parla_strided *box, int64_t i);

#endif
