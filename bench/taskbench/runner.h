/* runner.h - who runs a graph: ours, and each peer that the machine has. */
#ifndef PARLA_BENCH_TASKBENCH_RUNNER_H
#define PARLA_BENCH_TASKBENCH_RUNNER_H

#include "taskbench/kernel.h"

typedef struct tb_runner {
    const char *name;
    void (*start)(int n_cores);
    void (*run)(tb_work *work); /* the whole graph; returns when all tasks have run */
    void (*stop)(void);
} tb_runner;

extern const tb_runner tb_parla, tb_pool, tb_openmp, tb_starpu;

#endif
