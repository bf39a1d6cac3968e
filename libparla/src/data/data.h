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
    void (*release)(void *ctx);
    void *ctx;

    _Atomic(parla_runtime *) rt_shared; /* changes under the attachment lock */
    struct pl_hold *holds;              /* the host's accesses; under the attachment lock */
    int n_held;                         /* accesses of the host without a runtime; under the attachment lock */

    /* Under the placed lock or, without a runtime, the attachment lock. */
    pl_tiles tiles;
    pl_instance host;
    pl_instance *others; /* on devices 1 … n_others, while attached */
    int n_others;

    /* Under the placed lock. */
    pl_use *waiting; /* uses whose tiles are on the way */
    parla_data *prev_attached, *next_attached;
};

/* Guards which runtime an array is attached to, for all arrays: rarely taken, since what is attached stays so. */
void pl_attachment_lock(void);
void pl_attachment_unlock(void);

static inline parla_runtime *pl_data_runtime(parla_data *data) { return pl_load_acquire(&data->rt_shared); }

static inline pl_instance *pl_data_instance(parla_data *data, int i_device)
{
    return i_device == 0 ? &data->host : &data->others[i_device - 1];
}

/* Drops a reference that is not the last one. */
static inline void pl_data_unref_shared(parla_data *data) { pl_sub_acq_rel(&data->refs_shared, 1); }

/* Drops a reference; true if it was the last. The caller then detaches the array and destroys it. */
static inline bool pl_data_unref_last(parla_data *data) { return pl_sub_acq_rel(&data->refs_shared, 1) == 1; }

/* Takes a reference, unless the last one is gone already. Under a lock of the array's, which keeps it from being destroyed
 * meanwhile. */
bool pl_data_ref_if_alive(parla_data *data);
static inline bool pl_data_is_alive(parla_data *data) { return pl_load_relaxed(&data->refs_shared) > 0; }

/* Makes room for copies on devices 1 … n_devices - 1. Errors: PARLA_E_NOMEM. */
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

/* Changes where the content of a leaf is current; keeps the copies' accounts. */
void pl_data_set_coherence(parla_data *data, pl_tile *leaf, pl_coherence after);

/* Forgets the copy on a device, which is spare or not wanted any more. */
void pl_data_forget_copy(parla_data *data, int i_device);

/* Was anything ever written? */
bool pl_data_has_content(parla_data *data);

/* The devices whose copy is current for all that was ever written under a tile; 0 if nothing was. */
uint64_t pl_data_valid_mask(pl_tile *top);

/* The name for messages. */
static inline const char *pl_data_label(const parla_data *data) { return data->name ? data->name : "an array without a name"; }

#endif
