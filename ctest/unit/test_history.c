/* test_history.c - what is remembered of the run times of kernels. */
#include "sched/history.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int kernels[2 * PL_HISTORY_MAX]; /* their addresses are the kernels */

T_TEST(median_and_deviation_of_the_last_runs)
{
    pl_history history = {0};
    T_EQ(pl_history_find(&history, &kernels[0], 0, 0).n_runs, 0);
    static const double runs[] = {5, 1, 9, 1000};
    static const double medians[] = {5, 3, 5, 7}, deviations[] = {0, 2, 4, 4};
    for (int i = 0; i < 4; i++) {
        pl_history_add(&history, &kernels[0], 0, 0, runs[i]);
        pl_expectation e = pl_history_find(&history, &kernels[0], 0, 0);
        T_EQ(e.n_runs, i + 1);
        T_NEAR(e.median_ns, medians[i], 0);
        T_NEAR(e.deviation_ns, deviations[i], 0);
    }
    for (int i = 0; i < PL_HISTORY_RUNS; i++)
        pl_history_add(&history, &kernels[0], 0, 0, 42);
    pl_expectation e = pl_history_find(&history, &kernels[0], 0, 0);
    T_EQ(e.n_runs, PL_HISTORY_RUNS);
    T_NEAR(e.median_ns, 42, 0);
    T_NEAR(e.deviation_ns, 0, 0);
    pl_history_fini(&history);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_by_sorting(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Any order of runs, with many that are equal, beside what sorting says. */
T_TEST(random_runs)
{
    t_rng rng = {t_seed()};
    for (uint64_t round = 0; round < t_scale(300); round++) {
        pl_history history = {0};
        double runs[64], values[PL_HISTORY_RUNS];
        uint64_t n_different = 1 + t_below(&rng, 20);
        for (int i = 0; i < 64; i++) {
            runs[i] = (double)t_below(&rng, n_different);
            pl_history_add(&history, &kernels[0], 0, 0, runs[i]);
            pl_expectation e = pl_history_find(&history, &kernels[0], 0, 0);
            int n = i < PL_HISTORY_RUNS ? i + 1 : PL_HISTORY_RUNS;
            memcpy(values, &runs[i + 1 - n], (size_t)n * sizeof *values);
            T_EQ(e.n_runs, n);
            T_NEAR(e.median_ns, median_by_sorting(values, n), 0);
            for (int k = 0; k < n; k++)
                values[k] = fabs(values[k] - e.median_ns);
            T_NEAR(e.deviation_ns, median_by_sorting(values, n), 0);
        }
        pl_history_fini(&history);
    }
}

T_TEST(kernel_device_and_size_are_told_apart)
{
    pl_history history = {0};
    pl_history_add(&history, &kernels[0], 0, 1024, 1);
    pl_history_add(&history, &kernels[0], 1, 1024, 2);
    pl_history_add(&history, &kernels[1], 0, 1024, 3);
    pl_history_add(&history, &kernels[0], 0, 2048, 4);
    T_NEAR(pl_history_find(&history, &kernels[0], 0, 1500).median_ns, 1, 0); /* the same power of two */
    T_NEAR(pl_history_find(&history, &kernels[0], 1, 1024).median_ns, 2, 0);
    T_NEAR(pl_history_find(&history, &kernels[1], 0, 1024).median_ns, 3, 0);
    T_NEAR(pl_history_find(&history, &kernels[0], 0, 2048).median_ns, 4, 0);
    T_EQ(pl_history_find(&history, &kernels[1], 1, 1024).n_runs, 0);
    T_EQ(pl_history_find(&history, &kernels[0], 0, 0).n_runs, 0);
    pl_history_fini(&history);
}

/* Every kernel is found again while there is room; then the memory starts anew, and stays bounded. */
T_TEST(many_kernels)
{
    pl_history history = {0};
    for (int i = 0; i < PL_HISTORY_MAX; i++)
        pl_history_add(&history, &kernels[i], i % 5, 0, i + 1);
    for (int i = 0; i < PL_HISTORY_MAX; i++)
        T_NEAR(pl_history_find(&history, &kernels[i], i % 5, 0).median_ns, i + 1, 0);
    for (int i = PL_HISTORY_MAX; i < 2 * PL_HISTORY_MAX; i++) {
        pl_history_add(&history, &kernels[i], 0, 0, 7);
        T_EQ(pl_history_find(&history, &kernels[i], 0, 0).n_runs, 1);
        T_LE(history.n_entries, PL_HISTORY_MAX);
    }
    pl_history_fini(&history);
    T_EQ(pl_history_find(&history, &kernels[0], 0, 0).n_runs, 0);
}
