/* instance.h - memory for a box of an array on a device: pinned while it is used, and else among what may be evicted.
 *
 * An array has at most one instance on the host, of all of it, which is part of the array object. On any other device it has as many as
 * regions need: boxes of steps of 1, in no order, that may overlap. So an array that is larger than a device can be used there by regions.
 * Which elements are current in which instance is kept with the tiles (homes.h): an element may be current in several instances of one
 * device, or in none that has room for it.
 *
 * Invariants, at any time that the placed lock is free:
 *   I1  memory:  n_bytes are the elements of the box; the device's used_bytes is the sum of n_bytes over all instances there whose
 *                memory is the library's;
 *   I2  list:    exactly those of them that are not pinned stand in the store's list, least recently used first; idle_bytes is the sum;
 *   I3  content: current_bytes are the tiles that are current here, sole_bytes those of them that are current nowhere else;
 *   I4  inside:  a tile that is current in an instance, or arrives there, lies inside its box;
 *   I5  pins:    who reads, writes or fills an instance pins it; a pinned one is never freed; a tile arrives only in a pinned one.
 * An instance is freed only when no tile is current in it any more. Memory that the user gave is neither counted, listed nor freed.
 *
 * Nothing here is thread-safe: the placed path's lock guards all stores of a runtime. */
#ifndef PL_DATA_INSTANCE_H
#define PL_DATA_INSTANCE_H

#include "data/span.h"
#include "device/device.h"
#include "device/host_pool.h"

typedef struct pl_instance {
    /* Constant while it has memory. */
    parla_data *data;
    int i_device;
    bool is_given;      /* host memory of the user */
    bool is_whole;      /* of all of the array; else of `spans`, whose steps are 1 */
    size_t n_bytes;     /* of its elements */
    void *memory;       /* NULL: none (on the host); the first byte of the library's memory, or base of the user's */
    pl_host_pool *pool; /* that `memory` is from; NULL: from its device */
    parla_strided box;  /* the whole array, by its indices: only elements of the instance lie in its memory */
    pl_span spans[PARLA_MAX_NDIM];

    size_t current_bytes, sole_bytes;
    int n_pins;
    int n_leaving;    /* movements that write it back to make room */
    bool has_stayed;  /* of those, one has failed */
    bool is_kept;     /* writing it back failed: no victim until it is used again */
    bool is_listed;   /* is among the unpinned */
    uint64_t seen_by; /* the last sum that it was counted in */
    struct pl_instance *older, *newer;
    struct pl_instance *prev, *next; /* of the array on the device */
} pl_instance;

typedef struct pl_store {
    pl_device *device;
    pl_host_pool *pool;           /* that memory is taken from first; NULL: from the device only */
    pl_instance *oldest, *newest; /* unpinned instances */
    size_t idle_bytes;
} pl_store;

/* Bytes of an array's elements in a box; NULL is all of it. */
size_t pl_box_bytes(const parla_data *data, const pl_span *spans);

/* Does the box of an instance, which has memory, contain another? NULL is all of the array. */
bool pl_instance_covers(const pl_instance *instance, const pl_span *spans);

/* Makes an instance of a box, whose steps are 1 (NULL: of all of the array; on the host it must be), with contiguous memory. It is
 * unpinned, and nothing is current in it. Errors: as pl_device_alloc; PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_instance_create(pl_store *store, parla_data *data, const pl_span *spans, pl_instance **out);

/* Frees memory of the library's on the host, of an array without a runtime. */
void pl_instance_free_detached(pl_instance *host);

/* Frees an unpinned instance, in which nothing is current; nothing to do if it has no memory or the user's. */
void pl_instance_free(pl_store *store, pl_instance *instance);

/* Takes over memory that an array without a runtime had allocated on the host, and gives it back. */
void pl_instance_adopt(pl_store *store, pl_instance *host);
void pl_instance_disown(pl_store *store, pl_instance *host);

void pl_instance_pin(pl_store *store, pl_instance *instance);
void pl_instance_unpin(pl_store *store, pl_instance *instance);

/* Is all of its content also somewhere else? Then it can be freed. */
static inline bool pl_instance_is_spare(const pl_instance *instance) { return instance->sole_bytes == 0; }

/* Makes an unpinned instance the next victim: its content is worth nothing any more. */
void pl_instance_demote(pl_store *store, pl_instance *instance);

/* The least recently used unpinned instance that may be evicted: with `spare` one whose content is not needed there, else one that has
 * to be written back first. NULL if there is none. */
pl_instance *pl_store_victim(const pl_store *store, bool spare);

#endif
