/* trace.c - starts, stops and records; the writer is trace_json.c.
 *
 * Each start is a session with a number. A thread that records loads that number with acquire (label T1, pairs with the release
 * in pl_trace_start) and enters its row into the session, which forgets older records. The store happens under the trace's lock,
 * which a writer holds while it reads: so no row is reused under a reader's eyes.
 *
 * A thread finds its row through a small thread-local cache, keyed by the trace's serial number: the entry of a trace that was
 * destroyed matches nothing later. Only a miss takes the lock. Rows outlive their threads and are freed with the trace. */
#include "trace/trace.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "trace/state.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_ENTRIES 4

typedef struct cache_entry {
    uint64_t serial;
    pl_row *row;
} cache_entry;

static _Atomic uint64_t n_serials_shared;
static _Atomic uint64_t n_threads_shared;

static _Thread_local cache_entry cache[CACHE_ENTRIES];
static _Thread_local uint64_t thread_key; /* 0 until the thread first needs one; never given to another thread */

int pl_trace_create(pl_trace **out)
{
    pl_trace *trace = calloc(1, sizeof *trace);
    if (trace == NULL) {
        return pl_error_set(PARLA_E_NOMEM, "no memory for a trace");
    }
    trace->serial = pl_add_relaxed(&n_serials_shared, 1) + 1;
    trace->end_of_rows = &trace->rows;
    pthread_mutex_init(&trace->lock, NULL);
    *out = trace;
    return 0;
}

void pl_trace_destroy(pl_trace *trace)
{
    if (trace == NULL) {
        return;
    }
    while (trace->rows != NULL) {
        pl_row *next = trace->rows->next;
        pl_row_destroy(trace->rows);
        trace->rows = next;
    }
    pthread_mutex_destroy(&trace->lock);
    free(trace);
}

int pl_trace_start(pl_trace *trace)
{
    int code = 0;
    pthread_mutex_lock(&trace->lock);
    if (pl_trace_is_on(trace)) {
        code = pl_error_set(PARLA_E_STATE, "the trace records already; stop it first");
    } else {
        trace->start_ns = pl_now_ns();
        trace->last_session++;
        pl_store_release(&trace->head.session_shared, trace->last_session); /* T1 */
    }
    pthread_mutex_unlock(&trace->lock);
    return code;
}

void pl_trace_stop(pl_trace *trace)
{
    pthread_mutex_lock(&trace->lock);
    pl_store_release(&trace->head.session_shared, 0);
    pthread_mutex_unlock(&trace->lock);
}

/* A row has a name from the start: some threads never give it one. A thread that nobody named has its program's name. */
static void set_first_name(pl_row *row)
{
    char name[16] = "";
    if (gettid() == getpid()) {
        snprintf(row->name, sizeof row->name, "main");
    } else if (pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
               strncmp(name, program_invocation_short_name, sizeof name - 1) != 0) {
        snprintf(row->name, sizeof row->name, "%s", name);
    } else {
        snprintf(row->name, sizeof row->name, "thread %" PRIu64, row->thread_key);
    }
}

static pl_row *find_row_locked(pl_trace *trace)
{
    for (pl_row *row = trace->rows; row != NULL; row = row->next) {
        if (row->thread_key == thread_key) {
            return row;
        }
    }
    pl_row *row = pl_row_create(thread_key);
    if (row != NULL) {
        set_first_name(row);
        *trace->end_of_rows = row;
        trace->end_of_rows = &row->next;
    }
    return row;
}

/* This thread's row, or NULL without memory. */
static pl_row *my_row(pl_trace *trace)
{
    cache_entry *entry = &cache[trace->serial % CACHE_ENTRIES];
    if (entry->serial == trace->serial) {
        return entry->row;
    }
    if (thread_key == 0) {
        thread_key = pl_add_relaxed(&n_threads_shared, 1) + 1;
    }
    pthread_mutex_lock(&trace->lock);
    pl_row *row = find_row_locked(trace);
    pthread_mutex_unlock(&trace->lock);
    if (row != NULL) {
        *entry = (cache_entry){.serial = trace->serial, .row = row};
    }
    return row;
}

/* This thread's row, made ready for the session that records; NULL when off. */
static pl_row *open_row(pl_trace *trace)
{
    uint32_t session = pl_load_acquire(&trace->head.session_shared); /* T1 */
    pl_row *row = session != 0 ? my_row(trace) : NULL;
    if (row != NULL) {
        pl_row_enter(row, session);
    }
    return row;
}

void pl_trace_row_name(pl_trace *trace, const char *name)
{
    pl_row *row = my_row(trace);
    if (row != NULL) {
        pthread_mutex_lock(&trace->lock);
        pl_text_format(row->name, sizeof row->name, "%s", name);
        pthread_mutex_unlock(&trace->lock);
    }
}

void pl_trace_span(pl_trace *trace, pl_trace_kind kind, const char *name, uint64_t t0_ns, uint64_t t1_ns, uint64_t id, int i_device,
                   uint64_t bytes)
{
    pl_row *row = open_row(trace);
    if (row != NULL) {
        pl_trace_record record = {.t0_ns = t0_ns,
                                  .t1_ns = t1_ns,
                                  .id = id,
                                  .bytes = bytes,
                                  .name = pl_row_intern(row, name != NULL ? name : ""),
                                  .i_device = i_device,
                                  .kind = kind};
        pl_row_push(row, &record);
    }
}

void pl_trace_copy(pl_trace *trace, const char *name, uint64_t begin_ns, uint64_t now_ns, int i_device, uint64_t bytes)
{
    static _Thread_local uint64_t last_end_ns;
    if (!pl_trace_is_on(trace))
        return;
    pl_trace_span(trace, PL_TRACE_COPY, name, last_end_ns > begin_ns ? last_end_ns : begin_ns, now_ns, 0, i_device, bytes);
    last_end_ns = now_ns;
}

void pl_trace_set_clock(pl_trace *trace, int64_t ahead_ns, uint64_t error_ns)
{
    pthread_mutex_lock(&trace->lock);
    trace->ahead_ns = ahead_ns;
    trace->error_ns = error_ns;
    pthread_mutex_unlock(&trace->lock);
}

void pl_trace_edge(pl_trace *trace, uint64_t from_id, uint64_t to_id)
{
    pl_row *row = open_row(trace);
    if (row != NULL) {
        pl_trace_record record = {.id = from_id, .bytes = to_id, .name = "", .i_device = -1, .kind = PL_TRACE_EDGE};
        pl_row_push(row, &record);
    }
}

void pl_trace_begin(pl_trace *trace, const char *name)
{
    pl_row *row = open_row(trace);
    if (row == NULL) {
        return;
    }
    if (row->n_phases < PL_ROW_PHASES) {
        row->phases[row->n_phases] = (pl_row_phase){.name = pl_row_intern(row, name), .t0_ns = pl_now_ns()};
    }
    row->n_phases++;
}

void pl_trace_end(pl_trace *trace)
{
    pl_row *row = open_row(trace);
    if (row == NULL || row->n_phases == 0) {
        return;
    }
    row->n_phases--;
    if (row->n_phases < PL_ROW_PHASES) {
        pl_row_phase phase = row->phases[row->n_phases];
        pl_trace_record record = {
            .t0_ns = phase.t0_ns, .t1_ns = pl_now_ns(), .name = phase.name, .i_device = -1, .kind = PL_TRACE_PHASE};
        pl_row_push(row, &record);
    }
}
