/* task.h - the task object: its life, its edges, its end.
 *
 * One slab slot of three cache lines. What a task without dependencies needs lies in the first; edges and copied arguments follow.
 *
 * Order between tasks. An edge belongs to the successor and is linked into the predecessor's list, a stack whose top is the low half of
 * `head`: the number of an edge, NONE, or how the task ended. The high half is the task's generation, so a compare-and-swap on a recycled
 * predecessor fails. `pending` counts the successor's edges that are not released yet, plus one guard while its edges are being linked.
 *
 * Who owns the life reference of a task (the one that spawn adds):
 *   WAITING, or CANCELLED while edges are pending: whoever brings `pending` to 0
 *   READY, RESERVED, or CANCELLED while in a queue: whoever takes it out of the queue
 *   RUNNING and later:                             the thread that ends it
 * A cancel therefore ends a task (outcome, callbacks, dependents) but leaves its memory to that owner.
 *
 * Moves between states go through pl_task_move, which knows the legal ones. */
#ifndef PL_TASK_TASK_H
#define PL_TASK_TASK_H

#include "base/atomic.h"
#include "base/break.h"
#include "task/slab.h"

#include <parla/task.h>
#include <stddef.h>
#include <string.h>

typedef struct pl_task pl_task;
typedef struct pl_placed pl_placed; /* sched/place.h */

/* Low half of a head. Everything between is the number of an edge. */
enum {
    PL_HEAD_NONE = 0u,
    PL_HEAD_DONE = 0xfffffffdu,
    PL_HEAD_FAILED = 0xfffffffeu,
    PL_HEAD_CANCELLED = 0xffffffffu,
    PL_HEAD_FIRST_ENDED = PL_HEAD_DONE,
};

enum {
    PL_FLAG_MANAGED = 1,    /* body goes through the runtime's runner */
    PL_FLAG_EVENT = 2,      /* no body; completed from outside */
    PL_FLAG_INTERNAL = 4,   /* a data movement: not counted, not traced as a task */
    PL_FLAG_PLACED = 16,    /* extra->placed is there */
    PL_FLAG_COUNTED = 32,   /* counts as spawned, so its end counts too */
    PL_FLAG_UNCOUNTED = 64, /* an event that does not count as outside progress */
};

/* One predecessor of one task. Who it is, is also read by others while edges are being linked (pl_task_each_edge). */
typedef struct pl_edge {
    uint32_t next;                           /* in the predecessor's list */
    _Atomic uint32_t predecessor_gen_shared; /* its generation */
    _Atomic(pl_task *) predecessor_shared;
} pl_edge;

/* A state of its own while spawn fills a task in: nobody else may cancel or read it then. Reads as CREATED outside. */
enum { PL_TASK_SPAWNING = 32 };

enum { PL_NO_DEVICE = 0xffff };

enum { PL_INLINE_EDGES = 4, PL_BLOCK_EDGES = 7 };

/* A slot used for further edges of one task. Its first line stays what the last task there left, so that old handles read right. */
typedef struct pl_edge_block {
    unsigned char keep[PL_CACHE_LINE];
    uint32_t owner;               /* slot number of the task */
    _Atomic uint32_t next_shared; /* slot number of the next block, 0 at the end */
    pl_edge edges[PL_BLOCK_EDGES];
} pl_edge_block;

/* What only some tasks need; allocated when first needed, freed with the task. */
typedef struct pl_extra {
    pl_placed *placed;
    _Atomic(parla_failure *) failure_shared; /* set once; a reference */
    _Atomic int holds_shared;                /* holds, plus one for the body while any was taken; 0: none ever */
    int priority;
} pl_extra;

/* The small members of a task's first line, for writing them at once before anybody else knows the task. */
typedef union pl_task_bits {
    struct {
        uint8_t state, waited, cancel, flags, n_inline, has_blocks;
        uint16_t i_device;
    } part;
    uint64_t all;
} pl_task_bits;

/* What a task starts with. Where it can be: without bytes in memory that the processor would have to put together. */
static inline pl_task_bits pl_task_first_bits(uint8_t state, uint8_t flags, uint8_t n_inline)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (pl_task_bits){.all = state | (uint64_t)flags << 24 | (uint64_t)n_inline << 32 | UINT64_C(0xffff) << 48};
#else
    return (pl_task_bits){.part = {.state = state, .flags = flags, .n_inline = n_inline, .i_device = 0xffff}};
#endif
}

struct pl_task {
    /* Line 0. */
    _Atomic uint64_t head_shared;
    _Atomic int32_t pending_shared;
    _Atomic uint32_t refs_shared;
    union {
        struct {
            _Atomic uint8_t state_shared;  /* parla_task_state */
            _Atomic uint8_t waited_shared; /* somebody blocks until this task ends */
            _Atomic uint8_t cancel_shared; /* somebody asked to cancel */
            uint8_t flags;
            _Atomic uint8_t n_inline_shared;  /* inline edges in use */
            uint8_t has_blocks;               /* the task's own: it has, or had, edge blocks */
            _Atomic uint16_t i_device_shared; /* where it ran; PL_NO_DEVICE: not yet */
        };
        _Atomic uint64_t bits_shared; /* a pl_task_bits */
    };
    parla_body body;
    void *arg;
    parla_on_end on_end;
    const char *name;
    _Atomic(pl_extra *) extra_shared; /* created by one thread at a time; see pl_task_extra */
    /* Line 1. */
    _Alignas(PL_CACHE_LINE) pl_edge edges[PL_INLINE_EDGES];
    /* Line 2. */
    _Alignas(PL_CACHE_LINE) unsigned char arg_bytes[PARLA_ARG_BYTES];
    pl_task *link;                       /* in one list at a time: tasks to cancel, failed ones that are remembered */
    _Atomic uint32_t blocks_shared;      /* slot number of the edge block that is being filled; empty ones follow */
    _Atomic uint32_t full_blocks_shared; /* slot number of the first full edge block */
    _Atomic int32_t n_held_shared;       /* of a name: tasks that wait for it, see sched/window.c; set by parla_task_create */
    _Atomic uint8_t n_in_block_shared;   /* edges in use in the first of `blocks` */
};

_Static_assert(sizeof(pl_task) == PL_SLOT_BYTES, "a task is three cache lines");
_Static_assert(offsetof(pl_task, body) == PL_SLOT_KEPT_BYTES, "the links of a free slot begin behind what old handles read");
_Static_assert(sizeof(pl_edge_block) <= PL_SLOT_BYTES, "an edge block is a slot");
_Static_assert(PL_INLINE_EDGES + PL_BLOCK_EDGES <= PL_PLACES, "each edge has a place");

static inline uint32_t pl_head_generation(uint64_t head) { return (uint32_t)(head >> 32); }
static inline uint32_t pl_head_low(uint64_t head) { return (uint32_t)head; }
static inline bool pl_head_is_ended(uint64_t head) { return pl_head_low(head) >= PL_HEAD_FIRST_ENDED; }

static inline parla_runtime *pl_task_runtime(const pl_task *task) { return pl_slab_of(task)->rt; }
static inline pl_task *pl_task_of(parla_task handle) { return handle.object; }

static inline parla_task pl_task_handle(pl_task *task)
{
    return (parla_task){task, pl_head_generation(pl_load_relaxed(&task->head_shared))};
}

/* A number for traces and reports, different for each task of a runtime. */
static inline uint64_t pl_task_id(pl_task *task)
{
    return ((uint64_t)pl_head_generation(pl_load_relaxed(&task->head_shared)) << 32) | pl_slot_number(task);
}

/* True if the handle's task has ended, or was recycled since. */
static inline bool pl_handle_has_ended(parla_task handle)
{
    uint64_t head = pl_load_seq(&pl_task_of(handle)->head_shared);
    bool is_it = pl_head_generation(head) == (uint32_t)handle.generation || pl_is_broken(PL_BREAK_GENERATION);
    return !is_it || pl_head_is_ended(head);
}

static inline parla_task_state pl_task_state(pl_task *task) { return (parla_task_state)pl_load_acquire(&task->state_shared); }

/* Moves a task from one state to another, if it is in the first. The only way to change a state once others can see the task. */
static inline bool pl_task_move(pl_task *task, parla_task_state from, parla_task_state to)
{
    uint8_t expected = (uint8_t)from;
    return pl_cas_seq(&task->state_shared, &expected, (uint8_t)to); /* seq: against cancel_shared, see link_and_start in spawn.c */
}

static inline pl_extra *pl_task_extra_or_null(pl_task *task) { return pl_load_acquire(&task->extra_shared); }
/* The task's extra part, made if it has none; NULL when memory is out. From: several threads. */
pl_extra *pl_task_extra(pl_task *task);

/* A task object that nobody else can have yet. The caller writes body, arg, on_end and name, and what else it needs, and then makes it
 * known with pl_task_publish. A free slot has no extra part and no edge blocks. NULL when memory is out. */
static inline pl_task *pl_task_take(pl_slabs *slabs, pl_slab_cache *cache) { return pl_slab_alloc(slabs, cache); }

/* The handle that a taken object will have. A recycled slot already carries its new generation; a fresh one starts at 1, so that no handle
 * names generation 0. */
static inline parla_task pl_task_new_handle(pl_task *task)
{
    uint64_t generation = pl_load_relaxed(&task->head_shared) >> 32;
    return (parla_task){task, pl_likely(generation != 0) ? generation : 1};
}

/* Gives a taken object its first reference: from here on others may pin it. */
static inline void pl_task_publish(parla_task handle, pl_task_bits bits, int32_t n_pending)
{
    pl_task *task = pl_task_of(handle);
    pl_store_relaxed(&task->pending_shared, n_pending);
    pl_store_own(&task->bits_shared, bits.all); /* old handles no longer match the generation, whatever they read here */
    pl_store_release(&task->head_shared, handle.generation << 32 | PL_HEAD_NONE);
    /* Pairs with pl_task_pin: whoever pins from now on sees the object above. */
    pl_store_release(&task->refs_shared, 1u);
}

/* A fresh task object with one reference, state SPAWNING, no edges, everything else zero. */
pl_task *pl_task_alloc(pl_slabs *slabs, pl_slab_cache *cache);

static inline void pl_task_ref(pl_task *task) { pl_add_relaxed(&task->refs_shared, 1); }
/* Pins the task that a handle names: false if it was recycled. */
bool pl_task_pin(parla_task handle);
/* Drops a reference; true if it was the last one: then the caller recycles or revives the task. */
static inline bool pl_task_unref(pl_task *task) { return pl_sub_acq_rel(&task->refs_shared, 1) == 1; }
/* Gives a task without references one again. Nobody else can have it: pinning needs a reference. */
static inline void pl_task_revive(pl_task *task) { pl_store_release(&task->refs_shared, 1u); }
/* Frees the extra part and the edge blocks of a task without references. Returns its placed part. */
pl_placed *pl_task_strip(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task);

/* Frees what a task without references has, and its slot into `cache`. Returns its placed part, to be freed by the caller. */
static inline pl_placed *pl_task_recycle(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task)
{
    pl_placed *placed = NULL;
    if (pl_unlikely(task->has_blocks || pl_load_relaxed(&task->extra_shared)))
        placed = pl_task_strip(slabs, cache, task);
    uint64_t head = pl_load_relaxed(&task->head_shared) + (UINT64_C(1) << 32);
    if (pl_unlikely(head >> 32 == 0))
        head = UINT64_C(1) << 32;
    /* From here on a handle of the old generation reads as ended. */
    pl_store_release(&task->head_shared, head | PL_HEAD_DONE);
    pl_slab_free(slabs, cache, task);
    return placed;
}

/* The record of a task that failed or was cancelled, borrowed from it; if there was no memory to keep it, one that says so. NULL: done, or
 * not ended. */
parla_failure *pl_task_failure(pl_task *task);

/* Forgets the edges of an earlier wait, all of which were released, and makes room for n new ones.
 * PARLA_E_NOMEM leaves a task that can still be ended. */
int pl_task_reserve_edges(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task, size_t n);

typedef enum pl_link_result { PL_LINKED, PL_MET, PL_PREDECESSOR_FAILED } pl_link_result;

/* Uses one reserved edge of `task` to wait for `predecessor`. On PL_LINKED the predecessor's end will release the edge once;
 * `pending` must have been raised for it before. */
pl_link_result pl_task_link(pl_slabs *slabs, pl_task *task, parla_task predecessor);

/* Puts an edge, whose predecessor is written into it, at the top of that predecessor's list. */
static inline pl_link_result pl_edge_push(pl_edge *edge, uint32_t number, pl_task *predecessor, uint64_t generation)
{
    uint64_t head = pl_load_acquire(&predecessor->head_shared);
    for (;;) {
        if (pl_unlikely(head >> 32 != generation || pl_head_is_ended(head)))
            return head >> 32 != generation || pl_head_low(head) == PL_HEAD_DONE ? PL_MET : PL_PREDECESSOR_FAILED;
        edge->next = pl_head_low(head);
        /* Pairs with pl_task_close: the edge, and all that spawn wrote into the task, before the walk of the list. */
        if (pl_likely(pl_cas_weak_acq_rel(&predecessor->head_shared, &head, generation << 32 | number)))
            return PL_LINKED;
    }
}

/* Closes the list of an ended task with one of PL_HEAD_DONE, …; returns the first edge, for pl_edge_next. */
static inline uint32_t pl_task_close(pl_task *task, uint32_t how)
{
    uint64_t head = pl_load_relaxed(&task->head_shared);
    /* Pairs with pl_task_link: what the task wrote before what successors read; seq against waiters (sched/wait.c). */
    return pl_head_low(pl_exchange_seq(&task->head_shared, (head & ~UINT64_C(0xffffffff)) | how));
}

/* Takes the whole list of a task that cannot end meanwhile, as pl_task_close, but leaves it open; and puts one edge of it back. */
uint32_t pl_task_take_edges(pl_task *task);
void pl_task_return_edge(pl_slabs *slabs, pl_task *task, uint32_t number);

/* The number of an edge is that of a place of its slot: below PL_INLINE_EDGES the slot is the task, else an edge block. */
static inline uint32_t pl_edge_number(const pl_task *task, uint32_t k) { return pl_place_number(task, k); }

pl_task *pl_edge_owner_in_block(pl_slabs *slabs, uint32_t edge, uint32_t *out_next);

/* The successor that an edge belongs to; *out_next is the edge after it, read before the successor is released. */
static inline pl_task *pl_edge_owner(pl_slabs *slabs, uint32_t edge, uint32_t *out_next)
{
    uint32_t k = pl_place_index(edge), next;
    pl_task *owner;
    if (pl_unlikely(k >= PL_INLINE_EDGES)) {
        owner = pl_edge_owner_in_block(slabs, edge, &next);
        *out_next = next;
        return owner;
    }
    owner = pl_place_slot(slabs, edge);
    *out_next = owner->edges[k].next;
    return owner;
}

/* Calls function for each predecessor that the task was linked to since the last reservation, while it answers true. The caller pins the
 * task. Edges that are linked meanwhile may be left out; nothing is called that was not a predecessor (it may have ended before it could be
 * linked), unless the task is suspending again at this moment. */
void pl_task_each_edge(pl_slabs *slabs, pl_task *task, bool (*function)(void *ctx, parla_task predecessor), void *ctx);

#endif
