/* gpu_tasks.c - tasks that launch one kernel: what a task adds to the kernel. ci/gpu runs this on a card.
 *
 *   empty.independent   tasks with an empty kernel, from the first spawn to the last end, per task; beside the same launches in plain streams
 *   empty.chain         the same, each after the one before
 *   metg.chain          METG(50 %): chains of kernels that take a given time, one chain for each stream of a device: the time per task of the
 *                       shortest kernels of which the device still does half of what it does of long ones; beside plain streams
 *   metg.stencil        the same where a task follows three of the step before
 *
 * METG as Task Bench defines it: wall time * chains / tasks, at the duration where the useful time is half of the wall time. */
#include "bench.h"
#include "gpu_driver.h"

#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 4, MAX_STEPS = 2000 };

typedef struct state {
    parla_runtime *rt;
    gpu_card card;
    void *streams[WIDTH];
    int n_steps, width, n_before; /* a task at x follows those at x - n_before/2 … x + n_before/2 of the step before */
    double kernel_ns;             /* 0: the empty kernel */
} state;

static int launch(const state *s, void *stream)
{
    return s->kernel_ns > 0 ? gpu_launch_spin(&s->card, stream, s->kernel_ns) : gpu_launch_empty(&s->card, stream);
}

static int body(parla_context *context, void *arg)
{
    int result = launch(arg, parla_context_queue(context, 0));
    return result == 0 ? 0 : parla_fail(context, PARLA_E_DEVICE, "cuLaunchKernel: CUDA error %d", result);
}

static parla_task spawn(state *s, const parla_task *before, size_t n_before)
{
    static const parla_demand demand = {PARLA_ARCH_GPU, 0, 0, 0};
    const parla_choice choice = {&demand, 1};
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = s;
    options.choices = &choice;
    options.n_choices = 1;
    options.deps = before;
    options.n_deps = n_before;
    check(parla_task_create(s->rt, &task, NULL), "a task");
    options.task = task;
    check(parla_task_spawn(s->rt, NULL, &options), "a task");
    return task;
}

static size_t tasks_before(const state *s, const parla_task *last, int x, parla_task *out)
{
    size_t n = 0;
    for (int k = x - s->n_before / 2; s->n_before > 0 && k <= x + s->n_before / 2; k++) {
        if (k >= 0 && k < s->width) {
            out[n++] = last[k];
        }
    }
    return n;
}

static double run_ours(void *ctx)
{
    state *s = ctx;
    parla_task last[WIDTH], now[WIDTH], before[3];
    double begin_ns = bench_now_ns();
    for (int step = 0; step < s->n_steps; step++) {
        for (int x = 0; x < s->width; x++) {
            size_t n = step > 0 ? tasks_before(s, last, x, before) : 0;
            now[x] = spawn(s, before, n);
        }
        for (int x = 0; x < s->width; x++) {
            if (step > 0) {
                parla_task_unref(last[x]);
            }
            last[x] = now[x];
        }
    }
    check(parla_runtime_wait(s->rt, PARLA_FOREVER), "the tasks");
    double elapsed_ns = bench_now_ns() - begin_ns;
    for (int x = 0; x < s->width; x++) {
        parla_task_unref(last[x]);
    }
    return elapsed_ns;
}

static double run_streams(void *ctx)
{
    state *s = ctx;
    double begin_ns = bench_now_ns();
    for (int step = 0; step < s->n_steps; step++) {
        for (int x = 0; x < s->width; x++) {
            gpu_check(launch(s, s->streams[x]), "cuLaunchKernel");
        }
    }
    for (int x = 0; x < s->width; x++) {
        gpu_check(cu.cuStreamSynchronize(s->streams[x]), "cuStreamSynchronize");
    }
    return bench_now_ns() - begin_ns;
}

/* --- METG --------------------------------------------------------------------------------------------------------------------- */

/* The least of a few runs: METG asks what is possible. */
static double best_ns(state *s, double (*run)(void *ctx))
{
    double best = run(s);
    for (int i = 0; i < (bench_is_smoke() ? 0 : 4); i++) {
        double ns = run(s);
        best = ns < best ? ns : best;
    }
    return best;
}

/* Time per task where half of it is the kernel's; negative if even the longest kernels do not reach that. */
static double metg_ns(state *s, double (*run)(void *ctx))
{
    double previous_ns = -1, previous_share = 0;
    for (double kernel_ns = 1e6; kernel_ns >= 500; kernel_ns *= 0.7) {
        s->kernel_ns = kernel_ns;
        s->n_steps = bench_is_smoke() ? 3 : 2e7 / kernel_ns < MAX_STEPS ? (int)(2e7 / kernel_ns) : MAX_STEPS;
        double task_ns = best_ns(s, run) / s->n_steps, share = kernel_ns / task_ns;
        if (share < 0.5) {
            double part = previous_share > share ? (previous_share - 0.5) / (previous_share - share) : 0;
            return previous_ns < 0 ? -1 : previous_ns + part * (task_ns - previous_ns);
        }
        previous_ns = task_ns;
        previous_share = share;
    }
    return previous_ns;
}

static void measure_metg(state *s, const char *name, int n_before)
{
    s->width = WIDTH;
    s->n_before = n_before;
    double ours = metg_ns(s, run_ours), peer = metg_ns(s, run_streams);
    s->kernel_ns = 0;
    if (ours < 0 || peer < 0) {
        printf("# %s: kernels of 1 ms do not fill the device\n", name);
        return;
    }
    bench_report(name, 1, "time", "ns", ours, "plain streams", peer);
}

int main(int argc, char **argv)
{
    state s = {.width = WIDTH};
    bench_begin("gpu_tasks", argc, argv);
    gpu_open();
    s.rt = gpu_runtime("cuda:0");
    gpu_card_open(&s.card, 0);
    for (int x = 0; x < WIDTH; x++) {
        gpu_check(cu.cuStreamCreate(&s.streams[x], 1), "cuStreamCreate");
    }
    const bench_side ours = {NULL, run_ours, &s}, streams = {"plain streams", run_streams, &s};
    s.n_steps = bench_is_smoke() ? 10 : MAX_STEPS;
    if (bench_wants("empty.independent")) {
        bench_compare("empty.independent", 1, (long)s.n_steps * WIDTH, &ours, &streams);
    }
    if (bench_wants("empty.chain")) {
        s.width = s.n_before = 1;
        bench_compare("empty.chain", 1, s.n_steps, &ours, &streams);
    }
    if (bench_wants("metg.chain")) {
        measure_metg(&s, "metg.chain", 1);
    }
    if (bench_wants("metg.stencil")) {
        measure_metg(&s, "metg.stencil", 3);
    }
    for (int x = 0; x < WIDTH; x++) {
        gpu_check(cu.cuStreamDestroy(s.streams[x]), "cuStreamDestroy");
    }
    gpu_card_close(&s.card);
    parla_runtime_destroy(s.rt);
    return 0;
}
