/* kernel.h - what a task of Task Bench does: read what its predecessors wrote, compute, write its own name.
 *
 * compute bound: iterations of 64 multiply-adds in registers and cache. memory bound: iterations of copying a sample within a scratch
 * area that the point owns. A task's cell says which task wrote it, so a broken order is seen by the task that reads it. */
#ifndef PARLA_BENCH_TASKBENCH_KERNEL_H
#define PARLA_BENCH_TASKBENCH_KERNEL_H

#include "taskbench/graph.h"

#include <stddef.h>

typedef enum tb_kernel { TB_COMPUTE, TB_MEMORY } tb_kernel;

typedef struct tb_cell {
    long step, point;
} tb_cell;

/* One run of one graph: what all tasks read. */
typedef struct tb_work {
    tb_graph graph;
    tb_kernel kernel;
    long n_iterations;
    tb_cell *cells;         /* [n_steps][width] */
    unsigned char *scratch; /* [width][TB_SCRATCH_BYTES]; of the memory kernel */
} tb_work;

enum { TB_SCRATCH_BYTES = 1 << 20, TB_SAMPLE_BYTES = 1 << 12 };

/* Gets the memory of a run; ends the program when there is none. */
void tb_work_init(tb_work *work, tb_pattern pattern, long width, long n_steps, tb_kernel kernel, long n_iterations);
void tb_work_fini(tb_work *work);

/* Forgets what an earlier run wrote. */
void tb_work_reset(tb_work *work);

static inline tb_cell *tb_cell_of(const tb_work *work, long step, long point)
{
    return &work->cells[step * work->graph.width + point];
}

/* The task of a step and point. Ends the program if a predecessor has not written its cell. */
void tb_execute(const tb_work *work, long step, long point);

/* Ends the program unless every task has run. */
void tb_work_check(const tb_work *work);

/* Nanoseconds that one iteration of a kernel takes on this core, from long runs. */
double tb_iteration_ns(tb_kernel kernel);

#endif
