/* spawn.c - from options to a task that waits or is ready.
 *
 * This is the way of tasks that need more than plain.c does. A task is spawned with one guard in `pending`, so that predecessors that end
 * while edges are still being linked cannot start it. All that can fail happens while the task is SPAWNING, a state in which nobody else
 * touches it; a name is then put back. */
#include "base/break.h"
#include "base/error.h"
#include "sched/ahead.h"
#include "sched/plain.h"
#include "sched/replay.h"
#include "task/failure.h"

#include <stdlib.h>

/* Makes a spawned task ready that has no predecessors: nobody else can know it yet. */
static void start_free(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_store_relaxed(&task->pending_shared, 0);
    if (task->flags & PL_FLAG_PLACED) {
        pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_WAITING);
        pl_place_ready(rt, self, task);
        return;
    }
    pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_READY);
    pl_push_runnable(rt, self, task);
}

parla_failure *pl_failure_of_ended(parla_runtime *rt, pl_worker *self, parla_task handle)
{
    parla_failure *failure = NULL;
    if (pl_pin(rt, self, handle)) {
        pl_extra *extra = pl_task_extra_or_null(pl_task_of(handle));
        failure = extra ? parla_failure_ref(pl_load_acquire(&extra->failure_shared)) : NULL;
        pl_unpin(rt, self, pl_task_of(handle));
    }
    return failure ? failure : pl_failure_create(PARLA_E_CANCELLED, NULL, NULL, "a dependency had failed before");
}

/* The number of a task for the trace, also when it is forgotten. */
static uint64_t handle_id(parla_task handle) { return handle.generation << 32 | pl_slot_number(handle.object); }

/* Links to each predecessor; returns how many edges are already met, and the first failed predecessor's failure. */
static int link_all(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_task *deps, size_t n_deps,
                    parla_failure **failure)
{
    int n_met = 0;
    bool is_held = false;
    for (size_t i = 0; i < n_deps; i++) {
        if (parla_task_is_none(deps[i])) {
            n_met++;
            continue;
        }
        bool is_ahead = (task->flags & PL_FLAG_PLACED) && pl_ahead_attach(rt, self, task, deps[i]);
        pl_link_result result = is_ahead ? PL_MET : pl_task_link(&rt->slabs, task, deps[i]);
        n_met += result != PL_LINKED;
        if (rt->window > 0 && !is_held && pl_unlikely(pl_load_relaxed(&pl_task_of(deps[i])->state_shared) == PARLA_TASK_CREATED))
            is_held = result == PL_LINKED && pl_window_hold(rt, self, deps[i]);
        if (pl_trace_is_on(rt->trace))
            pl_trace_edge(rt->trace, handle_id(deps[i]), pl_task_id(task));
        if (pl_unlikely(result == PL_PREDECESSOR_FAILED) && !*failure && !pl_is_broken(PL_BREAK_LINK))
            *failure = pl_failure_of_ended(rt, self, deps[i]);
    }
    return n_met;
}

static void link_and_start(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_task *deps, size_t n_deps,
                           const parla_task *data_deps, size_t n_data_deps)
{
    parla_failure *failure = NULL;
    pl_store_relaxed(&task->pending_shared, (int32_t)(n_deps + n_data_deps) + 1);
    /* Before the look at cancel_shared; parla_task_cancel asks first and then looks at the state. */
    pl_store_seq(&task->state_shared, (uint8_t)PARLA_TASK_WAITING);
    int n_met = link_all(rt, self, task, deps, n_deps, &failure);
    n_met += link_all(rt, self, task, data_deps, n_data_deps, &failure);
    if (pl_unlikely(failure != NULL))
        (void)pl_cancel_following(rt, self, task, failure);
    else if (pl_unlikely(pl_load_seq(&task->cancel_shared)))
        (void)pl_cancel(rt, self, task, "cancelled while it was spawned");
    pl_release_edges(rt, self, task, n_met + 1, false);
}

/* Copies what the options say into a task that nobody else looks at yet. */
static void fill(pl_task *task, const parla_task_options *options, uint8_t flags)
{
    task->body = options->body;
    task->on_end = options->on_end;
    if (options->name)
        task->name = options->name;
    task->flags = flags | (options->flags & PARLA_TASK_MANAGED ? PL_FLAG_MANAGED : 0);
    task->arg = options->arg;
    if (options->arg_bytes > 0) {
        memcpy(task->arg_bytes, options->arg, options->arg_bytes);
        task->arg = task->arg_bytes;
    }
}

static int check_deps(parla_runtime *rt, const parla_task_options *options)
{
    if (options->n_deps > INT32_MAX / 2 || (options->n_deps > 0 && !options->deps))
        return pl_error_set(PARLA_E_INVALID, "n_deps is %zu, but %s", options->n_deps,
                            options->deps ? "that is too many" : "deps is NULL");
    for (size_t i = 0; i < options->n_deps; i++)
        if (!parla_task_is_none(options->deps[i]) && pl_task_runtime(pl_task_of(options->deps[i])) != rt)
            return pl_error_set(PARLA_E_INVALID, "dependency %zu belongs to another runtime", i);
    return 0;
}

static bool has_body_for_each_choice(const parla_task_options *options)
{
    bool has = options->variants && options->n_choices > 0;
    for (size_t i = 0; has && i < options->n_choices; i++)
        has = options->variants[i] != NULL;
    return has;
}

static int check_options(parla_runtime *rt, const parla_task_options *options)
{
    if (!options)
        return pl_error_set(PARLA_E_INVALID, "parla_task_options are needed, not NULL");
    if (options->size != sizeof *options)
        return pl_error_set(PARLA_E_INVALID, "parla_task_options.size is %zu, expected %zu: start from PARLA_TASK_OPTIONS_INIT",
                            options->size, sizeof *options);
    if (pl_unlikely(!options->body) && !has_body_for_each_choice(options))
        return pl_error_set(PARLA_E_INVALID, "a task needs a body");
    if (options->arg_bytes > PARLA_ARG_BYTES)
        return pl_error_set(PARLA_E_INVALID, "arg_bytes is %zu, at most %d bytes are copied into a task: pass a pointer",
                            options->arg_bytes, PARLA_ARG_BYTES);
    if (options->arg_bytes > 0 && !options->arg)
        return pl_error_set(PARLA_E_INVALID, "arg_bytes is %zu, but arg is NULL", options->arg_bytes);
    return check_deps(rt, options);
}

/* A fresh task, or the named one claimed for this spawn. One life reference is added either way. */
static int claim_task(parla_runtime *rt, pl_worker *self, parla_task name, pl_task **out)
{
    if (parla_task_is_none(name)) {
        *out = pl_task_alloc(&rt->slabs, &self->cache);
        return *out ? 0 : pl_error_set(PARLA_E_NOMEM, "no memory for a task");
    }
    pl_task *task = pl_task_of(name);
    if (pl_slab_of(task)->rt != rt)
        return pl_error_set(PARLA_E_INVALID, "the task to spawn was created in another runtime");
    if (!pl_pin(rt, self, name))
        return pl_error_set(PARLA_E_STATE, "the task to spawn has ended and is forgotten");
    if (!pl_task_move(task, PARLA_TASK_CREATED, (parla_task_state)PL_TASK_SPAWNING)) {
        /* Without its name, which is gone if the task ends now. */
        int error = pl_error_set(PARLA_E_STATE, "the task to spawn is already spawned (it is %s)",
                                 parla_task_state_name(pl_task_state(task)));
        pl_unpin(rt, self, task);
        return error;
    }
    pl_window_release(rt, task);
    *out = task;
    return 0;
}

/* Undoes claim_task. */
static void unclaim_task(parla_runtime *rt, pl_worker *self, pl_task *task, const char *name, bool is_named)
{
    task->flags = 0;
    task->body = NULL;
    task->arg = NULL;
    task->on_end = NULL;
    task->name = name;
    if (is_named) {
        pl_store_relaxed(&task->n_held_shared, 0);
        pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_CREATED);
    }
    pl_unpin(rt, self, task);
}

static int spawn_task(parla_runtime *rt, pl_worker *self, parla_task *out, const parla_task_options *options, uint8_t flags)
{
    pl_task *task = NULL;
    bool is_named = !parla_task_is_none(options->task);
    int error = claim_task(rt, self, options->task, &task);
    if (error)
        return error;
    const char *name_before = task->name;
    parla_task *data_deps = NULL;
    size_t n_data_deps = 0;
    if (is_named && options->n_deps > 0) {
        error = pl_check_cycle(rt, self, task, options->deps, options->n_deps);
        if (error)
            goto unclaim;
    }
    fill(task, options, flags);
    if (pl_place_is_needed(options)) {
        error = pl_place_prepare(rt, self, task, options, &data_deps, &n_data_deps);
        if (error)
            goto unclaim;
        task->flags |= PL_FLAG_PLACED;
    }
    size_t n_edges = options->n_deps + n_data_deps;
    if (n_edges > 0) {
        error = pl_task_reserve_edges(&rt->slabs, &self->cache, task, n_edges);
        if (error)
            goto abandon;
    }
    parla_task handle = pl_task_handle(task); /* the task may have ended before this call returns */
    if (flags & PL_FLAG_COUNTED)
        pl_count(&self->n_spawned_shared, 1);
    if (n_edges == 0 && !is_named)
        start_free(rt, self, task);
    else
        link_and_start(rt, self, task, options->deps, options->n_deps, data_deps, n_data_deps);
    free(data_deps);
    if (out && !(is_named && out->object == handle.object && out->generation == handle.generation))
        *out = handle; /* last: it may be one of the dependencies, too; that of a name may be what others read now */
    return 0;

abandon:
    if (task->flags & PL_FLAG_PLACED)
        pl_place_abandon(rt, self, task);
unclaim:
    free(data_deps);
    unclaim_task(rt, self, task, name_before, is_named);
    return error;
}

int pl_spawn(parla_runtime *rt, pl_worker *self, parla_task *out, const parla_task_options *options)
{
    int error = check_options(rt, options);
    if (error)
        return error;
    if (!self->capture && pl_plain_is_enough(rt, options)) {
        pl_plain plain = {.body = options->body,
                          .arg = options->arg,
                          .arg_bytes = options->arg_bytes,
                          .on_end = options->on_end,
                          .name = options->name,
                          .flags = options->flags & PARLA_TASK_MANAGED ? PL_FLAG_MANAGED : 0,
                          .deps = options->deps,
                          .n_deps = options->n_deps};
        return pl_plain_spawn(rt, self, out, &plain);
    }
    if (pl_unlikely(pl_load_relaxed(&rt->is_stopping)))
        return pl_error_set(PARLA_E_STATE, "the runtime is stopping: nothing can be spawned any more");
    if (pl_unlikely(self->capture != NULL))
        return pl_capture_spawn(rt, self, out, options);
    if (self->index < 0 && !pl_current() && self->n_ending == 0 && --self->credit < 0)
        pl_window_enter(rt, self);
    pl_busy_begin(self);
    error = spawn_task(rt, self, out, options, PL_FLAG_COUNTED);
    pl_busy_end(rt, self);
    return error;
}

int pl_spawn_internal(parla_runtime *rt, pl_worker *self, parla_task *out, const parla_task_options *options)
{
    return spawn_task(rt, self, out, options, PL_FLAG_INTERNAL);
}
