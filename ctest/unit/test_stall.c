/* test_stall.c - the watchdog tells of tasks that do not end, once, and never of an idle runtime. */
#include "log_lines.h"
#include "runtime_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>

static void open_watched(int64_t stall_ns)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1;
    options.stall_ns = stall_ns;
    T_OK(parla_runtime_create(&rt, &options));
    t_log_keep();
}

static void end_watched(void)
{
    close_runtime();
    t_log_print();
}

static void count(void *ctx) { atomic_fetch_add((_Atomic int *)ctx, 1); }

T_TEST(who_runs_and_who_waits_for_whom)
{
    _Atomic int n_told = 0, n_replaced = 0;
    stopper self = {false, false};
    _Atomic int n = 0;
    open_watched(30000000);
    parla_runtime_on_stall(rt, count, (void *)&n_replaced);
    parla_runtime_on_stall(rt, count, (void *)&n_told);
    parla_task slow = spawn_as(PARLA_TASK_NONE, "slow", stop_body, &self, NULL, 0);
    parla_task middle = spawn_as(PARLA_TASK_NONE, "middle", count_body, (void *)&n, &slow, 1);
    spawn_as(PARLA_TASK_NONE, "last", count_body, (void *)&n, &middle, 1);
    T_EVENTUALLY(t_log_has("running (1): slow (running)"), 20000);
    T_EVENTUALLY(atomic_load(&n_told) == 1, 20000);
    T_EVENTUALLY(t_log_has("middle waits for slow (running)") || t_log_has("last waits for middle waits for slow (running)"),
                 20000);
    pl_store_release(&self.may_go, true);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    end_watched();
    T_EQ(t_log_n_lines(), 2); /* however long it lasted */
    T_EQ(atomic_load(&n_told), 1);
    T_EQ(atomic_load(&n_replaced), 0);
}

static int wait_with_limit(parla_context *context, void *arg)
{
    int code = parla_task_wait(parla_context_runtime(context), arg, 1, INT64_C(3600) * 1000000000);
    return code == PARLA_E_CANCELLED ? 0 : code;
}

/* With a limit in time it is no case of being stuck. */
T_TEST(bodies_that_wait_on_their_threads_and_events)
{
    open_watched(30000000);
    parla_task name = create_name("reply"), message = create_event("message");
    spawn_as(PARLA_TASK_NONE, "caller", wait_with_limit, &name, NULL, 0);
    T_EVENTUALLY(t_log_has("caller (blocked) waits for reply, which was never spawned"), 20000);
    T_OK(parla_task_cancel(name));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    spawn_as(PARLA_TASK_NONE, "receiver", wait_with_limit, &message, NULL, 0);
    T_EVENTUALLY(t_log_has("receiver (blocked) waits for message, an event that nobody has completed"), 20000);
    T_OK(parla_event_complete(message, 0, NULL));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(message);
    parla_task_unref(name);
    end_watched();
}

T_TEST(it_tells_again_after_things_have_moved)
{
    open_watched(30000000);
    for (int i = 1; i <= 2; i++) {
        stopper self = {false, false};
        static const char *const names[] = {"", "first", "second"};
        parla_task task = spawn_as(PARLA_TASK_NONE, names[i], stop_body, &self, NULL, 0);
        T_EVENTUALLY(t_log_has(names[i]), 20000);
        pl_store_release(&self.may_go, true);
        T_OK(wait_for(task));
    }
    end_watched();
}

/* Busy and idle runtimes are left alone: many intervals pass while tasks end. */
T_TEST(nothing_is_told_while_tasks_end)
{
    _Atomic int n = 0;
    open_watched(2000000000);
    for (int i = 0; i < 2000; i++)
        T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0)));
    end_watched();
    T_EQ(t_log_n_lines(), 0);
}

T_TEST(malformed)
{
    parla_runtime *none;
    setenv("PARLA_STALL_S", "soon", 1);
    T_EQ(parla_runtime_create(&none, NULL), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "PARLA_STALL_S='soon'");
}
