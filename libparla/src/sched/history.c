/* history.c - a hash table with open addressing from (kernel, device, power of two of the bytes) to a ring of run times.
 *
 * Median and deviation are computed when a run is added, since they are asked for more often: each placement asks for each candidate. */
#include "sched/history.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

typedef struct key {
    const void *kernel;
    int i_device;
    int size_class; /* bits of the number of bytes */
} key;

struct pl_history_entry {
    key key;
    double runs_ns[PL_HISTORY_RUNS];   /* a ring */
    double sorted_ns[PL_HISTORY_RUNS]; /* the same runs, shortest first: a new one finds its place in a few steps */
    uint64_t n_added;                  /* 0: a free slot */
    pl_expectation now;
};

static key key_of(const void *kernel, int i_device, size_t n_bytes)
{
    return (key){kernel, i_device, n_bytes == 0 ? 0 : 64 - __builtin_clzll((unsigned long long)n_bytes)};
}

static bool is_equal(const key *a, const key *b)
{
    return a->kernel == b->kernel && a->i_device == b->i_device && a->size_class == b->size_class;
}

static size_t hash_of(const key *k)
{
    uint64_t h = (uint64_t)(uintptr_t)k->kernel * UINT64_C(0x9e3779b97f4a7c15);
    h ^= ((uint64_t)k->i_device << 8 | (uint64_t)k->size_class) * UINT64_C(0xbf58476d1ce4e5b9);
    return (size_t)(h ^ h >> 29);
}

/* The slot of a key, or the free one where it belongs. Some slots are free. */
static pl_history_entry *slot_of(const pl_history *history, const key *k)
{
    size_t mask = history->n_slots - 1;
    for (size_t i = hash_of(k) & mask;; i = (i + 1) & mask)
        if (history->slots[i].n_added == 0 || is_equal(&history->slots[i].key, k))
            return &history->slots[i];
}

static bool grow(pl_history *history)
{
    size_t n_slots = history->n_slots > 0 ? 2 * history->n_slots : FIRST_SLOTS;
    pl_history grown = {.slots = calloc(n_slots, sizeof *grown.slots), .n_slots = n_slots, .n_entries = history->n_entries};
    if (!grown.slots)
        return false;
    for (size_t i = 0; i < history->n_slots; i++)
        if (history->slots[i].n_added > 0)
            *slot_of(&grown, &history->slots[i].key) = history->slots[i];
    free(history->slots);
    *history = grown;
    return true;
}

static void insert(double *sorted, int n, double value)
{
    int i = n;
    for (; i > 0 && sorted[i - 1] > value; i--)
        sorted[i] = sorted[i - 1];
    sorted[i] = value;
}

/* Takes out one of n values that is `value`. */
static void take_out(double *sorted, int n, double value)
{
    int i = 0;
    while (i < n - 1 && sorted[i] < value)
        i++;
    for (; i < n - 1; i++)
        sorted[i] = sorted[i + 1];
}

/* The median distance from the median: distances grow from the middle to both ends, so half a merge finds it. */
static double deviation_of(const double *sorted, int n, double median)
{
    int left = (n - 1) / 2, right = left + 1;
    double before = 0, last = 0;
    for (int k = 0; k <= n / 2; k++) {
        bool is_left = right == n || (left >= 0 && median - sorted[left] <= sorted[right] - median);
        before = last;
        last = is_left ? median - sorted[left--] : sorted[right++] - median;
    }
    return n % 2 ? last : (before + last) / 2;
}

static pl_expectation expectation_of(const double *sorted, int n)
{
    double median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    return (pl_expectation){.n_runs = n, .median_ns = median, .deviation_ns = deviation_of(sorted, n, median)};
}

/* Puts a run in the place of the oldest one. */
static void add_run(pl_history_entry *entry, double run_ns)
{
    double *place = &entry->runs_ns[entry->n_added % PL_HISTORY_RUNS];
    int n = entry->n_added < PL_HISTORY_RUNS ? (int)entry->n_added : PL_HISTORY_RUNS;
    if (n == PL_HISTORY_RUNS)
        take_out(entry->sorted_ns, n--, *place);
    insert(entry->sorted_ns, n, run_ns);
    *place = run_ns;
    entry->n_added++;
    entry->now = expectation_of(entry->sorted_ns, n + 1);
}

void pl_history_fini(pl_history *history)
{
    free(history->slots);
    *history = (pl_history){0};
}

void pl_history_add(pl_history *history, const void *kernel, int i_device, size_t n_bytes, double run_ns)
{
    key k = key_of(kernel, i_device, n_bytes);
    if (history->n_entries >= PL_HISTORY_MAX)
        pl_history_fini(history);
    if (2 * (history->n_entries + 1) > history->n_slots && !grow(history))
        return;
    pl_history_entry *entry = slot_of(history, &k);
    if (entry->n_added == 0) {
        entry->key = k;
        history->n_entries++;
    }
    add_run(entry, run_ns);
}

pl_expectation pl_history_find(const pl_history *history, const void *kernel, int i_device, size_t n_bytes)
{
    key k = key_of(kernel, i_device, n_bytes);
    return history->n_slots > 0 ? slot_of(history, &k)->now : (pl_expectation){0};
}
