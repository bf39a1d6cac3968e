/* api_task.c - the public functions of task.h and event.h that concern one task: check, pin, call down. */
#include "base/error.h"
#include "sched/runtime.h"
#include "task/failure.h"

#include <parla/event.h>

/* The runtime and this thread's place in it for a task that the caller names; NULL for none or a foreign process. */
static pl_worker *self_of(parla_task task)
{
    if (parla_task_is_none(task))
        return NULL;
    parla_runtime *rt = pl_task_runtime(pl_task_of(task));
    return pl_runtime_check(rt) ? NULL : pl_self(rt);
}

int parla_task_spawn(parla_runtime *rt, parla_task *out, const parla_task_options *options)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pl_worker *self = pl_self(rt);
    return self ? pl_spawn(rt, self, out, options) : PARLA_E_NOMEM;
}

int parla_spawn(parla_runtime *rt, parla_task *out, parla_body body, void *arg, const parla_task *deps, size_t n_deps)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = arg;
    options.deps = deps;
    options.n_deps = n_deps;
    return parla_task_spawn(rt, out, &options);
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
    pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_CREATED);
    return 0;
}

int parla_task_ref(parla_task task)
{
    pl_worker *self = self_of(task);
    if (!self || !pl_pin(self->rt, self, task))
        return pl_error_set(PARLA_E_STATE, "the task has ended and is forgotten");
    return 0;
}

void parla_task_unref(parla_task handle)
{
    pl_worker *self = self_of(handle);
    if (!self)
        return;
    pl_task *task = pl_task_of(handle);
    /* The last reference of a name that was never spawned: nobody can spawn it any more, so who waits for it is told. */
    if (pl_task_state(task) == PARLA_TASK_CREATED && pl_load_acquire(&task->refs_shared) == 1) {
        parla_failure *failure =
            pl_failure_create(PARLA_E_CANCELLED, task->name, NULL, "the task was dropped before it was spawned");
        if (!pl_cancel(self->rt, self, task, failure))
            parla_failure_unref(failure);
    }
    pl_unpin(self->rt, self, task);
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
    pl_worker *self = self_of(handle);
    if (!self || !pl_pin(self->rt, self, handle))
        return 0;
    pl_task *task = pl_task_of(handle);
    size_t n = 0;
    if (task->flags & PL_FLAG_PLACED) {
        n = pl_place_devices(task, out, capacity);
    } else if (task->i_device != PL_NO_DEVICE && capacity > 0) {
        out[0] = task->i_device;
        n = 1;
    }
    pl_unpin(self->rt, self, task);
    return n;
}

int parla_task_cancel(parla_task handle)
{
    pl_worker *self = self_of(handle);
    if (!self || pl_handle_has_ended(handle) || !pl_pin(self->rt, self, handle))
        return pl_error_set(PARLA_E_STATE, "the task has ended");
    pl_task *task = pl_task_of(handle);
    pl_store_release(&task->cancel_shared, (uint8_t)1);
    parla_failure *failure = pl_failure_create(PARLA_E_CANCELLED, task->name, NULL, "cancelled before it started");
    int result = 0;
    if (!pl_cancel(self->rt, self, task, failure)) {
        parla_failure_unref(failure);
        result = PARLA_PENDING;
    }
    pl_unpin(self->rt, self, task);
    return result;
}

parla_failure *parla_task_failure(parla_task handle)
{
    pl_worker *self = self_of(handle);
    if (!self || !pl_pin(self->rt, self, handle))
        return NULL;
    pl_task *task = pl_task_of(handle);
    pl_extra *extra = pl_task_extra_or_null(task);
    parla_failure *failure = NULL;
    if (extra && pl_head_is_ended(pl_load_acquire(&task->head_shared)))
        failure = parla_failure_ref(pl_load_acquire(&extra->failure_shared));
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
    pl_worker *self = self_of(event);
    if (!self || !pl_pin(self->rt, self, event))
        return pl_error_set(PARLA_E_STATE, "the event was completed before");
    parla_runtime *rt = self->rt;
    pl_task *task = pl_task_of(event);
    if (!(task->flags & PL_FLAG_EVENT) || !pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_LAUNCHED)) {
        bool is_event = task->flags & PL_FLAG_EVENT;
        pl_unpin(rt, self, task);
        return pl_error_set(PARLA_E_STATE, is_event ? "the event was completed before" : "the task is not an event");
    }
    parla_failure *failure = NULL;
    if (status < 0)
        failure = pl_failure_create(status, task->name, NULL, "%s", message ? message : parla_error_text(status));
    pl_end(rt, self, task, failure ? PARLA_TASK_FAILED : PARLA_TASK_DONE, failure, false);
    pl_drop_life(rt, self, task);
    pl_unpin(rt, self, task);
    pl_outside_done(rt);
    return 0;
}

int parla_hold(parla_context *context, int n)
{
    if (n < 1)
        return pl_error_set(PARLA_E_INVALID, "%d holds were asked for, at least 1 is expected", n);
    pl_extra *extra = pl_task_extra(context->task);
    if (!extra)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a hold");
    int for_body = pl_load_relaxed(&extra->holds_shared) == 0; /* dropped when the body has returned */
    for (int i = 0; i < n; i++)
        pl_outside_add(context->rt);
    pl_add_acq_rel(&extra->holds_shared, n + for_body);
    return 0;
}

int parla_release(parla_task handle, int status, const char *message)
{
    pl_worker *self = self_of(handle);
    if (!self || pl_handle_has_ended(handle) || !pl_pin(self->rt, self, handle))
        return pl_error_set(PARLA_E_STATE, "the task has ended: it has no holds");
    parla_runtime *rt = self->rt;
    pl_task *task = pl_task_of(handle);
    pl_release_hold(rt, self, task, status, message);
    pl_unpin(rt, self, task);
    return 0;
}
