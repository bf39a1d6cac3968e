/* test_hold.c - the host's own access: order, movement, waiting in vain, forgetting to release. */
#include "placed_fixture.h"

T_TEST(it_sees_what_tasks_wrote)
{
    unsigned char memory[64] = {1};
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, sizeof memory);
    for (int i = 0; i < 10; i++)
        parla_task_unref(spawn(rt, increment, NULL, on_gpu(i % 2), data, PARLA_INOUT));
    parla_instance here;
    T_OK(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here));
    T_EQ(here.i_device, 0);
    T_EQ_PTR(here.box.base, memory);
    T_EQ(memory[0], 11);
    parla_data_release(data, PARLA_IN);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(tasks_wait_for_the_release_of_a_writer)
{
    unsigned char memory[64] = {1}, seen = 0;
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_OK(parla_data_acquire(rt, data, PARLA_INOUT, PARLA_FOREVER, &here));
    parla_task reader = spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN);
    T_EQ(parla_task_wait(rt, &reader, 1, 2000000), PARLA_E_TIMEOUT);
    memory[0] = 42;
    parla_data_release(data, PARLA_INOUT);
    T_OK(finish(rt, reader));
    T_EQ(seen, 42);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(readers_share_it)
{
    unsigned char memory[64] = {5}, seen = 0;
    parla_instance a, b;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_OK(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &a));
    T_OK(parla_data_acquire(NULL, data, PARLA_IN, PARLA_FOREVER, &b));
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN)));
    T_EQ(seen, 5);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER)); /* does not count what the host holds */
    parla_data_release(data, PARLA_IN);
    parla_data_release(data, PARLA_IN);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_timeout_leaves_the_array_as_it_is)
{
    unsigned char memory[64] = {5};
    gate closed = GATE_INIT;
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(0), data, PARLA_INOUT)));
    parla_task slow = spawn(rt, pass_gate, &closed, on_gpu(0), data, PARLA_IN);
    T_EQ(parla_data_acquire(rt, data, PARLA_OUT, 2000000, &here), PARLA_E_TIMEOUT);
    T_EQ(parla_data_acquire(rt, data, PARLA_INOUT, 0, &here), PARLA_E_TIMEOUT);
    gate_open(&closed);
    T_OK(finish(rt, slow));
    T_EQ(host_byte(rt, data), 6);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

static int acquire_inside(parla_context *context, void *arg)
{
    parla_instance here;
    return parla_data_acquire(parla_context_runtime(context), arg, PARLA_IN, PARLA_FOREVER, &here) == PARLA_E_STATE ? 0
                                                                                                                    : PARLA_E_USER;
}

T_TEST(refusals)
{
    unsigned char memory[64] = {5};
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory), *empty = make_array("empty", NULL, 64);
    T_EQ(parla_data_acquire(rt, data, 7, PARLA_FOREVER, &here), PARLA_E_INVALID);
    T_EQ(parla_data_acquire(rt, empty, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_STATE);
    T_EQ(parla_data_acquire(NULL, empty, PARLA_INOUT, PARLA_FOREVER, &here), PARLA_E_STATE);
    T_OK(finish(rt, spawn(rt, acquire_inside, data, on_cpu(), NULL, 0)));
    parla_data_unref(data);
    parla_data_unref(empty);
    parla_runtime_destroy(rt);
}

T_TEST(waiting_for_what_cannot_happen)
{
    unsigned char memory[64] = {5};
    parla_instance here;
    parla_task never;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_OK(parla_task_create(rt, &never, "never"));
    parla_access access = {.data = data, .mode = PARLA_INOUT};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = do_nothing;
    options.accesses = &access;
    options.n_accesses = 1;
    options.deps = &never;
    options.n_deps = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_EQ(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_STUCK);
    parla_task_unref(never);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(without_a_runtime)
{
    unsigned char memory[64] = {5};
    parla_instance here;
    parla_runtime *rt = start("cpu");
    parla_data *data = make_array("x", memory, sizeof memory), *lazy = make_array("lazy", NULL, 64);
    T_OK(parla_data_acquire(NULL, data, PARLA_IN, PARLA_FOREVER, &here));
    T_EQ_PTR(here.box.base, memory);
    parla_task task;
    T_EQ(try_spawn(rt, &task, do_nothing, NULL, on_cpu(), data, PARLA_IN), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "release it first");
    parla_data_release(data, PARLA_IN);
    T_OK(parla_data_acquire(NULL, lazy, PARLA_OUT, PARLA_FOREVER, &here));
    *(unsigned char *)here.box.base = 77;
    parla_data_release(lazy, PARLA_OUT);
    T_OK(finish(rt, spawn(rt, increment, NULL, on_cpu(), lazy, PARLA_INOUT)));
    T_EQ(host_byte(rt, lazy), 78);
    parla_data_unref(data);
    parla_data_unref(lazy);
    parla_runtime_destroy(rt);
}

T_TEST(what_is_forgotten_does_not_hang_the_end)
{
    unsigned char memory[64] = {5};
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    parla_log_set_level(PARLA_LOG_OFF); /* the error that this is about to be */
    T_OK(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here));
    T_OK(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here));
    parla_runtime_destroy(rt);
    parla_data_release(data, PARLA_IN);
    parla_data_unref(data);
}

/* What a thread that has stopped waiting would have overwritten is still what a failed task left. */
static void check_spoilt(bool fails_before)
{
    unsigned char memory[64] = {5}, value = 9;
    gate closed = GATE_INIT;
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    parla_task slow = spawn(rt, pass_gate, &closed, on_cpu(), data, PARLA_IN);
    parla_task bad = spawn(rt, fail_here, NULL, on_cpu(), data, PARLA_OUT);
    if (fails_before)
        T_OK(parla_task_cancel(bad));
    T_EQ(parla_data_acquire(rt, data, PARLA_OUT, 2000000, &here), PARLA_E_TIMEOUT);
    unsigned char seen = 0;
    parla_task early = spawn(rt, load_byte, &seen, on_cpu(), data, PARLA_IN);
    gate_open(&closed);
    T_OK(finish(rt, slow));
    T_EQ(finish(rt, bad), fails_before ? PARLA_E_CANCELLED : PARLA_E_USER);
    T_EQ(finish(rt, early), PARLA_E_CANCELLED);
    T_EQ(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_CANCELLED);
    T_HAS_STR(parla_error_detail(), fails_before ? "cancel" : "as it should");
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_cpu(), data, PARLA_OUT)));
    T_EQ(host_byte(rt, data), 9);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_timeout_cures_nothing) { check_spoilt(true); }
T_TEST(a_timeout_before_the_failure_cures_nothing) { check_spoilt(false); }

typedef struct knot {
    parla_task tasks[2];
    _Atomic int n_inside;
} knot;

/* Each of two tasks waits for the other. */
static int wait_for_other(parla_context *context, void *arg)
{
    knot *k = arg;
    parla_task *other = &k->tasks[parla_task_equal(parla_context_task(context), k->tasks[0])];
    if (parla_task_has_ended(*other))
        return 0;
    T_OK(parla_suspend_on(context, other, 1));
    atomic_fetch_add(&k->n_inside, 1);
    return PARLA_SUSPENDED;
}

T_TEST(the_end_is_reached_with_a_host_access_under_way)
{
    knot k = {.n_inside = 0};
    unsigned char memory[64] = {5};
    parla_instance here;
    parla_runtime *rt = start("cpu");
    parla_data *data = make_array("x", memory, sizeof memory);
    for (int i = 0; i < 2; i++)
        T_OK(parla_task_create(rt, &k.tasks[i], "knot"));
    for (int i = 0; i < 2; i++) {
        parla_access access = {.data = data, .mode = PARLA_OUT};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = wait_for_other;
        options.arg = &k;
        options.task = k.tasks[i];
        options.accesses = &access;
        options.n_accesses = i == 0 ? 1 : 0;
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
    T_EVENTUALLY(atomic_load(&k.n_inside) == 2, 5000);
    int rc = parla_data_acquire(rt, data, PARLA_OUT, 2000000, &here);
    T_TRUE(rc == PARLA_E_TIMEOUT || rc == PARLA_E_STUCK);
    for (int i = 0; i < 2; i++)
        parla_task_unref(k.tasks[i]);
    parla_runtime_destroy(rt);
    parla_data_unref(data);
}

/* The host holds one half; the tasks on the other do not wait, those on its own do. */
T_TEST(a_region_is_held_alone)
{
    unsigned char memory[16] = {0};
    const parla_range low = {0, 8, 1}, high = {8, 16, 1};
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, 16);
    T_OK(parla_data_acquire_region(rt, data, &low, PARLA_INOUT, PARLA_FOREVER, &here));
    parla_access access = {.data = data, .mode = PARLA_OUT, .region = &high};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task other, same;
    options.body = do_nothing;
    options.accesses = &access;
    options.n_accesses = 1;
    T_OK(parla_task_spawn(rt, &other, &options));
    T_OK(parla_task_wait(rt, &other, 1, PARLA_FOREVER));
    access.region = &low;
    T_OK(parla_task_spawn(rt, &same, &options));
    T_EQ(parla_task_wait(rt, &same, 1, 2000000), PARLA_E_TIMEOUT);
    T_OK(parla_data_acquire_region(rt, data, &high, PARLA_INOUT, PARLA_FOREVER, &here));
    parla_data_release_region(data, &low, PARLA_INOUT);
    T_OK(parla_task_wait(rt, &same, 1, PARLA_FOREVER));
    parla_data_release_region(data, &high, PARLA_INOUT);
    T_EQ(parla_data_acquire_region(rt, data, &(parla_range){0, 17, 1}, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_INVALID);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_region_without_a_runtime)
{
    const parla_range low = {0, 8, 1}, high = {8, 16, 1};
    parla_instance here;
    parla_data *data = make_array("x", NULL, 16);
    T_OK(parla_data_acquire_region(NULL, data, &low, PARLA_OUT, PARLA_FOREVER, &here));
    ((unsigned char *)here.box.base)[3] = 7;
    parla_data_release_region(data, &low, PARLA_OUT);
    T_EQ(parla_data_acquire_region(NULL, data, &high, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_STATE);
    T_OK(parla_data_acquire_region(NULL, data, &low, PARLA_IN, PARLA_FOREVER, &here));
    T_EQ(((unsigned char *)here.box.base)[3], 7);
    parla_data_release_region(data, &low, PARLA_IN);
    parla_data_unref(data);
}
