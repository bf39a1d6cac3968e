/* test_order.c - tasks that share arrays: who runs before whom, what a failure does to those behind it. */
#include "placed_fixture.h"

T_TEST(a_chain_of_updates)
{
    unsigned char memory[16] = {0};
    parla_runtime *rt = start("sim:3");
    parla_data *data = make_array("x", memory, 16);
    for (int i = 0; i < 90; i++)
        parla_task_unref(spawn(rt, increment, NULL, i % 4 == 3 ? on_cpu() : on_gpu(i % 4), data, PARLA_INOUT));
    T_EQ(host_byte(rt, data), 90);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_writer_comes_after_readers_that_fail)
{
    unsigned char memory[16] = {3}, value = 9;
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, 16);
    parla_task slow = spawn(rt, pass_gate, &closed, on_cpu(), data, PARLA_IN);
    parla_task bad = spawn(rt, fail_here, NULL, on_cpu(), data, PARLA_IN);
    parla_task writer = spawn(rt, store_byte, &value, on_gpu(0), data, PARLA_OUT);
    T_EQ(finish(rt, bad), PARLA_E_USER);
    T_FALSE(parla_task_has_ended(writer));
    gate_open(&closed);
    T_OK(finish(rt, slow));
    T_OK(finish(rt, writer));
    T_EQ(host_byte(rt, data), 9);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_failed_writer_poisons_until_overwritten)
{
    unsigned char memory[16] = {3}, value = 9, seen = 0;
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, 16);
    T_EQ(finish(rt, spawn(rt, fail_here, NULL, on_gpu(0), data, PARLA_INOUT)), PARLA_E_USER);
    for (int i = 0; i < 3; i++) { /* also long after it has ended */
        parla_task reader = spawn(rt, load_byte, &seen, on_cpu(), data, PARLA_IN);
        T_EQ(finish(rt, reader), PARLA_E_CANCELLED);
        T_HAS_STR(parla_error_detail(), "as it should");
    }
    T_EQ(finish(rt, spawn(rt, increment, NULL, on_cpu(), data, PARLA_INOUT)), PARLA_E_CANCELLED);
    T_EQ(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_CANCELLED);
    T_HAS_STR(parla_error_detail(), "as it should");
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_cpu(), data, PARLA_OUT)));
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN)));
    T_EQ(seen, 9);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* The middle writer is cancelled while the first still runs: the last, which overwrites all, must not start before the first has
 * ended. */
T_TEST(a_cancelled_task_keeps_the_order)
{
    unsigned char memory[16] = {0}, value = 9;
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, 16);
    parla_task first = spawn(rt, pass_gate, &closed, on_cpu(), data, PARLA_INOUT);
    parla_task middle = spawn(rt, do_nothing, NULL, on_cpu(), data, PARLA_INOUT);
    parla_task last = spawn(rt, store_byte, &value, on_cpu(), data, PARLA_OUT);
    T_OK(parla_task_cancel(middle));
    T_EQ(finish(rt, middle), PARLA_E_CANCELLED);
    T_EQ(parla_task_wait(rt, &last, 1, 2000000), PARLA_E_TIMEOUT);
    T_EQ(parla_task_query(last), PARLA_TASK_WAITING);
    gate_open(&closed);
    T_OK(finish(rt, first));
    T_OK(finish(rt, last));
    T_EQ(host_byte(rt, data), 9);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* Chains of cancelled tasks end without recursion, however long they are. */
T_TEST(a_long_chain_is_cancelled)
{
    enum { N = 20000 };
    unsigned char memory[16] = {0};
    gate closed = GATE_INIT;
    parla_runtime *rt = start("cpu");
    parla_data *data = make_array("x", memory, 16);
    parla_task first = spawn(rt, pass_gate, &closed, on_cpu(), data, PARLA_INOUT);
    parla_task second = spawn(rt, fail_here, NULL, on_cpu(), data, PARLA_INOUT);
    for (int i = 0; i < N; i++)
        parla_task_unref(spawn(rt, increment, NULL, on_cpu(), data, PARLA_INOUT));
    gate_open(&closed);
    T_OK(finish(rt, first));
    T_EQ(finish(rt, second), PARLA_E_USER);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_info info = {.size = sizeof info};
    T_OK(parla_runtime_query(rt, &info));
    T_EQ(info.n_cancelled, N);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_held_back_task_can_be_cancelled)
{
    unsigned char memory[16] = {0};
    gate closed = GATE_INIT;
    parla_runtime *rt = start("cpu");
    parla_data *data = make_array("x", memory, 16);
    parla_task reader = spawn(rt, pass_gate, &closed, on_cpu(), data, PARLA_IN);
    parla_task writers[3];
    for (int i = 0; i < 3; i++)
        writers[i] = spawn(rt, do_nothing, NULL, on_cpu(), data, PARLA_OUT);
    for (int i = 0; i < 3; i++)
        T_OK(parla_task_cancel(writers[i]));
    gate_open(&closed);
    T_OK(finish(rt, reader));
    for (int i = 0; i < 3; i++)
        T_EQ(finish(rt, writers[i]), PARLA_E_CANCELLED);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}
