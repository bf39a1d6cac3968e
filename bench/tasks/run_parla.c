/* run_parla.c - ours: as many workers as cores, and the main thread besides. */
#include "tasks/work.h"

#include <parla/parla.h>
#include <pthread.h>
#include <stdlib.h>

static parla_runtime *runtime;
static parla_task slots[TK_SLOTS];
static int n_workers;

static void check(int code, const char *what)
{
    if (code != 0) {
        bench_die("%s: %s %s", what, parla_error_text(code), parla_error_detail());
    }
}

static int body(parla_context *context, void *arg)
{
    (void)context;
    tk_run((long)(intptr_t)arg);
    return 0;
}

static inline void spawn(long i, long slot, const long *deps, int n_deps)
{
    parla_task few[4], *after = few;
    if (n_deps > 4) {
        after = malloc((size_t)n_deps * sizeof *after);
    }
    for (int k = 0; k < n_deps; k++) {
        after[k] = slots[deps[k]];
    }
    check(parla_spawn(runtime, slot >= 0 ? &slots[slot] : NULL, body, (void *)(intptr_t)i, after, (size_t)n_deps), "spawn");
    if (n_deps > 4) {
        free(after);
    }
}

static void wait_all(void) { check(parla_runtime_wait(runtime, PARLA_FOREVER), "wait"); }

/* Bodies that hold every worker until the gate opens. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int n_at_gate;
static bool is_gate_open;

static int stand_at_gate(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    pthread_mutex_lock(&mutex);
    n_at_gate++;
    pthread_cond_broadcast(&changed);
    while (!is_gate_open) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    return 0;
}

static void gate(bool is_open)
{
    pthread_mutex_lock(&mutex);
    is_gate_open = is_open;
    pthread_cond_broadcast(&changed);
    n_at_gate = is_open ? n_at_gate : 0;
    pthread_mutex_unlock(&mutex);
    if (is_open) {
        return;
    }
    for (int i = 0; i < n_workers; i++) {
        check(parla_spawn(runtime, NULL, stand_at_gate, NULL, NULL, 0), "spawn");
    }
    pthread_mutex_lock(&mutex);
    while (n_at_gate < n_workers) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

#include "tasks/feed.h"

static void start(int n_cores)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_workers = n_cores;
    options.devices = "sim:2";
    check(parla_runtime_create(&runtime, &options), "create");
}

static void stop(void) { parla_runtime_destroy(runtime); }

static int fork_body(parla_context *context, void *arg)
{
    intptr_t depth = (intptr_t)arg;
    parla_task children[2];
    tk_run(0);
    if (depth == 0) {
        return 0;
    }
    parla_runtime *rt = parla_context_runtime(context);
    for (int i = 0; i < 2; i++) {
        check(parla_spawn(rt, &children[i], fork_body, (void *)(depth - 1), NULL, 0), "spawn");
    }
    return parla_task_wait(rt, children, 2, PARLA_FOREVER);
}

static int produce_body(parla_context *context, void *arg)
{
    parla_runtime *rt = parla_context_runtime(context);
    for (long i = (long)(intptr_t)arg; i < tk.n; i += TK_PRODUCERS) {
        check(parla_spawn(rt, NULL, body, (void *)i, NULL, 0), "spawn");
    }
    return 0;
}

static void spawn_with(int priority, int device, long i)
{
    parla_demand demand = {.arch = PARLA_ARCH_GPU, .number = device};
    parla_choice choice = {&demand, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = (void *)(intptr_t)i;
    options.priority = priority;
    options.choices = &choice;
    options.n_choices = device >= 0;
    check(parla_task_spawn(runtime, NULL, &options), "spawn");
}

static int index_body(parla_context *context, void *arg)
{
    (void)arg;
    tk_run((long)parla_context_index(context));
    return 0;
}

static double run_range(void)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = index_body;
    double begin_ns = bench_now_ns();
    check(parla_task_spawn_n(runtime, NULL, (size_t)tk.n, &options), "spawn a range");
    wait_all();
    return bench_now_ns() - begin_ns;
}

static double run_replay(void)
{
    static parla_replay *replay;
    if (!replay) {
        check(parla_capture_begin(runtime), "capture");
        feed_stencil(0);
        check(parla_capture_end(runtime, &replay), "capture");
    }
    double begin_ns = bench_now_ns();
    check(parla_replay_run(replay, NULL, NULL, NULL, 0), "replay");
    wait_all();
    return bench_now_ns() - begin_ns;
}

static double run(tk_shape shape)
{
    double begin_ns = bench_now_ns();
    if (shape == TK_FORKJOIN) {
        check(parla_spawn(runtime, NULL, fork_body, (void *)(intptr_t)tk_depth(tk.n), NULL, 0), "spawn");
    } else if (shape == TK_PRODUCERS_SHAPE) {
        for (intptr_t p = 0; p < TK_PRODUCERS; p++) {
            check(parla_spawn(runtime, NULL, produce_body, (void *)p, NULL, 0), "spawn");
        }
    } else if (shape == TK_PRIORITIES || shape == TK_PLACED) {
        for (long i = 0; i < tk.n; i++) {
            spawn_with(shape == TK_PRIORITIES ? 1 + (int)(i & 3) : 0, shape == TK_PLACED ? (int)(i & 1) : -1, i);
            if (i % TK_WINDOW == TK_WINDOW - 1) {
                wait_all();
            }
        }
    } else if (shape == TK_RANGE) {
        return run_range();
    } else if (shape == TK_REPLAY) {
        return run_replay();
    } else {
        return time_feed(shape);
    }
    wait_all();
    return bench_now_ns() - begin_ns;
}

const tk_runner tk_parla = {"parla", 1, 0, start, run, stop};
