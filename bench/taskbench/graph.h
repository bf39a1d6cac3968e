/* graph.h - the task graphs of Task Bench: which tasks a step has, and on which tasks of the step before each depends.
 *
 * Patterns and their parameters are those of Slaughter et al., "Task Bench: A Parameterized Benchmark for Evaluating Parallel Runtime
 * Performance" (SC 2020); random_nearest draws from a hash of our own. A graph has `n_steps` steps of at most `width` points. */
#ifndef PARLA_BENCH_TASKBENCH_GRAPH_H
#define PARLA_BENCH_TASKBENCH_GRAPH_H

typedef enum tb_pattern {
    TB_TRIVIAL,
    TB_NO_COMM,
    TB_STENCIL_1D,
    TB_STENCIL_1D_PERIODIC,
    TB_DOM,
    TB_TREE,
    TB_FFT,
    TB_NEAREST,
    TB_SPREAD,
    TB_RANDOM_NEAREST,
    TB_N_PATTERNS
} tb_pattern;

enum { TB_RADIX = 5, TB_PERIOD = 3, TB_MAX_DEPS = 8 };

typedef struct tb_graph {
    tb_pattern pattern;
    long width, n_steps;
} tb_graph;

const char *tb_pattern_name(tb_pattern pattern);

/* Points of a step: first, first + 1, … */
long tb_first_point(const tb_graph *graph, long step);
long tb_n_points(const tb_graph *graph, long step);

/* Tasks of all steps. */
long tb_n_tasks(const tb_graph *graph);

/* Writes the points of step - 1 that a task depends on, each once, at most TB_MAX_DEPS; returns how many. None in step 0. */
int tb_deps(const tb_graph *graph, long step, long point, long *out);

#endif
