/* test_stuck.c - the words of PARLA_E_STUCK: who waits for whom, and why that ends nowhere. */
#include "sched/runtime.h"

#include "log_lines.h"
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

/* Spawns a name that waits for another one, which closes a cycle. */
static void spawn_refused(parla_task name, const parla_task *dep, const char *words)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.task = name;
    options.body = count_body;
    options.deps = dep;
    options.n_deps = 1;
    T_EQ(parla_task_spawn(rt, NULL, &options), PARLA_E_STUCK);
    T_HAS_STR(parla_error_detail(), words);
    T_EQ(parla_task_query(name), PARLA_TASK_CREATED);
}

T_TEST(a_cycle_is_refused_where_it_is_closed)
{
    open_runtime(1);
    parla_task a = create_name("a"), b = create_name("b"), c = create_name("c");
    n_run = 0;
    spawn_as(a, NULL, count_body, (void *)&n_run, &b, 1);
    spawn_as(b, NULL, count_body, (void *)&n_run, &c, 1);
    spawn_refused(c, &a, "this task would never start: c waits for a waits for b waits for c: a cycle");
    spawn_refused(c, &c, "this task would never start: c waits for c: a cycle");
    spawn_as(c, NULL, count_body, (void *)&n_run, NULL, 0); /* it can still be spawned otherwise */
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_run, 3);
    parla_task_unref(a);
    parla_task_unref(b);
    parla_task_unref(c);
    close_runtime();
}

/* One that is long, and one that is too long to be looked for at a spawn. */
T_TEST(long_cycles)
{
    enum { N = 200, LONG = 60 };
    static parla_task names[N];
    open_runtime(1);
    for (int n = LONG; n <= N; n += N - LONG) {
        n_run = 0;
        for (int i = 0; i < n; i++)
            names[i] = create_name("link");
        for (int i = 0; i < n - 1; i++)
            spawn_as(names[i], NULL, count_body, (void *)&n_run, &names[i + 1], 1);
        if (n == LONG) {
            spawn_refused(names[n - 1], &names[0], "waits for link waits for link");
            spawn_as(names[n - 1], NULL, count_body, (void *)&n_run, NULL, 0);
            T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
            T_EQ(n_run, n);
        } else {
            spawn_as(names[n - 1], NULL, count_body, (void *)&n_run, &names[0], 1);
            T_HAS_STR(stuck(), "200 tasks are unfinished: link waits for link");
        }
        for (int i = 0; i < n; i++)
            parla_task_unref(names[i]);
    }
    close_runtime();
    T_EQ(n_run, 0);
}

static int suspend_body(parla_context *context, void *arg)
{
    T_OK(parla_suspend_on(context, arg, 1));
    return parla_task_has_ended(*(parla_task *)arg) ? 0 : PARLA_SUSPENDED;
}

/* A body may wait for anything: that is no matter of spawns. */
T_TEST(a_cycle_by_way_of_a_body_is_named)
{
    open_runtime(1);
    parla_task a = create_name("a"), b = create_name("b");
    n_run = 0;
    spawn_as(a, NULL, suspend_body, &b, NULL, 0);
    T_EVENTUALLY(parla_task_query(a) == PARLA_TASK_SUSPENDED, 20000);
    spawn_refused(b, &a, "b waits for a waits for b: a cycle");
    T_OK(parla_task_cancel(b));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(a);
    parla_task_unref(b);
    a = create_name("a"), b = create_name("b");
    spawn_as(b, NULL, count_body, (void *)&n_run, &a, 1);
    spawn_as(a, NULL, suspend_body, &b, NULL, 0);
    const char *text = stuck();
    T_HAS_STR(text, "a waits for b");
    T_HAS_STR(text, "b waits for a");
    T_HAS_STR(text, ": a cycle");
    parla_task_unref(a);
    parla_task_unref(b);
    close_runtime();
    T_EQ(n_run, 0);
}

static int wait_in_vain(parla_context *context, void *arg)
{
    int code = parla_task_wait(parla_context_runtime(context), arg, 1, PARLA_FOREVER);
    T_TRUE(code == PARLA_E_STUCK || code == PARLA_E_CANCELLED);
    if (code == PARLA_E_STUCK)
        T_HAS_STR(parla_error_detail(), "2 tasks are unfinished: caller waits for reply, which was never spawned");
    return 0;
}

/* Or the thread that waits for all, whichever looks first. */
T_TEST(a_body_that_waits_in_vain_is_told)
{
    open_runtime(1);
    parla_task name = create_name("reply");
    parla_task caller = spawn_as(PARLA_TASK_NONE, "caller", wait_in_vain, &name, NULL, 0);
    spawn_as(PARLA_TASK_NONE, "after", count_body, (void *)&n_run, &caller, 1);
    int code = parla_runtime_wait(rt, PARLA_FOREVER);
    if (code != 0) {
        T_EQ(code, PARLA_E_STUCK);
        T_HAS_STR(parla_error_detail(), "2 tasks are unfinished: caller (blocked) waits for reply, which was never spawned");
        T_OK(parla_task_cancel(name));
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    }
    parla_task_unref(name);
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

/* What a long end of the runtime says. */
T_TEST(a_task_that_runs_is_named_in_the_log)
{
    stopper stop = {0};
    open_runtime(1);
    parla_task task = spawn_as(PARLA_TASK_NONE, "endless", stop_body, &stop, NULL, 0);
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000);
    t_log_keep();
    pl_log_unfinished(rt);
    t_log_print();
    T_TRUE(t_log_has("waits for 1 task: endless (running)"));
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(task));
    close_runtime();
}
