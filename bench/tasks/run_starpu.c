/* run_starpu.c - StarPU: tasks without data, with explicit dependencies. The main thread, which submits, comes on top of its workers. */
#include "tasks/work.h"

#include <starpu.h>
#include <stdlib.h>

static struct starpu_task **kept; /* those that others may name, freed after each wait */
static long n_kept, kept_capacity;
static struct starpu_task *slots[TK_SLOTS];

static void body(void *buffers[], void *arg)
{
    (void)buffers;
    tk_run((long)(intptr_t)arg);
}

static struct starpu_codelet codelet = {.cpu_funcs = {body}, .nbuffers = 0, .name = "empty"};

static void keep(struct starpu_task *task)
{
    if (n_kept == kept_capacity) {
        kept_capacity = kept_capacity ? 2 * kept_capacity : 1024;
        kept = realloc(kept, (size_t)kept_capacity * sizeof(*kept));
    }
    if (kept == NULL) {
        bench_die("no memory for the tasks");
    }
    kept[n_kept++] = task;
}

static void submit(long i, int priority, long slot, const long *deps, int n_deps)
{
    struct starpu_task *task = starpu_task_create(), **after = NULL;
    task->cl = &codelet;
    task->cl_arg = (void *)(intptr_t)i;
    task->priority = priority;
    if (n_deps > 0) {
        after = malloc((size_t)n_deps * sizeof(*after));
        for (int k = 0; k < n_deps; k++) {
            after[k] = slots[deps[k]];
        }
        starpu_task_declare_deps_array(task, (unsigned)n_deps, after);
        free(after);
    }
    if (slot >= 0) {
        task->destroy = 0;
        keep(task);
        slots[slot] = task;
    }
    if (starpu_task_submit(task) != 0) {
        bench_die("StarPU takes no task");
    }
}

static inline void spawn(long i, long slot, const long *deps, int n_deps) { submit(i, 0, slot, deps, n_deps); }

static void wait_all(void)
{
    starpu_task_wait_for_all();
    while (n_kept > 0) {
        starpu_task_destroy(kept[--n_kept]);
    }
}

static void gate(bool is_open)
{
    if (is_open) {
        starpu_resume();
    } else {
        starpu_pause();
    }
}

#include "tasks/feed.h"

static void start(int n_cores)
{
    struct starpu_conf conf;
    setenv("STARPU_SILENT", "1", 0); /* not a word on the standard output */
    starpu_conf_init(&conf);
    conf.ncpus = n_cores;
    conf.ncuda = 0;
    conf.nopencl = 0;
    conf.sched_policy_name = "prio";
    if (starpu_init(&conf) != 0) {
        bench_die("StarPU does not start");
    }
}

static void stop(void) { starpu_shutdown(); }

static double run(tk_shape shape)
{
    if (shape != TK_PRIORITIES) {
        return time_feed(shape);
    }
    double begin_ns = bench_now_ns();
    for (long i = 0; i < tk.n; i++) {
        submit(i, (int)(i & 3), -1, NULL, 0);
        if (i % TK_WINDOW == TK_WINDOW - 1) {
            wait_all();
        }
    }
    wait_all();
    return bench_now_ns() - begin_ns;
}

const tk_runner tk_starpu = {"starpu", 20, 0, start, run, stop};
