/* run_pool.c - the plain mutex pool: the main thread works too, while it waits. */
#include "pool.h"

#include "tasks/work.h"

#include <stddef.h>

static pool *the_pool;
static pool_task *slots[TK_SLOTS];

static void job(void *arg, long i)
{
    (void)arg;
    tk_run(i);
}

static inline void spawn(long i, long slot, const long *deps, int n_deps)
{
    pool_task *task = pool_new(the_pool, job, NULL, i);
    for (int k = 0; k < n_deps; k++) {
        pool_depend(the_pool, task, slots[deps[k]]);
    }
    pool_submit(the_pool, task);
    if (slot >= 0) {
        slots[slot] = task;
    }
}

static void wait_all(void) { pool_wait(the_pool); }
static void gate(bool is_open) { pool_gate(the_pool, is_open); }

#include "tasks/feed.h"

static void start(int n_cores) { the_pool = pool_create(n_cores); }
static void stop(void) { pool_destroy(the_pool); }

static void fork_job(void *arg, long depth)
{
    pool_task *children[2];
    tk_run(0);
    for (int i = 0; depth > 0 && i < 2; i++) {
        children[i] = pool_new(the_pool, fork_job, arg, depth - 1);
        pool_submit(the_pool, children[i]);
    }
    if (depth > 0) {
        pool_wait_for(the_pool, children, 2);
    }
}

static void produce_job(void *arg, long first)
{
    (void)arg;
    for (long i = first; i < tk.n; i += TK_PRODUCERS) {
        pool_submit(the_pool, pool_new(the_pool, job, NULL, i));
    }
}

static double run(tk_shape shape)
{
    double begin_ns = bench_now_ns();
    if (shape == TK_FORKJOIN) {
        pool_submit(the_pool, pool_new(the_pool, fork_job, NULL, tk_depth(tk.n)));
    } else if (shape == TK_PRODUCERS_SHAPE) {
        for (long p = 0; p < TK_PRODUCERS; p++) {
            pool_submit(the_pool, pool_new(the_pool, produce_job, NULL, p));
        }
    } else {
        return time_feed(shape);
    }
    wait_all();
    return bench_now_ns() - begin_ns;
}

const tk_runner tk_pool = {"mutexpool", 1, 0, start, run, stop};
