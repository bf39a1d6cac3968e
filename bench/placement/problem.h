/* problem.h - what a placement study runs: operations on blocks, in the order of a serial program, with the time that each takes on a GPU.
 *
 * Arrays are scaled down: one byte here stands for SCALE bytes of the modelled machine, and the link is slower by the same factor. So the
 * studies fit into memory, and their ratio of work to copies is that of the real sizes. */
#ifndef PARLA_BENCH_PROBLEM_H
#define PARLA_BENCH_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCALE = 1024, MAX_ARGUMENTS = 4, N_PLACEMENTS = 5 };

/* One argument: an array, or a corner of some of its rows. */
typedef struct argument {
    int i_array;
    int mode; /* a parla_mode */
    int64_t first_row, n_rows, n_columns;
} argument;

typedef struct operation {
    const char *kind; /* same address: same kernel */
    int64_t ns;
    int row, column; /* of the block that it writes: hand placements go by it */
    int n_arguments;
    argument arguments[MAX_ARGUMENTS];
} operation;

typedef struct problem {
    const char *name;
    int n_rows, n_columns; /* of blocks that are written */
    int n_arrays;          /* all of them begin on the host … */
    int64_t *array_rows;   /* … and have so many rows … */
    int64_t row_bytes;     /* … of this length */
    operation *operations;
    int n_operations;
    int capacity; /* of operations */
} problem;

/* Names: "cholesky", "gemm", "jacobi", "blr". `size` 0 is the usual one. */
void problem_create(problem *out, const char *name, int size);
void problem_destroy(problem *p);

/* A hand placement: by rows or columns in turn or in contiguous parts, or in turn over a grid of devices; NULL for i >= N_PLACEMENTS. */
const char *placement_name(int i_placement);
int placement_device(int i_placement, const problem *p, const operation *o, int n_devices);

/* The time that no schedule on n devices falls below: the longer one of the critical path and the work divided by the devices. */
int64_t problem_bound_ns(const problem *p, int n_devices);

#endif
