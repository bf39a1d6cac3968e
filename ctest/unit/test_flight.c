/* test_flight.c - which tasks are in flight: those in their bodies, suspended, or held; with their names, also while tasks come and go. */
#include "test.h"

#include <parla/parla.h>

#include <parla/event.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_bool may_leave, is_running;

static int stay(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    atomic_store(&is_running, true);
    while (!atomic_load(&may_leave))
        sched_yield();
    return 0;
}

static int suspend_on_event(parla_context *context, void *arg)
{
    if (parla_task_has_ended(*(parla_task *)arg))
        return 0;
    return parla_suspend_on(context, arg, 1) < 0 ? PARLA_E_INVALID : PARLA_SUSPENDED;
}

static int rest(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

static parla_task spawn_named(parla_runtime *rt, parla_body body, void *arg, const char *name)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task task;
    options.body = body;
    options.arg = arg;
    options.name = name;
    T_OK(parla_task_spawn(rt, &task, &options));
    return task;
}

static parla_runtime *start(int n_workers)
{
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt;
    options.n_workers = n_workers;
    T_OK(parla_runtime_create(&rt, &options));
    return rt;
}

T_TEST(names_what_is_in_flight)
{
    parla_runtime *rt = start(2);
    char text[200];
    parla_task event;
    T_EQ(parla_runtime_in_flight(rt, text, sizeof text), 0);
    T_EQ_STR(text, "");
    T_OK(parla_event_create(rt, &event, "outside"));
    parla_task held = spawn_named(rt, suspend_on_event, &event, "suspended");
    spawn_named(rt, stay, NULL, "at work");
    T_EVENTUALLY(atomic_load(&is_running) && parla_task_query(held) == PARLA_TASK_SUSPENDED, 20000);
    T_EQ(parla_runtime_in_flight(rt, text, sizeof text), 2);
    T_HAS_STR(text, "suspended");
    T_HAS_STR(text, "at work");
    T_EQ(parla_runtime_in_flight(rt, text, 4), 2);
    T_EQ(strlen(text), 3);
    T_EQ(parla_runtime_in_flight(rt, NULL, 0), 2);
    atomic_store(&may_leave, true);
    T_OK(parla_event_complete(event, 0, NULL));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(parla_runtime_in_flight(rt, text, sizeof text), 0);
    parla_task_unref(event);
    parla_runtime_destroy(rt);
}

T_TEST(many_are_abridged)
{
    parla_runtime *rt = start(1);
    char text[1000];
    parla_task event, task;
    T_OK(parla_event_create(rt, &event, "outside"));
    for (int i = 0; i < 20; i++)
        task = spawn_named(rt, suspend_on_event, &event, NULL);
    T_EVENTUALLY(parla_runtime_in_flight(rt, text, sizeof text) == 20, 20000);
    T_HAS_STR(text, ", …");
    T_TRUE(strstr(strstr(text, "…") + 1, "…") == NULL);
    T_OK(parla_event_complete(event, 0, NULL));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    parla_task_unref(event);
    parla_runtime_destroy(rt);
}

static void free_name(void *arg, const parla_outcome *outcome)
{
    (void)outcome;
    memset(arg, 'x', 7); /* as a name that is somebody else's by now */
    free(arg);
}

/* Names are freed by on_end, so one that is read too late shows as x's, or as an error of the sanitizer. */
T_TEST(names_go_while_they_are_read)
{
    parla_runtime *rt = start(2);
    int n_rounds = 3000;
    for (int i = 0; i < n_rounds; i++) {
        char text[400];
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = rest;
        options.arg = strdup("shortly");
        options.name = options.arg;
        options.on_end = free_name;
        T_OK(parla_task_spawn(rt, NULL, &options));
        if (parla_runtime_in_flight(rt, text, sizeof text) > 0)
            T_TRUE(strchr(text, 'x') == NULL);
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_destroy(rt);
}
