/* history.h - how long kernels took: the last run times of each (kernel, device, amount of data), their median and its deviation.
 *
 * Not thread-safe: guarded by rt->place.lock. */
#ifndef PL_SCHED_HISTORY_H
#define PL_SCHED_HISTORY_H

#include <parla/common.h>

enum { PL_HISTORY_RUNS = 9, PL_HISTORY_MAX = 4096 };

typedef struct pl_history_entry pl_history_entry;

/* All zero is an empty history. Invariant: n_entries <= n_slots / 2; n_slots is 0 or a power of two. */
typedef struct pl_history {
    pl_history_entry *slots;
    size_t n_slots, n_entries;
} pl_history;

/* What runs of one kind took: n_runs of the last PL_HISTORY_RUNS; 0 if there were none. */
typedef struct pl_expectation {
    double median_ns, deviation_ns; /* the deviation is the median distance from the median */
    int n_runs;
} pl_expectation;

void pl_history_fini(pl_history *history);

/* Adds a run. Sizes count in powers of two. When memory is out, or PL_HISTORY_MAX kinds of runs are known, the run is not remembered or
 * what was known is forgotten first. */
void pl_history_add(pl_history *history, const void *kernel, int i_device, size_t n_bytes, double run_ns);

pl_expectation pl_history_find(const pl_history *history, const void *kernel, int i_device, size_t n_bytes);

#endif
