/* run_pool.c - the plain mutex pool of pool.h. */
#include "bench.h"
#include "pool.h"
#include "taskbench/runner.h"

#include <stdlib.h>

static pool *peer;

static void start(int n_cores) { peer = pool_create(n_cores); }
static void stop(void) { pool_destroy(peer); }

static void job(void *arg, long i)
{
    const tb_work *work = arg;
    tb_execute(work, i / work->graph.width, i % work->graph.width);
}

static void submit(tb_work *work, long step, long point, pool_task *const *before, pool_task **after)
{
    long points[TB_MAX_DEPS];
    int n_deps = tb_deps(&work->graph, step, point, points);
    pool_task *task = pool_new(peer, job, work, step * work->graph.width + point);
    for (int i = 0; i < n_deps; i++) {
        pool_depend(peer, task, before[points[i]]);
    }
    pool_submit(peer, task);
    after[point] = task;
}

static void run(tb_work *work)
{
    pool_task **rows = calloc((size_t)(2 * work->graph.width), sizeof *rows);
    if (rows == NULL) {
        bench_die("no memory for the tasks of a step");
    }
    for (long step = 0; step < work->graph.n_steps; step++) {
        pool_task **before = rows + ((step + 1) & 1) * work->graph.width, **after = rows + (step & 1) * work->graph.width;
        long first = tb_first_point(&work->graph, step), n = tb_n_points(&work->graph, step);
        for (long i = 0; i < n; i++) {
            submit(work, step, first + i, before, after);
        }
    }
    pool_wait(peer);
    free(rows);
}

const tb_runner tb_pool = {"mutexpool", start, run, stop};
