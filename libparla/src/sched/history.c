/* history.c - a hash table with open addressing from (kernel, device, power of two of the bytes) to a ring of run times.
 *
 * Median and deviation are computed when a run is added, since they are asked for more often: each placement asks for each candidate. */
#include "sched/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

typedef struct key {
    const void *kernel;
    int i_device;
    int size_class; /* bits of the number of bytes */
} key;

struct pl_history_entry {
    key key;
    double runs_ns[PL_HISTORY_RUNS]; /* a ring */
    uint64_t n_added;                /* 0: a free slot */
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

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static pl_expectation expectation_of(const pl_history_entry *entry)
{
    double values[PL_HISTORY_RUNS];
    pl_expectation now = {.n_runs = entry->n_added < PL_HISTORY_RUNS ? (int)entry->n_added : PL_HISTORY_RUNS};
    memcpy(values, entry->runs_ns, sizeof values);
    now.median_ns = median(values, now.n_runs);
    for (int i = 0; i < now.n_runs; i++)
        values[i] = fabs(values[i] - now.median_ns);
    now.deviation_ns = median(values, now.n_runs);
    return now;
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
    entry->runs_ns[entry->n_added++ % PL_HISTORY_RUNS] = run_ns;
    entry->now = expectation_of(entry);
}

pl_expectation pl_history_find(const pl_history *history, const void *kernel, int i_device, size_t n_bytes)
{
    key k = key_of(kernel, i_device, n_bytes);
    return history->n_slots > 0 ? slot_of(history, &k)->now : (pl_expectation){0};
}
