/* test_failures.c - what a runtime remembers of tasks that did not succeed, and which of it nobody has looked at. */
#include "sched/runtime.h"

#include "runtime_fixture.h"

#include <stdlib.h>

static int fail_as(parla_context *context, void *arg) { return parla_fail(context, PARLA_E_USER, "%s", (const char *)arg); }

/* The next unseen failure's message is `text`; NULL: there is none. */
static void check_next(const char *text)
{
    parla_failure *failure = NULL;
    int code = parla_runtime_take_failure(rt, &failure);
    if (!text) {
        T_EQ(code, PARLA_PENDING);
        return;
    }
    T_OK(code);
    T_EQ_STR(parla_failure_message(failure), text);
    parla_failure_unref(failure);
}

T_TEST(unseen_failures_come_oldest_first)
{
    static char words[3][2] = {"a", "b", "c"};
    open_runtime(2);
    check_next(NULL);
    for (int i = 0; i < 3; i++) {
        parla_task task = spawn(fail_as, words[i], NULL, 0);
        T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_FAILED, 10000); /* asking for the state is not looking */
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < 3; i++)
        check_next(words[i]);
    check_next(NULL);
    close_runtime();
}

T_TEST(looking_at_a_task_takes_its_failure_out)
{
    open_runtime(1);
    parla_task a = spawn(fail_as, (void *)"a", NULL, 0), b = spawn(fail_as, (void *)"b", NULL, 0),
               c = spawn(fail_as, (void *)"c", NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(wait_for(b), PARLA_E_USER);
    check_next("a");
    T_EQ_STR(failure_text(c), "c");
    check_next(NULL);
    T_EQ_STR(failure_text(a), "a"); /* still known */
    close_runtime();
}

T_TEST(looking_at_what_follows_is_looking_at_the_cause)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task first = spawn(fail_as, (void *)"first", NULL, 0), second = spawn(count_body, (void *)&n, &first, 1);
    parla_task third = spawn(count_body, (void *)&n, &second, 1);
    T_EQ(wait_for(third), PARLA_E_CANCELLED);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    check_next(NULL);
    close_runtime();
}

/* Looking at each of many failures must not cost a walk over all of them. */
T_TEST(many_failures_are_looked_at_one_by_one)
{
    int n = (int)t_scale(60000);
    parla_task *tasks = calloc((size_t)n, sizeof *tasks);
    open_runtime(1);
    for (int i = 0; i < n; i++)
        tasks[i] = spawn(fail_body, NULL, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < n; i++)
        T_EQ(wait_for(tasks[i]), PARLA_E_USER);
    check_next(NULL);
    close_runtime();
    free(tasks);
}

T_TEST(cancelled_tasks_are_not_reported)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task name = create_name("x");
    spawn(count_body, (void *)&n, &name, 1);
    T_OK(parla_task_cancel(name));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    check_next(NULL);
    parla_task_unref(name);
    close_runtime();
}

T_TEST(failed_events_are_reported)
{
    open_runtime(1);
    parla_task event = create_event("e");
    T_OK(parla_event_complete(event, PARLA_E_TRANSPORT, "rank 3 is gone"));
    check_next("rank 3 is gone");
    parla_task_unref(event);
    close_runtime();
}

T_TEST(outcomes_are_forgotten_after_65536_more)
{
    enum { N = PL_MAX_REMEMBERED };
    parla_task *tasks = calloc(N, sizeof *tasks);
    open_runtime(2);
    parla_task kept = spawn_as(create_name("kept"), NULL, fail_body, NULL, NULL, 0);
    T_EQ(wait_for(kept), PARLA_E_USER);
    parla_task oldest = spawn(fail_body, NULL, NULL, 0);
    T_EQ(wait_for(oldest), PARLA_E_USER);
    for (int i = 0; i < N - 1; i++)
        tasks[i] = spawn(fail_body, NULL, &oldest, 1);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(parla_task_query(oldest), PARLA_TASK_FAILED); /* the last one that fits */
    T_EQ(parla_task_query(tasks[N - 2]), PARLA_TASK_CANCELLED);
    T_EQ(wait_for(spawn(fail_body, NULL, NULL, 0)), PARLA_E_USER);
    T_EQ(parla_task_query(oldest), PARLA_TASK_DONE); /* forgotten */
    T_EQ(parla_task_ref(oldest), PARLA_E_STATE);
    T_EQ(parla_task_query(kept), PARLA_TASK_FAILED); /* somebody holds it */
    T_EQ_STR(failure_text(kept), "on purpose");
    parla_task_unref(kept);
    close_runtime();
    free(tasks);
}

static _Atomic int n_payloads;

static void release_payload(void *payload)
{
    pl_sub_acq_rel(&n_payloads, 1);
    free(payload);
}

static int fail_with_payload(parla_context *context, void *arg)
{
    (void)arg;
    pl_add_acq_rel(&n_payloads, 1);
    return parla_fail_with(context, PARLA_E_USER, malloc(16), release_payload, "with payload");
}

T_TEST(payloads_are_released_with_the_runtime_at_the_latest)
{
    _Atomic int n = 0;
    open_runtime(2);
    parla_task failed = PARLA_TASK_NONE;
    for (int i = 0; i < 100; i++) {
        failed = spawn(fail_with_payload, NULL, NULL, 0);
        spawn(count_body, (void *)&n, &failed, 1);
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_failure *taken = parla_task_failure(failed);
    T_TRUE(parla_failure_payload(taken) != NULL);
    T_GT(n_payloads, 0);
    close_runtime();
    T_EQ(n_payloads, 1); /* what is held outlives it */
    parla_failure_unref(taken);
    T_EQ(n_payloads, 0);
    T_EQ(n, 0);
}

static void *take_all(void *arg)
{
    parla_failure *failure;
    while (pl_load_acquire((_Atomic int *)arg) < 3000)
        if (parla_runtime_take_failure(rt, &failure) == 0) {
            pl_add_acq_rel((_Atomic int *)arg, 1);
            parla_failure_unref(failure);
        }
    return NULL;
}

T_TEST(each_failure_is_taken_once)
{
    _Atomic int n_taken = 0;
    open_runtime(2);
    pthread_t a = start_thread(take_all, (void *)&n_taken), b = start_thread(take_all, (void *)&n_taken);
    for (int i = 0; i < 3000; i++)
        spawn(fail_body, NULL, NULL, 0);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_taken, 3000);
    check_next(NULL);
    close_runtime();
}
