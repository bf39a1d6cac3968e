/* host_pool.c - see host_pool.h. References: the runtime's, and one for each piece of memory. */
#include "device/host_pool.h"

#include "base/atomic.h"
#include "base/error.h"

#include <stdlib.h>

struct pl_host_pool {
    _Atomic uint64_t refs_shared;
    parla_memory_source source;
};

int pl_host_pool_create(pl_host_pool **out, const parla_memory_source *source)
{
    pl_host_pool *pool = malloc(sizeof *pool);
    if (!pool)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a source of memory");
    atomic_init(&pool->refs_shared, 1);
    pool->source = *source;
    source->hold(source->ctx);
    *out = pool;
    return 0;
}

void pl_host_pool_unref(pl_host_pool *pool)
{
    if (!pool || pl_sub_acq_rel(&pool->refs_shared, 1) > 1)
        return;
    pool->source.release(pool->source.ctx);
    free(pool);
}

void *pl_host_pool_alloc(pl_host_pool *pool, size_t n_bytes)
{
    void *memory = pool->source.alloc(pool->source.ctx, n_bytes);
    if (memory)
        pl_add_relaxed(&pool->refs_shared, 1);
    return memory;
}

void pl_host_pool_free(pl_host_pool *pool, void *memory)
{
    bool found = pool->source.free(pool->source.ctx, memory);
    PL_ASSERT(found);
    (void)found;
    pl_host_pool_unref(pool);
}
