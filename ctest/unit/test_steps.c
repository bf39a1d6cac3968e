/* test_steps.c - what bodies that are steps of a task may do with that task. */
#include "replay_fixture.h"

typedef struct holding {
    parla_task task;
    _Atomic bool has_begun;
} holding;

static int hold_body(parla_context *context, void *arg)
{
    holding *self = arg;
    T_OK(parla_hold(context, 1));
    self->task = parla_context_task(context);
    pl_store_release(&self->has_begun, true);
    return 0;
}

static int suspend_body(parla_context *context, void *arg)
{
    (void)arg;
    return parla_suspend_on(context, NULL, 0) == PARLA_E_STATE ? parla_fail(context, PARLA_E_STATE, "%s", parla_error_detail()) : 0;
}

T_TEST(holds_keep_the_run_and_suspending_is_refused)
{
    holding held = {0};
    open_runtime(1);
    T_OK(parla_capture_begin(rt));
    (void)spawn(hold_body, &held, NULL, 0);
    parla_replay *replay = end_capture();
    parla_task task = run(replay, NULL);
    T_EVENTUALLY(pl_load_acquire(&held.has_begun), 20000);
    T_TRUE(parla_task_equal(held.task, task));
    T_EQ(parla_task_wait(rt, &task, 1, 1000000), PARLA_E_TIMEOUT);
    T_OK(parla_release(task, 0, NULL));
    T_OK(wait_for(task));
    T_EQ(parla_release(task, 0, NULL), PARLA_E_STATE);
    parla_replay_destroy(replay);
    T_OK(parla_capture_begin(rt));
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = suspend_body;
    options.name = "sleepy";
    T_OK(parla_task_spawn(rt, NULL, &options));
    replay = end_capture();
    task = run(replay, NULL);
    T_EQ(wait_for(task), PARLA_E_STATE);
    parla_failure *failure = parla_task_failure(task);
    T_EQ_STR(parla_failure_task_name(failure), "sleepy");
    T_HAS_STR(parla_failure_message(failure), "cannot be suspended");
    parla_failure_unref(failure);
    parla_replay_destroy(replay);
    close_runtime();
}

static int release_too_much(parla_context *context, void *arg)
{
    int error = parla_release(parla_context_task(context), 0, NULL);
    *(int *)arg = error;
    return 0;
}

T_TEST(the_hold_of_the_run_itself_is_not_to_be_released)
{
    int error = 0;
    open_runtime(1);
    T_OK(parla_capture_begin(rt));
    parla_task first = spawn(release_too_much, &error, NULL, 0);
    (void)spawn(release_too_much, &error, &first, 1);
    parla_replay *replay = end_capture();
    T_OK(wait_for(run(replay, NULL)));
    T_EQ(error, PARLA_E_STATE);
    parla_replay_destroy(replay);
    close_runtime();
}

/* A body that fails by its result alone, or says something and then does not fail. */
static int odd_body(parla_context *context, void *arg)
{
    (void)arg;
    if (parla_context_index(context) == 3)
        return 5;
    return parla_fail(context, PARLA_E_USER, "never told") < 0 ? 0 : 1;
}

T_TEST(only_results_fail_a_step)
{
    open_runtime(2);
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = odd_body;
    T_OK(parla_task_spawn_n(rt, &task, 3, &options));
    T_OK(wait_for(task));
    T_OK(parla_task_spawn_n(rt, &task, 4, &options));
    T_EQ(wait_for(task), PARLA_E_USER);
    T_HAS_STR(failure_text(task), "returned 5");
    close_runtime();
}

static int ask_body(parla_context *context, void *arg)
{
    (void)arg;
    return parla_context_index(context) == 0 && !parla_context_replay_arg(context) ? 0 : PARLA_E_STATE;
}

T_TEST(other_bodies_are_no_steps)
{
    open_runtime(1);
    T_OK(wait_for(spawn(ask_body, NULL, NULL, 0)));
    close_runtime();
}

static int wait_in_vain(parla_context *context, void *arg)
{
    return parla_task_wait(parla_context_runtime(context), arg, 1, PARLA_FOREVER);
}

T_TEST(a_step_that_waits_in_vain_is_told)
{
    open_runtime(1);
    parla_task never = create_name("never"), task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = wait_in_vain;
    options.arg = &never;
    options.name = "range";
    T_OK(parla_task_spawn_n(rt, &task, 2, &options));
    T_EQ(wait_for(task), PARLA_E_STUCK);
    parla_task_unref(never);
    close_runtime();
}
