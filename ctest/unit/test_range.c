/* test_range.c - one task for a range of indices: each index once, on any worker, with failures, cancellation and nested work. */
#include "runtime_fixture.h"

#include <parla/replay.h>
#include <stdlib.h>

enum { MANY = 50000 };

static _Atomic int hits[MANY];

static int hit_body(parla_context *context, void *arg)
{
    (void)arg;
    pl_add_relaxed(&hits[parla_context_index(context)], 1);
    return 0;
}

static parla_task spawn_n(size_t n, parla_body body, void *arg)
{
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = arg;
    options.name = "range";
    T_OK(parla_task_spawn_n(rt, &task, n, &options));
    return task;
}

T_TEST_TIMEOUT(each_index_once, 60)
{
    static const size_t sizes[] = {0, 1, 2, 3, 255, 256, 257, 1000, MANY};
    for (int workers = 1; workers <= 3; workers++) {
        open_runtime(workers);
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            memset((void *)hits, 0, sizeof hits);
            T_OK(wait_for(spawn_n(sizes[k], hit_body, NULL)));
            for (size_t i = 0; i < MANY; i++)
                T_EQ(pl_load_relaxed(&hits[i]), i < sizes[k] ? 1 : 0);
        }
        close_runtime();
    }
}

static _Atomic int n_inside;

/* Both workers have to be in it at once. */
static int meet_body(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    pl_add_acq_rel(&n_inside, 1);
    T_EVENTUALLY(pl_load_acquire(&n_inside) >= 2, 20000);
    return 0;
}

T_TEST(a_range_goes_to_several_workers)
{
    open_runtime(2);
    T_OK(wait_for(spawn_n(2, meet_body, NULL)));
    close_runtime();
}

static int fail_some(parla_context *context, void *arg)
{
    size_t i = parla_context_index(context);
    pl_add_acq_rel((_Atomic int *)arg, 1);
    return i % 100 == 7 ? parla_fail(context, PARLA_E_USER, "index %zu", i) : 0;
}

T_TEST(a_failure_is_told_and_the_rest_runs)
{
    _Atomic int n = 0;
    open_runtime(2);
    parla_task task = spawn_n(1000, fail_some, &n), after = spawn(count_body, &n, &task, 1);
    T_EQ(wait_for(task), PARLA_E_USER);
    T_HAS_STR(failure_text(task), "index ");
    T_EQ(wait_for(after), PARLA_E_CANCELLED);
    T_EQ(n, 1000);
    close_runtime();
}

static int stop_first(parla_context *context, void *arg) { return parla_context_index(context) == 0 ? stop_body(context, arg) : 0; }

T_TEST(a_cancelled_range_leaves_out_what_has_not_begun)
{
    stopper stop = {0};
    open_runtime(1);
    parla_task task = spawn_n(1000, stop_first, &stop);
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 20000);
    T_EQ(parla_task_cancel(task), PARLA_PENDING);
    pl_store_release(&stop.may_go, true);
    T_EQ(wait_for(task), PARLA_E_CANCELLED);
    T_HAS_STR(failure_text(task), "left out");
    close_runtime();
}

static void count_end(void *arg, const parla_outcome *outcome)
{
    T_EQ(outcome->status, 0);
    pl_add_acq_rel((_Atomic int *)arg, 1000000);
}

T_TEST(dependencies_and_on_end_belong_to_the_whole)
{
    _Atomic int n = 0;
    stopper stop = {0};
    open_runtime(2);
    parla_task before = spawn(stop_body, &stop, NULL, 0), task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count_body;
    options.arg = &n;
    options.on_end = count_end;
    options.deps = &before;
    options.n_deps = 1;
    T_OK(parla_task_spawn_n(rt, &task, 500, &options));
    T_EQ(pl_load_acquire(&n), 0);
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(task));
    T_EQ(n, 1000500);
    close_runtime();
}

static int nested_body(parla_context *context, void *arg)
{
    parla_runtime *here = parla_context_runtime(context);
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count_body;
    options.arg = arg;
    T_OK(parla_task_spawn_n(here, &task, 20, &options));
    return parla_task_wait(here, &task, 1, PARLA_FOREVER);
}

T_TEST_TIMEOUT(ranges_in_ranges, 60)
{
    for (int workers = 1; workers <= 2; workers++) {
        _Atomic int n = 0;
        open_runtime(workers);
        T_OK(wait_for(spawn_n(50, nested_body, &n)));
        T_EQ(n, 1000);
        close_runtime();
    }
}

/* What already waits for the name waits for the range. */
T_TEST(a_range_under_a_name)
{
    for (int workers = 1; workers <= 2; workers++) {
        _Atomic int n = 0;
        int n_before = -1;
        parla_task name, task;
        open_runtime(workers);
        memset((void *)hits, 0, sizeof hits);
        T_OK(parla_task_create(rt, &name, "range"));
        parla_task after = spawn(count_body, &n, &name, 1);
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = hit_body;
        options.arg = &n_before;
        options.task = name;
        T_OK(parla_task_spawn_n(rt, &task, 1000, &options));
        T_TRUE(parla_task_equal(task, name));
        T_OK(wait_for(after));
        for (size_t i = 0; i < 1000; i++)
            T_EQ(pl_load_relaxed(&hits[i]), 1);
        T_EQ(parla_task_spawn_n(rt, NULL, 3, &options), PARLA_E_STATE);
        parla_task_unref(name);
        close_runtime();
    }
}

T_TEST(what_does_not_fit_a_range_is_refused)
{
    open_runtime(1);
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    T_EQ(parla_task_spawn_n(rt, NULL, 3, &options), PARLA_E_INVALID);
    options.body = hit_body;
    options.arg = &options;
    options.arg_bytes = 4;
    T_EQ(parla_task_spawn_n(rt, NULL, 3, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "pass a pointer");
    options.arg_bytes = 0;
    options.priority = 2;
    T_EQ(parla_task_spawn_n(rt, NULL, 3, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "priority");
    close_runtime();
}
