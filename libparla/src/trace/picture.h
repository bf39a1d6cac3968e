/* picture.h - the records of a trace put in order for drawing: rows, lanes in which spans nest, and arrows whose ends are known. */
#ifndef PL_TRACE_PICTURE_H
#define PL_TRACE_PICTURE_H

#include "trace/state.h"

typedef struct pl_picture_row {
    const pl_row *row;
    pl_row_cursor records; /* all of its records that count */
    uint32_t first_line;   /* its lanes are lines first_line … first_line + n_lanes - 1 of the picture, counted from 1 */
    uint32_t n_lanes;
} pl_picture_row;

typedef struct pl_picture_span {
    const pl_trace_record *record;
    size_t i_row;
    size_t parent; /* the span around it on its line, or SIZE_MAX */
    uint32_t line;
} pl_picture_span;

/* From the end of one span to the start of another, as indices. */
typedef struct pl_picture_arrow {
    size_t from, to;
} pl_picture_arrow;

typedef struct pl_picture {
    pl_picture_row *rows; /* those that have spans, by name: "worker 2" before "worker 10" */
    size_t n_rows;
    pl_picture_span *spans; /* by row, then start; an outer span before those inside it */
    size_t n_spans;
    pl_picture_arrow *arrows;
    size_t n_arrows;
    uint64_t n_dropped; /* records lost for want of room */
} pl_picture;

/* From: the holder of trace->lock, which must be kept until pl_picture_fini: the picture points into the rows.
 * Errors: PARLA_E_NOMEM; then there is nothing to fini. */
PARLA_MUST_USE int pl_picture_init(pl_picture *out, const pl_trace *trace);
void pl_picture_fini(pl_picture *picture);

#endif
