/* api_task.c - the public functions of task.h and event.h that concern one task: check, pin, call down. */
#include "base/break.h"
#include "base/error.h"
#include "sched/replay.h"
#include "task/failure.h"

#include <parla/event.h>

/* This thread's place in the runtime of a task that the caller names. */
static int self_of(pl_worker **out, parla_task task)
{
    *out = NULL;
    if (parla_task_is_none(task))
        return pl_error_set(PARLA_E_STATE, "PARLA_TASK_NONE was given: no task");
    parla_runtime *rt = pl_task_runtime(pl_task_of(task));
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    *out = pl_self(rt);
    return *out ? 0 : PARLA_E_NOMEM;
}

/* The same, and the task is pinned; PARLA_E_STATE if it is forgotten. */
static int pin_of(pl_worker **out, parla_task task)
{
    int error = self_of(out, task);
    if (!error && !pl_pin((*out)->rt, *out, task))
        error = pl_error_set(PARLA_E_STATE, "the task has ended and is forgotten");
    return error;
}

int parla_task_spawn(parla_runtime *rt, parla_task *out, const parla_task_options *options)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pl_worker *self = pl_self(rt);
    return self ? pl_spawn(rt, self, out, options) : PARLA_E_NOMEM;
}

static int create_task(parla_runtime *rt, const char *name, pl_worker **out_self, pl_task **out)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pl_worker *self = pl_self(rt);
    pl_task *task = self ? pl_task_alloc(&rt->slabs, &self->cache) : NULL;
    if (!task)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a task");
    task->name = name;
    *out_self = self;
    *out = task;
    return 0;
}

int parla_task_create(parla_runtime *rt, parla_task *out, const char *name)
{
    pl_worker *self;
    pl_task *task;
    int error = create_task(rt, name, &self, &task);
    if (error)
        return error;
    *out = pl_task_handle(task);
    pl_store_relaxed(&task->n_held_shared, 0);
    pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_CREATED);
    return 0;
}

int parla_task_ref(parla_task task)
{
    pl_worker *self;
    return pin_of(&self, task);
}

void parla_task_unref(parla_task handle)
{
    pl_worker *self;
    if (self_of(&self, handle))
        return;
    parla_runtime *rt = self->rt;
    pl_busy_begin(self); /* a name that was never spawned is cancelled with its last reference */
    pl_unpin(rt, self, pl_task_of(handle));
    pl_busy_end(rt, self);
}

parla_task_state parla_task_query(parla_task handle)
{
    if (parla_task_is_none(handle))
        return PARLA_TASK_DONE;
    pl_task *task = pl_task_of(handle);
    parla_task_state state = pl_task_state(task);
    uint64_t head = pl_load_acquire(&task->head_shared);
    if (pl_head_generation(head) != (uint32_t)handle.generation)
        return PARLA_TASK_DONE;
    switch (pl_head_low(head)) {
    case PL_HEAD_DONE:
        return PARLA_TASK_DONE;
    case PL_HEAD_FAILED:
        return PARLA_TASK_FAILED;
    case PL_HEAD_CANCELLED:
        return PARLA_TASK_CANCELLED;
    default: /* still open: the state may be ahead of the list by a moment */
        if (state == PARLA_TASK_DONE || state == PARLA_TASK_FAILED || state == PARLA_TASK_CANCELLED)
            return PARLA_TASK_LAUNCHED;
        return (int)state == PL_TASK_SPAWNING ? PARLA_TASK_CREATED : state;
    }
}

const char *parla_task_state_name(parla_task_state state)
{
    static const char *const names[] = {"created",   "waiting",  "ready", "reserved", "running",
                                        "suspended", "launched", "done",  "failed",   "cancelled"};
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

bool parla_task_has_ended(parla_task task) { return parla_task_is_none(task) || pl_handle_has_ended(task); }

size_t parla_task_devices(parla_task handle, int *out, size_t capacity)
{
    pl_worker *self;
    if (pin_of(&self, handle))
        return 0;
    pl_task *task = pl_task_of(handle);
    parla_task_state state = pl_task_state(task);
    uint16_t i_device = pl_load_relaxed(&task->i_device_shared);
    size_t n = 0;
    if (state == PARLA_TASK_CREATED || (int)state == PL_TASK_SPAWNING) {
        n = 0; /* nothing is known of it yet, and the flags may be changing */
    } else if (task->flags & PL_FLAG_PLACED) {
        n = pl_place_devices(task, out, capacity);
    } else if (i_device != PL_NO_DEVICE && capacity > 0) {
        out[0] = i_device;
        n = 1;
    }
    pl_unpin(self->rt, self, task);
    return n;
}

int parla_task_explain(parla_task handle, parla_explanation *out, parla_judgement *judgements, size_t capacity)
{
    pl_worker *self;
    if (!out || out->size != sizeof *out)
        return pl_error_set(PARLA_E_INVALID, "parla_explanation.size is %zu, expected %zu", out ? out->size : 0, sizeof *out);
    if (capacity > 0 && !judgements)
        return pl_error_set(PARLA_E_INVALID, "room for %zu judgements, but judgements is NULL", capacity);
    int error = pin_of(&self, handle);
    if (error)
        return error;
    pl_task *task = pl_task_of(handle);
    parla_task_state state = pl_task_state(task);
    if (state == PARLA_TASK_CREATED || (int)state == PL_TASK_SPAWNING)
        error = pl_error_set(PARLA_E_STATE, "the task was not spawned: nothing was decided about it");
    else if (task->flags & PL_FLAG_PLACED)
        pl_place_explain(task, out, judgements, capacity);
    else
        *out = (parla_explanation){.size = sizeof *out, .policy = "none: a plain task of the CPU goes to any worker"};
    pl_unpin(self->rt, self, task);
    return error;
}

int parla_task_cancel(parla_task handle)
{
    pl_worker *self;
    int error = pin_of(&self, handle);
    if (error)
        return error;
    pl_task *task = pl_task_of(handle);
    if (pl_handle_has_ended(handle)) {
        pl_unpin(self->rt, self, task);
        return pl_error_set(PARLA_E_STATE, "the task has ended");
    }
    parla_runtime *rt = self->rt;
    pl_busy_begin(self);
    pl_store_seq(&task->cancel_shared, (uint8_t)1);
    int result = pl_cancel(rt, self, task, "cancelled before it started") ? 0 : PARLA_PENDING;
    pl_unpin(rt, self, task);
    pl_busy_end(rt, self);
    return result;
}

parla_failure *parla_task_failure(parla_task handle)
{
    pl_worker *self;
    if (pin_of(&self, handle))
        return NULL;
    pl_task *task = pl_task_of(handle);
    parla_failure *failure = parla_failure_ref(pl_task_failure(task));
    if (failure)
        pl_failures_seen(self->rt, failure);
    pl_unpin(self->rt, self, task);
    return failure;
}

/* --- Events and holds ---------------------------------------------------------------------------------------------------------- */

/* An event is a task in state RUNNING without a body; completing moves it to LAUNCHED, which only one caller can do. */
int parla_event_create(parla_runtime *rt, parla_task *out, const char *name)
{
    pl_worker *self;
    pl_task *task;
    int error = create_task(rt, name, &self, &task);
    if (error)
        return error;
    task->flags = PL_FLAG_EVENT;
    pl_task_ref(task); /* life, besides the caller's */
    pl_outside_add(rt);
    *out = pl_task_handle(task);
    pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_RUNNING);
    return 0;
}

int parla_event_complete(parla_task event, int status, const char *message)
{
    pl_worker *self;
    if (status > 0)
        return pl_error_set(PARLA_E_INVALID, "an event is completed with 0 or a negative code, not %d", status);
    int error = pin_of(&self, event);
    if (error)
        return error;
    parla_runtime *rt = self->rt;
    pl_task *task = pl_task_of(event);
    if (!(task->flags & PL_FLAG_EVENT) ||
        (!pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_LAUNCHED) && !pl_is_broken(PL_BREAK_ONCE))) {
        bool is_event = task->flags & PL_FLAG_EVENT;
        pl_unpin(rt, self, task);
        return pl_error_set(PARLA_E_STATE, is_event ? "the event was completed before" : "the task is not an event");
    }
    pl_busy_begin(self);
    parla_failure *failure = NULL;
    if (status < 0)
        failure = pl_failure_create(status, task->name, NULL, "%s", message ? message : parla_error_text(status));
    pl_end(rt, self, task, failure ? PARLA_TASK_FAILED : PARLA_TASK_DONE, failure, false);
    pl_drop_life(rt, self, task);
    pl_unpin(rt, self, task);
    pl_outside_done(rt);
    pl_busy_end(rt, self);
    return 0;
}

int parla_hold(parla_context *context, int n)
{
    int error = pl_runtime_check(context->rt);
    if (error)
        return error;
    if (n < 1)
        return pl_error_set(PARLA_E_INVALID, "%d holds were asked for, at least 1 is expected", n);
    pl_extra *extra = pl_task_extra(context->task);
    if (!extra)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a hold");
    if (context->task->flags & PL_FLAG_PLACED)
        pl_place_held(context->task);
    int for_body = pl_load_relaxed(&extra->holds_shared) == 0; /* dropped when the body has returned */
    for (int i = 0; i < n; i++)
        pl_outside_add(context->rt);
    pl_add_acq_rel(&extra->holds_shared, n + for_body);
    return 0;
}

/* Is there a hold to release? The body's own part of the count does not go before the body has returned. */
static bool has_hold(pl_task *task)
{
    pl_extra *extra = pl_task_extra_or_null(task);
    int n_holds = extra ? pl_load_acquire(&extra->holds_shared) : 0;
    n_holds &= PL_STEPS_HOLD - 1; /* whose part is not to be had from outside */
    return n_holds > (pl_task_state(task) == PARLA_TASK_LAUNCHED ? 0 : 1);
}

int parla_release(parla_task handle, int status, const char *message)
{
    pl_worker *self;
    if (status > 0)
        return pl_error_set(PARLA_E_INVALID, "a hold is released with 0 or a negative code, not %d", status);
    int error = pin_of(&self, handle);
    if (error)
        return error;
    parla_runtime *rt = self->rt;
    pl_task *task = pl_task_of(handle);
    bool has_holds = has_hold(task);
    if (has_holds) {
        pl_busy_begin(self);
        pl_release_hold(rt, self, task, status, message);
    }
    pl_unpin(rt, self, task);
    if (!has_holds)
        return pl_error_set(PARLA_E_STATE, "the task has no hold");
    pl_busy_end(rt, self);
    return 0;
}
