/* test_move.c - movements: one fetch for many readers, sources, failures. */
#include "placed_fixture.h"

T_TEST(one_fetch_for_many_readers)
{
    unsigned char memory[4096] = {7}, seen[32] = {0};
    parla_task tasks[32];
    parla_runtime *rt = start("sim:1,lat=2ms");
    parla_data *data = make_array("x", memory, sizeof memory);
    for (int i = 0; i < 32; i++)
        tasks[i] = spawn(rt, load_byte, &seen[i], on_gpu(0), data, PARLA_IN);
    for (int i = 0; i < 32; i++) {
        T_OK(finish(rt, tasks[i]));
        T_EQ(seen[i], 7);
    }
    T_EQ(copies_between(rt, 0, 1), 1);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(devices_are_better_sources_than_the_host)
{
    unsigned char memory[4096] = {7}, seen;
    parla_runtime *rt = start("sim:3");
    parla_data *data = make_array("x", memory, sizeof memory);
    for (int i = 0; i < 3; i++)
        T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(i), data, PARLA_IN)));
    T_EQ(copies_between(rt, 0, 1), 1);
    T_EQ(copies_between(rt, 0, 2) + copies_between(rt, 0, 3), 0);
    T_EQ(copies_between(rt, 1, 2), 1);
    T_EQ(copies_between(rt, 1, 3) + copies_between(rt, 2, 3), 1);
    T_EQ(info_of(data).valid_mask, 15);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(what_is_overwritten_is_not_moved)
{
    unsigned char memory[4096] = {7}, value = 8;
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), data, PARLA_OUT)));
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(1), data, PARLA_OUT)));
    T_EQ(copies_between(rt, 0, 1) + copies_between(rt, 1, 2) + copies_between(rt, 0, 2), 0);
    T_EQ(info_of(data).i_owner, 2);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* All readers that wait for a movement fail with it; the array is whole, and the next reader fetches it anew. */
T_TEST(a_failed_copy_fails_those_who_need_it)
{
    enum { N = 6 };
    unsigned char memory[4096] = {7}, seen = 0;
    gate closed = GATE_INIT;
    parla_task tasks[N];
    int n_failed = 0;
    parla_runtime *rt = start("sim:1,lat=5ms");
    parla_data *data = make_array("x", memory, sizeof memory);
    parla_task first = spawn(rt, pass_gate, &closed, on_cpu(), data, PARLA_INOUT);
    for (int i = 0; i < N; i++)
        tasks[i] = spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN);
    T_OK(parla_sim_inject(rt, 1, 0, 1));
    gate_open(&closed);
    T_OK(finish(rt, first));
    for (int i = 0; i < N; i++) {
        int rc = finish(rt, tasks[i]);
        T_TRUE(rc == 0 || rc == PARLA_E_DEVICE);
        if (rc < 0)
            T_HAS_STR(parla_error_detail(), "copying x from cpu[0] to gpu[0] (sim) failed");
        n_failed += rc < 0;
    }
    T_GE(n_failed, 1);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN)));
    T_EQ(seen, 7);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_writer_whose_content_does_not_arrive_fails)
{
    unsigned char memory[4096] = {7}, value = 3;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_OK(parla_sim_inject(rt, 1, 0, 1));
    T_EQ(finish(rt, spawn(rt, increment, NULL, on_gpu(0), data, PARLA_INOUT)), PARLA_E_DEVICE);
    T_EQ(finish(rt, spawn(rt, increment, NULL, on_gpu(0), data, PARLA_INOUT)), PARLA_E_CANCELLED);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), data, PARLA_OUT)));
    T_EQ(host_byte(rt, data), 3);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}
