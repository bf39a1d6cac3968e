/* layout.h - what a layout is made of, for the files that make, print and use layouts. */
#ifndef CX_LAYOUT_H
#define CX_LAYOUT_H

#include <crosspy/layout.h>

#include "count.h"

/* How one dimension is cut: n_parts >= 1 intervals, which may be empty.
 * Either all have `size` indices but the last, which has 1 to `size` (cuts NULL; one part may have size 0), or interval i is
 * cuts[i] … cuts[i+1]-1. The first form is used whenever it fits, so equal cuts have equal structs. */
typedef struct cx_axis {
    int64_t extent;
    int64_t n_parts;
    int64_t size;
    int64_t *cuts; /* n_parts + 1 numbers, owned */
} cx_axis;

/* Invariants: 1 <= period[k] <= axis[k].n_parts; owner has period[0] * … entries, each below n_places; every place is used. */
struct cx_layout {
    cx_count count;
    int ndim;
    cx_axis axis[CX_MAX_NDIM];
    int64_t period[CX_MAX_NDIM];
    int64_t n_blocks;
    int64_t n_cells; /* entries of owner */
    uint32_t *owner; /* the place of the block at coordinates c is places[owner[c mod period]] */
    cx_place *places;
    size_t n_places;
    uint64_t hash;
};

/* Cut a dimension into blocks of one size, or by a list of n sizes (NULL: even). Errors: PARLA_E_INVALID, PARLA_E_NOMEM. */
int cx_axis_regular(cx_axis *out, int k, int64_t extent, int64_t size);
int cx_axis_sizes(cx_axis *out, int k, int64_t extent, int64_t n_parts, const int64_t *sizes);
void cx_axis_fini(cx_axis *axis);
bool cx_axis_equal(const cx_axis *a, const cx_axis *b);

/* Makes a layout from its axes, which it takes over in every case, also on failure. The block at coordinates c lies at
 * places[(c + shift) mod period]; shift may be NULL. */
int cx_layout_make(cx_layout **out, int ndim, cx_axis *axes, const int64_t *period, const int64_t *shift, const cx_place *places);

/* Index into `places` of the block with this number. */
uint32_t cx_layout_owner_of(const cx_layout *layout, int64_t i_block);

/* Coordinates of a block in the grid. */
void cx_layout_coords(const cx_layout *layout, int64_t i_block, int64_t *out);

#endif
