/* test_task_run.c - sched/run.c: what a body's answer leads to: done, failed, suspended, held. */
#include "runtime_fixture.h"

static int return_arg(parla_context *context, void *arg)
{
    (void)context;
    return (int)(intptr_t)arg;
}

static parla_task spawn_returning(int code) { return spawn_as(PARLA_TASK_NONE, "t", return_arg, (void *)(intptr_t)code, NULL, 0); }

T_TEST(zero_is_done)
{
    open_runtime(1);
    parla_task task = spawn_returning(0);
    T_OK(wait_for(task));
    T_EQ(parla_task_query(task), PARLA_TASK_DONE);
    T_TRUE(parla_task_failure(task) == NULL);
    close_runtime();
}

T_TEST(a_negative_code_fails)
{
    open_runtime(1);
    parla_task task = spawn_returning(PARLA_E_DEVICE_MEMORY);
    T_EQ(wait_for(task), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "PARLA_E_DEVICE_MEMORY");
    T_EQ(parla_task_query(task), PARLA_TASK_FAILED);
    close_runtime();
}

T_TEST(an_answer_without_meaning_fails)
{
    open_runtime(1);
    T_EQ(wait_for(spawn_returning(17)), PARLA_E_USER);
    T_HAS_STR(parla_error_detail(), "returned 17");
    T_EQ(wait_for(spawn_returning(PARLA_SUSPENDED)), PARLA_E_USER); /* without parla_suspend_on it would never come back */
    T_HAS_STR(parla_error_detail(), "without parla_suspend_on");
    close_runtime();
}

static int fail_twice(parla_context *context, void *arg)
{
    (void)arg;
    parla_fail(context, PARLA_E_USER, "first word");
    return parla_fail(context, PARLA_E_TRANSPORT, "last %s", "word");
}

static int fail_then_succeed(parla_context *context, void *arg)
{
    (void)arg;
    parla_fail(context, PARLA_E_USER, "overcome");
    return 0;
}

T_TEST(the_last_word_of_a_failing_body_counts)
{
    open_runtime(1);
    T_EQ(wait_for(spawn(fail_twice, NULL, NULL, 0)), PARLA_E_TRANSPORT);
    T_EQ_STR(parla_error_detail(), "last word");
    T_OK(wait_for(spawn(fail_then_succeed, NULL, NULL, 0)));
    close_runtime();
}

/* --- Suspending --------------------------------------------------------------------------------------------------------------- */

typedef struct waiter {
    parla_task awaited[40];
    size_t n;
    int n_steps, want_steps;
} waiter;

static int suspend_often(parla_context *context, void *arg)
{
    waiter *self = arg;
    if (self->n_steps++ == self->want_steps)
        return 0;
    T_OK(parla_suspend_on(context, self->awaited, self->n));
    return PARLA_SUSPENDED;
}

T_TEST(a_body_is_called_again_when_all_have_ended)
{
    open_runtime(2);
    for (size_t n = 0; n <= 40; n++) {
        waiter self = {.n = n, .want_steps = 1};
        for (size_t i = 0; i < n; i++)
            self.awaited[i] = create_event("e");
        parla_task task = spawn(suspend_often, &self, NULL, 0);
        for (size_t i = 0; i < n; i++) {
            T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_SUSPENDED, 10000);
            T_OK(parla_event_complete(self.awaited[i], 0, NULL));
        }
        T_OK(wait_for(task));
        T_EQ(self.n_steps, 2);
        for (size_t i = 0; i < n; i++)
            parla_task_unref(self.awaited[i]);
    }
    close_runtime();
}

T_TEST(waiting_for_what_has_ended_resumes_at_once)
{
    open_runtime(1);
    waiter self = {.n = 3, .want_steps = 1000};
    self.awaited[0] = spawn_returning(0);
    self.awaited[1] = PARLA_TASK_NONE;
    self.awaited[2] = spawn_returning(PARLA_E_USER);
    T_OK(wait_for(self.awaited[0]));
    T_EQ(wait_for(self.awaited[2]), PARLA_E_USER);
    T_OK(wait_for(spawn(suspend_often, &self, NULL, 0)));
    T_EQ(self.n_steps, 1001);
    close_runtime();
}

static int suspend_in_parts(parla_context *context, void *arg)
{
    waiter *self = arg;
    if (self->n_steps++ > 0) {
        for (size_t i = 0; i < self->n; i++)
            T_TRUE(parla_task_has_ended(self->awaited[i]));
        return 0;
    }
    for (size_t i = 0; i < self->n; i++)
        T_OK(parla_suspend_on(context, &self->awaited[i], 1));
    return PARLA_SUSPENDED;
}

T_TEST(several_calls_add_up)
{
    open_runtime(2);
    waiter self = {.n = 20};
    for (size_t i = 0; i < 20; i++)
        self.awaited[i] = create_event("e");
    parla_task task = spawn(suspend_in_parts, &self, NULL, 0);
    for (size_t i = 0; i < 20; i++)
        T_OK(parla_event_complete(self.awaited[i], 0, NULL));
    T_OK(wait_for(task));
    T_EQ(self.n_steps, 2);
    for (size_t i = 0; i < 20; i++)
        parla_task_unref(self.awaited[i]);
    close_runtime();
}

static int ask_but_return(parla_context *context, void *arg)
{
    T_OK(parla_suspend_on(context, arg, 1));
    return 0;
}

T_TEST(a_body_may_change_its_mind)
{
    open_runtime(1);
    parla_task event = create_event("e");
    T_OK(wait_for(spawn(ask_but_return, &event, NULL, 0)));
    T_OK(parla_event_complete(event, 0, NULL));
    parla_task_unref(event);
    close_runtime();
}

/* --- Holds -------------------------------------------------------------------------------------------------------------------- */

typedef struct holder {
    int n_first, n_second; /* holds of the first step, and of a second one after a suspension */
    int code;
    parla_task event;
    int n_steps;
} holder;

static int hold_body(parla_context *context, void *arg)
{
    holder *self = arg;
    int n = self->n_steps++ == 0 ? self->n_first : self->n_second;
    if (n > 0)
        T_OK(parla_hold(context, n));
    if (self->n_steps == 1 && self->n_second > 0) {
        T_OK(parla_suspend_on(context, &self->event, 1));
        return PARLA_SUSPENDED;
    }
    return self->code ? parla_fail(context, self->code, "the body") : 0;
}

T_TEST(holds_delay_the_end)
{
    _Atomic int n = 0;
    open_runtime(1);
    holder self = {.n_first = 3};
    parla_task task = spawn_as(create_name("held"), NULL, hold_body, &self, NULL, 0),
               after = spawn(count_body, (void *)&n, &task, 1);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    for (int i = 0; i < 3; i++) {
        T_EQ(parla_task_query(task), PARLA_TASK_LAUNCHED);
        T_EQ(parla_task_query(after), PARLA_TASK_WAITING);
        T_OK(parla_release(task, 0, NULL));
    }
    T_OK(wait_for(after));
    T_EQ(parla_task_query(task), PARLA_TASK_DONE);
    T_EQ(parla_release(task, 0, NULL), PARLA_E_STATE);
    parla_task_unref(task);
    close_runtime();
}

T_TEST(a_hold_can_fail_the_task_and_the_first_failure_wins)
{
    open_runtime(1);
    holder self = {.n_first = 3};
    parla_task task = spawn_as(create_name("held"), NULL, hold_body, &self, NULL, 0);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    T_OK(parla_release(task, 0, NULL));
    T_OK(parla_release(task, PARLA_E_TRANSPORT, "first"));
    T_EQ(parla_task_query(task), PARLA_TASK_LAUNCHED);
    T_OK(parla_release(task, PARLA_E_DEVICE, NULL));
    T_EQ(wait_for(task), PARLA_E_TRANSPORT);
    T_EQ_STR(parla_error_detail(), "first");
    parla_task_unref(task);
    close_runtime();
}

T_TEST(a_failing_body_still_waits_for_its_holds)
{
    open_runtime(1);
    holder self = {.n_first = 1, .code = PARLA_E_USER};
    parla_task task = spawn_as(create_name("held"), NULL, hold_body, &self, NULL, 0);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    T_EQ(parla_task_wait(rt, &task, 1, 0), PARLA_E_TIMEOUT);
    T_OK(parla_release(task, PARLA_E_DEVICE, "too late"));
    T_EQ(wait_for(task), PARLA_E_USER);
    T_EQ_STR(parla_error_detail(), "the body");
    parla_task_unref(task);
    close_runtime();
}

T_TEST(holds_live_through_a_suspension)
{
    open_runtime(1);
    holder self = {.n_first = 1, .n_second = 2, .event = create_event("e")};
    parla_task task = spawn_as(create_name("held"), NULL, hold_body, &self, NULL, 0);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_SUSPENDED, 10000);
    T_OK(parla_release(task, 0, NULL)); /* all that it has now */
    T_EQ(parla_release(task, 0, NULL), PARLA_E_STATE);
    T_OK(parla_event_complete(self.event, 0, NULL));
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    T_OK(parla_release(task, 0, NULL));
    T_EQ(parla_task_query(task), PARLA_TASK_LAUNCHED);
    T_OK(parla_release(task, 0, NULL));
    T_OK(wait_for(task));
    parla_task_unref(self.event);
    parla_task_unref(task);
    close_runtime();
}

static int hold_and_release(parla_context *context, void *arg)
{
    (void)arg;
    T_OK(parla_hold(context, 2));
    T_OK(parla_release(parla_context_task(context), 0, NULL));
    T_OK(parla_release(parla_context_task(context), 0, NULL));
    T_EQ(parla_release(parla_context_task(context), 0, NULL), PARLA_E_STATE);
    T_EQ(parla_task_query(parla_context_task(context)), PARLA_TASK_RUNNING); /* its body has not returned */
    return 0;
}

T_TEST(a_body_that_releases_its_own_holds_still_ends_after_itself)
{
    open_runtime(1);
    T_OK(wait_for(spawn(hold_and_release, NULL, NULL, 0)));
    close_runtime();
}

/* --- Runner ------------------------------------------------------------------------------------------------------------------- */

typedef struct runner_log {
    _Atomic int n_begins, n_ends, n_runs;
} runner_log;

static void note_begin(void *ctx) { pl_add_acq_rel(&((runner_log *)ctx)->n_begins, 1); }
static void note_end(void *ctx) { pl_add_acq_rel(&((runner_log *)ctx)->n_ends, 1); }
static int run_managed(void *ctx, parla_body body, parla_context *context, void *arg)
{
    pl_add_acq_rel(&((runner_log *)ctx)->n_runs, 1);
    T_TRUE(parla_current() == context);
    return body(context, arg);
}

T_TEST(managed_bodies_go_through_the_runner)
{
    runner_log log = {0};
    _Atomic int n = 0;
    parla_runner runner = {
        .size = sizeof runner, .ctx = &log, .thread_begin = note_begin, .thread_end = note_end, .run = run_managed};
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2;
    options.runner = &runner;
    T_OK(parla_runtime_create(&rt, &options));
    memset(&runner, 0, sizeof runner); /* it was copied */
    parla_task_options task = PARLA_TASK_OPTIONS_INIT;
    task.body = count_body;
    task.arg = (void *)&n;
    T_OK(parla_task_spawn(rt, NULL, &task));
    task.flags = PARLA_TASK_MANAGED;
    for (int i = 0; i < 10; i++)
        T_OK(parla_task_spawn(rt, NULL, &task));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    close_runtime();
    T_EQ(n, 11);
    T_EQ(log.n_runs, 10);
    T_EQ(log.n_begins, 2);
    T_EQ(log.n_ends, 2);
}
