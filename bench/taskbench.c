/* taskbench.c - METG(50 %) of the Task Bench patterns: ours beside OpenMP, StarPU and the plain mutex pool. ci/bench runs this.
 *
 * The minimum effective task granularity is the smallest time per task and core at which half of the time goes into the tasks' own work.
 * Graphs of 4 points are run at a falling number of kernel iterations. With n tasks of k iterations on c cores in t seconds
 *
 *   granularity = t c / n          efficiency = n k (seconds of one iteration on one core) / (c t)
 *
 * and METG(50 %) is interpolated between the two granularities where the efficiency falls below one half, on a logarithmic scale. Each
 * sweep over the granularities is a process of its own, pinned to its cores, so that no runtime's threads disturb another; sweeps of the
 * runners take turns, and the figure is the median over the sweeps. Every task checks that those it depends on have run.
 *
 * Cases: metg.PATTERN@CORES with the compute-bound kernel, metg.memory.PATTERN@CORES with the memory-bound one. */
#include "bench.h"
#include "taskbench/runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { WIDTH = 4, MOST_LOG = 13, MOST_SWEEPS = 7, MOST_STEPS = 2000, LEAST_STEPS = 200 };

static const double ENOUGH = 0.4; /* a sweep ends where the efficiency is below this */
static const double POINT_NS = 3e7;

static const tb_runner *const runners[] = {
    &tb_parla,
#ifdef BENCH_HAVE_OPENMP
    &tb_openmp,
#endif
#ifdef BENCH_HAVE_STARPU
    &tb_starpu,
#endif
    &tb_pool,
};

enum { N_RUNNERS = sizeof runners / sizeof runners[0] };

/* What a sweep is about, and its result; shared with the process that does it. */
typedef struct sweep {
    tb_pattern pattern;
    tb_kernel kernel;
    const tb_runner *runner;
    double metg_ns; /* 0: not found */
} sweep;

static sweep *shared;

static long most(long a, long b) { return a > b ? a : b; }

/* Steps that take about POINT_NS when nothing is lost. */
static long steps_for(double task_ns, int n_cores)
{
    double n = POINT_NS * n_cores / (WIDTH * task_ns);
    return bench_is_smoke() ? LEAST_STEPS / 4 : n > MOST_STEPS ? MOST_STEPS : most(LEAST_STEPS, (long)n);
}

/* Runs one graph twice and returns the shorter time: the first run warms memory. */
static double graph_ns(int log_iterations, double iteration_ns, int n_cores, long *out_n_tasks)
{
    tb_work work;
    long n_iterations = 1L << log_iterations;
    tb_work_init(&work, shared->pattern, WIDTH, steps_for((double)n_iterations * iteration_ns, n_cores), shared->kernel,
                 n_iterations);
    double least = 0;
    for (int i = 0; i < 2; i++) {
        tb_work_reset(&work);
        double begin_ns = bench_now_ns();
        shared->runner->run(&work);
        double elapsed_ns = bench_now_ns() - begin_ns;
        tb_work_check(&work);
        least = i == 0 || elapsed_ns < least ? elapsed_ns : least;
    }
    *out_n_tasks = tb_n_tasks(&work.graph);
    tb_work_fini(&work);
    return least;
}

/* One sweep, in a process of its own. */
static void run_sweep(int n_cores)
{
    double iteration_ns = tb_iteration_ns(shared->kernel);
    double coarse_ns = 0, coarse_efficiency = 0;
    shared->metg_ns = 0;
    shared->runner->start(n_cores);
    for (int log = bench_is_smoke() ? 8 : MOST_LOG; log >= 0; log--) {
        long n_tasks;
        double elapsed_ns = graph_ns(log, iteration_ns, n_cores, &n_tasks);
        double granularity_ns = elapsed_ns * n_cores / (double)n_tasks;
        double efficiency = (double)n_tasks * (double)(1L << log) * iteration_ns / (n_cores * elapsed_ns);
        if (coarse_efficiency >= 0.5 && efficiency < 0.5) {
            double part = (0.5 - efficiency) / (coarse_efficiency - efficiency);
            shared->metg_ns = exp(log2(granularity_ns) * M_LN2 * (1 - part) + log2(coarse_ns) * M_LN2 * part);
        }
        if (efficiency < ENOUGH) {
            break;
        }
        coarse_ns = granularity_ns;
        coarse_efficiency = efficiency;
    }
    shared->runner->stop();
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All runners on one pattern, sweep after sweep in turn; one line for each peer. */
static void measure(tb_kernel kernel, tb_pattern pattern, int n_cores)
{
    double found[N_RUNNERS][MOST_SWEEPS], median[N_RUNNERS];
    int n_sweeps = bench_is_smoke() ? 1 : MOST_SWEEPS;
    char name[64];
    snprintf(name, sizeof name, "metg.%s%s", kernel == TB_MEMORY ? "memory." : "", tb_pattern_name(pattern));
    if (!bench_wants(name)) {
        return;
    }
    for (int i = 0; i < n_sweeps; i++) {
        for (int k = 0; k < N_RUNNERS; k++) {
            *shared = (sweep){pattern, kernel, runners[k], 0};
            if (!bench_on_cores(n_cores, run_sweep)) {
                return;
            }
            found[k][i] = shared->metg_ns;
        }
    }
    for (int k = 0; k < N_RUNNERS; k++) {
        qsort(found[k], (size_t)n_sweeps, sizeof found[k][0], by_value);
        median[k] = found[k][n_sweeps / 2];
    }
    for (int k = 0; k < N_RUNNERS; k++) {
        if (median[k] == 0) { /* under --smoke, or where a run was disturbed from its first point on */
            printf("# %s@%d: %s never passed an efficiency of one half\n", name, n_cores, runners[k]->name);
        }
    }
    for (int k = 1; k < N_RUNNERS && median[0] > 0; k++) {
        bench_report(name, n_cores, "metg50", "ns", median[0], median[k] > 0 ? runners[k]->name : NULL, median[k]);
    }
}

int main(int argc, char **argv)
{
    bench_begin("taskbench", argc, argv);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        bench_die("no memory");
    }
    for (int n_cores = bench_is_smoke() ? 2 : 1; n_cores <= 2; n_cores++) {
        for (int pattern = 0; pattern < TB_N_PATTERNS; pattern++) {
            measure(TB_COMPUTE, (tb_pattern)pattern, n_cores);
        }
    }
    for (int pattern = 0; pattern < TB_N_PATTERNS; pattern++) {
        measure(TB_MEMORY, (tb_pattern)pattern, 2);
    }
    return 0;
}
