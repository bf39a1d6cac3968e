/* steps.c - tasks that consist of steps (range.c, replay.c): their hold, their failures, the call of one body.
 *
 * The whole is a plain task. Its own body takes a hold of PL_STEPS_HOLD, hands out the steps and returns, so the task is LAUNCHED until the
 * last step has released that hold; what bodies of steps hold for themselves (event.h) is counted in the same word. A hold of event.h counts
 * as progress from outside, which keeps a deadlock from being reported; this one does not: as long as steps go on, a worker is awake. */
#include "base/clock.h"
#include "base/error.h"
#include "sched/replay.h"
#include "task/failure.h"

int pl_steps_begin(parla_context *context)
{
    pl_extra *extra = pl_task_extra(context->task);
    if (!extra)
        return pl_error_set(PARLA_E_NOMEM, "no memory to start the steps of a task");
    pl_store_relaxed(&extra->holds_shared, PL_STEPS_HOLD + 1); /* one for the body that is running */
    return 0;
}

void pl_steps_end(parla_runtime *rt, pl_worker *self, pl_task *whole)
{
    pl_drop_hold(rt, self, whole, pl_task_extra_or_null(whole), PL_STEPS_HOLD);
}

/* The first failure of a step is that of the whole. Takes over a reference. */
static void record(pl_task *whole, parla_failure *failure)
{
    parla_failure *none = NULL;
    if (!pl_cas_acq_rel(&pl_task_extra_or_null(whole)->failure_shared, &none, failure))
        parla_failure_unref(failure);
}

static PL_COLD void record_cancel(pl_task *whole)
{
    if (!pl_load_relaxed(&pl_task_extra_or_null(whole)->failure_shared))
        record(whole, pl_failure_create(PARLA_E_CANCELLED, whole->name, NULL, "cancelled while it ran: steps were left out"));
}

bool pl_steps_are_cancelled(pl_task *whole)
{
    if (pl_likely(!pl_load_relaxed(&whole->cancel_shared)))
        return false;
    record_cancel(whole);
    return true;
}

static int call(parla_context *context, parla_body body, void *arg, bool is_managed)
{
    parla_runtime *rt = context->rt;
    if (is_managed && rt->has_runner && rt->runner.run)
        return pl_manage(rt, context, body, arg);
    return body(context, arg);
}

static int traced(parla_context *context, parla_body body, void *arg, bool is_managed)
{
    const char *name = context->step->name ? context->step->name : context->task->name;
    uint64_t t0 = pl_now_ns();
    int result = call(context, body, arg, is_managed);
    pl_trace_span(context->rt->trace, PL_TRACE_TASK, name ? name : "step", t0, pl_now_ns(), pl_task_id(context->task), 0, 0);
    return result;
}

bool pl_step_run(parla_context *context, parla_body body, void *arg, bool is_managed)
{
    pl_error_clear();
    bool is_traced = pl_unlikely(pl_trace_is_on(context->rt->trace));
    int result = is_traced ? traced(context, body, arg, is_managed) : call(context, body, arg, is_managed);
    if (pl_unlikely(result != 0)) {
        record(context->task, pl_body_failure(context, result));
        return false;
    }
    if (pl_unlikely(context->failure != NULL)) { /* parla_fail was called, but the body did not fail */
        parla_failure_unref(context->failure);
        context->failure = NULL;
    }
    return true;
}

size_t parla_context_index(const parla_context *context) { return context->step ? context->step->index : 0; }

void *parla_context_replay_arg(const parla_context *context) { return context->step ? context->step->run_arg : NULL; }
