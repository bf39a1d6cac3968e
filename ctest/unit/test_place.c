/* test_place.c - the placed path from spawn to end: states, devices, counters, tasks without resources to wait for. */
#include "base/atomic.h"
#include "placed_fixture.h"
#include "sched/placed.h"
#include "task/failure.h"

T_TEST(bodies_run_where_they_were_placed)
{
    parla_runtime *rt = start("sim:2");
    int devices[2];
    for (int i = 0; i < 2; i++) {
        parla_task task = spawn(rt, do_nothing, NULL, on_gpu(i), NULL, 0);
        T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
        T_EQ(parla_task_devices(task, devices, 2), 1);
        T_EQ(devices[0], i + 1);
        parla_task_unref(task);
    }
    T_EQ(device_info(rt, 1).n_tasks, 1);
    T_EQ(device_info(rt, 2).n_tasks, 1);
    parla_runtime_destroy(rt);
}

T_TEST(devices_are_told_before_and_after)
{
    gate closed = GATE_INIT;
    int device;
    parla_runtime *rt = start("sim:1");
    parla_task first = spawn(rt, pass_gate, &closed, on_cpu(), NULL, 0);
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_demand demand = on_gpu(0);
    parla_choice choice = {&demand, 1};
    parla_task task;
    T_OK(parla_task_create(rt, &task, "later"));
    T_EQ(parla_task_devices(task, &device, 1), 0);
    options.task = task;
    options.body = do_nothing;
    options.deps = &first;
    options.n_deps = 1;
    options.choices = &choice;
    options.n_choices = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_EQ(parla_task_devices(task, &device, 1), 0);
    gate_open(&closed);
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    T_EQ(parla_task_devices(task, &device, 1), 1);
    T_EQ(device, 1);
    parla_task_unref(task);
    parla_task_unref(first);
    parla_runtime_destroy(rt);
}

T_TEST(a_reserved_task_says_so)
{
    unsigned char memory[4096] = {7}, seen = 0;
    parla_runtime *rt = start("sim:1,lat=200ms");
    parla_data *data = make_array("x", memory, sizeof memory);
    parla_task task = spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN);
    T_EQ(parla_task_query(task), PARLA_TASK_RESERVED);
    T_OK(finish(rt, task));
    T_EQ(seen, 7);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(failures_end_and_cancel_like_others)
{
    parla_runtime *rt = start("sim:1");
    parla_task bad = spawn(rt, fail_here, NULL, on_gpu(0), NULL, 0), behind;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = do_nothing;
    options.deps = &bad;
    options.n_deps = 1;
    options.priority = 3;
    T_OK(parla_task_create(rt, &behind, "behind"));
    options.task = behind;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_EQ(finish(rt, behind), PARLA_E_CANCELLED);
    T_EQ(finish(rt, bad), PARLA_E_USER);
    parla_runtime_destroy(rt);
}

T_TEST(nothing_is_left_at_rest)
{
    unsigned char memory[512] = {0};
    parla_runtime *rt = start("sim:3");
    parla_data *data = make_array("x", memory, sizeof memory);
    for (int i = 0; i < 300; i++)
        parla_task_unref(spawn(rt, do_nothing, NULL, on_gpu(i % 3), data, i % 5 == 0 ? PARLA_INOUT : PARLA_IN));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_FALSE(pl_place_is_waiting(rt));
    T_EVENTUALLY(pl_load_seq(&rt->n_outside) == 0, 5000);
    pl_place_lock(rt);
    T_EQ(rt->place.n_live, 0);
    T_EQ(rt->place.n_queued, 0);
    T_TRUE(rt->place.buckets == NULL);
    for (int i = 0; i < 4; i++) {
        T_EQ(rt->place.sites[i].n_holders, 0);
        T_EQ(rt->place.sites[i].n_handed, 0);
        T_EQ(rt->place.sites[i].n_moves, 0);
        T_EQ(rt->place.sites[i].leaving_bytes, 0);
    }
    T_TRUE(!data->tiles.root.readers && !data->tiles.root.writer && data->tiles.root.n_holds == 0);
    pl_place_unlock(rt);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* A body that waits for tasks that need the CPU's turn as well: they get it although all workers are in such bodies. */
static int wait_for_child(parla_context *context, void *arg)
{
    int depth = *(int *)arg - 1;
    if (depth == 0)
        return 0;
    parla_task child = spawn(parla_context_runtime(context), wait_for_child, &depth, on_cpu(), NULL, 0);
    return finish(parla_context_runtime(context), child);
}

T_TEST(bodies_that_block_do_not_starve_their_children)
{
    parla_runtime *rt = start_with("cpu", NULL, 1);
    int depth = 12;
    parla_task tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn(rt, wait_for_child, &depth, on_cpu(), NULL, 0);
    for (int i = 0; i < 3; i++)
        T_OK(finish(rt, tasks[i]));
    parla_runtime_destroy(rt);
}

static int suspend_once(parla_context *context, void *arg)
{
    T_OK(parla_suspend_on(context, arg, 1));
    return PARLA_SUSPENDED;
}

/* A cancel at the end of the runtime and the news that the task may go on meet: the cancel was first. */
T_TEST(a_task_that_was_cancelled_is_not_resumed)
{
    parla_task event;
    unsigned char memory[16] = {0};
    parla_runtime *rt = start("cpu");
    parla_data *data = make_array("x", memory, 16);
    T_OK(parla_event_create(rt, &event, "event"));
    parla_task handle = spawn(rt, suspend_once, &event, on_cpu(), data, PARLA_IN);
    pl_task *task = pl_task_of(handle);
    pl_worker *self = pl_self(rt);
    T_EVENTUALLY(pl_task_state(task) == PARLA_TASK_SUSPENDED, 5000);
    T_TRUE(pl_task_move(task, PARLA_TASK_SUSPENDED, PARLA_TASK_CANCELLED));
    for (int i = 0; i < 2; i++) { /* before and after the placed path knows */
        pl_task_ref(task);
        pl_place_ready(rt, self, task);
        T_FALSE(pl_place_is_waiting(rt));
        if (i == 0)
            pl_end(rt, self, task, PARLA_TASK_CANCELLED, pl_failure_create(PARLA_E_CANCELLED, "task", NULL, "too late"), false);
    }
    T_EQ(pl_task_state(task), PARLA_TASK_CANCELLED);
    T_OK(parla_event_complete(event, 0, NULL));
    T_EQ(finish(rt, handle), PARLA_E_CANCELLED);
    parla_task_unref(event);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}
