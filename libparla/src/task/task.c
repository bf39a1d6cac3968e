/* task.c - task objects: allocation, references, and the edges between them. The protocol is in task.h. */
#include "task/task.h"

#include "base/error.h"
#include "task/failure.h"

#include <stdlib.h>

pl_task *pl_task_alloc(pl_slabs *slabs, pl_slab_cache *cache)
{
    pl_task *task = pl_task_take(slabs, cache);
    if (pl_unlikely(!task))
        return NULL;
    task->body = NULL;
    task->arg = NULL;
    task->on_end = NULL;
    task->name = NULL;
    task->link = NULL;
    pl_task_publish(pl_task_new_handle(task), pl_task_first_bits(PL_TASK_SPAWNING, 0, 0), 1);
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
        number = pl_load_own(&block->next_shared);
        memset((char *)block + PL_CACHE_LINE, 0, PL_SLOT_BYTES - PL_CACHE_LINE); /* a free slot has no blocks */
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

PL_COLD pl_placed *pl_task_strip(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task)
{
    pl_extra *extra = pl_load_relaxed(&task->extra_shared);
    pl_placed *placed = extra ? extra->placed : NULL;
    if (extra) {
        parla_failure_unref(pl_load_relaxed(&extra->failure_shared));
        free(extra);
        pl_store_relaxed(&task->extra_shared, (pl_extra *)NULL);
    }
    free_chain(slabs, cache, pl_load_own(&task->blocks_shared));
    free_chain(slabs, cache, pl_load_own(&task->full_blocks_shared));
    pl_store_own(&task->blocks_shared, 0u);
    pl_store_own(&task->full_blocks_shared, 0u);
    pl_store_own(&task->n_in_block_shared, (uint8_t)0);
    return placed;
}

/* --- Edges ---------------------------------------------------------------------------------------------------------------------- */

static uint32_t next_block(pl_slabs *slabs, uint32_t number)
{
    return pl_load_acquire(&((pl_edge_block *)pl_slot_at(slabs, number))->next_shared);
}

/* Moves the full blocks of an earlier wait back to those that can be filled. */
static void reuse_blocks(pl_slabs *slabs, pl_task *task)
{
    uint32_t number;
    pl_store_own(&task->n_inline_shared, (uint8_t)0);
    pl_store_own(&task->n_in_block_shared, (uint8_t)0);
    while ((number = pl_load_own(&task->full_blocks_shared)) != 0) {
        pl_edge_block *block = pl_slot_at(slabs, number);
        pl_store_own(&task->full_blocks_shared, pl_load_own(&block->next_shared));
        pl_store_own(&block->next_shared, pl_load_own(&task->blocks_shared));
        pl_store_own(&task->blocks_shared, number);
    }
}

static int add_block(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task)
{
    pl_edge_block *block = pl_slab_alloc(slabs, cache);
    if (!block)
        return PARLA_E_NOMEM;
    uint32_t number = pl_slot_number(block);
    block->owner = pl_slot_number(task);
    pl_store_own(&block->next_shared, pl_load_own(&task->blocks_shared));
    pl_store_own(&task->blocks_shared, number);
    task->has_blocks = true;
    return 0;
}

int pl_task_reserve_edges(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task, size_t n)
{
    if (pl_unlikely(task->has_blocks || pl_load_own(&task->n_inline_shared)))
        reuse_blocks(slabs, task);
    if (pl_likely(n <= PL_INLINE_EDGES))
        return 0;
    size_t room = PL_INLINE_EDGES;
    for (uint32_t number = pl_load_own(&task->blocks_shared); number; number = next_block(slabs, number))
        room += PL_BLOCK_EDGES;
    for (; room < n; room += PL_BLOCK_EDGES)
        if (add_block(slabs, cache, task))
            return pl_error_set(PARLA_E_NOMEM, "no memory for the %zu dependencies of a task", n);
    return 0;
}

/* The next reserved edge. It counts as used once keep_edge was called. */
static pl_edge *next_edge(pl_slabs *slabs, pl_task *task, uint32_t *out_number)
{
    uint32_t k = pl_load_own(&task->n_inline_shared);
    if (pl_likely(k < PL_INLINE_EDGES)) {
        *out_number = pl_edge_number(task, k);
        return &task->edges[k];
    }
    uint32_t number = pl_load_own(&task->blocks_shared);
    pl_edge_block *block = pl_slot_at(slabs, number);
    k = pl_load_own(&task->n_in_block_shared);
    if (k == PL_BLOCK_EDGES) {
        /* In this order: a reader of the next block does not count the edges of this one there. */
        uint32_t next = pl_load_own(&block->next_shared);
        pl_store_own(&task->n_in_block_shared, (uint8_t)0);
        pl_store_own(&block->next_shared, pl_load_own(&task->full_blocks_shared));
        pl_store_own(&task->full_blocks_shared, number);
        pl_store_own(&task->blocks_shared, next);
        number = next;
        block = pl_slot_at(slabs, number);
        k = 0;
    }
    *out_number = pl_place_number(block, k + PL_INLINE_EDGES);
    return &block->edges[k];
}

/* Pairs with pl_task_each_edge: the edge before the count. */
static void keep_edge(pl_task *task, uint32_t number)
{
    uint32_t k = pl_place_index(number);
    if (pl_likely(k < PL_INLINE_EDGES))
        pl_store_own(&task->n_inline_shared, (uint8_t)(k + 1));
    else
        pl_store_own(&task->n_in_block_shared, (uint8_t)(k - PL_INLINE_EDGES + 1));
}

pl_link_result pl_task_link(pl_slabs *slabs, pl_task *task, parla_task handle)
{
    pl_task *predecessor = pl_task_of(handle);
    uint64_t head = pl_load_acquire(&predecessor->head_shared);
    if (pl_head_generation(head) != (uint32_t)handle.generation || pl_head_low(head) == PL_HEAD_DONE)
        return PL_MET;
    if (pl_head_is_ended(head))
        return PL_PREDECESSOR_FAILED;
    uint32_t number;
    pl_edge *edge = next_edge(slabs, task, &number);
    pl_store_own(&edge->predecessor_shared, predecessor);
    pl_store_own(&edge->predecessor_gen_shared, (uint32_t)handle.generation);
    pl_link_result result = pl_edge_push(edge, number, predecessor, handle.generation);
    if (result == PL_LINKED)
        keep_edge(task, number);
    return result;
}

pl_task *pl_edge_owner_in_block(pl_slabs *slabs, uint32_t number, uint32_t *out_next)
{
    pl_edge_block *block = pl_place_slot(slabs, number);
    *out_next = block->edges[pl_place_index(number) - PL_INLINE_EDGES].next;
    return pl_slot_at(slabs, block->owner);
}

static bool call_for(const pl_edge *edges, uint32_t n, bool (*function)(void *ctx, parla_task predecessor), void *ctx)
{
    bool goes_on = true;
    for (uint32_t k = 0; k < n && goes_on; k++)
        goes_on = function(
            ctx, (parla_task){pl_load_relaxed(&edges[k].predecessor_shared), pl_load_relaxed(&edges[k].predecessor_gen_shared)});
    return goes_on;
}

/* Blocks before their counts, see next_edge. */
void pl_task_each_edge(pl_slabs *slabs, pl_task *task, bool (*function)(void *ctx, parla_task predecessor), void *ctx)
{
    bool goes_on = call_for(task->edges, pl_load_acquire(&task->n_inline_shared), function, ctx);
    uint32_t filling = pl_load_acquire(&task->blocks_shared), n_in_block = pl_load_acquire(&task->n_in_block_shared);
    uint32_t full = pl_load_acquire(&task->full_blocks_shared);
    for (; full && goes_on; full = next_block(slabs, full))
        goes_on = call_for(((pl_edge_block *)pl_slot_at(slabs, full))->edges, PL_BLOCK_EDGES, function, ctx);
    if (filling && goes_on)
        call_for(((pl_edge_block *)pl_slot_at(slabs, filling))->edges, n_in_block, function, ctx);
}

uint32_t pl_task_take_edges(pl_task *task)
{
    uint64_t head = pl_load_acquire(&task->head_shared);
    while (!pl_cas_weak_acq_rel(&task->head_shared, &head, (head & ~UINT64_C(0xffffffff)) | PL_HEAD_NONE))
        ;
    return pl_head_low(head);
}

void pl_task_return_edge(pl_slabs *slabs, pl_task *task, uint32_t number)
{
    uint32_t k = pl_place_index(number);
    void *slot = pl_place_slot(slabs, number);
    pl_edge *edge = k < PL_INLINE_EDGES ? &((pl_task *)slot)->edges[k] : &((pl_edge_block *)slot)->edges[k - PL_INLINE_EDGES];
    (void)pl_edge_push(edge, number, task, pl_task_handle(task).generation);
}
