/* lease.h - keeps a device open for blocks of memory that outlive the runtime, and knows where they may be given back.
 *
 *   open     -> a block goes back in the order of its queue, or behind all queues of the device
 *   closing  -> the queues are being closed, bodies in them may still end: blocks wait in a list
 *   closed   -> nothing is queued any more: a block goes back at once
 *
 * The device itself is closed by whoever lets go last: the runtime, or the last block. The lock guards the state and the list, and keeps the
 * queues open while one is used; it is outer to the backend's locks only. */
#ifndef PL_DEVICE_LEASE_H
#define PL_DEVICE_LEASE_H

#include "base/atomic.h"
#include "device/device.h"

#include <parla/native.h>

struct parla_block {
    struct pl_lease *lease; /* a reference */
    void *memory;
    size_t n_bytes;
    void *queue; /* in whose order it was taken; NULL: of none */
    size_t drawn_bytes;
    parla_task task; /* whose reservation these were drawn from */
    struct parla_block *next;
};

typedef enum pl_lease_state { PL_LEASE_OPEN, PL_LEASE_CLOSING, PL_LEASE_CLOSED } pl_lease_state;

typedef struct pl_lease {
    const parla_backend *backend;
    void *handle;
    long process;
    _Atomic uint32_t refs_shared;
    _Atomic size_t n_bytes; /* in blocks */
    pthread_mutex_t lock;
    pl_lease_state state;
    pl_device *device; /* while open */
    void *free_queue;  /* opened for the first block that goes back behind all queues */
    parla_block *late;
} pl_lease;

/* The device's backend part is open. Owns: the device holds one reference. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_lease_create(pl_lease **out, pl_device *device);
void pl_lease_ref(pl_lease *lease);
/* The last one closes the device. */
void pl_lease_unref(pl_lease *lease);

/* Around the closing of the compute queues. */
void pl_lease_begin_close(pl_lease *lease);
void pl_lease_end_close(pl_lease *lease);

/* Memory for a block whose other fields are set, without accounting. On success it holds the lease. Errors: those of the backend. */
PARLA_MUST_USE int pl_block_take(parla_block *block);
/* Gives the memory back, and frees the block. `queue`: that of the body that does it, on the same device; or NULL. */
void pl_block_give(parla_block *block, void *queue);

static inline size_t pl_lease_bytes(pl_lease *lease) { return lease ? pl_load_relaxed(&lease->n_bytes) : 0; }

#endif
