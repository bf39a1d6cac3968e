/* data.h - the array object: shape, copies, order, and the runtime that it is attached to.
 *
 * An array is attached to the runtime that first uses it, and detached by that runtime's end or by its own. While it is attached,
 * what is marked so below is guarded by that runtime's placed lock; while it is not, by the attachment lock, which is also held to
 * attach and to detach. The attachment lock is the outer of the two. */
#ifndef PL_DATA_DATA_H
#define PL_DATA_DATA_H

#include "base/atomic.h"
#include "data/access.h"
#include "data/instance.h"

#include <parla/data.h>

struct parla_data {
    _Atomic uint32_t refs_shared;
    /* Constant. */
    parla_strided shape; /* as the user gave it */
    size_t n_bytes;      /* of one copy */
    char *name;          /* NULL: none */
    char *source;        /* where it was made; NULL: not told */
    void (*release)(void *ctx);
    void *ctx;

    _Atomic(parla_runtime *) rt_shared; /* changes under the attachment lock */
    struct pl_hold *holds;              /* the host's accesses; under the attachment lock */
    int n_held;                         /* accesses of the host without a runtime; under the attachment lock */

    /* Under the placed lock or, without a runtime, the attachment lock. */
    pl_tiles tiles;
    pl_instance host;
    pl_instance **others; /* the first one on each of the devices 1 … n_others, while attached */
    int n_others;

    /* Under the placed lock. */
    pl_use *waiting; /* uses whose tiles are on the way */
    parla_data *prev_attached, *next_attached;
};

/* Guards which runtime an array is attached to, for all arrays: rarely taken, since what is attached stays so. */
void pl_attachment_lock(void);
void pl_attachment_unlock(void);

static inline parla_runtime *pl_data_runtime(parla_data *data) { return pl_load_acquire(&data->rt_shared); }

/* The instances of a device that have memory: for (at = pl_data_first(…); at; at = at->next). */
static inline pl_instance *pl_data_first(parla_data *data, int i_device)
{
    return i_device > 0 ? data->others[i_device - 1] : data->host.memory ? &data->host : NULL;
}

/* An instance on a device that covers a box (NULL: all of the array); of several one where a tile is current. NULL: there is none. The
 * tile may be NULL. */
pl_instance *pl_data_find(parla_data *data, int i_device, const pl_span *spans, pl_tile *near);

/* Drops a reference that is not the last one. */
static inline void pl_data_unref_shared(parla_data *data) { pl_sub_acq_rel(&data->refs_shared, 1); }

/* Drops a reference; true if it was the last. The caller then detaches the array and destroys it. */
static inline bool pl_data_unref_last(parla_data *data) { return pl_sub_acq_rel(&data->refs_shared, 1) == 1; }

/* Takes a reference, unless the last one is gone already. Under a lock of the array's, which keeps it from being destroyed
 * meanwhile. */
bool pl_data_ref_if_alive(parla_data *data);
static inline bool pl_data_is_alive(parla_data *data) { return pl_load_relaxed(&data->refs_shared) > 0; }

/* Makes room for lists of instances on devices 1 … n_devices - 1. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_data_open_instances(parla_data *data, int n_devices);
/* All of those have been freed. */
void pl_data_close_instances(parla_data *data);

/* Frees a detached array: host memory of the library's, or the user's through release. */
void pl_data_destroy(parla_data *data);

/* Host memory for a detached array that has none. Errors: PARLA_E_DEVICE_MEMORY. */
PARLA_MUST_USE int pl_data_alloc_detached(parla_data *data);

/* Checks a region: as many ranges as dimensions, inside the array, steps of at least 1; NULL is the whole. *out_is_whole tells
 * whether it names every element. Errors: PARLA_E_INVALID. */
PARLA_MUST_USE int pl_data_check_region(const parla_data *data, const parla_range *region, bool *out_is_whole);

/* The part of a copy that a checked region names. */
parla_strided pl_box_region(const parla_strided *box, const parla_range *region);
/* The part of a copy that is a box of spans. */
parla_strided pl_box_part(const parla_strided *box, const pl_span *spans);

/* Bytes of a tile. */
static inline size_t pl_data_tile_bytes(const parla_data *data, const pl_tile *tile)
{
    return (size_t)tile->n_items * data->shape.item_bytes;
}

/* Changes of where the content of a leaf is, which keep the instances' accounts (I3 of instance.h). */
/* Content begins to arrive in an instance; there is room for it in the leaf's homes. */
void pl_data_leaving(parla_data *data, pl_tile *leaf, pl_instance *to);
void pl_data_arrived(parla_data *data, pl_tile *leaf, pl_instance *to, bool is_whole);
/* It is current in one instance only, and arrives nowhere. */
void pl_data_written(parla_data *data, pl_tile *leaf, pl_instance *to);
/* There is none any more. */
void pl_data_lost(parla_data *data, pl_tile *leaf);

/* Forgets what is current in an instance that is spare or not wanted any more. is_evicted: to make room (pl_tile.evicted). */
void pl_data_forget(parla_data *data, pl_instance *instance, bool is_evicted);

/* Was anything ever written? */
bool pl_data_has_content(parla_data *data);

/* The devices whose copy is current for all that was ever written under a tile; 0 if nothing was. */
uint64_t pl_data_valid_mask(pl_tile *top);

/* The name for messages. */
static inline const char *pl_data_label(const parla_data *data) { return data->name ? data->name : "an array without a name"; }

#endif
