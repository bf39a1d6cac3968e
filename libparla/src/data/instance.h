/* instance.h - the copy of one array on one device: its memory, its pins, and its place among those that may be evicted.
 *
 * A pl_store is all copies on one device. A copy with memory is pinned while a task or a movement uses it; unpinned ones stand in
 * the store's list, least recently used first. Memory that the user gave is never evicted and not counted.
 *
 * Invariant: idle_bytes is the sum over the list; the device's used_bytes is the sum over all copies whose memory is the library's.
 * Nothing here is thread-safe: the placed path's lock guards all stores of a runtime. */
#ifndef PL_DATA_INSTANCE_H
#define PL_DATA_INSTANCE_H

#include "device/device.h"
#include "device/host_pool.h"

typedef struct pl_instance {
    /* Constant while the array is attached. */
    parla_data *data;
    int i_device;
    bool is_given; /* host memory of the user */

    void *memory;       /* NULL: none; the first byte of the library's memory, or base of the user's */
    pl_host_pool *pool; /* that `memory` is from; NULL: from its device */
    parla_strided box;
    size_t current_bytes; /* of the tiles whose content is current here, */
    size_t sole_bytes;    /* and current nowhere else */
    int n_pins;
    int n_leaving;   /* movements that write it back to make room */
    bool has_stayed; /* of those, one has failed */
    bool is_kept;    /* writing it back failed: no victim until it is used again */
    bool is_listed;  /* is among the unpinned */
    struct pl_instance *older, *newer;
} pl_instance;

typedef struct pl_store {
    pl_device *device;
    pl_host_pool *pool;           /* that memory is taken from first; NULL: from the device only */
    pl_instance *oldest, *newest; /* unpinned copies */
    size_t idle_bytes;
} pl_store;

/* Bytes of an array's elements, as one copy takes them. */
size_t pl_instance_bytes(const pl_instance *instance);

/* Gives a copy contiguous memory on its device; it is unpinned then. Errors: as pl_device_alloc. */
PARLA_MUST_USE int pl_instance_alloc(pl_store *store, pl_instance *instance);

/* Frees memory of the library's on the host, of an array without a runtime. */
void pl_instance_free_detached(pl_instance *host);

/* Frees the memory of an unpinned copy; nothing to do if it has none or the user's. */
void pl_instance_free(pl_store *store, pl_instance *instance);

/* Takes over memory that an array without a runtime had allocated on the host, and gives it back. */
void pl_instance_adopt(pl_store *store, pl_instance *instance);
void pl_instance_disown(pl_store *store, pl_instance *instance);

void pl_instance_pin(pl_store *store, pl_instance *instance);
void pl_instance_unpin(pl_store *store, pl_instance *instance);

/* Is all of its content also somewhere else? Then the copy can be forgotten. */
static inline bool pl_instance_is_spare(const pl_instance *instance) { return instance->sole_bytes == 0; }

/* Makes an unpinned copy the next victim: its content is worth nothing any more. */
void pl_instance_demote(pl_store *store, pl_instance *instance);

/* The least recently used unpinned copy that may be evicted: with `spare` one whose content is not needed there, else one that has
 * to be written back first. NULL if there is none. */
pl_instance *pl_store_victim(const pl_store *store, bool spare);

#endif
