/* ahead.c - see the header. */
#include "sched/ahead.h"

#include "base/break.h"
#include "base/error.h"
#include "sched/launch.h"
#include "task/failure.h"

#include <stdlib.h>

/* --- Who may follow whom ------------------------------------------------------------------------------------------------------ */

/* The kind of all devices that a task could get, if their queues are filled by bodies; else NULL. */
static const parla_backend *find_backend(const parla_runtime *rt, const pl_placed *placed)
{
    const parla_backend *backend = NULL;
    for (size_t i = 0; i < placed->n_alternatives; i++)
        for (size_t k = 0; k < placed->alternatives[i].n; k++)
            for (uint64_t left = placed->members[placed->alternatives[i].first + k].devices; left; left &= left - 1) {
                const pl_device *device = &rt->place.devices.list[__builtin_ctzll(left)];
                bool is_filled = pl_device_is_filled(device);
                if (pl_is_broken(PL_BREAK_AHEAD_HOST) && !is_filled)
                    return rt->place.devices.list[rt->place.devices.n - 1].backend;
                if (!is_filled || (backend && backend != device->backend))
                    return NULL;
                backend = device->backend;
            }
    return backend;
}

void pl_ahead_prepare(const parla_runtime *rt, pl_placed *placed, const parla_task_options *options)
{
    if (!rt->place.launches || placed->is_transfer)
        return;
    placed->keeps_back = (options->flags & PARLA_TASK_NO_RUNAHEAD) || options->n_retries > 0;
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].is_in_place)
            return;
    placed->follows_on = find_backend(rt, placed);
}

static bool may_follow(const pl_placed *placed, const pl_placed *before)
{
    return before->is_ahead && placed->follows_on && placed->follows_on == before->flights->device->backend;
}

/* --- Order by arrays ---------------------------------------------------------------------------------------------------------- */

void pl_ahead_count_soft(pl_use *use)
{
    pl_placed *placed = use->owner;
    bool is_soft = use->n_before > 0 && use->n_before == use->n_launched;
    placed->n_soft += is_soft;
    placed->n_soft -= use->is_soft;
    use->is_soft = is_soft;
}

void pl_ahead_start(parla_runtime *rt, pl_placed *placed)
{
    if (placed->stage == PL_STAGE_HELD_BACK && pl_ahead_may_start(placed))
        (void)pl_enqueue(rt, placed);
}

static void mark_launched(pl_wait *wait)
{
    if (wait->is_launched || !may_follow(wait->follower->owner, wait->before->owner))
        return;
    wait->is_launched = true;
    wait->follower->n_launched++;
    pl_ahead_count_soft(wait->follower);
}

void pl_ahead_entered(pl_placed *placed)
{
    for (size_t i = 0; placed->follows_on && i < placed->n_waits; i++)
        mark_launched(&placed->waits[i]);
}

static void let_uses_go(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        for (pl_wait *wait = placed->uses[i].followers; wait; wait = wait->next) {
            mark_launched(wait);
            pl_ahead_start(rt, wait->follower->owner);
        }
}

/* --- Edges -------------------------------------------------------------------------------------------------------------------- */

/* As parla_hold, on a task whose body has not begun; several predecessors may do this at once. */
static void hold(pl_task *task)
{
    pl_extra *extra = pl_task_extra_or_null(task);
    int n = pl_load_relaxed(&extra->holds_shared);
    while (!pl_cas_weak_acq_rel(&extra->holds_shared, &n, n + 1 + (n == 0)))
        ;
}

static bool add_lead(pl_placed *placed, pl_placed *before)
{
    if (!may_follow(placed, before))
        return false;
    pl_lead *lead = calloc(1, sizeof *lead);
    if (!lead)
        return false; /* it waits, then */
    pl_task_ref(placed->task);
    hold(placed->task);
    *lead = (pl_lead){.before = before, .owner = placed, .next = before->followers, .at = &placed->leads};
    lead->next_of_owner = placed->leads;
    if (placed->leads)
        placed->leads->at = &lead->next_of_owner;
    placed->leads = lead;
    before->followers = lead;
    return true;
}

/* A task that is suspended looks at what it waits for; one that is cancelled only waits for its edges. */
static bool let_edge_go(parla_runtime *rt, pl_task *task, pl_placed *before)
{
    if (!(task->flags & PL_FLAG_PLACED) || pl_task_state(task) != PARLA_TASK_WAITING)
        return false;
    pl_place_lock(rt);
    bool is_free = add_lead(pl_placed_of(task), before);
    pl_place_unlock(rt);
    return is_free;
}

static void let_edges_go(parla_runtime *rt, pl_worker *self, pl_placed *placed)
{
    uint32_t edge = pl_task_take_edges(placed->task);
    while (edge != PL_HEAD_NONE) {
        uint32_t number = edge;
        pl_task *task = pl_edge_owner(&rt->slabs, number, &edge);
        if (let_edge_go(rt, task, placed))
            pl_release_edges(rt, self, task, 1, false);
        else
            pl_task_return_edge(&rt->slabs, placed->task, number);
    }
}

bool pl_ahead_attach(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task predecessor)
{
    pl_placed *placed = pl_placed_of(task);
    if (!placed->follows_on || !pl_pin(rt, self, predecessor))
        return false;
    pl_task *before = pl_task_of(predecessor);
    parla_task_state state = pl_task_state(before);
    bool is_free = false;
    if ((state == PARLA_TASK_RUNNING || state == PARLA_TASK_LAUNCHED) && (before->flags & PL_FLAG_PLACED)) {
        pl_place_lock(rt);
        is_free = add_lead(placed, pl_placed_of(before));
        pl_place_unlock(rt);
    }
    pl_unpin(rt, self, before);
    return is_free;
}

/* --- Launch ------------------------------------------------------------------------------------------------------------------- */

void pl_ahead_launched(parla_context *context, pl_flight *flights)
{
    parla_runtime *rt = context->rt;
    pl_placed *placed = pl_placed_of(context->task);
    pl_todo todo = {0};
    pl_place_lock(rt);
    placed->flights = flights;
    placed->is_ahead = true;
    let_uses_go(rt, placed);
    pl_pump(rt, &todo);
    pl_place_unlock_and_do(rt, context->self, &todo);
    let_edges_go(rt, context->self, placed);
}

/* --- What a task follows ------------------------------------------------------------------------------------------------------ */

/* Calls visit(ctx, T) for each task that it follows and whose flights are still to be waited for, while that returns 0. */
static int each_before(const pl_placed *placed, int (*visit)(void *ctx, pl_placed *before), void *ctx)
{
    int rc = 0;
    for (const pl_lead *lead = placed->leads; rc == 0 && lead; lead = lead->next_of_owner)
        if (lead->before)
            rc = visit(ctx, lead->before);
    for (size_t i = 0; rc == 0 && i < placed->n_waits; i++)
        if (placed->waits[i].before)
            rc = visit(ctx, placed->waits[i].before->owner);
    return rc;
}

static int look_for_queue(void *ctx, pl_placed *before)
{
    pl_placed *placed = ctx;
    if (before->is_continued || !before->flights || before->devices[0] != placed->devices[0])
        return 0;
    before->is_continued = true;
    return 1 + before->i_queue;
}

int pl_ahead_queue(pl_placed *placed) { return each_before(placed, look_for_queue, placed) - 1; }

static int count_flights(void *ctx, pl_placed *before)
{
    for (const pl_flight *flight = before->flights; flight; flight = flight->sibling)
        ++*(size_t *)ctx;
    return 0;
}

static int add_flights(void *ctx, pl_placed *before)
{
    pl_followed *out = ctx;
    for (pl_flight *flight = before->flights; flight; flight = flight->sibling) {
        pl_add_relaxed(&flight->refs_shared, 1);
        out->flights[out->order.n] = flight;
        out->order.events[out->order.n++] = flight->event;
        out->order.backend = flight->device->backend;
    }
    return 0;
}

bool pl_ahead_order(const pl_placed *placed, pl_followed *out)
{
    size_t n = 0;
    *out = (pl_followed){.flights = NULL};
    (void)each_before(placed, count_flights, &n);
    if (n == 0 || pl_is_broken(PL_BREAK_AHEAD_MOVE))
        return true;
    void **room = malloc(2 * n * sizeof room[0]);
    if (!room)
        return false;
    out->order.events = room;
    out->flights = (pl_flight **)(room + n);
    (void)each_before(placed, add_flights, out);
    return true;
}

void pl_ahead_forget(pl_followed *followed)
{
    for (size_t i = 0; i < followed->order.n; i++)
        pl_flight_unref(followed->flights[i]);
    free(followed->order.events);
}

static int wait_for_flights(void *ctx, pl_placed *before)
{
    const pl_placed *placed = ctx;
    int rc = 0;
    for (const pl_flight *flight = before->flights; rc == 0 && flight; flight = flight->sibling)
        for (int k = 0; rc == 0 && k < placed->n_devices; k++) {
            const pl_device *device = &placed->rt->place.devices.list[placed->devices[k]];
            void *queue = device->queues[placed->i_queue % device->n_queues];
            if (queue != flight->queue && !pl_is_broken(PL_BREAK_AHEAD_WAIT))
                rc = device->backend->queue_wait(queue, flight->event);
        }
    return rc;
}

int pl_ahead_begin(parla_context *context)
{
    pl_placed *placed = pl_placed_of(context->task);
    parla_failure *cause = NULL;
    pl_place_lock(context->rt);
    if (placed->spoilt_by)
        cause = parla_failure_ref(placed->spoilt_by);
    int rc = cause ? PARLA_E_CANCELLED : each_before(placed, wait_for_flights, placed);
    pl_place_unlock(context->rt);
    if (cause)
        context->failure = pl_failure_follow(context->task->name, cause);
    return rc;
}

/* --- The end of what is followed ---------------------------------------------------------------------------------------------- */

void pl_ahead_end(pl_placed *placed, parla_task_state how, pl_todo *todo)
{
    parla_failure *failure = how == PARLA_TASK_DONE ? NULL : pl_load_acquire(&pl_task_extra_or_null(placed->task)->failure_shared);
    pl_lead *lead;
    placed->is_ahead = false;
    while ((lead = placed->followers) != NULL) {
        placed->followers = lead->next;
        lead->before = NULL;
        if (how != PARLA_TASK_DONE)
            lead->cause = parla_failure_ref(failure ? failure : pl_failure_of_memory());
        lead->next = todo->leads;
        todo->leads = lead;
    }
    pl_flight **last = &placed->flights;
    while (*last)
        last = &(*last)->sibling;
    *last = todo->flights;
    todo->flights = placed->flights;
    placed->flights = NULL;
}

/* The lead's owner follows a failure. */
static void spoil(parla_runtime *rt, pl_worker *self, pl_placed *placed, parla_failure *cause)
{
    pl_place_lock(rt);
    if (!placed->spoilt_by && placed->stage != PL_STAGE_ENDED)
        placed->spoilt_by = parla_failure_ref(cause);
    pl_place_unlock(rt);
    (void)pl_cancel_following(rt, self, placed->task, parla_failure_ref(cause));
}

/* It may have failed itself, of the same cause: its work waited for what failed. */
bool pl_place_follows_failure(pl_task *task)
{
    pl_placed *placed = pl_placed_of(task);
    pl_place_lock(placed->rt);
    parla_failure *cause = parla_failure_ref(placed->spoilt_by);
    pl_place_unlock(placed->rt);
    if (cause)
        parla_failure_unref(
            pl_exchange_acq_rel(&pl_task_extra_or_null(task)->failure_shared, pl_failure_follow(task->name, cause)));
    return cause != NULL;
}

void pl_ahead_tell(parla_runtime *rt, pl_worker *self, pl_lead *lead)
{
    pl_placed *placed = lead->owner;
    pl_task *task = placed->task;
    if (lead->cause && !pl_is_broken(PL_BREAK_AHEAD_POISON))
        spoil(rt, self, placed, lead->cause);
    parla_failure_unref(lead->cause);
    pl_place_lock(rt);
    *lead->at = lead->next_of_owner;
    if (lead->next_of_owner)
        lead->next_of_owner->at = lead->at;
    pl_place_unlock(rt);
    free(lead);
    pl_drop_hold(rt, self, task, pl_task_extra_or_null(task), 1);
    pl_unpin(rt, self, task);
}
