/* plain.h - the short way through the scheduler for tasks that have nothing but dependencies; plain.c says how, and why it is right. */
#ifndef PL_SCHED_PLAIN_H
#define PL_SCHED_PLAIN_H

#include "base/break.h"
#include "base/fence.h"
#include "sched/runtime.h"

/* So many successors run without a queue before their worker looks around. */
enum { PL_MAX_CHAIN = 64 };

/* What a plain spawn says. At most PL_INLINE_EDGES dependencies; a body; nothing of it was checked otherwise. */
typedef struct pl_plain {
    parla_body body;
    void *arg;
    size_t arg_bytes;
    parla_on_end on_end;
    const char *name;
    uint8_t flags; /* PL_FLAG_MANAGED or 0 */
    const parla_task *deps;
    size_t n_deps;
} pl_plain;

/* Can these options, which were checked, go the short way? Not while a trace is written, which wants the edges. */
static inline bool pl_plain_is_enough(parla_runtime *rt, const parla_task_options *options)
{
    return options->body && options->n_deps <= PL_INLINE_EDGES && parla_task_is_none(options->task) &&
           !pl_place_is_needed(options) && pl_gate_is_open(rt);
}

/* Spawns; the gate was seen open. Errors as parla_task_spawn. */
int pl_plain_spawn(parla_runtime *rt, pl_worker *self, parla_task *out, const pl_plain *plain);

/* The failure of an ended predecessor, as a reference. */
parla_failure *pl_failure_of_ended(parla_runtime *rt, pl_worker *self, parla_task handle);

static inline int pl_call_body(const parla_runtime *rt, parla_context *context, const pl_task *task)
{
    if (pl_unlikely(task->flags & PL_FLAG_MANAGED) && rt->has_runner && rt->runner.run)
        return pl_manage(rt, context, task->body, task->arg);
    return task->body(context, task->arg);
}

/* --- Shared with the long way --------------------------------------------------------------------------------------------------- */

/* A deque has no room for a runnable task: it fails. */
void pl_push_failed(parla_runtime *rt, pl_worker *self, pl_task *task);

static inline void pl_push(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    if (pl_likely(pl_deque_push(&self->deque, task) == 0))
        pl_park_wake_one(&rt->park);
    else
        pl_push_failed(rt, self, task);
}

/* The same, at the price of a fence and of no system call while a worker spins, which then finds the task or wakes another. */
static inline void pl_push_spared(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    if (pl_unlikely(pl_deque_push(&self->deque, task) != 0)) {
        pl_push_failed(rt, self, task);
        return;
    }
    pl_fence_after_light();
    if (pl_load_seq(&rt->n_spinning) == 0)
        pl_park_wake_one(&rt->park);
}

/* The last edge of a task was released by this thread: on to pl_ready, or, if it was cancelled, its life reference is dropped. */
void pl_released(parla_runtime *rt, pl_worker *self, pl_task *task, bool may_chain);

/* Releases n edges (or the guard) that the caller holds. If `pending` counts no others nobody else can touch it. */
static inline void pl_release(parla_runtime *rt, pl_worker *self, pl_task *task, int n, bool may_chain)
{
    if (pl_load_acquire(&task->pending_shared) == n || pl_is_broken(PL_BREAK_ALONE))
        pl_store_relaxed(&task->pending_shared, 0);
    else if (pl_sub_acq_rel(&task->pending_shared, n) != n)
        return;
    if (may_chain && !self->next && self->chain < PL_MAX_CHAIN && pl_load_relaxed(&task->state_shared) == PARLA_TASK_WAITING &&
        !(task->flags & PL_FLAG_PLACED))
        self->next = task; /* still WAITING: pl_run takes its turn from there */
    else
        pl_released(rt, self, task, may_chain);
}

/* Counts an ended task and tells waiting threads, if need be. */
static inline void pl_tell_ended(parla_runtime *rt, pl_worker *self, pl_task *task, bool is_awaited)
{
    bool is_counted = task->flags & PL_FLAG_COUNTED;
    if (self->index < 0) { /* wait.c: no worker goes idle after this */
        if (pl_likely(is_counted))
            pl_store_light(&self->n_ended_shared, pl_load_relaxed(&self->n_ended_shared) + 1);
        if (pl_unlikely(pl_load_seq(&rt->n_rest_waiters) > 0))
            pl_notify_rest(rt);
    } else if (pl_likely(is_counted)) {
        pl_count(&self->n_ended_shared, 1);
    }
    if (pl_unlikely(is_awaited))
        pl_notify_ended(rt);
}

#endif
