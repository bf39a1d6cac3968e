/* ucx_memory.h - memory that ranks of one node can address: what this rank allocated, and what it knows of others'.
 *
 * Only memory that UCX allocates lies in segments that another process can map; memory from malloc is reached by messages. */
#ifndef PLM_UCX_MEMORY_H
#define PLM_UCX_MEMORY_H

#include <parla/strided.h>

#include <pthread.h>
#include <ucp/api/ucp.h>

typedef struct plm_segment plm_segment;
typedef struct plm_key plm_key;

typedef struct plm_ucx_memory {
    ucp_context_h context;
    pthread_mutex_t lock; /* guards `segments`; those who describe hold nothing else */
    plm_segment *segments;
    plm_key *keys; /* of other ranks' segments */
    uint64_t n_allocated;
} plm_ucx_memory;

void plm_ucx_memory_init(plm_ucx_memory *self, ucp_context_h context);

/* Before the endpoints are closed: forgets other ranks' memory. After it: frees this rank's. */
void plm_ucx_memory_forget(plm_ucx_memory *self);
void plm_ucx_memory_fini(plm_ucx_memory *self);

/* From: one thread at a time, together with the worker. Errors: PARLA_E_NOMEM. */
int plm_ucx_memory_alloc(plm_ucx_memory *self, size_t n_bytes, void **out);

/* Errors: PARLA_E_INVALID for memory that is not from plm_ucx_memory_alloc. */
int plm_ucx_memory_release(plm_ucx_memory *self, void *memory);

/* Writes what another rank needs to address a simplified box; returns 0 if it does not lie in a segment. From: any thread. */
size_t plm_ucx_memory_describe(plm_ucx_memory *self, const parla_strided *box, void *out, size_t limit);

/* The box that `rank` described, at its address in this process; false if it cannot be addressed. */
bool plm_ucx_memory_map(plm_ucx_memory *self, int rank, ucp_ep_h endpoint, const void *description, size_t n, parla_strided *out);

#endif
