/* tasks.c - what an empty task costs: ours beside the peers that this machine has, in the shapes of the performance goals. ci/bench runs this.
 *
 *   independent.window   1,000 tasks, wait, again            independent.pending   all spawned behind a closed gate, then run
 *   chain.*              each task after the one before      stencil.*             8 columns, each task after 3 of the row before
 *   stencil.stream       double-buffered, 100,000 rows without a wait
 *   dag4.pending         a random graph, 4 dependencies      fan                   1 -> 100,000 -> 1
 *   producers            4 tasks that spawn                  forkjoin              a binary tree of tasks, each waiting for two children
 *   priorities           4 priorities, in windows            placed                on two devices in turn, in windows
 *   spawn_n              a range of indices in one call      replay                a stencil that is kept, run again
 *   bytes_per_task.*     resident memory of pending tasks    slope.*               windows at 10,000 and 10,000,000 tasks in all
 *
 * @1 and @2 give the number of cores that the process is pinned to. Ours has as many workers and the main thread besides, the pool has the
 * main thread and one worker less. Each runner lives in a process of its own that is stopped while another one is measured (tasks/agent.h).
 * Before a shape is timed it is run once with bodies that tell whether all tasks ran, in order. "sleeps" says how often threads of a run
 * went to sleep. libgomp knows no gate: it runs tasks at once where many are pending, or with one thread. Slow runners get fewer tasks. */
#include "bench.h"
#include "tasks/agent.h"

#include <stdio.h>

static const struct shape {
    const char *name;
    long n, n_smoke;
} shapes[TK_N_SHAPES] = {
    [TK_INDEPENDENT_WINDOW] = {"independent.window", 1000000, 2000},
    [TK_INDEPENDENT_PENDING] = {"independent.pending", 1000000, 2000},
    [TK_CHAIN_WINDOW] = {"chain.window", 1000000, 2000},
    [TK_CHAIN_PENDING] = {"chain.pending", 1000000, 2000},
    [TK_STENCIL_WINDOW] = {"stencil.window", 500000, 2000},
    [TK_STENCIL_PENDING] = {"stencil.pending", 500000, 2000},
    [TK_STENCIL_STREAM] = {"stencil.stream", 100000 * TK_WIDTH, 2000},
    [TK_DAG4_PENDING] = {"dag4.pending", 500000, 2000},
    [TK_FAN] = {"fan", 100002, 2002},
    [TK_PRODUCERS_SHAPE] = {"producers", 500000, 2000},
    [TK_FORKJOIN] = {"forkjoin", 262143, 2047},
    [TK_PRIORITIES] = {"priorities", 100000, 2000},
    [TK_PLACED] = {"placed", 50000, 2000},
    [TK_RANGE] = {"spawn_n", 1000000, 2000},
    [TK_REPLAY] = {"replay", 8192 * TK_WIDTH, 2000},
};

static const tk_runner *const runners[] = {
    &tk_parla,  &tk_pool,
#ifdef BENCH_HAVE_OPENMP
    &tk_openmp,
#endif
#ifdef BENCH_HAVE_TBB
    &tk_tbb,
#endif
#ifdef BENCH_HAVE_STARPU
    &tk_starpu,
#endif
};

enum { N_RUNNERS = sizeof runners / sizeof runners[0] };

static tk_agent agents[N_RUNNERS];

/* Times per task of one runner. */
typedef struct times {
    bool has;
    double ns[BENCH_RUNS];
    double sleeps[BENCH_RUNS]; /* of a run */
} times;

static bool is_stencil(tk_shape shape)
{
    return shape == TK_STENCIL_WINDOW || shape == TK_STENCIL_PENDING || shape == TK_STENCIL_STREAM;
}

static long size_for(const tk_runner *runner, tk_shape shape)
{
    long n = bench_is_smoke() ? shapes[shape].n_smoke : shapes[shape].n / runner->divisor;
    if (is_stencil(shape) && runner->most_stencil > 0 && n > runner->most_stencil) {
        n = runner->most_stencil;
    }
    return n - n % TK_WIDTH;
}

static long n_items(tk_shape shape, long n) { return shape == TK_FORKJOIN ? (2L << tk_depth(n)) - 1 : n; }

/* All runners on one shape, run after run in turn. */
static void measure(tk_shape shape, int n_cores)
{
    static times found[N_RUNNERS];
    int n_runs = bench_is_smoke() ? 1 : BENCH_RUNS;
    if (!bench_wants(shapes[shape].name)) {
        return;
    }
    for (int k = 0; k < N_RUNNERS; k++) { /* memory is warm and the runner right */
        *agents[k].order = (tk_order){.shape = shape, .n = size_for(runners[k], shape), .is_checked = true};
        tk_agent_run(&agents[k]);
        found[k].has = agents[k].order->ns > 0;
    }
    double machine_s = bench_machine_busy_s(), own_s = 0, begin_ns = bench_now_ns();
    for (int i = 0; i < n_runs; i++) {
        for (int k = 0; k < N_RUNNERS; k++) {
            tk_order *order = agents[k].order;
            if (found[k].has) {
                order->is_checked = false;
                tk_agent_run(&agents[k]);
                found[k].ns[i] = order->ns / (double)n_items(shape, order->n);
                found[k].sleeps[i] = (double)order->n_switches;
                own_s += order->cpu_s;
            }
        }
    }
    double elapsed_s = 1e-9 * (bench_now_ns() - begin_ns);
    double neighbours = (bench_machine_busy_s() - machine_s - own_s) / elapsed_s;
    for (int k = 1; k < N_RUNNERS; k++) {
        if (found[k].has || k == 1) {
            bench_print_times(shapes[shape].name, n_cores, found[0].ns, n_runs, found[k].has ? runners[k]->name : NULL, found[k].ns,
                              neighbours);
        }
    }
    bench_report(shapes[shape].name, n_cores, "sleeps", "1/run", bench_median(found[0].sleeps, n_runs),
                 found[1].has ? runners[1]->name : NULL, found[1].has ? bench_median(found[1].sleeps, n_runs) : 0);
}

/* What pending tasks add to the resident memory of a fresh process. */
static double bytes_of(const tk_runner *runner, tk_shape shape)
{
    tk_agent agent;
    tk_agent_start(&agent, runner, 1);
    *agent.order = (tk_order){.shape = shape, .n = size_for(runner, shape), .wants_bytes = true};
    tk_agent_run(&agent);
    double bytes = agent.order->bytes;
    tk_agent_stop(&agent);
    return bytes;
}

static void measure_bytes(tk_shape shape)
{
    double ours = 0;
    char name[64];
    snprintf(name, sizeof name, "bytes_per_task.%s", shapes[shape].name);
    for (int k = 0; bench_wants("bytes_per_task") && k < N_RUNNERS; k++) {
        double bytes = bytes_of(runners[k], shape);
        ours = k == 0 ? bytes : ours;
        if (k > 0 && bytes >= 16) { /* tasks that are run at once take none */
            bench_report(name, 1, "bytes", "B", ours, runners[k]->name, bytes);
        }
    }
}

/* Ours in windows, a few and many tasks: what grows with their number shows in the ratio. */
static void measure_slope(tk_shape shape, int n_cores)
{
    double few[BENCH_RUNS], many[BENCH_RUNS];
    int n_runs = bench_is_smoke() ? 1 : BENCH_RUNS;
    long n_few = 10000, n_many = bench_is_smoke() ? 20000 : 10000000;
    int n_repeats = bench_is_smoke() ? 1 : 30; /* of few: else most of it is that the process wakes up */
    char name[64];
    snprintf(name, sizeof name, "slope.%s", shapes[shape].name);
    for (int i = 0; bench_wants("slope") && i < n_runs; i++) {
        for (int is_many = 0; is_many < 2; is_many++) {
            long n = is_many ? n_many : n_few;
            *agents[0].order = (tk_order){.shape = shape, .n = n, .n_repeats = is_many ? 1 : n_repeats};
            tk_agent_run(&agents[0]);
            (is_many ? many : few)[i] = agents[0].order->ns / (double)n;
        }
    }
    if (bench_wants("slope")) {
        bench_print_times(name, n_cores, many, n_runs, "10000 tasks", few, 0);
    }
}

static void run(int n_cores)
{
    if (n_cores == 1) {
        measure_bytes(TK_INDEPENDENT_PENDING);
        measure_bytes(TK_STENCIL_PENDING);
    }
    for (int k = 0; k < N_RUNNERS; k++) {
        tk_agent_start(&agents[k], runners[k], n_cores);
    }
    for (int shape = 0; shape < TK_N_SHAPES; shape++) {
        measure((tk_shape)shape, n_cores);
    }
    measure_slope(TK_INDEPENDENT_WINDOW, n_cores);
    measure_slope(TK_CHAIN_WINDOW, n_cores);
    for (int k = 0; k < N_RUNNERS; k++) {
        tk_agent_stop(&agents[k]);
    }
}

int main(int argc, char **argv)
{
    bench_begin("tasks", argc, argv);
    bench_on_cores(1, run);
    bench_on_cores(2, run);
    return 0;
}
