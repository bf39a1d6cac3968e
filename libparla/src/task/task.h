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
    _Atomic uint32_t predecessor_shared;     /* slot number */
    _Atomic uint32_t predecessor_gen_shared; /* its generation */
} pl_edge;

/* A state of its own while spawn fills a task in: nobody else may cancel or read it then. Reads as CREATED outside. */
enum { PL_TASK_SPAWNING = 32 };

enum { PL_NO_DEVICE = 0xffff };

enum { PL_INLINE_EDGES = 4, PL_BLOCK_EDGES = 10, PL_EDGE_BITS = 5 };

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

struct pl_task {
    /* Line 0. */
    _Atomic uint64_t head_shared;
    _Atomic int32_t pending_shared;
    _Atomic uint32_t refs_shared;
    _Atomic uint8_t state_shared;  /* parla_task_state */
    _Atomic uint8_t waited_shared; /* somebody blocks until this task ends */
    _Atomic uint8_t cancel_shared; /* somebody asked to cancel */
    uint8_t flags;
    _Atomic uint8_t n_inline_shared;   /* inline edges in use */
    _Atomic uint8_t n_in_block_shared; /* edges in use in the first of `blocks` */
    _Atomic uint16_t i_device_shared;  /* where it ran; PL_NO_DEVICE: not yet */
    parla_body body;
    void *arg;
    parla_on_end on_end;
    const char *name;
    _Atomic(pl_extra *) extra_shared; /* created by one thread at a time; see pl_task_extra */
    /* Line 1. */
    pl_task *link;                  /* in one list at a time: free slots, tasks to cancel, the placed queue */
    _Atomic uint32_t blocks_shared; /* slot number of the edge block that is being filled; empty ones follow */
    pl_edge edges[PL_INLINE_EDGES];
    /* Line 2. */
    _Alignas(PL_CACHE_LINE) unsigned char arg_bytes[PARLA_ARG_BYTES];
    _Atomic uint32_t full_blocks_shared; /* slot number of the first full edge block */
    _Atomic int32_t n_held_shared;       /* of a name: tasks that wait for it, see sched/window.c; set by parla_task_create */
};

_Static_assert(sizeof(pl_task) == PL_SLOT_BYTES, "a task is three cache lines");
_Static_assert(sizeof(pl_edge_block) <= PL_SLOT_BYTES, "an edge block is a slot");

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
    return pl_head_generation(head) != (uint32_t)handle.generation || pl_head_is_ended(head);
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

/* A fresh task object with one reference, state SPAWNING, no edges, everything else zero. */
pl_task *pl_task_alloc(pl_slabs *slabs, pl_slab_cache *cache);

static inline void pl_task_ref(pl_task *task) { pl_add_relaxed(&task->refs_shared, 1); }
/* Pins the task that a handle names: false if it was recycled. */
bool pl_task_pin(parla_task handle);
/* Drops a reference; true if it was the last one: then the caller recycles or revives the task. */
static inline bool pl_task_unref(pl_task *task) { return pl_sub_acq_rel(&task->refs_shared, 1) == 1; }
/* Gives a task without references one again. Nobody else can have it: pinning needs a reference. */
static inline void pl_task_revive(pl_task *task) { pl_store_release(&task->refs_shared, 1u); }
/* Frees what a task without references has, and its slot into `cache`. Returns its placed part, to be freed by the caller. */
pl_placed *pl_task_recycle(pl_slabs *slabs, pl_slab_cache *cache, pl_task *task);

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

/* Closes the list of an ended task with one of PL_HEAD_DONE, …; returns the first edge, for pl_edge_next. */
static inline uint32_t pl_task_close(pl_task *task, uint32_t how)
{
    uint64_t head = pl_load_relaxed(&task->head_shared);
    /* Pairs with pl_task_link: what the task wrote before what successors read; seq against waiters (sched/wait.c). */
    return pl_head_low(pl_exchange_seq(&task->head_shared, (head & ~UINT64_C(0xffffffff)) | how));
}

/* The successor that an edge belongs to; *next is the edge after it, read before the successor is released. */
pl_task *pl_edge_owner(pl_slabs *slabs, uint32_t edge, uint32_t *out_next);

/* Calls function for each predecessor that the task was linked to since the last reservation, while it answers true. The caller pins the
 * task. Edges that are linked meanwhile may be left out; nothing is called that was not a predecessor, unless the task is suspending again
 * at this moment. */
void pl_task_each_edge(pl_slabs *slabs, pl_task *task, bool (*function)(void *ctx, parla_task predecessor), void *ctx);

#endif
