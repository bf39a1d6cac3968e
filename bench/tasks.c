/* tasks.c - what an empty task costs: ours beside a plain mutex pool, in the shapes of the performance goals. ci/bench runs this.
 *
 *   independent.window   1,000 tasks, wait, again            independent.pending   all spawned behind a closed gate, then run
 *   chain.window         each task after the one before      stencil.pending       8 columns, each task after 3 of the row before
 *   forkjoin             a binary tree of tasks, each waiting for its two children
 *   bytes_per_task       host memory held by pending tasks without dependencies
 *
 * @1 and @2 give the number of cores that the process is pinned to. Ours has as many workers and the main thread besides, the pool has the
 * main thread and one worker less. Bodies compute something that tells whether an order was broken. */
#include "bench.h"
#include "pool.h"

#include <parla/parla.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1000, WIDTH = 8 };

typedef struct sizes {
    long n_independent, n_chain, n_rows;
    int depth;
} sizes;

static sizes size = {1000000, 1000000, 65536, 17};
static parla_runtime *runtime;
static pool *peer_pool;
static int n_workers;
static long chain_sum;
static int64_t cells[2][WIDTH + 2];

static void check(int code, const char *what)
{
    if (code != 0) {
        bench_die("%s: %s %s", what, parla_error_text(code), parla_error_detail());
    }
}

/* --- The work, the same for both sides -------------------------------------------------------------------------------------- */

static void count(void) { chain_sum++; }

/* Cell i of a row is 1 more than the largest of its three neighbours in the row before: after n rows all cells hold n. */
static void update_cell(long task)
{
    long row = task / WIDTH, column = task % WIDTH + 1;
    const int64_t *before = cells[(row + 1) & 1];
    int64_t largest = before[column - 1] > before[column] ? before[column - 1] : before[column];
    cells[row & 1][column] = 1 + (before[column + 1] > largest ? before[column + 1] : largest);
}

static void check_cells(void)
{
    for (int i = 1; i <= WIDTH; i++) {
        if (cells[(size.n_rows + 1) & 1][i] != size.n_rows) {
            bench_die("the stencil's order was broken");
        }
    }
}

/* --- Ours ------------------------------------------------------------------------------------------------------------------- */

/* Bodies that hold every worker until the gate opens. */
static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static int n_at_gate;
static bool is_gate_open;

static int stand_at_gate(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    pthread_mutex_lock(&gate_mutex);
    n_at_gate++;
    pthread_cond_broadcast(&gate_changed);
    while (!is_gate_open) {
        pthread_cond_wait(&gate_changed, &gate_mutex);
    }
    pthread_mutex_unlock(&gate_mutex);
    return 0;
}

static void close_gate(void)
{
    is_gate_open = false;
    n_at_gate = 0;
    for (int i = 0; i < n_workers; i++) {
        check(parla_spawn(runtime, NULL, stand_at_gate, NULL, NULL, 0), "spawn");
    }
    pthread_mutex_lock(&gate_mutex);
    while (n_at_gate < n_workers) {
        pthread_cond_wait(&gate_changed, &gate_mutex);
    }
    pthread_mutex_unlock(&gate_mutex);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate_mutex);
    is_gate_open = true;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_mutex);
}

static void wait_ours(void) { check(parla_runtime_wait(runtime, PARLA_FOREVER), "wait"); }

static int empty_body(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

static int count_body(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    count();
    return 0;
}

static int cell_body(parla_context *context, void *arg)
{
    (void)context;
    update_cell((long)(intptr_t)arg);
    return 0;
}

static int fork_body(parla_context *context, void *arg)
{
    intptr_t depth = (intptr_t)arg;
    parla_task children[2];
    if (depth == 0) {
        return 0;
    }
    parla_runtime *rt = parla_context_runtime(context);
    for (int i = 0; i < 2; i++) {
        check(parla_spawn(rt, &children[i], fork_body, (void *)(depth - 1), NULL, 0), "spawn");
    }
    return parla_task_wait(rt, children, 2, PARLA_FOREVER);
}

static double ours_independent_window(void *ctx)
{
    (void)ctx;
    double begin_ns = bench_now_ns();
    for (long i = 0; i < size.n_independent; i++) {
        check(parla_spawn(runtime, NULL, empty_body, NULL, NULL, 0), "spawn");
        if (i % WINDOW == WINDOW - 1) {
            wait_ours();
        }
    }
    wait_ours();
    return bench_now_ns() - begin_ns;
}

static double ours_independent_pending(void *ctx)
{
    (void)ctx;
    close_gate();
    double begin_ns = bench_now_ns();
    for (long i = 0; i < size.n_independent; i++) {
        check(parla_spawn(runtime, NULL, empty_body, NULL, NULL, 0), "spawn");
    }
    open_gate();
    wait_ours();
    return bench_now_ns() - begin_ns;
}

static double ours_chain_window(void *ctx)
{
    (void)ctx;
    parla_task last = PARLA_TASK_NONE;
    chain_sum = 0;
    double begin_ns = bench_now_ns();
    for (long i = 0; i < size.n_chain; i++) {
        check(parla_spawn(runtime, &last, count_body, NULL, &last, !parla_task_is_none(last)), "spawn");
        if (i % WINDOW == WINDOW - 1) {
            wait_ours();
        }
    }
    wait_ours();
    double elapsed_ns = bench_now_ns() - begin_ns;
    if (chain_sum != size.n_chain) {
        bench_die("the chain's order was broken");
    }
    return elapsed_ns;
}

static double ours_stencil_pending(void *ctx)
{
    (void)ctx;
    parla_task rows[2][WIDTH + 2];
    memset(rows, 0, sizeof(rows));
    memset(cells, 0, sizeof(cells));
    close_gate();
    double begin_ns = bench_now_ns();
    for (long row = 0; row < size.n_rows; row++) {
        for (long i = 1; i <= WIDTH; i++) {
            const parla_task *deps = &rows[(row + 1) & 1][i - 1];
            void *arg = (void *)(intptr_t)(row * WIDTH + i - 1);
            check(parla_spawn(runtime, &rows[row & 1][i], cell_body, arg, deps, row > 0 ? 3 : 0), "spawn");
        }
    }
    open_gate();
    wait_ours();
    double elapsed_ns = bench_now_ns() - begin_ns;
    check_cells();
    return elapsed_ns;
}

static double ours_forkjoin(void *ctx)
{
    (void)ctx;
    double begin_ns = bench_now_ns();
    check(parla_spawn(runtime, NULL, fork_body, (void *)(intptr_t)size.depth, NULL, 0), "spawn");
    wait_ours();
    return bench_now_ns() - begin_ns;
}

/* --- The pool --------------------------------------------------------------------------------------------------------------- */

static void empty_job(void *arg, long i)
{
    (void)arg;
    (void)i;
}

static void count_job(void *arg, long i)
{
    (void)arg;
    (void)i;
    count();
}

static void cell_job(void *arg, long i)
{
    (void)arg;
    update_cell(i);
}

static void fork_job(void *arg, long depth)
{
    pool_task *children[2];
    if (depth == 0) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        children[i] = pool_new(arg, fork_job, arg, depth - 1);
        pool_submit(arg, children[i]);
    }
    pool_wait_for(arg, children, 2);
}

static double pool_independent_window(void *ctx)
{
    (void)ctx;
    double begin_ns = bench_now_ns();
    for (long i = 0; i < size.n_independent; i++) {
        pool_submit(peer_pool, pool_new(peer_pool, empty_job, NULL, i));
        if (i % WINDOW == WINDOW - 1) {
            pool_wait(peer_pool);
        }
    }
    pool_wait(peer_pool);
    return bench_now_ns() - begin_ns;
}

static double pool_independent_pending(void *ctx)
{
    (void)ctx;
    pool_gate(peer_pool, false);
    double begin_ns = bench_now_ns();
    for (long i = 0; i < size.n_independent; i++) {
        pool_submit(peer_pool, pool_new(peer_pool, empty_job, NULL, i));
    }
    pool_gate(peer_pool, true);
    pool_wait(peer_pool);
    return bench_now_ns() - begin_ns;
}

static double pool_chain_window(void *ctx)
{
    (void)ctx;
    pool_task *last = NULL;
    chain_sum = 0;
    double begin_ns = bench_now_ns();
    for (long i = 0; i < size.n_chain; i++) {
        pool_task *task = pool_new(peer_pool, count_job, NULL, i);
        if (last != NULL) {
            pool_depend(peer_pool, task, last);
        }
        pool_submit(peer_pool, task);
        last = task;
        if (i % WINDOW == WINDOW - 1) {
            pool_wait(peer_pool); /* frees the tasks */
            last = NULL;
        }
    }
    pool_wait(peer_pool);
    return bench_now_ns() - begin_ns;
}

static double pool_stencil_pending(void *ctx)
{
    (void)ctx;
    pool_task *rows[2][WIDTH + 2];
    memset(rows, 0, sizeof(rows));
    memset(cells, 0, sizeof(cells));
    pool_gate(peer_pool, false);
    double begin_ns = bench_now_ns();
    for (long row = 0; row < size.n_rows; row++) {
        for (long i = 1; i <= WIDTH; i++) {
            pool_task *task = pool_new(peer_pool, cell_job, NULL, row * WIDTH + i - 1);
            for (long k = i - 1; row > 0 && k <= i + 1; k++) {
                if (rows[(row + 1) & 1][k] != NULL) {
                    pool_depend(peer_pool, task, rows[(row + 1) & 1][k]);
                }
            }
            pool_submit(peer_pool, task);
            rows[row & 1][i] = task;
        }
    }
    pool_gate(peer_pool, true);
    pool_wait(peer_pool);
    double elapsed_ns = bench_now_ns() - begin_ns;
    check_cells();
    return elapsed_ns;
}

static double pool_forkjoin(void *ctx)
{
    (void)ctx;
    double begin_ns = bench_now_ns();
    pool_submit(peer_pool, pool_new(peer_pool, fork_job, peer_pool, size.depth));
    pool_wait(peer_pool);
    return bench_now_ns() - begin_ns;
}

/* --- All of it -------------------------------------------------------------------------------------------------------------- */

static void compare(const char *name, long n_items, double (*ours)(void *), double (*theirs)(void *))
{
    bench_side a = {NULL, ours, NULL}, b = {"mutexpool", theirs, NULL};
    if (bench_wants(name)) {
        bench_compare(name, n_workers, n_items, &a, &b);
    }
}

/* Runs first, on a runtime that has no memory from earlier cases. */
static void measure_bytes(void)
{
    parla_runtime_info before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    long n = size.n_independent;
    if (!bench_wants("bytes_per_task")) {
        return;
    }
    close_gate();
    check(parla_runtime_query(runtime, &before), "query");
    for (long i = 0; i < n; i++) {
        check(parla_spawn(runtime, NULL, empty_body, NULL, NULL, 0), "spawn");
    }
    check(parla_runtime_query(runtime, &after), "query");
    open_gate();
    wait_ours();
    bench_count("bytes_per_task", n_workers, "bytes", "B", (double)(after.task_bytes - before.task_bytes) / (double)n);
}

static void run(int n_cores)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_workers = n_cores;
    options.devices = "cpu";
    check(parla_runtime_create(&runtime, &options), "create");
    peer_pool = pool_create(n_cores);
    measure_bytes();
    compare("independent.window", size.n_independent, ours_independent_window, pool_independent_window);
    compare("independent.pending", size.n_independent, ours_independent_pending, pool_independent_pending);
    compare("chain.window", size.n_chain, ours_chain_window, pool_chain_window);
    compare("stencil.pending", size.n_rows * WIDTH, ours_stencil_pending, pool_stencil_pending);
    compare("forkjoin", (2L << size.depth) - 1, ours_forkjoin, pool_forkjoin);
    pool_destroy(peer_pool);
    parla_runtime_destroy(runtime);
}

int main(int argc, char **argv)
{
    bench_begin("tasks", argc, argv);
    if (bench_is_smoke()) {
        size = (sizes){10000, 10000, 1000, 8};
    }
    bench_on_cores(1, run);
    bench_on_cores(2, run);
    return 0;
}
