/* staging.h - buffers of the host for what is on its way to or from a device, within a bound.
 *
 * A device's buffers are powers of 2 (parla_device_traits.staging), taken from its backend's host_alloc, which keeps them page-locked where
 * that matters. No more bytes than the limit are in use at once; a buffer that is larger than that alone is had while no other is. Who finds
 * none may wait: in a list, never on a thread. If the host gives no page-locked memory, those wait who can (for a buffer that is in use), and
 * who cannot gets plain memory, which works as well but takes longer: a copy never fails for it. The log says so once.
 *
 * Any thread. The lock is a leaf, and not held while memory is taken or given back. */
#ifndef PL_DEVICE_STAGING_H
#define PL_DEVICE_STAGING_H

#include <parla/backend.h>

#include <pthread.h>

/* A buffer, or who waits for one. The caller's memory; `n_bytes` is set to what is needed, and rounded up by pl_staging_take. */
typedef struct pl_stage_buffer {
    size_t n_bytes;
    void *memory;
    bool is_plain;
    int status; /* negative: there was none to be had */
    struct pl_stage_buffer *next;
} pl_stage_buffer;

typedef struct pl_staging {
    const parla_backend *backend;
    void *handle;
    parla_staging bounds;
    pthread_mutex_t lock; /* guards what follows */
    size_t used_bytes, peak_bytes;
    pl_stage_buffer *first, **last; /* who waits, oldest first */
    bool has_told;
} pl_staging;

void pl_staging_init(pl_staging *out, const parla_backend *backend, void *handle, const parla_staging *bounds);
/* Nobody has or wants a buffer. */
void pl_staging_fini(pl_staging *staging);

/* 0: stage->memory is there. PARLA_PENDING: none now; with `waits` pl_staging_next will return the stage. Errors: PARLA_E_NOMEM if not even
 * plain memory is to be had and nobody has a buffer that could be waited for; the backend's. */
PARLA_MUST_USE int pl_staging_take(pl_staging *staging, pl_stage_buffer *stage, bool waits);

void pl_staging_give(pl_staging *staging, pl_stage_buffer *stage);

/* Those who have waited long enough, with memory or a status, linked by `next`. To be asked for after each pl_staging_give. */
pl_stage_buffer *pl_staging_next(pl_staging *staging);

/* What is in use, and the most that ever was. */
void pl_staging_query(pl_staging *staging, size_t *out_used, size_t *out_peak);

#endif
