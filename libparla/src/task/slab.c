/* slab.c - slabs of PL_SLOTS_PER_SLAB slots, a directory of them, and the exchange between caches and the shared list.
 *
 * Free slots are linked through their second cache line (where a task keeps `link`), because the first must keep the generation of the
 * task that lived there. The shared list holds chains of PL_SLAB_BATCH slots: the first slot of a chain links to the next one through
 * `link`, and to the next chain through the word behind it. */
#include "task/slab.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

typedef struct free_slot {
    unsigned char keep[PL_CACHE_LINE];
    void *next;
    void *next_chain;
} free_slot;

int pl_slabs_init(pl_slabs *slabs, parla_runtime *rt)
{
    memset(slabs, 0, sizeof *slabs);
    slabs->rt = rt;
    slabs->directory = calloc(PL_MAX_SLABS, sizeof *slabs->directory); /* touched only as far as it is used */
    if (!slabs->directory)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the directory of task slabs");
    pthread_mutex_init(&slabs->lock, NULL);
    return 0;
}

void pl_slabs_fini(pl_slabs *slabs)
{
    if (!slabs->directory)
        return;
    uint32_t n = pl_load_relaxed(&slabs->n_slabs);
    for (uint32_t i = 0; i < n; i++)
        free(pl_load_relaxed(&slabs->directory[i]));
    free(slabs->directory);
    pthread_mutex_destroy(&slabs->lock);
    slabs->directory = NULL;
}

/* Makes a slab and chains its slots. Called with the lock held. */
static bool add_slab_locked(pl_slabs *slabs)
{
    uint32_t n = pl_load_relaxed(&slabs->n_slabs);
    size_t bytes = PL_CACHE_LINE + (size_t)PL_SLOTS_PER_SLAB * PL_SLOT_BYTES;
    if (n == PL_MAX_SLABS)
        return false;
    pl_slab *slab = aligned_alloc(PL_SLAB_ALIGNMENT, (bytes + PL_SLAB_ALIGNMENT - 1) & ~(size_t)(PL_SLAB_ALIGNMENT - 1));
    if (!slab)
        return false;
    memset(slab, 0, bytes);
    slab->rt = slabs->rt;
    slab->first_slot = n * PL_SLOTS_PER_SLAB;
    for (uint32_t first = PL_SLOTS_PER_SLAB; first > 0; first -= PL_SLAB_BATCH) {
        void *chain = NULL;
        for (uint32_t i = first; i > first - PL_SLAB_BATCH; i--) {
            free_slot *slot = pl_slab_slot(slab, i - 1);
            slot->next = chain;
            chain = slot;
        }
        ((free_slot *)chain)->next_chain = slabs->free_list;
        slabs->free_list = chain;
    }
    pl_store_release(&slabs->directory[n], slab);
    pl_store_release(&slabs->n_slabs, n + 1);
    return true;
}

static bool refill(pl_slabs *slabs, pl_slab_cache *cache)
{
    pthread_mutex_lock(&slabs->lock);
    if (!slabs->free_list && !add_slab_locked(slabs)) {
        pthread_mutex_unlock(&slabs->lock);
        return false;
    }
    free_slot *chain = slabs->free_list;
    slabs->free_list = chain->next_chain;
    pthread_mutex_unlock(&slabs->lock);
    cache->free_list = chain;
    cache->n_free = 0;
    for (free_slot *slot = chain; slot; slot = slot->next)
        cache->n_free++;
    return true;
}

void *pl_slab_alloc(pl_slabs *slabs, pl_slab_cache *cache)
{
    if (pl_unlikely(!cache->free_list) && !refill(slabs, cache))
        return NULL;
    free_slot *slot = cache->free_list;
    cache->free_list = slot->next;
    cache->n_free--;
    return slot;
}

static void give_chain(pl_slabs *slabs, free_slot *chain)
{
    pthread_mutex_lock(&slabs->lock);
    chain->next_chain = slabs->free_list;
    slabs->free_list = chain;
    pthread_mutex_unlock(&slabs->lock);
}

void pl_slab_free(pl_slabs *slabs, pl_slab_cache *cache, void *memory)
{
    free_slot *slot = memory;
    slot->next = cache->free_list;
    cache->free_list = slot;
    if (pl_likely(++cache->n_free < 2 * PL_SLAB_BATCH))
        return;
    free_slot *last = slot;
    for (int i = 1; i < PL_SLAB_BATCH; i++)
        last = last->next;
    cache->free_list = last->next;
    cache->n_free -= PL_SLAB_BATCH;
    last->next = NULL;
    give_chain(slabs, slot);
}
