/* test_manage.c - how long a runner may keep what its bodies need: over bodies of its own in a row, and nothing else. */
#include "runtime_fixture.h"

#include <parla/poll.h>
#include <parla/replay.h>

static _Thread_local bool keeps; /* this thread has the lock of the language, and runs no body of it */
static _Atomic int n_keep, n_taken, n_runs;

static int run_keeping(void *ctx, parla_body body, parla_context *context, void *arg)
{
    (void)ctx;
    if (!keeps) {
        pl_add_acq_rel(&n_taken, 1);
        pl_add_acq_rel(&n_keep, 1);
    }
    keeps = false; /* the body may wait, without the lock */
    int result = body(context, arg);
    pl_add_acq_rel(&n_runs, 1);
    keeps = true;
    return result;
}

static void rest(void *ctx)
{
    (void)ctx;
    if (keeps)
        pl_sub_acq_rel(&n_keep, 1);
    keeps = false;
}

static void open_keeping(int n_workers, const char *devices)
{
    parla_runner runner = {.size = sizeof runner, .run = run_keeping, .rest = rest};
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_workers;
    options.devices = devices;
    options.runner = &runner;
    n_taken = n_runs = n_keep = 0;
    T_OK(parla_runtime_create(&rt, &options));
}

static parla_task spawn_managed(parla_body body, void *arg, const parla_task *deps, size_t n_deps)
{
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = arg;
    options.flags = PARLA_TASK_MANAGED;
    options.deps = deps;
    options.n_deps = n_deps;
    T_OK(parla_task_spawn(rt, &task, &options));
    return task;
}

static void close_at_rest(void)
{
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EVENTUALLY(pl_load_acquire(&n_keep) == 0, 20000); /* workers that have nothing to do keep nothing */
    close_runtime();
    T_EQ(n_keep, 0);
}

T_TEST(bodies_in_a_row_take_it_once)
{
    _Atomic int n = 0;
    stopper stop = {0};
    open_keeping(1, "cpu");
    parla_task gate = spawn(stop_body, &stop, NULL, 0);
    for (int i = 0; i < 100; i++)
        spawn_managed(count_body, (void *)&n, &gate, 1);
    pl_store_release(&stop.may_go, true);
    close_at_rest();
    T_EQ(n, 100);
    T_EQ(n_runs, 100);
    T_EQ(n_taken, 1);
}

static int plain_body(parla_context *context, void *arg)
{
    T_FALSE(keeps);
    return count_body(context, arg);
}

T_TEST(not_in_other_bodies)
{
    for (int workers = 1; workers <= 2; workers++) {
        _Atomic int n = 0;
        parla_task last = PARLA_TASK_NONE;
        open_keeping(workers, "cpu");
        for (int i = 0; i < 300; i++)
            last = i % 3 ? spawn_managed(count_body, (void *)&n, &last, 1) : spawn(plain_body, (void *)&n, &last, 1);
        close_at_rest();
        T_EQ(n, 300);
        T_TRUE(n_taken < n_runs);
    }
}

static int wait_body(parla_context *context, void *arg)
{
    (void)context;
    T_FALSE(keeps);
    T_OK(wait_for(spawn_managed(count_body, arg, NULL, 0)));
    T_FALSE(keeps);
    return 0;
}

T_TEST(not_when_a_body_goes_on_that_waited)
{
    for (int workers = 1; workers <= 2; workers++) {
        _Atomic int n = 0;
        open_keeping(workers, "cpu");
        for (int i = 0; i < 50; i++) {
            spawn(wait_body, (void *)&n, NULL, 0);
            spawn_managed(wait_body, (void *)&n, NULL, 0);
        }
        close_at_rest();
        T_EQ(n, 100);
    }
}

static int hit(parla_context *context, void *arg) { return count_body(context, arg); }

T_TEST(the_calls_of_a_range_take_it_once_for_a_batch)
{
    _Atomic int n = 0;
    open_keeping(1, "cpu");
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = hit;
    options.arg = (void *)&n;
    options.flags = PARLA_TASK_MANAGED;
    T_OK(parla_task_spawn_n(rt, NULL, 10000, &options));
    close_at_rest();
    T_EQ(n, 10000);
    T_TRUE(n_taken < 100);
}

static int spawn_range_body(parla_context *context, void *arg)
{
    (void)context;
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = hit;
    options.arg = arg;
    options.flags = PARLA_TASK_MANAGED;
    T_OK(parla_task_spawn_n(rt, &task, 300, &options));
    T_OK(wait_for(task));
    T_FALSE(keeps);
    return 0;
}

T_TEST(not_when_a_body_goes_on_that_waited_for_a_range)
{
    for (int workers = 1; workers <= 2; workers++) {
        _Atomic int n = 0;
        open_keeping(workers, "cpu");
        for (int i = 0; i < 10; i++)
            spawn(spawn_range_body, (void *)&n, NULL, 0);
        close_at_rest();
        T_EQ(n, 3000);
    }
}

/* Device queues are no workers; what follows a body with a device may wait for it. */
T_TEST(not_after_bodies_with_devices)
{
    _Atomic int n = 0;
    open_keeping(2, "sim:2");
    parla_demand demands[] = {{.arch = PARLA_ARCH_GPU, .number = PARLA_ANY_NUMBER}, {.arch = PARLA_ARCH_CPU, .number = 0}};
    parla_choice choices[] = {{&demands[0], 1}, {&demands[1], 1}};
    for (int i = 0; i < 100; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = count_body;
        options.arg = (void *)&n;
        options.flags = PARLA_TASK_MANAGED;
        options.choices = &choices[i % 2];
        options.n_choices = 1;
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
    close_at_rest();
    T_EQ(n, 100);
    T_EQ(n_taken, n_runs);
}

static int poll_once(void *ctx)
{
    T_FALSE(keeps);
    pl_add_acq_rel((_Atomic int *)ctx, 1);
    return 0;
}

T_TEST(not_in_progress_functions)
{
    _Atomic int n = 0, n_polls = 0;
    parla_poll *poll;
    open_keeping(2, "cpu");
    T_OK(parla_poll_add(rt, &poll, poll_once, (void *)&n_polls));
    for (int turn = 0; turn < 20000 || pl_load_acquire(&n_polls) == 0; turn++)
        spawn_managed(count_body, (void *)&n, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_poll_remove(poll);
    close_at_rest();
}
