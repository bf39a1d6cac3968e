/* runtime_fixture.h - one runtime for a test case, and the bodies that most cases need. */
#ifndef PARLA_TEST_RUNTIME_FIXTURE_H
#define PARLA_TEST_RUNTIME_FIXTURE_H

#include <parla/parla.h>

#include "base/atomic.h"
#include "test.h"

#include <pthread.h>

static parla_runtime *rt;

static inline void open_runtime(int n_workers)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_workers;
    T_OK(parla_runtime_create(&rt, &options));
}

static inline void close_runtime(void)
{
    parla_runtime_destroy(rt);
    rt = NULL;
}

/* Counts one more in *arg. */
static inline int count_body(parla_context *context, void *arg)
{
    (void)context;
    pl_add_acq_rel((_Atomic int *)arg, 1);
    return 0;
}

static inline int fail_body(parla_context *context, void *arg)
{
    (void)arg;
    return parla_fail(context, PARLA_E_USER, "on purpose");
}

/* A body that stays inside until it is let go. */
typedef struct stopper {
    _Atomic bool is_inside, may_go;
} stopper;

static inline int stop_body(parla_context *context, void *arg)
{
    stopper *self = arg;
    (void)context;
    pl_store_release(&self->is_inside, true);
    T_EVENTUALLY(pl_load_acquire(&self->may_go), 20000);
    return 0;
}

static inline parla_task spawn(parla_body body, void *arg, const parla_task *deps, size_t n_deps)
{
    parla_task task;
    T_OK(parla_spawn(rt, &task, body, arg, deps, n_deps));
    return task;
}

/* Spawns under a name from create_name, or under a text alone if `task` is PARLA_TASK_NONE. */
static inline parla_task spawn_as(parla_task task, const char *name, parla_body body, void *arg, const parla_task *deps,
                                  size_t n_deps)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.task = task;
    options.name = name;
    options.body = body;
    options.arg = arg;
    options.deps = deps;
    options.n_deps = n_deps;
    T_OK(parla_task_spawn(rt, &task, &options));
    return task;
}

static inline parla_task create_name(const char *name)
{
    parla_task task;
    T_OK(parla_task_create(rt, &task, name));
    return task;
}

static inline parla_task create_event(const char *name)
{
    parla_task task;
    T_OK(parla_event_create(rt, &task, name));
    return task;
}

static inline int wait_for(parla_task task) { return parla_task_wait(rt, &task, 1, PARLA_FOREVER); }

static inline parla_runtime_info counts(void)
{
    parla_runtime_info info = {.size = sizeof info};
    T_OK(parla_runtime_query(rt, &info));
    return info;
}

/* The task has ended, and its last reference is gone: the worker drops its own a moment after a wait has returned. */
static inline bool is_forgotten(parla_task task)
{
    if (parla_task_ref(task))
        return true;
    parla_task_unref(task);
    return false;
}

/* The message of a task's failure, in a buffer that the next call overwrites; "" if it has none. */
static inline const char *failure_text(parla_task task)
{
    static char text[1024];
    parla_failure *failure = parla_task_failure(task);
    text[0] = '\0';
    if (failure)
        strncat(text, parla_failure_message(failure), sizeof text - 1);
    parla_failure_unref(failure);
    return text;
}

static inline pthread_t start_thread(void *(*function)(void *), void *arg)
{
    pthread_t thread;
    T_EQ(pthread_create(&thread, NULL, function, arg), 0);
    return thread;
}

#endif
