/* data.c - arrays: copies beside memcpy, and what an argument that is already in place costs; ci/bench runs this.
 *
 *   copy.host_sim.N, copy.sim_sim.N   an array of N MiB to a simulated device, by a task that reads it there; beside memcpy
 *   copy.strided.N                    the same for every second row of 4 KiB
 *   copies.host_sim.N                 16 arrays of N MiB at once to one device, by 16 tasks and one wait: what a copy costs among others
 *   argument.in, argument.inout       a task with one array that is where the task runs, less the same task without it
 *   argument.block                    the same for one of 64 blocks of an array
 * A value of the first four is the time of one copy: bytes / value is the bandwidth in GB/s. */
#include "bench.h"

#include <parla/parla.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, ROW_BYTES = 4096, N_BLOCKS = 64, N_AT_ONCE = 16 };

static void check(int code, const char *what)
{
    if (code < 0) {
        bench_die("%s: %s", what, parla_error_detail());
    }
}

static int nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

static parla_runtime *start(const char *devices)
{
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = devices;
    options.n_workers = 1;
    check(parla_runtime_create(&rt, &options), "a runtime");
    return rt;
}

static parla_data *make_array(void *memory, int64_t n_rows)
{
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.base = memory, .item_bytes = 8, .ndim = 2, .extent = {n_rows, ROW_BYTES / 8}};
    options.host.stride[0] = ROW_BYTES;
    options.host.stride[1] = 8;
    check(parla_data_create(&data, &options), "an array");
    return data;
}

/* Spawns an empty task on one device; `data` may be NULL. */
static void spawn(parla_runtime *rt, parla_arch arch, int number, parla_data *data, int mode, const parla_range *region)
{
    const parla_demand demand = {arch, number, 0, 0};
    const parla_choice choice = {&demand, 1};
    const parla_access access = {.data = data, .mode = mode, .region = region};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = nothing;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = data != NULL;
    check(parla_task_spawn(rt, NULL, &options), "a task");
}

/* --- Copies ------------------------------------------------------------------------------------------------------------------- */

typedef struct copying {
    parla_runtime *rt;
    parla_data *data;
    int from; /* simulated device, or -1 for the host */
    const parla_range *region;
    int n_rounds;
    char *dst, *src; /* of memcpy */
    int64_t n_rows, row_stride, run_bytes;
} copying;

/* Only what follows the write on the source's side is timed. */
static double ours_copy(void *ctx)
{
    const copying *c = ctx;
    double ns = 0;
    for (int i = 0; i < c->n_rounds; i++) {
        spawn(c->rt, c->from < 0 ? PARLA_ARCH_CPU : PARLA_ARCH_GPU, c->from < 0 ? 0 : c->from, c->data, PARLA_INOUT, NULL);
        check(parla_runtime_wait(c->rt, PARLA_FOREVER), "waiting");
        double begin_ns = bench_now_ns();
        spawn(c->rt, PARLA_ARCH_GPU, 1, c->data, PARLA_IN, c->region);
        check(parla_runtime_wait(c->rt, PARLA_FOREVER), "waiting");
        ns += bench_now_ns() - begin_ns;
    }
    return ns;
}

static double memcpy_copy(void *ctx)
{
    const copying *c = ctx;
    double begin_ns = bench_now_ns();
    for (int i = 0; i < c->n_rounds; i++)
        for (int64_t row = 0; row < c->n_rows; row++)
            memcpy(c->dst + row * c->row_stride, c->src + row * c->row_stride, (size_t)c->run_bytes);
    return bench_now_ns() - begin_ns;
}

static void measure_copy(const char *route, int from, int n_mib, bool is_strided)
{
    char name[64];
    snprintf(name, sizeof name, "copy.%s.%d", is_strided ? "strided" : route, n_mib);
    if (!bench_wants(name))
        return;
    size_t n_bytes = (size_t)n_mib * MIB;
    int64_t n_rows = (int64_t)(n_bytes / ROW_BYTES);
    char *memory[2] = {aligned_alloc(64, n_bytes), aligned_alloc(64, n_bytes)};
    memset(memory[0], 1, n_bytes);
    memset(memory[1], 1, n_bytes);
    const parla_range region[2] = {{0, n_rows, 2}, {0, ROW_BYTES / 8, 1}};
    copying c = {.rt = start("sim:2"), .data = make_array(memory[0], n_rows), .from = from, .n_rounds = bench_is_smoke() ? 2 : 20};
    c.dst = memory[1];
    c.src = memory[0];
    c.n_rows = is_strided ? n_rows / 2 : 1;
    c.row_stride = 2 * ROW_BYTES;
    c.run_bytes = is_strided ? ROW_BYTES : (int64_t)n_bytes;
    c.region = is_strided ? region : NULL;
    bench_compare(name, 1, c.n_rounds, &(bench_side){"ours", ours_copy, &c}, &(bench_side){"memcpy", memcpy_copy, &c});
    parla_runtime_destroy(c.rt);
    parla_data_unref(c.data);
    free(memory[0]);
    free(memory[1]);
}

/* --- Copies one behind the other ----------------------------------------------------------------------------------------------- */

typedef struct stream {
    parla_runtime *rt;
    parla_data *data[N_AT_ONCE];
    char *memory[N_AT_ONCE], *dst;
    size_t n_bytes;
    int n_rounds;
} stream;

static double ours_stream(void *ctx)
{
    const stream *s = ctx;
    double ns = 0;
    for (int i = 0; i < s->n_rounds; i++) {
        for (int k = 0; k < N_AT_ONCE; k++)
            spawn(s->rt, PARLA_ARCH_CPU, 0, s->data[k], PARLA_INOUT, NULL);
        check(parla_runtime_wait(s->rt, PARLA_FOREVER), "waiting");
        double begin_ns = bench_now_ns();
        for (int k = 0; k < N_AT_ONCE; k++)
            spawn(s->rt, PARLA_ARCH_GPU, 0, s->data[k], PARLA_IN, NULL);
        check(parla_runtime_wait(s->rt, PARLA_FOREVER), "waiting");
        ns += bench_now_ns() - begin_ns;
    }
    return ns / N_AT_ONCE;
}

static double memcpy_stream(void *ctx)
{
    const stream *s = ctx;
    double begin_ns = bench_now_ns();
    for (int i = 0; i < s->n_rounds; i++)
        for (int k = 0; k < N_AT_ONCE; k++)
            memcpy(s->dst + (size_t)k * s->n_bytes, s->memory[k], s->n_bytes);
    return (bench_now_ns() - begin_ns) / N_AT_ONCE;
}

static void measure_stream(int n_mib)
{
    char name[64];
    snprintf(name, sizeof name, "copies.host_sim.%d", n_mib);
    if (!bench_wants(name))
        return;
    stream s = {.rt = start("sim:1"), .n_bytes = (size_t)n_mib * MIB, .n_rounds = bench_is_smoke() ? 1 : 5};
    s.dst = aligned_alloc(64, N_AT_ONCE * s.n_bytes);
    memset(s.dst, 1, N_AT_ONCE * s.n_bytes);
    for (int k = 0; k < N_AT_ONCE; k++) {
        s.memory[k] = aligned_alloc(64, s.n_bytes);
        memset(s.memory[k], 1, s.n_bytes);
        s.data[k] = make_array(s.memory[k], (int64_t)(s.n_bytes / ROW_BYTES));
    }
    bench_compare(name, 1, s.n_rounds, &(bench_side){"ours", ours_stream, &s}, &(bench_side){"memcpy", memcpy_stream, &s});
    parla_runtime_destroy(s.rt);
    for (int k = 0; k < N_AT_ONCE; k++) {
        parla_data_unref(s.data[k]);
        free(s.memory[k]);
    }
    free(s.dst);
}

/* --- Arguments in place -------------------------------------------------------------------------------------------------------- */

typedef struct arguments {
    parla_runtime *rt;
    parla_data *data; /* NULL: the tasks have none */
    int mode;
    bool has_blocks;
    int n_tasks;
} arguments;

static double run_arguments(void *ctx)
{
    const arguments *a = ctx;
    double begin_ns = bench_now_ns();
    for (int i = 0; i < a->n_tasks; i++) {
        int64_t k = i % N_BLOCKS;
        const parla_range block[2] = {{16 * k, 16 * (k + 1), 1}, {0, ROW_BYTES / 8, 1}};
        spawn(a->rt, PARLA_ARCH_CPU, 0, a->data, a->mode, a->has_blocks ? block : NULL);
        if (i % 1000 == 999)
            check(parla_runtime_wait(a->rt, PARLA_FOREVER), "waiting");
    }
    check(parla_runtime_wait(a->rt, PARLA_FOREVER), "waiting");
    return bench_now_ns() - begin_ns;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of what the argument adds, over pairs of runs with and without it. */
static void measure_argument(const char *name, int mode, bool has_blocks)
{
    enum { N_RUNS = 9 };
    double added_ns[N_RUNS], plain_ns[N_RUNS];
    static char memory[16 * N_BLOCKS * ROW_BYTES];
    if (!bench_wants(name))
        return;
    arguments with = {.rt = start("cpu"), .mode = mode, .has_blocks = has_blocks, .n_tasks = bench_is_smoke() ? 1000 : 50000};
    arguments without = with;
    with.data = make_array(memory, 16 * N_BLOCKS);
    run_arguments(&with);
    run_arguments(&without);
    for (int i = 0; i < N_RUNS; i++) {
        plain_ns[i] = run_arguments(&without) / with.n_tasks;
        added_ns[i] = run_arguments(&with) / with.n_tasks - plain_ns[i];
    }
    qsort(added_ns, N_RUNS, sizeof added_ns[0], compare);
    qsort(plain_ns, N_RUNS, sizeof plain_ns[0], compare);
    bench_report(name, 1, "time", "ns", added_ns[N_RUNS / 2], "the task without it", plain_ns[N_RUNS / 2]);
    parla_runtime_destroy(with.rt);
    parla_data_unref(with.data);
}

int main(int argc, char **argv)
{
    bench_begin("data", argc, argv);
    const int sizes[] = {4, 64};
    for (int i = 0; i < 2; i++) {
        measure_copy("host_sim", -1, sizes[i], false);
        measure_copy("sim_sim", 0, sizes[i], false);
        measure_copy("host_sim", -1, sizes[i], true);
    }
    measure_stream(4);
    measure_argument("argument.in", PARLA_IN, false);
    measure_argument("argument.inout", PARLA_INOUT, false);
    measure_argument("argument.block", PARLA_INOUT, true);
    return 0;
}
