/* trace.h - what happened when: spans and arrows in buffers of the threads that record them.
 *
 * Every function may be called from any thread. Recording costs one branch when tracing is off; when it is on, a thread writes
 * into its own buffers without a lock, and the writer reads what was published. A row is a line of the picture: one for each
 * thread that records. */
#ifndef PL_TRACE_TRACE_H
#define PL_TRACE_TRACE_H

#include <parla/common.h>

#include "base/atomic.h"

typedef enum pl_trace_kind {
    PL_TRACE_TASK,    /* a body; `id` is its task's number, the same for all steps of a task that was suspended */
    PL_TRACE_COPY,    /* a movement of `bytes` bytes to device i_device */
    PL_TRACE_IDLE,    /* a worker that sleeps */
    PL_TRACE_PHASE,   /* a part of the user's program */
    PL_TRACE_MESSAGE, /* between ranks, from its post to its end; `id` is its task's number */
    PL_TRACE_EDGE     /* recorded by pl_trace_edge only */
} pl_trace_kind;

typedef struct pl_trace pl_trace;

/* Kept in front of the rest so that the test below is one load. */
struct pl_trace_head {
    _Atomic uint32_t session_shared; /* 0 when off; else the number of this start, counted from 1 */
};

/* Owns: the caller destroys *out. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_trace_create(pl_trace **out);

/* No thread may record any more. NULL is allowed. */
void pl_trace_destroy(pl_trace *trace);

static inline bool pl_trace_is_on(const pl_trace *trace)
{
    return pl_load_relaxed(&((const struct pl_trace_head *)trace)->session_shared) != 0;
}

/* Starts recording; what an earlier start recorded is forgotten. Errors: PARLA_E_STATE if it records already. */
PARLA_MUST_USE int pl_trace_start(pl_trace *trace);

/* Stops recording; what was recorded stays. A span that another thread records at this moment may still be kept. */
void pl_trace_stop(pl_trace *trace);

/* Names this thread's row: "worker 0", "gpu[0] queue". Also when tracing is off: the name holds for later starts. */
void pl_trace_row_name(pl_trace *trace, const char *name);

/* Adds a span to this thread's row. `name` is copied; NULL is "". i_device and bytes are shown if i_device >= 0 and bytes > 0.
 * A no-op when off. If there is no memory the span is dropped, and counted. */
void pl_trace_span(pl_trace *trace, pl_trace_kind kind, const char *name, uint64_t t0_ns, uint64_t t1_ns, uint64_t id, int i_device,
                   uint64_t bytes);

/* Adds the span of a copy that ends at now_ns, on a thread that copies one box after the other: it begins at begin_ns, when it was asked for,
 * or when this thread's last copy was over. `name` and the rest as above. A no-op when off. */
void pl_trace_copy(pl_trace *trace, const char *name, uint64_t begin_ns, uint64_t now_ns, int i_device, uint64_t bytes);

/* Adds an arrow from the task or copy `from_id` to `to_id`. It is shown if spans of both were recorded. */
void pl_trace_edge(pl_trace *trace, uint64_t from_id, uint64_t to_id);

/* Opens and closes a span of kind PL_TRACE_PHASE on this thread's row; they nest. An end without a begin is ignored. */
void pl_trace_begin(pl_trace *trace, const char *name);
void pl_trace_end(pl_trace *trace);

/* How far the clock is ahead of the job's, for the document. */
void pl_trace_set_clock(pl_trace *trace, int64_t ahead_ns, uint64_t error_ns);

/* Writes what was recorded so far as Chrome trace-event JSON, through a temporary file beside `path`.
 * Errors: PARLA_E_STATE if nothing was recorded; PARLA_E_SYSTEM with the reason; PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_trace_json(pl_trace *trace, const char *path, int rank);

#endif
