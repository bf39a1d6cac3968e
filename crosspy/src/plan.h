/* plan.h - what a plan is made of, for the files that make and keep plans. */
#ifndef CX_PLAN_H
#define CX_PLAN_H

#include <crosspy/plan.h>

#include "count.h"

/* A stretch of one dimension that lies in one interval of the destination and in one of the source; ranges in block coordinates. */
typedef struct cx_segment {
    int64_t dst_cell, src_cell;
    parla_range dst, src;
} cx_segment;

typedef struct cx_segments {
    cx_segment *items;
    int64_t count;
} cx_segments;

/* Invariant: n_transfers is the product of segments[k].count over the destination's dimensions. */
struct cx_plan {
    cx_count count;
    cx_view dst, src; /* with a reference on their layouts; ranges in normal form */
    size_t item_bytes;
    uint64_t key; /* cx_plan_key of the views */
    int axes[CX_MAX_NDIM];
    cx_segments segments[CX_MAX_NDIM]; /* per dimension of the destination */
    parla_range fixed[CX_MAX_NDIM];    /* per dimension of the source that no segment covers */
    int64_t fixed_cell[CX_MAX_NDIM];
    int64_t n_transfers;
};

/* Hash of what a plan is made from. */
uint64_t cx_plan_key(const cx_view *dst, const cx_view *src, size_t item_bytes);

#endif
