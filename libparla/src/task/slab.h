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
    PL_SLOT_KEPT_BYTES = 24, /* at the front of a slot: its generation, counts and state, which old handles go on reading */
    PL_MAX_SLABS = 1 << 16,  /* 2^26 slots in all, 12 GiB of tasks */
};

/* In front of each slab; found from a slot by masking its address. */
typedef struct pl_slab {
    parla_runtime *rt;
    uint32_t first_slot;  /* number of its slot 0 */
    uint32_t first_place; /* see pl_place_number */
} pl_slab;

_Static_assert(PL_CACHE_LINE + PL_SLOTS_PER_SLAB * PL_SLOT_BYTES <= PL_SLAB_ALIGNMENT, "a slab is found by masking");

/* A slot that is free. All within the first cache line, so that a task without dependencies touches no other. */
typedef struct pl_free_slot {
    unsigned char keep[PL_SLOT_KEPT_BYTES];
    struct pl_free_slot *next;
    struct pl_free_slot *next_chain; /* of the first one of a chain in the shared list */
} pl_free_slot;

typedef struct pl_slabs {
    parla_runtime *rt;
    pthread_mutex_t lock;
    pl_free_slot *free_list;       /* under lock: chains of PL_SLAB_BATCH slots */
    _Atomic(pl_slab *) *directory; /* PL_MAX_SLABS entries, filled in order */
    _Atomic uint32_t n_slabs;
} pl_slabs;

/* A thread's own stock of free slots. */
typedef struct pl_slab_cache {
    pl_free_slot *free_list;
    uint32_t n_free;
} pl_slab_cache;

int pl_slabs_init(pl_slabs *slabs, parla_runtime *rt);
void pl_slabs_fini(pl_slabs *slabs);

/* Exchange a batch with the shared list: refill is false when memory is out. */
bool pl_slab_refill(pl_slabs *slabs, pl_slab_cache *cache);
void pl_slab_drain(pl_slabs *slabs, pl_slab_cache *cache);

/* A slot, recycled or fresh (all zero, on a fresh page, but for the links). NULL when memory is out. */
static inline void *pl_slab_alloc(pl_slabs *slabs, pl_slab_cache *cache)
{
    if (pl_unlikely(!cache->free_list) && !pl_slab_refill(slabs, cache))
        return NULL;
    pl_free_slot *slot = cache->free_list;
    cache->free_list = slot->next;
    cache->n_free--;
    return slot;
}

static inline void pl_slab_free(pl_slabs *slabs, pl_slab_cache *cache, void *memory)
{
    pl_free_slot *slot = memory;
    slot->next = cache->free_list;
    cache->free_list = slot;
    if (pl_unlikely(++cache->n_free >= 2 * PL_SLAB_BATCH))
        pl_slab_drain(slabs, cache);
}

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

/* A place of a slot: up to PL_PLACES of them, for what lies in one. Its number is that of the slab, of the cache line where the slot begins,
 * and of the place in the slot, so that neither way needs a division. No number is below PL_PLACES. */
enum { PL_PLACES = 16 };

static inline uint32_t pl_place_number(const void *slot, uint32_t i)
{
    pl_slab *slab = pl_slab_of(slot);
    return slab->first_place + (uint32_t)(((uintptr_t)slot - (uintptr_t)slab) / (PL_CACHE_LINE / PL_PLACES)) + i;
}

static inline void *pl_place_slot(pl_slabs *slabs, uint32_t number)
{
    char *slab = (char *)pl_load_acquire(&slabs->directory[number >> 16]);
    return slab + (number % (1u << 16) / PL_PLACES) * PL_CACHE_LINE;
}

static inline uint32_t pl_place_index(uint32_t number) { return number % PL_PLACES; }

/* How many slots exist, for walking all tasks: numbers 1 … n. */
static inline uint32_t pl_slab_count(pl_slabs *slabs) { return pl_load_acquire(&slabs->n_slabs) * PL_SLOTS_PER_SLAB; }

#endif
