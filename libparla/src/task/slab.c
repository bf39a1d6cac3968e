/* slab.c - slabs of PL_SLOTS_PER_SLAB slots, a directory of them, and the exchange between caches and the shared list.
 *
 * The shared list holds chains of PL_SLAB_BATCH slots: the first slot of a chain links to the next one, and to the next chain. */
#include "task/slab.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

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
    slab->first_place = n << 16;
    for (uint32_t first = PL_SLOTS_PER_SLAB; first > 0; first -= PL_SLAB_BATCH) {
        pl_free_slot *chain = NULL;
        for (uint32_t i = first; i > first - PL_SLAB_BATCH; i--) {
            pl_free_slot *slot = pl_slab_slot(slab, i - 1);
            slot->next = chain;
            chain = slot;
        }
        chain->next_chain = slabs->free_list;
        slabs->free_list = chain;
    }
    pl_store_release(&slabs->directory[n], slab);
    pl_store_release(&slabs->n_slabs, n + 1);
    return true;
}

PL_COLD bool pl_slab_refill(pl_slabs *slabs, pl_slab_cache *cache)
{
    pthread_mutex_lock(&slabs->lock);
    if (!slabs->free_list && !add_slab_locked(slabs)) {
        pthread_mutex_unlock(&slabs->lock);
        return false;
    }
    pl_free_slot *chain = slabs->free_list;
    slabs->free_list = chain->next_chain;
    pthread_mutex_unlock(&slabs->lock);
    cache->free_list = chain;
    cache->n_free = PL_SLAB_BATCH;
    return true;
}

PL_COLD void pl_slab_drain(pl_slabs *slabs, pl_slab_cache *cache)
{
    pl_free_slot *first = cache->free_list, *last = first;
    for (int i = 1; i < PL_SLAB_BATCH; i++)
        last = last->next;
    cache->free_list = last->next;
    cache->n_free -= PL_SLAB_BATCH;
    last->next = NULL;
    pthread_mutex_lock(&slabs->lock);
    first->next_chain = slabs->free_list;
    slabs->free_list = first;
    pthread_mutex_unlock(&slabs->lock);
}
