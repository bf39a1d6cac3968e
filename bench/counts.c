/* counts.c - one shape of empty tasks, a given number of times, for those who count what it costs: bench/counts.py runs this under
 * valgrind and strace. usage: bench_counts SHAPE N
 *
 *   independent.window   1,000 tasks, wait, again       independent.pending   all spawned behind a closed gate, then run
 *   chain.window         each task after the one before stencil.window        8 columns, each task after 3 of the row before
 *   forkjoin             trees of tasks, each waiting for its two children
 *   data.window          tasks that write one of 8 arrays, which lie where they run
 *   placed.window        tasks that name a device, without arrays            argument.in       the same, each reading an array in place,
 *   argument.inout       updating it,                                        argument.block    or updating one of its 64 blocks
 *
 * There is one worker and the main thread, on one core; the worker stands still while the main thread spawns, so that counts repeat. */
#include "bench.h"

#include <parla/parla.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1000, WIDTH = 8, N_BLOCKS = 64, TREE_DEPTH = 6, TREE_TASKS = (2 << TREE_DEPTH) - 1 };

static parla_runtime *runtime;

static void check(int code, const char *what)
{
    if (code != 0) {
        bench_die("%s: %s", what, parla_error_detail());
    }
}

static int empty_body(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

static void spawn(parla_task *out, const parla_task *deps, size_t n_deps)
{
    check(parla_spawn(runtime, out, empty_body, NULL, deps, n_deps), "spawn");
}

/* The worker stands at the gate while a window is spawned: where two threads meet does not change what is counted. */
static pthread_barrier_t gate;

static int stand_at_gate(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    return 0;
}

static bool is_held;

static void hold_worker(void)
{
    check(parla_spawn(runtime, NULL, stand_at_gate, NULL, NULL, 0), "spawn");
    pthread_barrier_wait(&gate);
    is_held = true;
}

static void wait_all(void)
{
    if (is_held) {
        pthread_barrier_wait(&gate);
        is_held = false;
    }
    check(parla_runtime_wait(runtime, PARLA_FOREVER), "wait");
}

/* Before the i-th task of a shape with windows. */
static void step_window(long i)
{
    if (i % WINDOW == 0) {
        wait_all();
        hold_worker();
    }
}

static void independent_window(long n)
{
    for (long i = 0; i < n; i++) {
        step_window(i);
        spawn(NULL, NULL, 0);
    }
}

static void chain_window(long n)
{
    parla_task last = PARLA_TASK_NONE;
    for (long i = 0; i < n; i++) {
        step_window(i);
        spawn(&last, &last, 1);
    }
}

static void stencil_window(long n)
{
    parla_task rows[2][WIDTH + 2];
    memset(rows, 0, sizeof rows);
    for (long i = 0; i < n; i++) {
        step_window(i);
        long row = i / WIDTH, column = i % WIDTH;
        spawn(&rows[row & 1][column + 1], &rows[(row + 1) & 1][column], row > 0 ? 3 : 0);
    }
}

static void independent_pending(long n)
{
    hold_worker();
    for (long i = 0; i < n; i++) {
        spawn(NULL, NULL, 0);
    }
    wait_all();
}

static int fork_body(parla_context *context, void *arg)
{
    intptr_t depth = (intptr_t)arg;
    parla_task children[2];
    for (int i = 0; depth > 0 && i < 2; i++) {
        check(parla_spawn(parla_context_runtime(context), &children[i], fork_body, (void *)(depth - 1), NULL, 0), "spawn");
    }
    return depth > 0 ? parla_task_wait(runtime, children, 2, PARLA_FOREVER) : 0;
}

static void forkjoin(long n)
{
    for (long i = 0; i < n; i += TREE_TASKS) {
        check(parla_spawn(runtime, NULL, fork_body, (void *)(intptr_t)TREE_DEPTH, NULL, 0), "spawn");
        wait_all();
    }
}

static void data_window(long n)
{
    parla_data *arrays[WIDTH];
    for (int k = 0; k < WIDTH; k++) {
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        options.host = (parla_strided){.item_bytes = sizeof(double), .ndim = 1, .extent = {64}, .stride = {sizeof(double)}};
        check(parla_data_create(&arrays[k], &options), "create an array");
    }
    for (long i = 0; i < n; i++) {
        step_window(i);
        parla_access access = {arrays[i % WIDTH], PARLA_OUT, 0, NULL};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = empty_body;
        options.accesses = &access;
        options.n_accesses = 1;
        check(parla_task_spawn(runtime, NULL, &options), "spawn");
    }
    wait_all();
    for (int k = 0; k < WIDTH; k++) {
        parla_data_unref(arrays[k]);
    }
}

/* Tasks on the CPU with one argument in place; mode 0: without it. */
static void placed(long n, int mode, bool has_blocks)
{
    static double memory[8 * N_BLOCKS];
    const parla_demand cpu = {PARLA_ARCH_CPU, 0, 0, 0};
    const parla_choice choice = {&cpu, 1};
    parla_data *data;
    parla_data_options array = PARLA_DATA_OPTIONS_INIT;
    array.host = (parla_strided){.base = memory, .item_bytes = 8, .ndim = 1, .extent = {8 * N_BLOCKS}, .stride = {8}};
    check(parla_data_create(&data, &array), "create an array");
    for (long i = 0; i < n; i++) {
        step_window(i);
        const parla_range block = {8 * (i % N_BLOCKS), 8 * (i % N_BLOCKS) + 8, 1};
        parla_access access = {data, mode, 0, has_blocks ? &block : NULL};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = empty_body;
        options.choices = &choice;
        options.n_choices = 1;
        options.accesses = &access;
        options.n_accesses = mode != 0;
        check(parla_task_spawn(runtime, NULL, &options), "spawn");
    }
    wait_all();
    parla_data_unref(data);
}

static void placed_window(long n) { placed(n, 0, false); }
static void argument_in(long n) { placed(n, PARLA_IN, false); }
static void argument_inout(long n) { placed(n, PARLA_INOUT, false); }
static void argument_block(long n) { placed(n, PARLA_INOUT, true); }

static const struct {
    const char *name;
    void (*run)(long n);
} shapes[] = {
    {"independent.window", independent_window},
    {"independent.pending", independent_pending},
    {"chain.window", chain_window},
    {"stencil.window", stencil_window},
    {"forkjoin", forkjoin},
    {"data.window", data_window},
    {"placed.window", placed_window},
    {"argument.in", argument_in},
    {"argument.inout", argument_inout},
    {"argument.block", argument_block},
};

static void use_one_core(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        bench_die("cannot bind to one core");
    }
}

int main(int argc, char **argv)
{
    bench_begin("counts", argc, argv);
    long n = argc == 3 ? atol(argv[2]) : 0;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1;
    options.devices = "cpu";
    use_one_core();
    for (size_t i = 0; n > 0 && i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(argv[1], shapes[i].name) == 0) {
            check(parla_runtime_create(&runtime, &options), "create");
            pthread_barrier_init(&gate, NULL, 2);
            shapes[i].run(n);
            wait_all();
            parla_runtime_destroy(runtime);
            pthread_barrier_destroy(&gate);
            return 0;
        }
    }
    bench_die("usage: bench_counts SHAPE N");
}
