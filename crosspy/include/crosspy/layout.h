/* layout.h - who owns which part of an array: a value without data.
 *
 * A layout cuts each dimension of an array into intervals; their combinations are the blocks, numbered in C order (the last
 * dimension fastest), and each block lies at a place, a device of a rank. The places repeat along each dimension with a period:
 * where the period is the number of intervals every block has a place of its own choice, where it is shorter the layout is
 * block-cyclic.
 *
 * Layouts never change after they were made; any thread may use them. Two are equal if they have the same blocks at the same
 * places, however they were made. */
#ifndef CROSSPY_LAYOUT_H
#define CROSSPY_LAYOUT_H

#include <crosspy/box.h>

/* A device of a rank: `number` counts within its architecture (PARLA_ARCH_CPU or PARLA_ARCH_GPU). */
typedef struct cx_place {
    int rank;
    parla_arch arch;
    int number;
} cx_place;

static inline bool cx_place_equal(cx_place a, cx_place b) { return a.rank == b.rank && a.arch == b.arch && a.number == b.number; }

typedef struct cx_layout cx_layout;

/* A block: its number, its coordinates in the grid of blocks, its elements, its place. */
typedef struct cx_block {
    int64_t index;
    int64_t coords[CX_MAX_NDIM];
    cx_box box; /* steps are 1 */
    cx_place place;
} cx_block;

/* Some elements of an array with this layout, seen as an array of their own. A dimension in `dropped` (bit k) was indexed by one
 * number: its range has one element, and the view does not have the dimension. The view's dimensions are those that are left, in their
 * order; or, if it is arranged, axes[0 … n_axes-1]: each of those once, in any order, and -1 for new ones of extent 1. */
typedef struct cx_view {
    const cx_layout *layout;
    cx_box box;
    uint32_t dropped;
    bool is_arranged;
    int8_t n_axes;
    int8_t axes[CX_MAX_NDIM];
} cx_view;

PARLA_BEGIN_DECLS

/* --- Make ------------------------------------------------------------------------------------------------------------------- */

/* Cuts one dimension into n_parts intervals at places[0 … n_parts-1]. sizes: how many indices each part has; NULL: as even as
 * possible, longer parts first.
 * Owns (for all that make a layout): the caller holds one reference on *out.
 * Errors: PARLA_E_INVALID (the detail names the argument), PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_layout_split(cx_layout **out, int ndim, const int64_t *shape, int axis, int64_t n_parts,
                                             const int64_t *sizes, const cx_place *places);

/* The general form. sizes[k][0 … n_parts[k]-1] are the lengths of the intervals of dimension k (their sum is shape[k]; NULL:
 * even); places has period[0] * period[1] * … entries in C order, and the block at coordinates c lies at places[c mod period].
 * period NULL: n_parts. */
PARLA_API PARLA_MUST_USE int cx_layout_grid(cx_layout **out, int ndim, const int64_t *shape, const int64_t *n_parts,
                                            const int64_t *const *sizes, const int64_t *period, const cx_place *places);

/* ScaLAPACK's distribution: blocks of block[k] indices (the last one of a dimension may be shorter) dealt out to a grid of
 * processes, the first block to the process at coordinates source[k]. `places` has grid[0] * grid[1] * … entries in C order. */
PARLA_API PARLA_MUST_USE int cx_layout_block_cyclic(cx_layout **out, int ndim, const int64_t *shape, const int64_t *block,
                                                    const int64_t *grid, const int64_t *source, const cx_place *places);

/* Errors: PARLA_E_INVALID if the view names elements or dimensions that its layout does not have; `which` says in the detail what it is. */
PARLA_API PARLA_MUST_USE int cx_view_check(const cx_view *view, const char *which);

/* Writes the layout's dimension, or -1, for each dimension of the view; returns how many the view has. */
PARLA_API int cx_view_axes(const cx_view *view, int *out);

/* The layout of a view: its parts stay where they are; blocks without elements of the view are left out. */
PARLA_API PARLA_MUST_USE int cx_layout_of_view(cx_layout **out, const cx_view *view);

PARLA_API cx_layout *cx_layout_ref(const cx_layout *layout);
PARLA_API void cx_layout_unref(cx_layout *layout);

/* --- Text ------------------------------------------------------------------------------------------------------------------- */

/* Writes the layout as text into at most `capacity` bytes with the final 0, and returns the length of the whole text without it.
 * For example "layout(6x8; *2|3+5; 2x1; 0:cpu0 0:gpu1)": shape, per dimension the blocks' size or all sizes, the period of the
 * places, the places as rank:device. A layout without dimensions has "-" for the first three. */
PARLA_API size_t cx_layout_format(const cx_layout *layout, char *out, size_t capacity);

/* Reads what cx_layout_format wrote; spaces are free. Errors: PARLA_E_INVALID (the detail tells where), PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_layout_parse(cx_layout **out, const char *text);

/* --- Look ------------------------------------------------------------------------------------------------------------------- */

PARLA_API bool cx_layout_equal(const cx_layout *a, const cx_layout *b);
PARLA_API uint64_t cx_layout_hash(const cx_layout *layout);

PARLA_API int cx_layout_ndim(const cx_layout *layout);
PARLA_API int64_t cx_layout_extent(const cx_layout *layout, int axis);

/* The box of all elements. */
PARLA_API cx_box cx_layout_box(const cx_layout *layout);

PARLA_API int64_t cx_layout_n_blocks(const cx_layout *layout);

/* Number of intervals of one dimension; the bounds of interval i; the interval that holds an index (0 <= index < extent). The
 * last is O(1) for blocks of one size, else O(log). */
PARLA_API int64_t cx_layout_n_parts(const cx_layout *layout, int axis);
PARLA_API parla_range cx_layout_part(const cx_layout *layout, int axis, int64_t i);
PARLA_API int64_t cx_layout_find_part(const cx_layout *layout, int axis, int64_t index);

/* Errors: PARLA_E_INVALID if there is no such block. */
PARLA_API PARLA_MUST_USE int cx_layout_block(const cx_layout *layout, int64_t i_block, cx_block *out);

/* The number of the block at these coordinates. Errors: PARLA_E_INVALID. */
PARLA_API PARLA_MUST_USE int cx_layout_block_at(const cx_layout *layout, const int64_t *coords, int64_t *out);

/* The block that holds an element. Errors: PARLA_E_INVALID for an index outside. */
PARLA_API PARLA_MUST_USE int cx_layout_find(const cx_layout *layout, const int64_t *index, int64_t *out);

/* The first block of a rank whose number is at least `from`, or -1. */
PARLA_API int64_t cx_layout_next_of_rank(const cx_layout *layout, int rank, int64_t from);

/* The distinct places in order of first use, and how many elements lie at each. */
PARLA_API size_t cx_layout_n_places(const cx_layout *layout);
PARLA_API cx_place cx_layout_place(const cx_layout *layout, size_t i_place);
PARLA_API int64_t cx_layout_place_items(const cx_layout *layout, size_t i_place);

PARLA_END_DECLS

#endif
