/* coherence.h - which copies of a tile are current: a pure state machine, without memory, locks or devices.
 *
 * A copy on a device is INVALID, SHARED (current, and so is another) or OWNED (current, and the only one). All follows from the set
 * of current copies: so there is never more than one owner, and once something was written there is always a current copy.
 *
 * A copy that is on its way to a device is ARRIVING there: it is not current yet, nobody starts it twice, and until it has arrived or
 * failed nobody may write the tile anywhere, nor drop the copy that it is read from. */
#ifndef PL_DATA_COHERENCE_H
#define PL_DATA_COHERENCE_H

#include "base/break.h"

#include <parla/common.h>

typedef enum pl_copy_state { PL_COPY_INVALID, PL_COPY_SHARED, PL_COPY_OWNED } pl_copy_state;

typedef struct pl_coherence {
    uint64_t valid;    /* bit i: the copy on device i is current; 0: nothing was ever written */
    uint64_t arriving; /* bit i: content is on its way to device i */
} pl_coherence;

/* Instead of a source's index. */
enum {
    PL_SOURCE_NONE = -1,   /* nothing has to be copied */
    PL_SOURCE_ABSENT = -2, /* there is nothing to copy: the tile was never written */
};

/* What an access on a device asks for. */
typedef struct pl_coherence_step {
    int source;         /* the device to copy from first, or PL_SOURCE_* */
    uint64_t stale;     /* copies that are no longer current once the access has begun */
    pl_coherence after; /* the state then */
} pl_coherence_step;

/* An access with PARLA_IN, PARLA_OUT or PARLA_INOUT on device i_device. costs[i] is what a copy from device i to i_device costs, for each i
 * that has a current one: the least is taken, and the host (device 0) only if it costs less than any device. */
pl_coherence_step pl_coherence_plan(pl_coherence now, int i_device, int mode, const uint64_t *costs);

pl_copy_state pl_coherence_state(pl_coherence now, int i_device);

/* The device whose copy alone is current, or -1. */
int pl_coherence_owner(pl_coherence now);

static inline bool pl_coherence_is_valid(pl_coherence now, int i_device) { return now.valid >> i_device & 1; }

/* Is the content also somewhere else, or not there at all? Then the copy on the device can be forgotten. */
static inline bool pl_coherence_is_spare(pl_coherence now, int i_device)
{
    return (now.valid & ~(UINT64_C(1) << i_device)) != 0 || !pl_coherence_is_valid(now, i_device);
}

static inline bool pl_coherence_is_arriving(pl_coherence now, int i_device) { return now.arriving >> i_device & 1; }

/* May somebody begin to write it? */
static inline bool pl_coherence_is_settled(pl_coherence now) { return now.arriving == 0 || pl_is_broken(PL_BREAK_ARRIVE); }

/* A copy to a device where it is neither current nor arriving begins, and ends. */
static inline pl_coherence pl_coherence_leaving(pl_coherence now, int i_device)
{
    return (pl_coherence){now.valid, now.arriving | UINT64_C(1) << i_device};
}

static inline pl_coherence pl_coherence_arrived(pl_coherence now, int i_device, bool is_whole)
{
    uint64_t device = UINT64_C(1) << i_device;
    return (pl_coherence){is_whole ? now.valid | device : now.valid, now.arriving & ~device};
}

static inline pl_coherence pl_coherence_fetched(pl_coherence now, int i_device)
{
    return pl_coherence_arrived(now, i_device, true);
}

static inline pl_coherence pl_coherence_written(int i_device) { return (pl_coherence){UINT64_C(1) << i_device, 0}; }

/* Forgets a copy that is spare. */
static inline pl_coherence pl_coherence_dropped(pl_coherence now, int i_device)
{
    return (pl_coherence){now.valid & ~(UINT64_C(1) << i_device), now.arriving};
}

#endif
