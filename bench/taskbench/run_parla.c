/* run_parla.c - ours: one parla_spawn for each task, with the tasks of the step before as dependencies. */
#include "bench.h"
#include "taskbench/runner.h"

#include <parla/parla.h>
#include <stdlib.h>

static parla_runtime *runtime;
static const tb_work *current;

static void check(int code, const char *what)
{
    if (code != 0) {
        bench_die("%s: %s", what, parla_error_detail());
    }
}

static void start(int n_cores)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_cores;
    options.devices = "cpu";
    check(parla_runtime_create(&runtime, &options), "create");
}

static void stop(void) { parla_runtime_destroy(runtime); }

static int body(parla_context *context, void *arg)
{
    (void)context;
    long i = (long)(intptr_t)arg;
    tb_execute(current, i / current->graph.width, i % current->graph.width);
    return 0;
}

static void spawn(const tb_work *work, long step, long point, const parla_task *before, parla_task *after)
{
    long points[TB_MAX_DEPS];
    parla_task deps[TB_MAX_DEPS];
    int n_deps = tb_deps(&work->graph, step, point, points);
    for (int i = 0; i < n_deps; i++) {
        deps[i] = before[points[i]];
    }
    void *arg = (void *)(intptr_t)(step * work->graph.width + point);
    check(parla_spawn(runtime, &after[point], body, arg, deps, (size_t)n_deps), "spawn");
}

static void run(tb_work *work)
{
    parla_task *rows = calloc((size_t)(2 * work->graph.width), sizeof *rows);
    if (rows == NULL) {
        bench_die("no memory for the tasks of a step");
    }
    current = work;
    for (long step = 0; step < work->graph.n_steps; step++) {
        parla_task *before = rows + ((step + 1) & 1) * work->graph.width, *after = rows + (step & 1) * work->graph.width;
        long first = tb_first_point(&work->graph, step), n = tb_n_points(&work->graph, step);
        for (long i = 0; i < n; i++) {
            spawn(work, step, first + i, before, after);
        }
    }
    check(parla_runtime_wait(runtime, PARLA_FOREVER), "wait");
    free(rows);
}

const tb_runner tb_parla = {"parla", start, run, stop};
