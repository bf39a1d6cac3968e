/* kernel.c - see kernel.h. */
#include "taskbench/kernel.h"

#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { N_LANES = 64, N_SAMPLES = TB_SCRATCH_BYTES / TB_SAMPLE_BYTES };

void tb_work_init(tb_work *work, tb_pattern pattern, long width, long n_steps, tb_kernel kernel, long n_iterations)
{
    *work = (tb_work){{pattern, width, n_steps}, kernel, n_iterations, NULL, NULL};
    work->cells = malloc((size_t)(width * n_steps) * sizeof(tb_cell));
    work->scratch = kernel == TB_MEMORY ? calloc((size_t)width, TB_SCRATCH_BYTES) : NULL;
    if (work->cells == NULL || (kernel == TB_MEMORY && work->scratch == NULL)) {
        bench_die("no memory for a graph of %ld x %ld", width, n_steps);
    }
    tb_work_reset(work);
}

void tb_work_fini(tb_work *work)
{
    free(work->cells);
    free(work->scratch);
}

void tb_work_reset(tb_work *work)
{
    memset(work->cells, 0xff, (size_t)(work->graph.width * work->graph.n_steps) * sizeof(tb_cell));
}

/* Returns something that depends on all iterations, so that none is left out. */
static double compute(long n_iterations)
{
    double lanes[N_LANES];
    for (int i = 0; i < N_LANES; i++) {
        lanes[i] = 1e-9 * i;
    }
    for (long k = 0; k < n_iterations; k++) {
        for (int i = 0; i < N_LANES; i++) {
            lanes[i] = lanes[i] * lanes[i] + lanes[i];
        }
    }
    double sum = 0;
    for (int i = 0; i < N_LANES; i++) {
        sum += lanes[i];
    }
    return sum;
}

/* Copies one half of a sample over the other; goes through the samples of the scratch area in turn. */
static void copy(unsigned char *scratch, long step, long n_iterations)
{
    for (long k = 0; k < n_iterations; k++) {
        unsigned char *sample = scratch + (size_t)((step * n_iterations + k) % N_SAMPLES) * TB_SAMPLE_BYTES;
        memcpy(sample + TB_SAMPLE_BYTES / 2, sample, TB_SAMPLE_BYTES / 2);
        __asm__ volatile("" : : "r"(sample) : "memory");
    }
}

static void compute_kept(long n_iterations)
{
    double result = compute(n_iterations);
    __asm__ volatile("" : : "x"(result));
}

static void check_cell(const tb_work *work, long step, long point)
{
    const tb_cell *cell = tb_cell_of(work, step, point);
    if (cell->step != step || cell->point != point) {
        bench_die("%s: the task of step %ld, point %ld had not run when it was needed", tb_pattern_name(work->graph.pattern), step,
                  point);
    }
}

void tb_execute(const tb_work *work, long step, long point)
{
    long deps[TB_MAX_DEPS];
    int n_deps = tb_deps(&work->graph, step, point, deps);
    for (int i = 0; i < n_deps; i++) {
        check_cell(work, step - 1, deps[i]);
    }
    if (work->kernel == TB_COMPUTE) {
        compute_kept(work->n_iterations);
    } else {
        copy(work->scratch + (size_t)point * TB_SCRATCH_BYTES, step, work->n_iterations);
    }
    *tb_cell_of(work, step, point) = (tb_cell){step, point};
}

void tb_work_check(const tb_work *work)
{
    for (long step = 0; step < work->graph.n_steps; step++) {
        long first = tb_first_point(&work->graph, step);
        for (long i = 0; i < tb_n_points(&work->graph, step); i++) {
            check_cell(work, step, first + i);
        }
    }
}

double tb_iteration_ns(tb_kernel kernel)
{
    enum { N_TRIES = 5 };
    long n = kernel == TB_COMPUTE ? 1L << 20 : 1L << 16;
    tb_work work;
    tb_work_init(&work, TB_TRIVIAL, 1, 1, kernel, n);
    double least = 0;
    for (int i = 0; i < N_TRIES; i++) {
        double begin_ns = bench_now_ns();
        tb_execute(&work, 0, 0);
        double elapsed_ns = bench_now_ns() - begin_ns;
        least = i == 0 || elapsed_ns < least ? elapsed_ns : least;
    }
    tb_work_fini(&work);
    return least / (double)n;
}
