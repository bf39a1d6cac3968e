/* test_stuck.c - the words of PARLA_E_STUCK: who waits for whom, and why that ends nowhere. */
#include "sched/runtime.h"

#include "runtime_fixture.h"

#include <stdio.h>

static _Atomic int n_run;

static const char *stuck(void)
{
    T_EQ(parla_runtime_wait(rt, PARLA_FOREVER), PARLA_E_STUCK);
    return parla_error_detail();
}

T_TEST(a_chain_ends_at_a_name)
{
    open_runtime(2);
    parla_task name = create_name("input");
    parla_task a = spawn_as(PARLA_TASK_NONE, "factor", count_body, (void *)&n_run, &name, 1);
    T_EQ_STR(stuck(),
             "nothing runs and nothing can start, but 1 task is unfinished: factor waits for input, which was never spawned");
    spawn_as(PARLA_TASK_NONE, "solve", count_body, (void *)&n_run, &a, 1);
    T_HAS_STR(stuck(), "but 2 tasks are unfinished");
    T_OK(parla_task_cancel(name));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(name);
    close_runtime();
}

T_TEST(a_cycle_is_named)
{
    open_runtime(1);
    parla_task a = create_name("a"), b = create_name("b"), c = create_name("c");
    spawn_as(a, NULL, count_body, (void *)&n_run, &b, 1);
    spawn_as(b, NULL, count_body, (void *)&n_run, &c, 1);
    spawn_as(c, NULL, count_body, (void *)&n_run, &a, 1);
    const char *text = stuck();
    T_HAS_STR(text, "a waits for b");
    T_HAS_STR(text, "b waits for c");
    T_HAS_STR(text, "c waits for a");
    T_HAS_STR(text, ": a cycle");
    parla_task_unref(a);
    parla_task_unref(b);
    parla_task_unref(c);
    close_runtime();
    T_EQ(n_run, 0);
}

T_TEST(a_task_that_waits_for_itself)
{
    open_runtime(1);
    parla_task a = create_name("narcissus");
    spawn_as(a, NULL, count_body, (void *)&n_run, &a, 1);
    T_HAS_STR(stuck(), "narcissus waits for narcissus: a cycle");
    parla_task_unref(a);
    close_runtime();
}

T_TEST(tasks_without_names_are_numbered)
{
    open_runtime(1);
    parla_task name = create_name("x");
    spawn(count_body, (void *)&n_run, &name, 1);
    T_HAS_STR(stuck(), "unfinished: task ");
    T_HAS_STR(stuck(), " waits for x");
    parla_task_unref(name);
    close_runtime();
}

static int suspend_body(parla_context *context, void *arg)
{
    T_OK(parla_suspend_on(context, arg, 1));
    return parla_task_has_ended(*(parla_task *)arg) ? 0 : PARLA_SUSPENDED;
}

T_TEST(suspended_tasks_are_told_too)
{
    open_runtime(1);
    parla_task name = create_name("reply");
    spawn_as(PARLA_TASK_NONE, "caller", suspend_body, &name, NULL, 0);
    T_HAS_STR(stuck(), "caller waits for reply, which was never spawned");
    T_OK(parla_task_cancel(name));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(name);
    close_runtime();
}

T_TEST(long_chains_and_names_are_cut)
{
    static char names[60][200];
    open_runtime(1);
    parla_task name = create_name("the end"), task = name;
    for (int i = 59; i >= 0; i--) {
        snprintf(names[i], sizeof names[i], "%d%0150d", i, i);
        task = spawn_as(PARLA_TASK_NONE, names[i], count_body, (void *)&n_run, &task, 1);
    }
    T_HAS_STR(stuck(), "60 tasks are unfinished");
    T_LT(strlen(parla_error_detail()), 1024);
    T_EQ(parla_task_wait(rt, &task, 1, PARLA_FOREVER), PARLA_E_STUCK);
    T_HAS_STR(parla_error_detail(), names[0]); /* from the awaited one on */
    T_OK(parla_task_cancel(name));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(name);
    close_runtime();
}

static void keep_line(void *ctx, parla_log_level level, const char *line)
{
    (void)level;
    snprintf(ctx, 256, "%s", line);
}

/* What a long end of the runtime says. */
T_TEST(a_task_that_runs_is_named_in_the_log)
{
    static char text[256];
    stopper stop = {0};
    open_runtime(1);
    parla_task task = spawn_as(PARLA_TASK_NONE, "endless", stop_body, &stop, NULL, 0);
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000);
    parla_log_set_sink(keep_line, text);
    pl_log_unfinished(rt);
    parla_log_set_sink(NULL, NULL);
    T_HAS_STR(text, "waits for 1 task: endless (running)");
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(task));
    close_runtime();
}
