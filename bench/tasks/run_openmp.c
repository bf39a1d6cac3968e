/* run_openmp.c - OpenMP tasks. libgomp runs a task at once when there is one thread or when more than 64 for each thread are pending, so
 * nothing is held back here: its independent tasks are function calls. */
#include "tasks/work.h"

#include <omp.h>
#include <stddef.h>

static char slots[TK_SLOTS];

/* Slot 0 is written by tasks without a slot as well, after all others. */
static inline void spawn(long i, long slot, const long *deps, int n_deps)
{
    long own = slot < 0 ? 0 : slot;
    if (slot < 0 && n_deps == 0) {
#pragma omp task firstprivate(i)
        tk_run(i);
    } else if (n_deps == 0) {
#pragma omp task firstprivate(i) depend(out : slots[own])
        tk_run(i);
    } else if (n_deps == 1 && deps[0] == slot) {
#pragma omp task firstprivate(i) depend(inout : slots[own])
        tk_run(i);
    } else if (n_deps == 3) {
#pragma omp task firstprivate(i) depend(in : slots[deps[0]], slots[deps[1]], slots[deps[2]]) depend(out : slots[own])
        tk_run(i);
    } else {
#pragma omp task firstprivate(i) depend(iterator(int k = 0 : n_deps), in : slots[deps[k]]) depend(out : slots[own])
        tk_run(i);
    }
}

static void wait_all(void)
{
#pragma omp taskwait
}

static void gate(bool is_open) { (void)is_open; }

#include "tasks/feed.h"

static void start(int n_cores)
{
    omp_set_dynamic(0);
    omp_set_num_threads(n_cores);
}

static void stop(void) {}

static void fork_tasks(long depth)
{
    tk_run(0);
    for (int i = 0; depth > 0 && i < 2; i++) {
#pragma omp task untied firstprivate(depth)
        fork_tasks(depth - 1);
    }
#pragma omp taskwait
}

static void produce(long first)
{
    for (long i = first; i < tk.n; i += TK_PRODUCERS) {
#pragma omp task firstprivate(i)
        tk_run(i);
    }
}

static double run_inside(tk_shape shape)
{
    double begin_ns = bench_now_ns();
    if (shape == TK_FORKJOIN) {
        fork_tasks(tk_depth(tk.n));
    } else if (shape == TK_PRODUCERS_SHAPE) {
#pragma omp taskgroup
        for (long p = 0; p < TK_PRODUCERS; p++) {
#pragma omp task firstprivate(p)
            produce(p);
        }
    } else if (shape == TK_RANGE) {
#pragma omp taskloop grainsize(1)
        for (long i = 0; i < tk.n; i++) {
            tk_run(i);
        }
    } else {
        return time_feed(shape);
    }
    return bench_now_ns() - begin_ns;
}

static double run(tk_shape shape)
{
    double elapsed_ns = 0;
#pragma omp parallel
#pragma omp single
    elapsed_ns = run_inside(shape);
    return elapsed_ns;
}

const tk_runner tk_openmp = {"libgomp", 10, 1024 * TK_WIDTH, start, run, stop};
