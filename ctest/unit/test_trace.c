/* test_trace.c - starting, stopping and recording from several threads. */
#include "trace/trace.h"

#include "base/clock.h"
#include "base/error.h"
#include "trace/picture.h"

#include "test.h"

#include <pthread.h>

static pl_trace *create(void)
{
    pl_trace *trace = NULL;
    T_OK(pl_trace_create(&trace));
    return trace;
}

/* Counts the spans of a trace, and checks that all are of the given phase name if there is one. */
static size_t count_spans(pl_trace *trace, const char *name)
{
    pl_picture picture;
    pthread_mutex_lock(&trace->lock);
    T_OK(pl_picture_init(&picture, trace));
    size_t n = picture.n_spans;
    for (size_t i = 0; name != NULL && i < n; i++) {
        T_EQ_STR(picture.spans[i].record->name, name);
    }
    pl_picture_fini(&picture);
    pthread_mutex_unlock(&trace->lock);
    return n;
}

T_TEST(off_records_nothing)
{
    pl_trace *trace = create();
    T_FALSE(pl_trace_is_on(trace));
    pl_trace_span(trace, PL_TRACE_TASK, "x", 1, 2, 3, 0, 0);
    pl_trace_begin(trace, "x");
    pl_trace_end(trace);
    pl_trace_edge(trace, 1, 2);
    T_TRUE(trace->rows == NULL);
    pl_trace_stop(trace);
    pl_trace_destroy(trace);
    pl_trace_destroy(NULL);
}

T_TEST(start_stop_start)
{
    pl_trace *trace = create();
    T_OK(pl_trace_start(trace));
    T_TRUE(pl_trace_is_on(trace));
    T_EQ(pl_trace_start(trace), PARLA_E_STATE);
    pl_trace_span(trace, PL_TRACE_TASK, "first", 1, 2, 3, 0, 0);
    pl_trace_stop(trace);
    pl_trace_span(trace, PL_TRACE_TASK, "between", 1, 2, 3, 0, 0);
    T_EQ(count_spans(trace, "first"), 1);
    T_OK(pl_trace_start(trace));
    T_EQ(count_spans(trace, NULL), 0);
    pl_trace_span(trace, PL_TRACE_TASK, "second", 1, 2, 3, 0, 0);
    pl_trace_span(trace, PL_TRACE_TASK, "second", 1, 2, 3, 0, 0);
    T_EQ(count_spans(trace, "second"), 2);
    pl_trace_destroy(trace);
}

/* Copies that were asked for together, and done one after the other, do not overlap. */
T_TEST(copies_of_a_queue_follow_each_other)
{
    pl_trace *trace = create();
    pl_picture picture;
    uint64_t asked_ns = pl_now_ns();
    pl_trace_copy(trace, "copy", asked_ns, pl_now_ns(), 1, 8);
    T_OK(pl_trace_start(trace));
    for (int i = 0; i < 3; i++) {
        pl_trace_copy(trace, "copy", asked_ns, pl_now_ns(), 1, 8);
    }
    T_EQ(count_spans(trace, "copy"), 3);
    pthread_mutex_lock(&trace->lock);
    T_OK(pl_picture_init(&picture, trace));
    for (size_t i = 1; i < picture.n_spans; i++) {
        T_TRUE(picture.spans[i].record->t0_ns >= picture.spans[i - 1].record->t1_ns);
        T_EQ(picture.spans[i].record->bytes, 8);
    }
    pl_picture_fini(&picture);
    pthread_mutex_unlock(&trace->lock);
    pl_trace_destroy(trace);
}

T_TEST(phases_nest_to_a_limit)
{
    pl_trace *trace = create();
    T_OK(pl_trace_start(trace));
    pl_trace_end(trace); /* nothing is open */
    for (int i = 0; i < PL_ROW_PHASES + 10; i++) {
        pl_trace_begin(trace, "phase");
    }
    T_EQ(count_spans(trace, NULL), 0);
    for (int i = 0; i < PL_ROW_PHASES + 20; i++) {
        pl_trace_end(trace);
    }
    T_EQ(count_spans(trace, "phase"), PL_ROW_PHASES);
    pl_trace_begin(trace, "lost");
    pl_trace_stop(trace);
    T_OK(pl_trace_start(trace));
    pl_trace_end(trace); /* begun in another session */
    T_EQ(count_spans(trace, NULL), 0);
    pl_trace_destroy(trace);
}

T_TEST(many_traces_on_one_thread)
{
    enum { N = 11 };
    pl_trace *traces[N];
    for (int i = 0; i < N; i++) {
        traces[i] = create();
        T_OK(pl_trace_start(traces[i]));
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            pl_trace_span(traces[i], PL_TRACE_TASK, "x", 1, 2, 3, 0, 0);
        }
    }
    for (int i = 0; i < N; i++) {
        T_EQ(count_spans(traces[i], NULL), 3);
        T_TRUE(traces[i]->rows != NULL && traces[i]->rows->next == NULL);
        pl_trace_destroy(traces[i]);
        traces[i] = create(); /* perhaps at the same address: the cache must not take it for the old one */
        T_OK(pl_trace_start(traces[i]));
        pl_trace_span(traces[i], PL_TRACE_TASK, "x", 1, 2, 3, 0, 0);
        T_EQ(count_spans(traces[i], NULL), 1);
    }
    for (int i = 0; i < N; i++) {
        pl_trace_destroy(traces[i]);
    }
}

/* --- Several threads --------------------------------------------------------------------------------------------------------- */

enum { N_THREADS = 4 };

static pl_trace *shared;
static _Atomic bool is_over;

static void *record_many(void *arg)
{
    uint64_t me = *(uint64_t *)arg;
    for (uint64_t i = 0; i < t_scale(20000); i++) {
        pl_trace_span(shared, PL_TRACE_TASK, "task", i, i + 1, me << 32 | i, (int)me, 0);
        pl_trace_edge(shared, me << 32 | i, me << 32 | (i + 1));
    }
    return NULL;
}

static void start_threads(pthread_t *threads, uint64_t *numbers, void *(*run)(void *))
{
    for (uint64_t i = 0; i < N_THREADS; i++) {
        numbers[i] = i + 1;
        T_EQ(pthread_create(&threads[i], NULL, run, &numbers[i]), 0);
    }
}

static void join_threads(pthread_t *threads)
{
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

T_TEST(threads_record_everything)
{
    pthread_t threads[N_THREADS];
    uint64_t numbers[N_THREADS];
    shared = create();
    T_OK(pl_trace_start(shared));
    start_threads(threads, numbers, record_many);
    size_t n_before = 0;
    for (int i = 0; i < 5; i++) { /* a writer beside them sees more and more */
        size_t n = count_spans(shared, "task");
        T_GE(n, n_before);
        n_before = n;
    }
    join_threads(threads);
    pl_picture picture;
    T_OK(pl_picture_init(&picture, shared));
    T_EQ(picture.n_rows, N_THREADS);
    T_EQ(picture.n_spans, N_THREADS * t_scale(20000));
    T_EQ(picture.n_arrows, N_THREADS * (t_scale(20000) - 1));
    T_EQ(picture.n_dropped, 0);
    pl_picture_fini(&picture);
    pl_trace_destroy(shared);
}

static void *record_until_over(void *arg)
{
    (void)arg;
    while (!pl_load_relaxed(&is_over)) {
        pl_trace_begin(shared, "outer");
        pl_trace_span(shared, PL_TRACE_TASK, "inner", 1, 2, 3, 0, 0);
        pl_trace_end(shared);
        pl_sleep_until(pl_now_ns() + 20000); /* else the rows fill up faster than they can be counted */
    }
    return NULL;
}

T_TEST(sessions_change_beside_recorders_and_readers)
{
    pthread_t threads[N_THREADS];
    uint64_t numbers[N_THREADS];
    shared = create();
    T_OK(pl_trace_start(shared));
    start_threads(threads, numbers, record_until_over);
    for (uint64_t i = 0; i < t_scale(100); i++) {
        (void)count_spans(shared, NULL);
        pl_trace_stop(shared);
        (void)count_spans(shared, NULL);
        T_OK(pl_trace_start(shared));
        T_EVENTUALLY(count_spans(shared, NULL) > 0, 10000);
    }
    pl_store_relaxed(&is_over, true);
    join_threads(threads);
    pl_trace_destroy(shared);
}
