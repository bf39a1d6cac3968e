/* end.c - making tasks ready, and ending them.
 *
 * pl_end tells the outcome (record, on_end, resources), closes the task's list, and then releases its dependents or cancels them. Cancelled
 * dependents end the same way, from a work list instead of by recursion, since chains can be long. A dependent that is WAITING is claimed by
 * moving it to CANCELLED; one that is suspended is only released, for its body decides what a failure means.
 *
 * Waiting threads mark a task before they look whether it has ended (wait.c); pl_end closes the list before it looks for the mark. Both use
 * sequentially consistent accesses, so one sees the other. */
#include "base/break.h"
#include "base/error.h"
#include "sched/plain.h"
#include "task/failure.h"

PL_COLD void pl_push_failed(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    /* It may be cancelled at this moment, so its end has to be claimed like its turn. */
    if (pl_task_move(task, PARLA_TASK_READY, PARLA_TASK_RUNNING) || pl_task_move(task, PARLA_TASK_RESERVED, PARLA_TASK_RUNNING))
        pl_end(rt, self, task, PARLA_TASK_FAILED,
               pl_failure_create(PARLA_E_NOMEM, task->name, NULL, "no memory to queue a ready task"), false);
    pl_drop_life(rt, self, task);
}

void pl_push_runnable(parla_runtime *rt, pl_worker *self, pl_task *task) { pl_push(rt, self, task); }

void pl_ready(parla_runtime *rt, pl_worker *self, pl_task *task, bool may_chain)
{
    if (task->flags & PL_FLAG_PLACED) {
        pl_place_ready(rt, self, task);
        return;
    }
    /* A resumed task is RESERVED, not READY: it has started, so nobody may cancel it any more. */
    if (!pl_task_move(task, PARLA_TASK_WAITING, PARLA_TASK_READY) &&
        !pl_task_move(task, PARLA_TASK_SUSPENDED, PARLA_TASK_RESERVED)) {
        pl_drop_life(rt, self, task); /* cancelled meanwhile */
        return;
    }
    if (may_chain && !self->next && self->chain < PL_MAX_CHAIN)
        self->next = task;
    else
        pl_push(rt, self, task);
}

void pl_released(parla_runtime *rt, pl_worker *self, pl_task *task, bool may_chain)
{
    if (pl_likely(pl_task_state(task) != PARLA_TASK_CANCELLED))
        pl_ready(rt, self, task, may_chain);
    else
        pl_drop_life(rt, self, task);
}

void pl_release_edges(parla_runtime *rt, pl_worker *self, pl_task *task, int n, bool may_chain)
{
    pl_release(rt, self, task, n, may_chain);
}

static void set_failure(pl_task *task, parla_failure *failure)
{
    parla_failure *none = NULL;
    pl_extra *extra = pl_task_extra(task);
    if (!extra || !pl_cas_acq_rel(&extra->failure_shared, &none, failure))
        parla_failure_unref(failure); /* the first one stays */
}

/* The record of a task that is about to end. */
static parla_failure *get_failure(pl_task *task, parla_task_state how)
{
    if (how == PARLA_TASK_DONE)
        return NULL;
    pl_extra *extra = pl_task_extra_or_null(task);
    parla_failure *failure = extra ? pl_load_acquire(&extra->failure_shared) : NULL;
    return failure ? failure : pl_failure_of_memory();
}

static void count_failure(pl_worker *self, const pl_task *task, parla_task_state how)
{
    if (!(task->flags & PL_FLAG_COUNTED))
        return;
    if (how == PARLA_TASK_FAILED)
        pl_count(&self->n_failed_shared, 1);
    else if (how == PARLA_TASK_CANCELLED)
        pl_count(&self->n_cancelled_shared, 1);
}

/* Outcome, callbacks, resources: all that comes before dependents and waiters may know. */
static void tell(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task_state how)
{
    parla_failure *failure = get_failure(task, how);
    if (task->on_end) {
        int status = how == PARLA_TASK_DONE ? 0 : how == PARLA_TASK_CANCELLED ? PARLA_E_CANCELLED : failure->code;
        parla_outcome outcome = {.task = pl_task_handle(task), .status = status, .failure = failure};
        task->on_end(task->arg, &outcome);
    }
    if (task->flags & PL_FLAG_PLACED)
        pl_place_end(rt, self, task, how);
}

/* Cancels the owner of an edge for its failed predecessor: claims it for the work list, with its own record of why. */
static void cancel_dependent(pl_task *task, pl_task *dependent, pl_task **list)
{
    set_failure(dependent, pl_failure_follow(dependent->name, parla_failure_ref(pl_task_failure(task))));
    dependent->link = *list;
    *list = dependent;
}

/* Ends one task. Cancelled dependents, each with one edge that is still to be released, are added to *list. */
static void end_one(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task_state how, bool may_chain, pl_task **list)
{
    tell(rt, self, task, how);
    pl_store_release(&task->state_shared, (uint8_t)how);
    uint32_t low = how == PARLA_TASK_DONE ? PL_HEAD_DONE : how == PARLA_TASK_FAILED ? PL_HEAD_FAILED : PL_HEAD_CANCELLED;
    uint32_t edge = pl_task_close(task, low);
    if (pl_unlikely(how != PARLA_TASK_DONE))
        pl_failures_add(rt, self, task, pl_task_failure(task));
    while (edge != PL_HEAD_NONE) {
        pl_task *dependent = pl_edge_owner(&rt->slabs, edge, &edge);
        if (pl_unlikely(how != PARLA_TASK_DONE) && !pl_is_broken(PL_BREAK_FOLLOW) &&
            pl_task_move(dependent, PARLA_TASK_WAITING, PARLA_TASK_CANCELLED))
            cancel_dependent(task, dependent, list);
        else
            pl_release_edges(rt, self, dependent, pl_is_broken(PL_BREAK_RELEASE) ? 2 : 1, may_chain);
    }
    bool is_awaited = pl_load_seq(&task->waited_shared);
    count_failure(self, task, how);
    pl_tell_ended(rt, self, task, is_awaited);
}

void pl_end(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task_state how, parla_failure *failure, bool may_chain)
{
    pl_task *list = NULL;
    if (pl_unlikely(failure != NULL))
        set_failure(task, failure);
    self->n_ending++;
    end_one(rt, self, task, how, may_chain, &list);
    while (pl_unlikely(list != NULL)) {
        pl_task *cancelled = list;
        list = cancelled->link;
        end_one(rt, self, cancelled, PARLA_TASK_CANCELLED, false, &list);
        pl_release_edges(rt, self, cancelled, 1, false); /* the edge that brought the news kept it alive until here */
    }
    self->n_ending--;
}

static bool claim_for_cancel(parla_runtime *rt, pl_task *task)
{
    if (pl_task_move(task, PARLA_TASK_WAITING, PARLA_TASK_CANCELLED) || pl_task_move(task, PARLA_TASK_READY, PARLA_TASK_CANCELLED))
        return true;
    if (pl_is_broken(PL_BREAK_RUNNING) && pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_CANCELLED))
        return true;
    if (!pl_task_move(task, PARLA_TASK_CREATED, PARLA_TASK_CANCELLED))
        return false;
    pl_window_release(rt, task);
    return true;
}

/* The name is read only after the claim: before, somebody else may end the task, and the name is gone with its on_end. */
bool pl_cancel(parla_runtime *rt, pl_worker *self, pl_task *task, const char *why)
{
    if (!claim_for_cancel(rt, task))
        return false;
    pl_end(rt, self, task, PARLA_TASK_CANCELLED, pl_failure_create(PARLA_E_CANCELLED, task->name, NULL, "%s", why), false);
    return true;
}

bool pl_cancel_following(parla_runtime *rt, pl_worker *self, pl_task *task, parla_failure *cause)
{
    if (!claim_for_cancel(rt, task)) {
        parla_failure_unref(cause);
        return false;
    }
    pl_end(rt, self, task, PARLA_TASK_CANCELLED, pl_failure_follow(task->name, cause), false);
    return true;
}

/* Ends a pending event as cancelled. */
static void cancel_event(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    if (!(task->flags & PL_FLAG_EVENT) || !pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_LAUNCHED))
        return;
    pl_end(rt, self, task, PARLA_TASK_CANCELLED,
           pl_failure_create(PARLA_E_CANCELLED, task->name, NULL, "the runtime was stopped before the event was completed"), false);
    bool is_uncounted = task->flags & PL_FLAG_UNCOUNTED;
    pl_drop_life(rt, self, task);
    if (!is_uncounted)
        pl_outside_done(rt);
}

static void cancel_one(parla_runtime *rt, pl_worker *self, pl_task *task, bool all)
{
    parla_task_state state = pl_task_state(task);
    if ((int)state == PL_TASK_SPAWNING || (task->flags & PL_FLAG_INTERNAL))
        return;
    if (state == PARLA_TASK_CREATED) { /* what will be spawned under a name is another matter */
        if (all)
            (void)pl_cancel(rt, self, task, "the runtime was stopped before it was spawned");
        return;
    }
    pl_store_release(&task->cancel_shared, (uint8_t)1);
    if (state == PARLA_TASK_WAITING || state == PARLA_TASK_READY)
        (void)pl_cancel(rt, self, task, "cancelled before it started");
    else if (all)
        cancel_event(rt, self, task);
}

size_t pl_cancel_all(parla_runtime *rt, pl_worker *self, bool all)
{
    uint64_t n_before = pl_load_relaxed(&self->n_cancelled_shared); /* counts what follows from a cancelled task, too */
    uint32_t n_slots = pl_slab_count(&rt->slabs);
    for (uint32_t i = 1; i <= n_slots; i++) {
        pl_task *task = pl_slot_at(&rt->slabs, i);
        if (!pl_pin(rt, self, pl_task_handle(task)))
            continue;
        cancel_one(rt, self, task, all);
        pl_unpin(rt, self, task);
    }
    return (size_t)(pl_load_relaxed(&self->n_cancelled_shared) - n_before);
}

bool pl_cancel_suspended(parla_runtime *rt, pl_worker *self)
{
    bool was_found = false;
    uint32_t n_slots = pl_slab_count(&rt->slabs);
    for (uint32_t i = 1; i <= n_slots && !was_found; i++) {
        pl_task *task = pl_slot_at(&rt->slabs, i);
        if (!pl_pin(rt, self, pl_task_handle(task)))
            continue;
        was_found = pl_task_move(task, PARLA_TASK_SUSPENDED, PARLA_TASK_CANCELLED);
        if (was_found)
            pl_end(rt, self, task, PARLA_TASK_CANCELLED,
                   pl_failure_create(PARLA_E_CANCELLED, task->name, NULL, "the runtime was stopped while the task waited in vain"),
                   false);
        pl_unpin(rt, self, task);
    }
    return was_found;
}
