/* slab.h - type-stable memory for tasks: slots of one size that are recycled but never unmapped while the runtime lives.
 *
 * A slot is a task or a block of further edges. Each has a 32-bit number, so that a reference to an edge fits into half a word. Slots move
 * between a shared list and per-thread caches in batches, so that the usual allocation touches no shared memory. */
#ifndef PL_TASK_SLAB_H
#define PL_TASK_SLAB_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <parla/runtime.h>
#include <pthread.h>

enum {
    PL_SLOT_BYTES = 192,
    PL_SLOTS_PER_SLAB = 1024,
    PL_SLAB_ALIGNMENT = 1 << 18,
    PL_SLAB_BATCH = 128,
    PL_MAX_SLABS = (1 << 17) - 1, /* almost 2^27 slots in all, 24 GiB of tasks: the number of an edge has 5 bits more (task.h) */
};

/* In front of each slab; found from a slot by masking its address. */
typedef struct pl_slab {
    parla_runtime *rt;
    uint32_t first_slot; /* number of its slot 0 */
} pl_slab;

typedef struct pl_slabs {
    parla_runtime *rt;
    pthread_mutex_t lock;
    void *free_list;               /* under lock: chains of PL_SLAB_BATCH slots */
    _Atomic(pl_slab *) *directory; /* PL_MAX_SLABS entries, filled in order */
    _Atomic uint32_t n_slabs;
} pl_slabs;

/* A thread's own stock of free slots, a list through the first word that pl_slot_next names. */
typedef struct pl_slab_cache {
    void *free_list;
    uint32_t n_free;
} pl_slab_cache;

int pl_slabs_init(pl_slabs *slabs, parla_runtime *rt);
void pl_slabs_fini(pl_slabs *slabs);

/* A slot, recycled or fresh (all zero, on a fresh page). NULL when memory is out. */
void *pl_slab_alloc(pl_slabs *slabs, pl_slab_cache *cache);
void pl_slab_free(pl_slabs *slabs, pl_slab_cache *cache, void *slot);

static inline pl_slab *pl_slab_of(const void *slot) { return (pl_slab *)((uintptr_t)slot & ~(uintptr_t)(PL_SLAB_ALIGNMENT - 1)); }

static inline void *pl_slab_slot(pl_slab *slab, uint32_t i_slot)
{
    return (char *)slab + PL_CACHE_LINE + (size_t)i_slot * PL_SLOT_BYTES;
}

/* The number of a slot, and back. Numbers start at 1. */
static inline uint32_t pl_slot_number(const void *slot)
{
    pl_slab *slab = pl_slab_of(slot);
    return slab->first_slot + (uint32_t)(((uintptr_t)slot - (uintptr_t)slab - PL_CACHE_LINE) / PL_SLOT_BYTES) + 1;
}

static inline void *pl_slot_at(pl_slabs *slabs, uint32_t number)
{
    uint32_t i = number - 1;
    return pl_slab_slot(pl_load_acquire(&slabs->directory[i / PL_SLOTS_PER_SLAB]), i % PL_SLOTS_PER_SLAB);
}

/* How many slots exist, for walking all tasks: numbers 1 … n. */
static inline uint32_t pl_slab_count(pl_slabs *slabs) { return pl_load_acquire(&slabs->n_slabs) * PL_SLOTS_PER_SLAB; }

#endif
