/* deque.h - a work-stealing deque of pointers: its owner pushes and pops at the bottom, anybody steals at the top.
 *
 * Growing never fails half-way: push reports PARLA_E_NOMEM and leaves the deque as it was. */
#ifndef PL_BASE_DEQUE_H
#define PL_BASE_DEQUE_H

#include "base/fence.h"

#include <parla/error.h>

typedef struct pl_deque_ring {
    int64_t mask;
    struct pl_deque_ring *older;
    _Atomic(void *) slots[];
} pl_deque_ring;

typedef struct pl_deque {
    _Alignas(PL_CACHE_LINE) _Atomic int64_t top_shared; /* thieves and the owner's last item */
    _Alignas(PL_CACHE_LINE) _Atomic int64_t bottom;     /* written by the owner */
    _Atomic(pl_deque_ring *) ring;                      /* replaced by the owner; old rings live until fini */
} pl_deque;

int pl_deque_init(pl_deque *deque);
/* No other thread uses the deque any more; items left in it are forgotten. */
void pl_deque_fini(pl_deque *deque);

/* Owner only: a ring of twice the size, or NULL. */
pl_deque_ring *pl_deque_grow(pl_deque *deque, pl_deque_ring *old, int64_t top, int64_t bottom);

/* Owner only. A light store (fence.h) against a heavy fence before pl_deque_looks_empty, so that a pusher who then sees no sleeper may go
 * on. */
static inline int pl_deque_push(pl_deque *deque, void *item)
{
    int64_t bottom = pl_load_relaxed(&deque->bottom);
    int64_t top = pl_load_acquire(&deque->top_shared);
    pl_deque_ring *ring = pl_load_relaxed(&deque->ring);
    if (pl_unlikely(bottom - top > ring->mask)) {
        ring = pl_deque_grow(deque, ring, top, bottom);
        if (!ring)
            return PARLA_E_NOMEM;
    }
    pl_store_relaxed(&ring->slots[bottom & ring->mask], item);
    pl_store_light(&deque->bottom, bottom + 1); /* D0; pairs with D4: the slot before bottom */
    return 0;
}
/* Owner only: the newest item, or NULL. */
void *pl_deque_pop(pl_deque *deque);
/* Any thread: the oldest item, or NULL if empty; *out_lost tells that another thread was faster (try again). */
void *pl_deque_steal(pl_deque *deque, bool *out_lost);
/* Any thread: false only if an item was there at the time of the call. */
bool pl_deque_looks_empty(pl_deque *deque);

#endif
