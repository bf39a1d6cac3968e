/* manage.c - bodies that a runner calls, and for how long it may keep what they need (parla_runner.rest).
 *
 * A worker that has nothing below it on its stack goes from one body to the next, so the runner may keep a lock of its language meanwhile. The
 * mark is_unrested says that it may have; the worker's loop gives it back (pl_rest) before everything else that it does. Where a body waits and
 * the thread runs another one on top of it, or the thread is no worker, the runner rests at once. So does it after a body with devices or
 * arrays: what follows such a body may copy, or wait for a device.
 *
 * Between two bodies the worker ends tasks and starts others, with what the runner keeps. That takes only locks which a thread that spawns
 * takes, too, with the same lock of the language in its hands. */
#include "base/break.h"
#include "sched/replay.h"

/* Was the thread in nothing else when this body began? A part of a range has the part's own body below it (range.c). */
static bool is_outermost(const parla_context *context)
{
    const parla_context *outer = context->outer;
    if (outer && context->step && (outer->task->flags & PL_FLAG_INTERNAL))
        outer = outer->outer;
    return !outer || pl_is_broken(PL_BREAK_ON_TOP);
}

int pl_manage(const parla_runtime *rt, parla_context *context, parla_body body, void *arg)
{
    bool may_keep = context->self->index >= 0 && !context->on_queue && !(context->task->flags & PL_FLAG_PLACED);
    int result = rt->runner.run(rt->runner.ctx, body, context, arg);
    if (!rt->runner.rest)
        return result;
    if (may_keep && is_outermost(context))
        context->self->is_unrested = true;
    else
        rt->runner.rest(rt->runner.ctx);
    return result;
}

void pl_rest(parla_runtime *rt, pl_worker *self)
{
    if (pl_likely(!self->is_unrested))
        return;
    self->is_unrested = false;
    rt->runner.rest(rt->runner.ctx);
}

bool pl_goes_on(const pl_task *task)
{
    if (pl_is_broken(PL_BREAK_REST))
        return true;
    return !pl_is_node(task) && (task->flags & (PL_FLAG_MANAGED | PL_FLAG_PLACED | PL_FLAG_INTERNAL)) == PL_FLAG_MANAGED;
}
