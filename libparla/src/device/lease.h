/* lease.h - keeps a device open for blocks of memory that outlive the runtime, and knows where they may be given back.
 *
 *   open     -> a block goes back in the order of its queue, or behind all queues of the device
 *   closing  -> the queues are being closed, bodies in them may still end: blocks wait in a list
 *   closed   -> nothing is queued any more: a block goes back at once
 *
 * What goes back behind all queues is counted until an event behind it has passed, since nobody else can have it before; what goes back in
 * the order of its own queue can be taken there again at once. Whoever asks for memory collects first; a watcher does it later,
 * too, for tasks that wait.
 *
 * The device itself is closed by whoever lets go last: the runtime, or the last block. The lock guards the state and the lists, and keeps
 * the queues open while one is used; it is outer to the backend's locks only. */
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
    void *event;     /* once it goes back: passed when it is there */
    struct parla_block *next;
};

typedef enum pl_lease_state { PL_LEASE_OPEN, PL_LEASE_CLOSING, PL_LEASE_CLOSED } pl_lease_state;

typedef struct pl_lease {
    const parla_backend *backend;
    void *handle;
    long process;
    _Atomic uint32_t refs_shared;
    _Atomic size_t n_bytes; /* in blocks */
    _Atomic int n_going;    /* of those, blocks on their way back */
    pthread_mutex_t lock;
    pl_lease_state state;
    pl_device *device;                /* while open */
    void *free_queue;                 /* opened for the first block that goes back behind all queues */
    parla_block *going, **last_going; /* on their way back, oldest first */
    parla_block *late;
    const struct pl_lease_watcher *watcher; /* NULL: nobody waits for what is on its way */
    void *watcher_ctx;
} pl_lease;

/* Who is to collect some time after a block has set out. Neither function blocks. */
typedef struct pl_lease_watcher {
    void (*begin)(void *ctx); /* a block is about to set out */
    void (*kick)(void *ctx);  /* it has */
} pl_lease_watcher;

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

/* NULL: nobody from now on. */
void pl_lease_watch(pl_lease *lease, const pl_lease_watcher *watcher, void *ctx);
/* Counts out what has come back; returns how many blocks. */
int pl_lease_collect(pl_lease *lease);
static inline size_t pl_lease_bytes(pl_lease *lease) { return lease ? pl_load_relaxed(&lease->n_bytes) : 0; }

/* Is something on its way back? If not, pl_lease_bytes, asked afterwards, no longer counts anything that was: pairs with take_going(). */
static inline bool pl_lease_is_going(pl_lease *lease) { return lease && pl_load_acquire(&lease->n_going) > 0; }

#endif
