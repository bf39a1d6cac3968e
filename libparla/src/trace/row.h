/* row.h - the records of one thread in one trace: written by that thread alone, readable by the writer meanwhile. */
#ifndef PL_TRACE_ROW_H
#define PL_TRACE_ROW_H

#include "base/atomic.h"
#include "base/map.h"

#include <parla/common.h>

/* One span, or one arrow (kind PL_TRACE_EDGE, from `id` to `bytes`). */
typedef struct pl_trace_record {
    uint64_t t0_ns, t1_ns;
    uint64_t id;
    uint64_t bytes;
    const char *name; /* in the row's arena */
    int32_t i_device;
    uint32_t kind;
} pl_trace_record;

#define PL_ROW_CHUNK 1024       /* records in a chunk */
#define PL_ROW_LIMIT (1u << 20) /* records in a row; later ones are dropped and counted */
#define PL_ROW_PHASES 32        /* phases that may be open at once; deeper ones are not recorded */
#define PL_ROW_RECENT 32
#define PL_ROW_NAME_BYTES 48

typedef struct pl_row_chunk {
    struct pl_row_chunk *next; /* written before a record behind it is published */
    pl_trace_record records[PL_ROW_CHUNK];
} pl_row_chunk;

typedef struct pl_row_text {
    struct pl_row_text *next;
    char bytes[];
} pl_row_text;

typedef struct pl_row_phase {
    const char *name;
    uint64_t t0_ns;
} pl_row_phase;

/* Where a text was copied to. The text itself may have changed since: its content decides. */
typedef struct pl_row_recent {
    const char *text;
    const char *copy;
} pl_row_recent;

/* Invariant: the first n_shared records of the list of chunks are whole and belong to the session session_shared. */
typedef struct pl_row {
    struct pl_row *next;          /* constant once the row is in its trace's list */
    uint64_t thread_key;          /* constant */
    char name[PL_ROW_NAME_BYTES]; /* under the trace's lock */

    /* Published by the owner. */
    _Atomic uint32_t session_shared;
    _Atomic uint32_t n_shared;
    _Atomic uint64_t n_dropped_shared;
    pl_row_chunk *_Atomic first_shared;

    /* The owner's alone. */
    pl_row_chunk *last;
    pl_map names; /* text to its copy */
    pl_row_text *texts;
    pl_row_recent recent[PL_ROW_RECENT]; /* by address of the text: most records repeat a name */
    pl_row_phase phases[PL_ROW_PHASES];
    uint32_t n_phases; /* open now; only the first PL_ROW_PHASES are in `phases` */
} pl_row;

pl_row *pl_row_create(uint64_t thread_key);
void pl_row_destroy(pl_row *row);

/* From the owner: forgets all records if they belong to another session than `session`. */
void pl_row_enter(pl_row *row, uint32_t session);

/* From the owner: the copy of a text that lives as long as the session, or NULL without memory. */
const char *pl_row_intern(pl_row *row, const char *text);

/* From the owner: publishes one record, or counts it as dropped. */
void pl_row_push(pl_row *row, const pl_trace_record *record);

/* Walks over the records that were published when it began. From: any thread that keeps the session from changing. */
typedef struct pl_row_cursor {
    const pl_row_chunk *chunk;
    uint32_t i, n;
} pl_row_cursor;

pl_row_cursor pl_row_walk(const pl_row *row);
const pl_trace_record *pl_row_next(pl_row_cursor *cursor);

#endif
