/* test_spawn.c - what a spawn checks, what it links to, and that a refused one leaves nothing behind. */
#include "runtime_fixture.h"
#include "task/task.h"

#include <stdlib.h>

/* --- Order -------------------------------------------------------------------------------------------------------------------- */

static _Atomic int clock_shared;

/* Writes when it ran into *arg. */
static int stamp_body(parla_context *context, void *arg)
{
    (void)context;
    *(int *)arg = pl_add_acq_rel(&clock_shared, 1) + 1;
    return 0;
}

T_TEST(a_task_runs_once)
{
    _Atomic int n = 0;
    open_runtime(2);
    T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0)));
    T_OK(parla_spawn(rt, NULL, count_body, (void *)&n, NULL, 0)); /* without asking for its name */
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 2);
    close_runtime();
}

T_TEST(dependencies_come_first_however_many)
{
    enum { MAX = 40 };
    static int when[MAX + 1];
    static parla_task deps[MAX];
    open_runtime(2);
    for (size_t n = 0; n <= MAX; n++) {
        for (size_t i = 0; i < n; i++)
            deps[i] = spawn(stamp_body, &when[i], NULL, 0);
        T_OK(wait_for(spawn(stamp_body, &when[n], deps, n)));
        for (size_t i = 0; i < n; i++)
            T_LT(when[i], when[n]);
    }
    close_runtime();
}

T_TEST(none_and_ended_dependencies_are_met)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task ended = spawn(count_body, (void *)&n, NULL, 0);
    T_OK(wait_for(ended));
    parla_task deps[] = {PARLA_TASK_NONE, ended, PARLA_TASK_NONE};
    T_OK(wait_for(spawn(count_body, (void *)&n, deps, 3)));
    T_EQ(n, 2);
    close_runtime();
}

T_TEST(the_same_dependency_twice_counts_twice)
{
    _Atomic int n = 0;
    stopper stop = {0};
    open_runtime(1);
    parla_task first = spawn(stop_body, &stop, NULL, 0);
    parla_task deps[] = {first, first, first, first, first, first};
    parla_task second = spawn(count_body, (void *)&n, deps, 6);
    T_EQ(parla_task_query(second), PARLA_TASK_WAITING);
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(second));
    T_EQ(n, 1);
    close_runtime();
}

T_TEST(out_may_be_one_of_the_dependencies)
{
    int when[50] = {0};
    parla_task task = PARLA_TASK_NONE;
    open_runtime(2);
    for (int i = 0; i < 50; i++)
        T_OK(parla_spawn(rt, &task, stamp_body, &when[i], &task, 1));
    T_OK(wait_for(task));
    for (int i = 1; i < 50; i++)
        T_LT(when[i - 1], when[i]);
    close_runtime();
}

T_TEST(names_can_be_depended_on_before_they_are_spawned)
{
    int when[2];
    open_runtime(2);
    parla_task name = create_name("later");
    parla_task after = spawn(stamp_body, &when[1], &name, 1);
    T_EQ(parla_task_query(after), PARLA_TASK_WAITING);
    T_TRUE(parla_task_equal(spawn_as(name, NULL, stamp_body, &when[0], NULL, 0), name));
    T_OK(wait_for(after));
    T_LT(when[0], when[1]);
    parla_task_unref(name);
    close_runtime();
}

/* --- Failed dependencies ------------------------------------------------------------------------------------------------------ */

T_TEST(a_dependency_that_failed_before_cancels)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task failed = spawn_as(PARLA_TASK_NONE, "culprit", fail_body, NULL, NULL, 0);
    T_EQ(wait_for(failed), PARLA_E_USER);
    parla_task deps[] = {spawn(count_body, (void *)&n, NULL, 0), failed};
    parla_task after = spawn_as(PARLA_TASK_NONE, "victim", count_body, (void *)&n, deps, 2);
    T_EQ(wait_for(after), PARLA_E_CANCELLED);
    T_EQ_STR(parla_error_detail(), "victim was cancelled because culprit failed: on purpose");
    T_EQ(parla_task_query(after), PARLA_TASK_CANCELLED);
    T_OK(wait_for(deps[0]));
    T_EQ(n, 1);
    parla_failure *failure = parla_task_failure(after);
    T_EQ(parla_failure_code(failure), PARLA_E_CANCELLED);
    T_EQ(parla_failure_code(parla_failure_cause(failure)), PARLA_E_USER);
    T_EQ_STR(parla_failure_task_name(parla_failure_cause(failure)), "culprit");
    parla_failure_unref(failure);
    close_runtime();
}

T_TEST(a_cancelled_dependency_cancels_too)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task name = create_name("never");
    T_OK(parla_task_cancel(name));
    T_EQ(wait_for(spawn(count_body, (void *)&n, &name, 1)), PARLA_E_CANCELLED);
    T_EQ(n, 0);
    parla_task_unref(name);
    close_runtime();
}

/* --- Arguments ---------------------------------------------------------------------------------------------------------------- */

static int add_bytes(parla_context *context, void *arg)
{
    unsigned char *bytes = arg;
    (void)context;
    _Atomic int *sum;
    memcpy(&sum, bytes, sizeof sum);
    for (size_t i = sizeof sum; i < PARLA_ARG_BYTES; i++)
        pl_add_acq_rel(sum, bytes[i]);
    return 0;
}

T_TEST(arguments_are_copied)
{
    _Atomic int sum = 0;
    unsigned char bytes[PARLA_ARG_BYTES];
    stopper stop = {0};
    _Atomic int *at = &sum;
    open_runtime(1);
    parla_task first = spawn(stop_body, &stop, NULL, 0);
    memcpy(bytes, &at, sizeof at);
    memset(bytes + sizeof at, 3, sizeof bytes - sizeof at);
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = add_bytes;
    options.arg = bytes;
    options.arg_bytes = sizeof bytes;
    options.deps = &first;
    options.n_deps = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
    memset(bytes, 0, sizeof bytes);
    pl_store_release(&stop.may_go, true);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(sum, 3 * (int)(sizeof bytes - sizeof at));
    close_runtime();
}

/* --- Refusals ----------------------------------------------------------------------------------------------------------------- */

static void on_end_never(void *arg, const parla_outcome *outcome)
{
    (void)arg;
    (void)outcome;
    T_FAIL("on_end was called for a spawn that was refused");
}

static void refused(const parla_task_options *options, int code, const char *words)
{
    parla_task out = {(void *)&out, 42};
    T_EQ(parla_task_spawn(rt, &out, options), code);
    T_HAS_STR(parla_error_detail(), words);
    T_EQ(out.generation, 42); /* untouched */
}

T_TEST(refused_options_change_nothing)
{
    _Atomic int n = 0;
    char arg[1] = {0};
    open_runtime(1);
    parla_task name = create_name("name");
    parla_task_options good = PARLA_TASK_OPTIONS_INIT, bad;
    good.body = count_body;
    good.arg = (void *)&n;
    good.task = name;
    good.on_end = on_end_never;
    refused(NULL, PARLA_E_INVALID, "NULL");
    bad = good, bad.size = 8;
    refused(&bad, PARLA_E_INVALID, "parla_task_options.size is 8");
    bad = good, bad.body = NULL;
    refused(&bad, PARLA_E_INVALID, "needs a body");
    bad = good, bad.arg = arg, bad.arg_bytes = PARLA_ARG_BYTES + 1;
    refused(&bad, PARLA_E_INVALID, "at most 40 bytes");
    bad = good, bad.arg = NULL, bad.arg_bytes = 1;
    refused(&bad, PARLA_E_INVALID, "arg is NULL");
    bad = good, bad.n_deps = 1;
    refused(&bad, PARLA_E_INVALID, "deps is NULL");
    T_EQ(parla_task_query(name), PARLA_TASK_CREATED);
    T_EQ(counts().n_spawned, 0);
    good.on_end = NULL;
    T_OK(parla_task_spawn(rt, NULL, &good));
    T_OK(wait_for(name));
    T_EQ(n, 1);
    parla_task_unref(name);
    close_runtime();
}

/* The name that it would have had is the caller's again. */
T_TEST(a_spawn_that_fails_leaves_the_name_as_it_was)
{
    open_runtime(1);
    char *temporary = strdup("temporary");
    const parla_demand demand = {.arch = PARLA_ARCH_GPU, .number = PARLA_ANY_NUMBER};
    const parla_choice choice = {&demand, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count_body;
    options.task = create_name("before");
    options.name = temporary;
    options.choices = &choice;
    options.n_choices = 1;
    refused(&options, PARLA_E_NO_DEVICE, "gpu");
    memset(temporary, 'x', strlen(temporary));
    free(temporary);
    T_EQ_STR(pl_task_of(options.task)->name, "before");
    parla_task_unref(options.task);
    close_runtime();
}

T_TEST(a_name_is_spawned_once)
{
    _Atomic int n = 0;
    stopper stop = {0};
    open_runtime(1);
    parla_task name = spawn_as(create_name("once"), NULL, stop_body, &stop, NULL, 0);
    parla_task_options again = PARLA_TASK_OPTIONS_INIT;
    again.body = count_body;
    again.arg = (void *)&n;
    again.task = name;
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000);
    refused(&again, PARLA_E_STATE, "the task to spawn is already spawned (it is running)");
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(name));
    refused(&again, PARLA_E_STATE, "(it is done)");
    parla_task_unref(name);
    T_EVENTUALLY(is_forgotten(name), 10000);
    refused(&again, PARLA_E_STATE, "forgotten");
    T_EQ(n, 0);
    close_runtime();
}

T_TEST(tasks_of_another_runtime_are_refused)
{
    _Atomic int n = 0;
    parla_runtime *other;
    open_runtime(1);
    T_OK(parla_runtime_create(&other, NULL));
    parla_task foreign;
    T_OK(parla_task_create(other, &foreign, "foreign"));
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count_body;
    options.arg = (void *)&n;
    options.task = foreign;
    refused(&options, PARLA_E_INVALID, "another runtime");
    parla_task deps[] = {PARLA_TASK_NONE, foreign};
    options.task = PARLA_TASK_NONE;
    options.deps = deps;
    options.n_deps = 2;
    refused(&options, PARLA_E_INVALID, "dependency 1 belongs to another runtime");
    parla_task_unref(foreign);
    parla_runtime_destroy(other);
    close_runtime();
}

/* A body that spawns while the runtime stops. */
static int spawn_late(parla_context *context, void *arg)
{
    _Atomic int *code = arg;
    T_EVENTUALLY(parla_context_is_cancelled(context), 20000); /* the stop has begun */
    pl_store_release(code, parla_spawn(parla_context_runtime(context), NULL, count_body, arg, NULL, 0));
    T_HAS_STR(parla_error_detail(), "stopping");
    return 0;
}

T_TEST(a_stopping_runtime_takes_no_tasks)
{
    _Atomic int code = 1;
    open_runtime(1);
    parla_task task = spawn(spawn_late, (void *)&code, NULL, 0);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_RUNNING, 10000);
    close_runtime();
    T_EQ(code, PARLA_E_STATE);
}

/* --- From several threads ----------------------------------------------------------------------------------------------------- */

static _Atomic int n_claimed;

static void *try_to_spawn(void *arg)
{
    parla_task *names = arg;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count_body;
    options.arg = (void *)&clock_shared;
    for (int i = 0; i < 500; i++) {
        options.task = names[i];
        int code = parla_task_spawn(rt, NULL, &options);
        T_TRUE(code == 0 || code == PARLA_E_STATE);
        pl_add_acq_rel(&n_claimed, code == 0);
    }
    return NULL;
}

T_TEST(a_name_has_one_spawner)
{
    parla_task names[500];
    pthread_t threads[3];
    open_runtime(2);
    for (int i = 0; i < 500; i++)
        names[i] = create_name("contested");
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(try_to_spawn, names);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_claimed, 500);
    T_EQ(clock_shared, 500);
    close_runtime();
}
