/* test_reserve.c - memory and shares: exact accounts, eviction, waiting, and the end of hope. */
#include "placed_fixture.h"

enum { KIB = 1024 };

T_TEST(reservations_come_and_go)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = 10 * KIB;
    demand.vcus = 0.25;
    parla_data *data = make_array("x", NULL, 20 * KIB);
    parla_task task = spawn(rt, pass_gate, &closed, demand, data, PARLA_OUT);
    T_EVENTUALLY(device_info(rt, 1).reserved_bytes == 10 * KIB, 5000);
    T_EQ(device_info(rt, 1).used_bytes, 20 * KIB);
    T_NEAR(device_info(rt, 1).free_vcus, 0.75, 1e-12);
    gate_open(&closed);
    T_OK(finish(rt, task));
    T_EQ(device_info(rt, 1).reserved_bytes, 0);
    T_EQ(device_info(rt, 1).used_bytes, 20 * KIB);
    T_NEAR(device_info(rt, 1).free_vcus, 1, 0);
    parla_data_unref(data);
    T_EQ(device_info(rt, 1).used_bytes, 0);
    parla_runtime_destroy(rt);
}

/* More shares than there are never run at once. */
static _Atomic int n_running, most_running;

static int count_running(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    int now = atomic_fetch_add(&n_running, 1) + 1;
    for (int most = atomic_load(&most_running); now > most && !atomic_compare_exchange_weak(&most_running, &most, now);)
        ;
    for (volatile int i = 0; i < 20000; i++)
        ;
    atomic_fetch_sub(&n_running, 1);
    return 0;
}

T_TEST(shares_limit_what_runs_at_once)
{
    parla_runtime *rt = start_with("cpu", NULL, 4);
    parla_demand demand = on_cpu();
    demand.vcus = 0.4;
    for (int i = 0; i < 40; i++)
        parla_task_unref(spawn(rt, count_running, NULL, demand, NULL, 0));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_LE(atomic_load(&most_running), 2);
    T_GE(atomic_load(&most_running), 1);
    parla_runtime_destroy(rt);
}

T_TEST(what_is_elsewhere_too_is_dropped_without_a_copy)
{
    unsigned char a_memory[40 * KIB] = {1}, b_memory[40 * KIB] = {2}, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *a = make_array("a", a_memory, sizeof a_memory), *b = make_array("b", b_memory, sizeof b_memory);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), a, PARLA_IN)));
    T_EQ(info_of(a).valid_mask, 3);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), b, PARLA_IN)));
    T_EQ(seen, 2);
    T_EQ(info_of(a).valid_mask, 1);
    T_EQ(copies_between(rt, 1, 0), 0);
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}

T_TEST(what_is_nowhere_else_is_written_back)
{
    unsigned char value = 5, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *a = make_array("a", NULL, 40 * KIB), *b = make_array("b", NULL, 40 * KIB);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), a, PARLA_OUT)));
    T_EQ(info_of(a).i_owner, 1);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), b, PARLA_OUT)));
    T_EQ(info_of(a).i_owner, 0);
    T_EQ(copies_between(rt, 1, 0), 1);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), a, PARLA_IN)));
    T_EQ(seen, 5);
    T_EQ(host_byte(rt, b), 5);
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}

T_TEST(the_least_recently_used_goes)
{
    unsigned char memory[3][30 * KIB] = {{1}, {2}, {3}}, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data[3];
    for (int i = 0; i < 3; i++)
        data[i] = make_array("x", memory[i], sizeof memory[i]);
    const int uses[] = {0, 1, 0, 2};
    for (int i = 0; i < 4; i++)
        T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data[uses[i]], PARLA_IN)));
    T_EQ(info_of(data[0]).valid_mask, 3);
    T_EQ(info_of(data[1]).valid_mask, 1);
    T_EQ(info_of(data[2]).valid_mask, 3);
    for (int i = 0; i < 3; i++)
        parla_data_unref(data[i]);
    parla_runtime_destroy(rt);
}

T_TEST(a_task_waits_for_memory_that_others_use)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = 40 * KIB;
    parla_task first = spawn(rt, pass_gate, &closed, demand, NULL, 0);
    T_EVENTUALLY(device_info(rt, 1).reserved_bytes > 0, 5000);
    parla_task second = spawn(rt, do_nothing, NULL, demand, NULL, 0);
    T_EQ(parla_task_wait(rt, &second, 1, 2000000), PARLA_E_TIMEOUT);
    T_EQ(parla_task_query(second), PARLA_TASK_READY);
    gate_open(&closed);
    T_OK(finish(rt, first));
    T_OK(finish(rt, second));
    parla_runtime_destroy(rt);
}

/* The backend refuses although the accounts say that there is room, and nothing can be evicted. */
T_TEST(a_device_that_refuses_fails_the_task)
{
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("big", NULL, 40 * KIB);
    T_OK(parla_sim_inject(rt, 1, 1, 0));
    T_EQ(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(0), data, PARLA_OUT)), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "gpu[0]");
    T_HAS_STR(parla_error_detail(), "40960 bytes");
    T_OK(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(0), data, PARLA_OUT)));
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_device_that_refuses_once_is_asked_again_after_an_eviction)
{
    unsigned char memory[8 * KIB] = {1}, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *small = make_array("small", memory, sizeof memory), *data = make_array("x", NULL, 8 * KIB);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), small, PARLA_IN)));
    T_OK(parla_sim_inject(rt, 1, 1, 0));
    T_OK(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(0), data, PARLA_OUT)));
    T_EQ(info_of(small).valid_mask, 1);
    parla_data_unref(small);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* Room could only be made by a copy that fails: the task fails, the array that was to go stays whole. */
T_TEST(a_write_back_that_fails_loses_nothing)
{
    unsigned char value = 5;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *a = make_array("a", NULL, 40 * KIB), *b = make_array("b", NULL, 40 * KIB);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), a, PARLA_OUT)));
    T_OK(parla_sim_inject(rt, 1, 0, 1));
    T_EQ(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), b, PARLA_OUT)), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "the largest: a (40960)");
    T_EQ(info_of(a).i_owner, 1);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), b, PARLA_OUT)));
    T_EQ(host_byte(rt, a), 5);
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}
