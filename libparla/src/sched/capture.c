/* capture.c - spawns that are recorded instead of run.
 *
 * A spawn on a thread that captures hands out a task object like one of parla_task_create: it names the record, and whatever else is done
 * with it is well defined (it is CREATED; who waits for it is told so). Its number lies in `pending`, which such a task has no other use for
 * and which any thread may read. When the capture is over these objects end as done. */
#include "base/error.h"
#include "sched/replay.h"

#include <stdlib.h>
#include <string.h>

void pl_capture_free(pl_capture *capture)
{
    if (!capture)
        return;
    free(capture->tasks);
    free(capture->deps);
    free(capture->bytes);
    free(capture);
}

/* Makes room for n more items. */
static int grow(void **array, size_t *capacity, size_t n_items, size_t n, size_t item_bytes)
{
    if (n_items + n <= *capacity)
        return 0;
    size_t wanted = *capacity * 2 > n_items + n ? *capacity * 2 : n_items + n + 16;
    void *bigger = realloc(*array, wanted * item_bytes);
    if (!bigger)
        return pl_error_set(PARLA_E_NOMEM, "no memory to record another task");
    *array = bigger;
    *capacity = wanted;
    return 0;
}

static int refuse(const char *what)
{
    return pl_error_set(
        PARLA_E_UNSUPPORTED,
        "a spawn with %s cannot be captured: body, arg, arg_bytes, name, flags and dependencies inside of the capture can", what);
}

static int check_options(const parla_task_options *options)
{
    if (options->n_choices > 0)
        return refuse("a choice of devices");
    if (options->n_accesses > 0)
        return refuse("arrays");
    if (options->priority != 0 || options->n_retries != 0)
        return refuse("a priority or retries");
    if (options->on_end)
        return refuse("on_end");
    return parla_task_is_none(options->task) ? 0 : refuse("a task made before");
}

/* Appends the numbers of the dependencies, without changing n_deps. */
static int record_deps(pl_capture *capture, const parla_task_options *options, size_t *out_n)
{
    int error = grow((void **)&capture->deps, &capture->deps_capacity, capture->n_deps, options->n_deps, sizeof *capture->deps);
    if (error)
        return error;
    size_t n = 0;
    for (size_t i = 0; i < options->n_deps; i++) {
        if (parla_task_is_none(options->deps[i]))
            continue;
        uint32_t number = (uint32_t)pl_load_relaxed(&pl_task_of(options->deps[i])->pending_shared);
        if (number >= capture->n_tasks || !parla_task_equal(capture->tasks[number].task, options->deps[i]))
            return refuse("a dependency from outside of the capture (give it to parla_replay_run)");
        capture->deps[capture->n_deps + n++] = number;
    }
    *out_n = n;
    return 0;
}

/* Appends the argument's bytes, without changing n_bytes; each argument begins where any type may. */
static int record_bytes(pl_capture *capture, const parla_task_options *options, size_t *out_n)
{
    size_t n = (options->arg_bytes + 15) & ~(size_t)15;
    int error = grow((void **)&capture->bytes, &capture->bytes_capacity, capture->n_bytes, n, 1);
    if (!error && options->arg_bytes > 0)
        memcpy(capture->bytes + capture->n_bytes, options->arg, options->arg_bytes);
    *out_n = n;
    return error;
}

static pl_task *new_task(parla_runtime *rt, pl_worker *self, size_t number, const char *name)
{
    pl_task *task = pl_task_alloc(&rt->slabs, &self->cache);
    if (!task)
        return NULL;
    task->name = name;
    pl_store_relaxed(&task->pending_shared, (int32_t)number);
    pl_store_relaxed(&task->n_held_shared, 0);
    pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_CREATED);
    return task;
}

int pl_capture_spawn(parla_runtime *rt, pl_worker *self, parla_task *out, const parla_task_options *options)
{
    pl_capture *capture = self->capture;
    size_t n_deps = 0, n_bytes = 0;
    int error = check_options(options);
    if (!error && (capture->n_tasks >= INT32_MAX || capture->n_deps + options->n_deps > INT32_MAX))
        error = pl_error_set(PARLA_E_RESOURCES, "more than %d tasks or dependencies in one capture", INT32_MAX);
    if (!error)
        error = grow((void **)&capture->tasks, &capture->tasks_capacity, capture->n_tasks, 1, sizeof *capture->tasks);
    if (!error)
        error = record_deps(capture, options, &n_deps);
    if (!error)
        error = record_bytes(capture, options, &n_bytes);
    if (error)
        return error;
    pl_task *task = new_task(rt, self, capture->n_tasks, options->name);
    if (!task)
        return pl_error_set(PARLA_E_NOMEM, "no memory to record another task");
    capture->tasks[capture->n_tasks++] = (pl_recorded){.body = options->body,
                                                       .arg = n_bytes > 0 ? (void *)capture->n_bytes : options->arg,
                                                       .arg_bytes = options->arg_bytes,
                                                       .name = options->name,
                                                       .first_dep = capture->n_deps,
                                                       .is_managed = options->flags & PARLA_TASK_MANAGED,
                                                       .task = pl_task_handle(task)};
    capture->n_deps += n_deps;
    capture->n_bytes += n_bytes;
    if (out)
        *out = pl_task_handle(task);
    return 0;
}

int parla_capture_begin(parla_runtime *rt)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pl_worker *self = pl_self(rt);
    if (!self)
        return PARLA_E_NOMEM;
    if (self->capture)
        return pl_error_set(PARLA_E_STATE, "this thread is capturing already: parla_capture_end comes first");
    self->capture = calloc(1, sizeof *self->capture);
    return self->capture ? 0 : pl_error_set(PARLA_E_NOMEM, "no memory for a capture");
}

/* The names of recorded tasks end. */
static void end_names(parla_runtime *rt, pl_worker *self, const pl_capture *capture)
{
    pl_busy_begin(self);
    for (size_t i = 0; i < capture->n_tasks; i++) {
        pl_task *task = pl_task_of(capture->tasks[i].task);
        if (pl_task_move(task, PARLA_TASK_CREATED, PARLA_TASK_RUNNING)) { /* else somebody has cancelled it */
            pl_window_release(rt, task);
            pl_end(rt, self, task, PARLA_TASK_DONE, NULL, false);
        }
        pl_unpin(rt, self, task);
    }
    pl_busy_end(rt, self);
}

int parla_capture_end(parla_runtime *rt, parla_replay **out)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pl_worker *self = pl_self(rt);
    if (!self)
        return PARLA_E_NOMEM;
    pl_capture *capture = self->capture;
    if (!capture)
        return pl_error_set(PARLA_E_STATE, "this thread is not capturing: parla_capture_begin comes first, on the same thread");
    self->capture = NULL;
    parla_replay *replay = out ? pl_replay_create(rt, capture) : NULL;
    if (out && !replay)
        error = pl_error_set(PARLA_E_NOMEM, "no memory for a replay of %zu tasks", capture->n_tasks);
    end_names(rt, self, capture);
    pl_capture_free(capture);
    if (replay)
        *out = replay;
    return error;
}
