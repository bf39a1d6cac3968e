/* run_starpu.c - StarPU: a task for each point, with explicit dependencies on the tasks of the step before. */
#include "bench.h"
#include "taskbench/runner.h"

#include <starpu.h>
#include <stdlib.h>

static const tb_work *current;

static void body(void *buffers[], void *arg)
{
    (void)buffers;
    long i = (long)(intptr_t)arg;
    tb_execute(current, i / current->graph.width, i % current->graph.width);
}

static struct starpu_codelet codelet = {.cpu_funcs = {body}, .nbuffers = 0, .name = "taskbench"};

static void start(int n_cores)
{
    struct starpu_conf conf;
    setenv("STARPU_SILENT", "1", 0); /* not a word on the standard output */
    starpu_conf_init(&conf);
    conf.ncpus = n_cores;
    conf.ncuda = 0;
    conf.nopencl = 0;
    if (starpu_init(&conf) != 0) {
        bench_die("StarPU does not start");
    }
}

static void stop(void) { starpu_shutdown(); }

static void submit(const tb_work *work, long step, long point, struct starpu_task *const *before, struct starpu_task **after)
{
    long points[TB_MAX_DEPS];
    struct starpu_task *deps[TB_MAX_DEPS];
    int n_deps = tb_deps(&work->graph, step, point, points);
    for (int i = 0; i < n_deps; i++) {
        deps[i] = before[points[i]];
    }
    struct starpu_task *task = starpu_task_create();
    task->cl = &codelet;
    task->cl_arg = (void *)(intptr_t)(step * work->graph.width + point);
    task->destroy = 0; /* a task of the next step may name it after it has ended */
    if (n_deps > 0) {
        starpu_task_declare_deps_array(task, (unsigned)n_deps, deps);
    }
    if (starpu_task_submit(task) != 0) {
        bench_die("StarPU takes no task");
    }
    after[point] = task;
}

static void run(tb_work *work)
{
    long n_all = work->graph.width * work->graph.n_steps;
    struct starpu_task **tasks = calloc((size_t)n_all, sizeof(*tasks));
    if (tasks == NULL) {
        bench_die("no memory for the tasks");
    }
    current = work;
    for (long step = 0; step < work->graph.n_steps; step++) {
        struct starpu_task **after = tasks + step * work->graph.width;
        long first = tb_first_point(&work->graph, step), n = tb_n_points(&work->graph, step);
        for (long i = 0; i < n; i++) {
            submit(work, step, first + i, after - (step > 0 ? work->graph.width : 0), after);
        }
    }
    starpu_task_wait_for_all();
    for (long i = 0; i < n_all; i++) {
        if (tasks[i] != NULL) {
            starpu_task_destroy(tasks[i]);
        }
    }
    free(tasks);
}

const tb_runner tb_starpu = {"starpu", start, run, stop};
