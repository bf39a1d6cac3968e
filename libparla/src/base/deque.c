/* deque.c - Chase and Lev's deque with the memory orders of Le, Pop, Cohen and Zappa Nardelli ("Correct and efficient work-stealing for
 * weak memory models", PPoPP 2013), the fences replaced by sequentially consistent accesses of top and bottom.
 *
 *   owner:  push at bottom, pop at bottom-1         thieves:  take at top
 *           items live in [top, bottom), index modulo the ring's capacity
 *
 * Invariant: top <= bottom + 1 (equal to bottom + 1 only inside pop), and top only grows, so an item is taken by whoever moves top over it.
 *
 * Races:
 *   pop against steal, one item left: pop stores bottom = b (D1) before it loads top (D2); steal loads top (D3) before it loads bottom (D4).
 *     All four are in one total order, so not both miss each other; if both see the item the compare-and-swap on top decides.
 *   push against steal: the item's slot is written before bottom (D0, release) and read after it (D4, acquire). D0 need not be in the total
 *     order of the four: a D4 that follows a D1 in it reads that D1 or something later, whatever the order of the pushes in between.
 *   grow against steal: a thief that read the old ring finds there the same items at the same indices, since old rings are kept until fini;
 *     its compare-and-swap fails if the item was taken meanwhile.
 * Slots are atomic because a slow thief may read a slot that the owner overwrites; what it read is then thrown away. */
#include "base/deque.h"

#include "base/break.h"

#include <parla/error.h>
#include <sched.h>
#include <stdlib.h>

#ifndef PL_DEQUE_FIRST_CAPACITY /* smaller in tests of the protocol, so that growing is seen */
#define PL_DEQUE_FIRST_CAPACITY 256
#endif

static pl_deque_ring *ring_create(int64_t capacity, pl_deque_ring *older)
{
    pl_deque_ring *ring = malloc(sizeof *ring + (size_t)capacity * sizeof ring->slots[0]);
    if (!ring)
        return NULL;
    ring->mask = capacity - 1;
    ring->older = older;
    return ring;
}

int pl_deque_init(pl_deque *deque)
{
    pl_deque_ring *ring = ring_create(PL_DEQUE_FIRST_CAPACITY, NULL);
    if (!ring)
        return PARLA_E_NOMEM;
    atomic_init(&deque->top_shared, 0);
    atomic_init(&deque->bottom, 0);
    atomic_init(&deque->ring, ring);
    return 0;
}

void pl_deque_fini(pl_deque *deque)
{
    pl_deque_ring *ring = pl_load_relaxed(&deque->ring);
    while (ring) {
        pl_deque_ring *older = ring->older;
        free(ring);
        ring = older;
    }
    pl_store_relaxed(&deque->ring, (pl_deque_ring *)NULL);
}

PL_COLD pl_deque_ring *pl_deque_grow(pl_deque *deque, pl_deque_ring *old, int64_t top, int64_t bottom)
{
    pl_deque_ring *ring = ring_create(2 * (old->mask + 1), old);
    if (!ring)
        return NULL;
    for (int64_t i = top; i < bottom; i++)
        pl_store_relaxed(&ring->slots[i & ring->mask], pl_load_relaxed(&old->slots[i & old->mask]));
    pl_store_release(&deque->ring, ring); /* pairs with steal: slots before the ring */
    return ring;
}

void *pl_deque_pop(pl_deque *deque)
{
    int64_t bottom = pl_load_relaxed(&deque->bottom) - 1;
    if (pl_load_relaxed(&deque->top_shared) > bottom) /* empty, seen without the expensive store */
        return NULL;
    pl_deque_ring *ring = pl_load_relaxed(&deque->ring);
    pl_store_seq(&deque->bottom, bottom);          /* D1 */
    int64_t top = pl_load_seq(&deque->top_shared); /* D2 */
    if (top > bottom) {
        pl_store_relaxed(&deque->bottom, bottom + 1);
        return NULL;
    }
    void *item = pl_load_relaxed(&ring->slots[bottom & ring->mask]);
    if (top == bottom) { /* the last item: thieves may be after it */
        if (pl_is_broken(PL_BREAK_POP)) {
            sched_yield(); /* here and below, so that the broken rule shows, however few cores there are */
            pl_store_seq(&deque->top_shared, top + 1);
        } else if (!pl_cas_seq(&deque->top_shared, &top, top + 1))
            item = NULL;
        pl_store_relaxed(&deque->bottom, bottom + 1);
    }
    return item;
}

void *pl_deque_steal(pl_deque *deque, bool *out_lost)
{
    *out_lost = false;
    int64_t top = pl_load_seq(&deque->top_shared); /* D3 */
    int64_t bottom = pl_load_seq(&deque->bottom);  /* D4 */
    if (top >= bottom)
        return NULL;
    pl_deque_ring *ring = pl_load_acquire(&deque->ring);
    void *item = pl_load_relaxed(&ring->slots[top & ring->mask]);
    if (pl_is_broken(PL_BREAK_POP))
        sched_yield();
    if (pl_cas_seq(&deque->top_shared, &top, top + 1))
        return item;
    *out_lost = true;
    return NULL;
}

bool pl_deque_looks_empty(pl_deque *deque)
{
    int64_t top = pl_load_seq(&deque->top_shared);
    return top >= pl_load_seq(&deque->bottom);
}
