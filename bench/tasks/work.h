/* work.h - what the tasks of bench/tasks.c compute, so that a broken order is found out, and who runs them. For C and C++.
 *
 * A shape is a stream of tasks, numbered from 0. A task that others depend on has a slot; a dependency names a slot and means the last task
 * that was spawned with it. feed.h makes the streams; it is compiled into each runner, so that a spawn costs no detour. */
#ifndef PARLA_BENCH_TASKS_WORK_H
#define PARLA_BENCH_TASKS_WORK_H

#include <stdbool.h>
#include <stdint.h>

enum { TK_WIDTH = 8, TK_WINDOW = 1000, TK_SLOTS = 1 << 17, TK_REACH = 64, TK_PRODUCERS = 4 };

typedef enum tk_kind { TK_EMPTY, TK_COUNT, TK_CELL, TK_NODE, TK_ATOMIC } tk_kind;

typedef struct tk_state {
    tk_kind kind;
    long n; /* tasks of the shape */
    int n_cores;
    bool wants_bytes; /* the growth of resident memory, while all tasks are pending */
    double bytes;     /* of one task */
    long count;
    int64_t cells[2][TK_WIDTH + 2];
    int32_t *depth;       /* of each node of the random graph */
    const int32_t *preds; /* four of each node, or -1 */
} tk_state;

#ifdef __cplusplus
extern "C" {
#endif

extern tk_state tk;

/* The body of task i. */
static inline void tk_run(long i)
{
    switch (tk.kind) {
    case TK_EMPTY:
        __asm__ volatile("");
        break;
    case TK_COUNT:
        tk.count++;
        break;
    case TK_ATOMIC:
        __atomic_fetch_add(&tk.count, 1, __ATOMIC_RELAXED);
        break;
    case TK_CELL: { /* 1 more than the largest of three neighbours in the row before: after n rows all cells hold n */
        const int64_t *before = tk.cells[(i / TK_WIDTH + 1) & 1] + i % TK_WIDTH;
        int64_t largest = before[0] > before[1] ? before[0] : before[1];
        tk.cells[(i / TK_WIDTH) & 1][i % TK_WIDTH + 1] = 1 + (before[2] > largest ? before[2] : largest);
        break;
    }
    case TK_NODE: { /* the length of the longest path to it */
        int32_t longest = 0;
        for (int k = 0; k < 4; k++) {
            int32_t at = tk.preds[4 * i + k];
            longest = at >= 0 && tk.depth[at] > longest ? tk.depth[at] : longest;
        }
        tk.depth[i] = longest + 1;
        break;
    }
    }
}

typedef enum tk_shape {
    TK_INDEPENDENT_WINDOW,
    TK_INDEPENDENT_PENDING,
    TK_CHAIN_WINDOW,
    TK_CHAIN_PENDING,
    TK_STENCIL_WINDOW,
    TK_STENCIL_PENDING,
    TK_STENCIL_STREAM, /* double-buffered, all steps in one go */
    TK_DAG4_PENDING,
    TK_FAN, /* 1 -> many -> 1 */
    TK_PRODUCERS_SHAPE,
    TK_FORKJOIN,
    TK_PRIORITIES,
    TK_PLACED,
    TK_RANGE,
    TK_REPLAY, /* the second and later runs of a graph that is kept: a stencil */
    TK_N_SHAPES
} tk_shape;

/* Fills in `tk` for n tasks of a shape; `is_checked`: bodies that are empty otherwise count themselves. */
void tk_prepare(tk_shape shape, long n, bool is_checked);

/* Ends the program if the tasks of the last run were not run, or not in order. */
void tk_check(tk_shape shape, const char *runner);

/* Memory of this process that is resident, in bytes. */
double tk_resident(void);

/* The depth of the largest tree with at most n tasks. */
static inline long tk_depth(long n)
{
    long depth = 0;
    while ((4L << depth) - 1 <= n) {
        depth++;
    }
    return depth;
}

/* Runs a shape of tk.n tasks and returns the nanoseconds that it took; 0: this runner does not have it. */
typedef struct tk_runner {
    const char *name;
    int divisor;       /* of the numbers of tasks: slow runners get fewer */
    long most_stencil; /* tasks of a stencil; 0: any number */
    void (*start)(int n_cores);
    double (*run)(tk_shape shape);
    void (*stop)(void);
} tk_runner;

extern const tk_runner tk_parla, tk_pool, tk_openmp, tk_starpu, tk_tbb;

double bench_now_ns(void);
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif
