/* run_openmp.c - the compiler's OpenMP: a task for each point, ordered by depend clauses on the cells. */
#include "taskbench/runner.h"

#include <omp.h>

static void start(int n_cores)
{
    omp_set_dynamic(0);
    omp_set_num_threads(n_cores);
}

static void stop(void) {}

/* Every cell is written once, so only what a task reads has to be named. */
static void submit(tb_work *work, long step, long point)
{
    long points[TB_MAX_DEPS];
    int n_deps = tb_deps(&work->graph, step, point, points);
    tb_cell *out = tb_cell_of(work, step, point), *before = step > 0 ? tb_cell_of(work, step - 1, 0) : out;
    (void)n_deps, (void)before; /* used by the clause only, which warnings do not see */
#pragma omp task firstprivate(work, step, point) depend(iterator(i = 0 : n_deps), in : before[points[i]]) depend(out : out[0])
    tb_execute(work, step, point);
}

static void run(tb_work *work)
{
#pragma omp parallel
#pragma omp single
    for (long step = 0; step < work->graph.n_steps; step++) {
        long first = tb_first_point(&work->graph, step), n = tb_n_points(&work->graph, step);
        for (long i = 0; i < n; i++) {
            submit(work, step, first + i);
        }
    }
}

const tb_runner tb_openmp = {"libgomp", start, run, stop};
