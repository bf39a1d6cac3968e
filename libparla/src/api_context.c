/* api_context.c - the public functions of task.h for use inside a body. Called by the thread that runs it. */
#include "base/error.h"
#include "sched/replay.h"
#include "task/failure.h"

#include <stdlib.h>

parla_context *parla_current(void) { return pl_current(); }

parla_runtime *parla_context_runtime(const parla_context *context) { return context->rt; }
parla_task parla_context_task(const parla_context *context) { return pl_task_handle(context->task); }

size_t parla_context_n_devices(const parla_context *context)
{
    size_t n = context->task->flags & PL_FLAG_PLACED ? pl_place_devices(context->task, NULL, 0) : 1;
    return n > 0 ? n : 1;
}

int parla_context_device(const parla_context *context, size_t member)
{
    int devices[PL_MAX_DEVICES] = {0};
    size_t n = context->task->flags & PL_FLAG_PLACED ? pl_place_devices(context->task, devices, PL_MAX_DEVICES) : 1;
    if (member >= (n > 0 ? n : 1))
        return pl_error_set(PARLA_E_INVALID, "member %zu was asked for, the task has %zu devices", member, n);
    return devices[member];
}

void *parla_context_queue(const parla_context *context, size_t member)
{
    int i_device = parla_context_device(context, member);
    int i_queue = pl_place_queue_of(context->task);
    if (i_device < 0 || i_queue < 0)
        return NULL;
    pl_device *device = &context->rt->place.devices.list[i_device];
    if (device->n_queues == 0)
        return NULL;
    return device->backend->queue_native(device->queues[i_queue % device->n_queues]);
}

size_t parla_context_choice(const parla_context *context) { return pl_place_choice(context->task); }
int parla_context_attempt(const parla_context *context) { return pl_place_attempt(context->task); }

bool parla_context_is_cancelled(const parla_context *context) { return pl_load_acquire(&context->task->cancel_shared); }

int parla_suspend_on(parla_context *context, const parla_task *tasks, size_t n_tasks)
{
    int error = pl_runtime_check(context->rt); /* a body may fork */
    if (error)
        return error;
    if (context->step)
        return pl_error_set(PARLA_E_STATE,
                            "a step of a range or replay cannot be suspended: wait for the tasks, or spawn one that is");
    for (size_t i = 0; i < n_tasks; i++) {
        if (parla_task_is_none(tasks[i]))
            continue;
        if (parla_task_equal(tasks[i], pl_task_handle(context->task))) /* not an older one that had its memory */
            return pl_error_set(PARLA_E_INVALID, "a task cannot wait for itself");
        if (pl_slab_of(tasks[i].object)->rt != context->rt)
            return pl_error_set(PARLA_E_INVALID, "task %zu of the list belongs to another runtime", i);
    }
    size_t n = context->n_awaited + n_tasks;
    parla_task *awaited = realloc(context->awaited, (n ? n : 1) * sizeof *awaited);
    if (!awaited)
        return pl_error_set(PARLA_E_NOMEM, "no memory to wait for %zu tasks", n_tasks);
    context->awaited = awaited;
    error = pl_task_reserve_edges(&context->rt->slabs, &context->self->cache, context->task, n);
    if (error)
        return error;
    for (size_t i = 0; i < n_tasks; i++)
        if (!parla_task_is_none(tasks[i]))
            awaited[context->n_awaited++] = tasks[i];
    context->is_suspending = true;
    return 0;
}

PARLA_PRINTF(5, 0)
static int fail(parla_context *context, int code, void *payload, void (*release)(void *), const char *format, va_list arguments)
{
    const char *name = context->step && context->step->name ? context->step->name : context->task->name;
    if (code >= 0)
        code = PARLA_E_USER;
    parla_failure *failure = pl_failure_create_v(code, name, payload, release, format, arguments);
    parla_failure_unref(context->failure); /* the last word of the body counts */
    context->failure = failure;
    return code;
}

int parla_fail(parla_context *context, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = fail(context, code, NULL, NULL, format, arguments);
    va_end(arguments);
    return result;
}

int parla_fail_with(parla_context *context, int code, void *payload, void (*release)(void *payload), const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = fail(context, code, payload, release, format, arguments);
    va_end(arguments);
    return result;
}
