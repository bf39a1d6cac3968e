/* host_pool.h - a source of host memory together with those who use it: a runtime, and the arrays that lie there and may outlive it. */
#ifndef PL_DEVICE_HOST_POOL_H
#define PL_DEVICE_HOST_POOL_H

#include "base/compiler.h"

#include <parla/memory.h>

typedef struct pl_host_pool pl_host_pool;

/* Holds a source that can be held, which is copied. *out comes with one reference. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_host_pool_create(pl_host_pool **out, const parla_memory_source *source);

/* Drops a reference; the last one lets go of the source. NULL is allowed. From: any thread. */
void pl_host_pool_unref(pl_host_pool *pool);

/* Memory with a reference on the pool, or NULL if the source has none left. */
void *pl_host_pool_alloc(pl_host_pool *pool, size_t n_bytes);

/* Frees it, and drops that reference. */
void pl_host_pool_free(pl_host_pool *pool, void *memory);

#endif
