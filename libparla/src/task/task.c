/* task.c - task objects: allocation, references, and the edges between them. The protocol is in task.h. */
#include "task/task.h"

#include "base/error.h"
#include "task/failure.h"

#include <stdlib.h>

pl_task *pl_task_alloc(pl_slabs *slabs, pl_slab_cache *cache)
{
    pl_task *task = pl_slab_alloc(slabs, cache);
    if (pl_unlikely(!task))
        return NULL;
    /* A recycled slot already carries its new generation; a fresh one starts at 1, so that no handle names generation 0. */
    uint64_t generation = pl_load_relaxed(&task->head_shared) >> 32;
    if (generation == 0)
        generation = 1;
    pl_store_relaxed(&task->pending_shared, 1);
    pl_store_relaxed(&task->state_shared, (uint8_t)PL_TASK_SPAWNING);
    pl_store_relaxed(&task->waited_shared, (uint8_t)0);
    pl_store_relaxed(&task->cancel_shared, (uint8_t)0);
    pl_store_relaxed(&task->extra_shared, (pl_extra *)NULL);
    task->flags = 0;
    task->n_inline = 0;
    task->n_in_block = 0;
    pl_store_relaxed(&task->i_device_shared, (uint16_t)PL_NO_DEVICE);
    task->body = NULL;
    task->arg = NULL;
    task->on_end = NULL;
    task->name = NULL;
    task->link = NULL;
    task->blocks = 0;
    task->full_blocks = 0;
    pl_store_release(&task->head_shared, generation << 32 | PL_HEAD_NONE);
    /* Pairs with pl_task_pin: whoever pins from now on sees the object above. */
    pl_store_release(&task->refs_shared, 1u);
    return task;
}

pl_extra *pl_task_extra(pl_task *task)
{
    pl_extra *extra = pl_load_acquire(&task->extra_shared);
    if (extra)
        return extra;
    pl_extra *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return NULL;
    if (pl_cas_acq_rel(&task->extra_shared, &extra, fresh))
        return fresh;
    free(fresh);
    return extra;
}

bool pl_task_pin(parla_task handle)
{
    pl_task *task = pl_task_of(handle);
    uint32_t refs = pl_load_relaxed(&task->refs_shared);
    do {
        if (refs == 0)
            return false;
    } while (!pl_cas_weak_acq_rel(&task->refs_shared, &refs, refs + 1));
    return true; /* of whatever lives there now: the caller compares generations, see pl_pin in sched/worker.h */
}

static void free_chain(pl_slabs *slabs, pl_slab_cache *cache, uint32_t number)
{
    while (number) {
        pl_edge_block *block = pl_slot_at(slabs, number);
        number = block->next;
        pl_slab_free(slabs, cache, block);
    }
}

parla_failure *pl_task_failure(pl_task *task)
{
    uint32_t low = pl_head_low(pl_load_acquire(&task->head_shared));
    if (low != PL_HEAD_FAILED && low != PL_HEAD_CANCELLED)
        return NULL;
    pl_extra *extra = pl_task_extra_or_null(task);
    parla_failure *failure = extra ? pl_load_acquire(&extra->failure_shared) : NULL;
    return failure ? failure : pl_failure_of_memory();
}

pl_placed *pl_task_recycle(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task)
{
    pl_extra *extra = pl_load_relaxed(&task->extra_shared);
    pl_placed *placed = extra ? extra->placed : NULL;
    if (pl_unlikely(extra != NULL)) {
        parla_failure_unref(pl_load_relaxed(&extra->failure_shared));
        free(extra);
    }
    if (pl_unlikely(task->blocks | task->full_blocks)) {
        free_chain(slabs, cache, task->blocks);
        free_chain(slabs, cache, task->full_blocks);
    }
    uint32_t generation = pl_head_generation(pl_load_relaxed(&task->head_shared)) + 1;
    if (generation == 0)
        generation = 1;
    /* From here on a handle of the old generation reads as ended. */
    pl_store_release(&task->head_shared, (uint64_t)generation << 32 | PL_HEAD_DONE);
    pl_slab_free(slabs, cache, task);
    return placed;
}

/* --- Edges. The number of an edge is slot << PL_EDGE_BITS | k: k < 4 is inline in the task, else in the edge block with that slot. */

static pl_edge *edge_at(pl_slabs *slabs, uint32_t number, pl_task **out_owner)
{
    void *slot = pl_slot_at(slabs, number >> PL_EDGE_BITS);
    uint32_t k = number & ((1u << PL_EDGE_BITS) - 1);
    if (k < PL_INLINE_EDGES) {
        *out_owner = slot;
        return &(*out_owner)->edges[k];
    }
    pl_edge_block *block = slot;
    *out_owner = pl_slot_at(slabs, block->owner);
    return &block->edges[k - PL_INLINE_EDGES];
}

/* Moves the full blocks of an earlier wait back to those that can be filled. */
static void reuse_blocks(pl_slabs *slabs, pl_task *task)
{
    while (task->full_blocks) {
        uint32_t number = task->full_blocks;
        pl_edge_block *block = pl_slot_at(slabs, number);
        task->full_blocks = block->next;
        block->next = task->blocks;
        task->blocks = number;
    }
    task->n_inline = 0;
    task->n_in_block = 0;
}

static int add_block(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task)
{
    pl_edge_block *block = pl_slab_alloc(slabs, cache);
    if (!block)
        return PARLA_E_NOMEM;
    uint32_t number = pl_slot_number(block);
    block->owner = pl_slot_number(task);
    block->next = task->blocks;
    task->blocks = number;
    return 0;
}

int pl_task_reserve_edges(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task, size_t n)
{
    if (pl_unlikely(task->blocks | task->full_blocks | task->n_inline))
        reuse_blocks(slabs, task);
    if (pl_likely(n <= PL_INLINE_EDGES))
        return 0;
    size_t room = PL_INLINE_EDGES;
    for (uint32_t number = task->blocks; number; number = ((pl_edge_block *)pl_slot_at(slabs, number))->next)
        room += PL_BLOCK_EDGES;
    for (; room < n; room += PL_BLOCK_EDGES)
        if (add_block(slabs, cache, task))
            return pl_error_set(PARLA_E_NOMEM, "no memory for the %zu dependencies of a task", n);
    return 0;
}

/* Takes the next reserved edge. */
static pl_edge *take_edge(pl_slabs *slabs, pl_task *task, uint32_t *out_number)
{
    if (pl_likely(task->n_inline < PL_INLINE_EDGES)) {
        uint32_t k = task->n_inline++;
        *out_number = pl_slot_number(task) << PL_EDGE_BITS | k;
        return &task->edges[k];
    }
    pl_edge_block *block = pl_slot_at(slabs, task->blocks);
    if (task->n_in_block == PL_BLOCK_EDGES) {
        uint32_t full = task->blocks;
        task->blocks = block->next;
        block->next = task->full_blocks;
        task->full_blocks = full;
        task->n_in_block = 0;
        block = pl_slot_at(slabs, task->blocks);
    }
    uint32_t k = task->n_in_block++;
    *out_number = task->blocks << PL_EDGE_BITS | (k + PL_INLINE_EDGES);
    return &block->edges[k];
}

static void give_edge_back(pl_task *task)
{
    if (task->n_in_block > 0)
        task->n_in_block--;
    else
        task->n_inline--;
}

pl_link_result pl_task_link(pl_slabs *slabs, pl_task *task, parla_task handle)
{
    pl_task *predecessor = pl_task_of(handle);
    uint32_t generation = (uint32_t)handle.generation;
    uint64_t head = pl_load_acquire(&predecessor->head_shared);
    if (pl_head_generation(head) != generation || pl_head_low(head) == PL_HEAD_DONE)
        return PL_MET;
    if (pl_head_is_ended(head))
        return PL_PREDECESSOR_FAILED;
    uint32_t number;
    pl_edge *edge = take_edge(slabs, task, &number);
    edge->predecessor = pl_slot_number(predecessor);
    edge->predecessor_gen = generation;
    for (;;) {
        edge->next = pl_head_low(head);
        /* Pairs with pl_task_close: the edge, and all that spawn wrote into the task, before the walk of the list. */
        if (pl_cas_weak_acq_rel(&predecessor->head_shared, &head, (uint64_t)generation << 32 | number))
            return PL_LINKED;
        if (pl_head_generation(head) == generation && !pl_head_is_ended(head))
            continue;
        give_edge_back(task);
        bool failed = pl_head_generation(head) == generation && pl_head_low(head) != PL_HEAD_DONE;
        return failed ? PL_PREDECESSOR_FAILED : PL_MET;
    }
}

pl_task *pl_edge_owner(pl_slabs *slabs, uint32_t number, uint32_t *out_next)
{
    pl_task *owner;
    *out_next = edge_at(slabs, number, &owner)->next;
    return owner;
}

void pl_task_each_edge(pl_slabs *slabs, pl_task *task, void (*function)(void *ctx, const pl_edge *edge), void *ctx)
{
    for (uint32_t k = 0; k < task->n_inline; k++)
        function(ctx, &task->edges[k]);
    uint32_t number = task->full_blocks;
    for (; number; number = ((pl_edge_block *)pl_slot_at(slabs, number))->next)
        for (uint32_t k = 0; k < PL_BLOCK_EDGES; k++)
            function(ctx, &((pl_edge_block *)pl_slot_at(slabs, number))->edges[k]);
    for (uint32_t k = 0; k < task->n_in_block; k++)
        function(ctx, &((pl_edge_block *)pl_slot_at(slabs, task->blocks))->edges[k]);
}
