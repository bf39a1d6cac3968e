/* run.c - one step of a task: its body, and what the body's answer asks for.
 *
 *   0            done, or LAUNCHED until the holds that it took are released
 *   SUSPENDED    its edges are linked here, after the body has returned, under a guard: a fast wake-up cannot run the body twice
 *   negative     failed
 *
 * The thread's chain of contexts grows when a body waits and the thread runs another body meanwhile. */
#include "base/break.h"
#include "base/error.h"
#include "sched/launch.h"
#include "sched/plain.h"
#include "sched/replay.h"
#include "task/failure.h"

#include <stdlib.h>

PL_HOT_THREAD_LOCAL parla_context *pl_current_context;

void pl_context_set(parla_context *context) { pl_current_context = context; }

/* Where the task runs, for counters; the host if it is nowhere. */
static int device_of(pl_task *task)
{
    uint16_t i = pl_load_relaxed(&task->i_device_shared);
    return i == PL_NO_DEVICE ? 0 : i;
}

static int traced_body(parla_runtime *rt, parla_context *context, pl_task *task)
{
    const pl_devices *devices = &rt->place.devices;
    uint64_t t0 = pl_devices_now_ns(devices);
    int result = pl_call_body(rt, context, task);
    uint64_t t1 = pl_devices_now_ns(devices);
    int device = device_of(task);
    pl_add_relaxed(&rt->place.devices.list[device].busy_ns, t1 - t0);
    if (task->flags & PL_FLAG_PLACED)
        pl_place_ran(task, t1 - t0);
    if (pl_trace_is_on(rt->trace))
        pl_trace_span(rt->trace, PL_TRACE_TASK, task->name ? task->name : "task", t0, t1, pl_task_id(task), device, 0);
    return result;
}

static int watched_body(parla_runtime *rt, parla_context *context, pl_task *task)
{
    bool is_watched = !(task->flags & PL_FLAG_INTERNAL) && ((task->flags & PL_FLAG_PLACED) || pl_trace_is_on(rt->trace));
    return is_watched ? traced_body(rt, context, task) : pl_call_body(rt, context, task);
}

/* The body of a task whose device has queues that it fills: what it leaves there keeps the task from ending. */
static int launching_body(parla_runtime *rt, parla_context *context, pl_task *task)
{
    int rc = pl_launch_begin(context);
    if (rc < 0)
        return rc;
    return pl_launch_end(context, watched_body(rt, context, task));
}

static int run_body(parla_runtime *rt, parla_context *context, pl_task *task)
{
    context->outer = pl_current_context;
    pl_current_context = context;
    pl_error_clear();
    int result = pl_unlikely(pl_launch_is_needed(rt, task)) ? launching_body(rt, context, task) : watched_body(rt, context, task);
    pl_current_context = context->outer;
    return result;
}

parla_failure *pl_body_failure(parla_context *context, int result)
{
    const char *name = context->step && context->step->name ? context->step->name : context->task->name;
    if (context->failure) {
        parla_failure *failure = context->failure;
        context->failure = NULL;
        return failure;
    }
    if (result == PARLA_SUSPENDED)
        return pl_failure_create(PARLA_E_USER, name, NULL, "the body returned PARLA_SUSPENDED without parla_suspend_on");
    if (result > 0)
        return pl_failure_create(PARLA_E_USER, name, NULL,
                                 "the body returned %d, which means nothing: 0, PARLA_SUSPENDED or a negative code", result);
    const char *detail = parla_error_detail(); /* of a call in the body: run_body forgets what was there before */
    return pl_failure_create(result, name, NULL, "the body returned %s (%s)", parla_error_name(result),
                             *detail ? detail : parla_error_text(result));
}

static void finish(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task_state how, parla_failure *failure)
{
    int device = device_of(task);
    if (pl_unlikely(how == PARLA_TASK_FAILED) && (task->flags & PL_FLAG_PLACED) && pl_place_retry(rt, self, task, failure))
        return;
    if ((task->flags & PL_FLAG_PLACED) && !(task->flags & PL_FLAG_INTERNAL))
        pl_add_relaxed(&rt->place.devices.list[device].n_tasks, 1);
    pl_end(rt, self, task, how, failure, self->may_chain && !pl_current());
    pl_drop_life(rt, self, task);
}

/* The guard of pl_extra.holds_shared is dropped here and by each release; the last one ends the task. */
void pl_drop_hold(parla_runtime *rt, pl_worker *self, pl_task *task, pl_extra *extra, int n)
{
    if (pl_sub_acq_rel(&extra->holds_shared, n) != n)
        return;
    parla_task_state how = pl_load_acquire(&extra->failure_shared) ? PARLA_TASK_FAILED : PARLA_TASK_DONE;
    if ((task->flags & PL_FLAG_PLACED) && pl_place_follows_failure(task))
        how = PARLA_TASK_CANCELLED;
    finish(rt, self, task, how, NULL);
}

void pl_release_hold(parla_runtime *rt, pl_worker *self, pl_task *task, int status, const char *message)
{
    pl_extra *extra = pl_task_extra_or_null(task);
    if (status < 0) {
        parla_failure *none = NULL;
        parla_failure *failure = pl_failure_create(status, task->name, NULL, "%s", message ? message : parla_error_text(status));
        if (!pl_cas_acq_rel(&extra->failure_shared, &none, failure))
            parla_failure_unref(failure);
    }
    pl_drop_hold(rt, self, task, extra, 1);
    pl_outside_done(rt);
}

static void after_success(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_extra *extra = pl_task_extra_or_null(task);
    if (pl_likely(!extra || pl_load_relaxed(&extra->holds_shared) == 0)) {
        finish(rt, self, task, PARLA_TASK_DONE, NULL);
        return;
    }
    pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_LAUNCHED);
    pl_drop_hold(rt, self, task, extra, 1);
}

static void after_failure(parla_runtime *rt, pl_worker *self, pl_task *task, parla_failure *failure)
{
    pl_extra *extra = pl_task_extra_or_null(task);
    if (pl_likely(!extra || pl_load_relaxed(&extra->holds_shared) == 0)) {
        finish(rt, self, task, PARLA_TASK_FAILED, failure);
        return;
    }
    /* What it holds still uses its memory: it ends when that is over. */
    parla_failure *none = NULL;
    if (!pl_cas_acq_rel(&extra->failure_shared, &none, failure))
        parla_failure_unref(failure);
    pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_LAUNCHED);
    pl_drop_hold(rt, self, task, extra, 1);
}

static void suspend(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_context *context)
{
    if (task->flags & PL_FLAG_PLACED)
        pl_place_suspend(rt, self, task);
    int guard = pl_is_broken(PL_BREAK_GUARD) ? 0 : 1;
    pl_store_relaxed(&task->pending_shared, pl_is_broken(PL_BREAK_SUSPEND) ? 1 : (int32_t)context->n_awaited + guard);
    pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_SUSPENDED);
    int n_met = 0;
    for (size_t i = 0; i < context->n_awaited; i++)
        n_met += pl_task_link(&rt->slabs, task, context->awaited[i]) != PL_LINKED;
    pl_release_edges(rt, self, task, n_met + guard, false);
}

bool pl_run_begin(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    if (!pl_task_move(task, PARLA_TASK_READY, PARLA_TASK_RUNNING) && !pl_task_move(task, PARLA_TASK_WAITING, PARLA_TASK_RUNNING) &&
        !pl_task_move(task, PARLA_TASK_RESERVED, PARLA_TASK_RUNNING)) {
        pl_drop_life(rt, self, task);
        return false;
    }
    if (task->flags & PL_FLAG_PLACED)
        pl_place_begin(rt, self, task);
    return true;
}

void pl_run_after(parla_runtime *rt, pl_worker *self, pl_task *task, parla_context *context, int result)
{
    if (pl_likely(result == 0))
        after_success(rt, self, task);
    else if (result == PARLA_SUSPENDED && context->is_suspending)
        suspend(rt, self, task, context);
    else
        after_failure(rt, self, task, pl_body_failure(context, result));
}

void pl_run_body(parla_runtime *rt, pl_worker *self, pl_task *task, bool on_queue)
{
    if (pl_load_relaxed(&task->i_device_shared) == PL_NO_DEVICE)
        pl_store_relaxed(&task->i_device_shared, (uint16_t)0);
    parla_context context = {.rt = rt, .task = task, .self = self, .on_queue = on_queue};
    pl_run_after(rt, self, task, &context, run_body(rt, &context, task));
    parla_failure_unref(context.failure); /* parla_fail was called, but the body did not fail */
    free(context.awaited);
}
