/* span.h - evenly spaced indices along one dimension, and what two such sets have in common. Pure functions. */
#ifndef PL_DATA_SPAN_H
#define PL_DATA_SPAN_H

#include <parla/task.h>

/* start, start + step, … : n of them; n >= 0, step >= 1. With n <= 1 the step means nothing. */
typedef struct pl_span {
    int64_t start, n, step;
} pl_span;

/* The last index; n > 0. */
static inline int64_t pl_span_last(const pl_span *span) { return span->start + (span->n - 1) * span->step; }

/* The indices of a range that was checked (pl_data_check_region). */
pl_span pl_span_of_range(const parla_range *range);

/* The indices in both: evenly spaced again. */
pl_span pl_span_meet(const pl_span *a, const pl_span *b);

/* The interval, with a step of 1, from the first index of either to the last. */
pl_span pl_span_join(const pl_span *a, const pl_span *b);

/* Do two boxes of `ndim` spans have an element in common? */
bool pl_spans_meet(const pl_span *a, const pl_span *b, int ndim);

#endif
