/* test_todo.c - what follows from one thing is done without nesting, and is over when the runtime ends. */
#include "placed_fixture.h"

/* Every task fails before it can be launched, for the device refuses each allocation; ending one lets the next be tried, on the
 * same thread. */
T_TEST(a_long_run_of_failures_does_not_nest)
{
    enum { N = 3000 };
    gate closed = GATE_INIT;
    parla_runtime *rt = start_with("sim:1,mem=64KiB", NULL, 1);
    parla_data *data[N];
    parla_task tasks[N];
    int n_failed = 0;
    parla_demand whole = on_gpu(0);
    whole.vcus = 1;
    parla_task busy = spawn(rt, pass_gate, &closed, whole, NULL, 0);
    for (int i = 0; i < N; i++) {
        data[i] = make_array("x", NULL, 1024);
        tasks[i] = spawn(rt, do_nothing, NULL, whole, data[i], PARLA_OUT);
    }
    T_OK(parla_sim_inject(rt, 1, 1, 0));
    gate_open(&closed);
    T_OK(finish(rt, busy));
    for (int i = 0; i < N; i++) {
        n_failed += finish(rt, tasks[i]) == PARLA_E_DEVICE_MEMORY;
        parla_data_unref(data[i]);
    }
    T_EQ(n_failed, 1);
    parla_runtime_destroy(rt);
}

/* Copies between two host boxes end on the thread that starts them: a chain of them, each let go by the one before. */
T_TEST(a_long_run_of_host_copies_does_not_nest)
{
    enum { N = 5000 };
    unsigned char a_memory[8] = {1}, b_memory[8] = {0};
    parla_runtime *rt = start_with("cpu", NULL, 1);
    parla_data *a = make_array("a", a_memory, 8), *b = make_array("b", b_memory, 8);
    for (int i = 0; i < N; i++)
        T_OK(parla_data_copy(rt, NULL, i % 2 ? a : b, NULL, i % 2 ? b : a, NULL, 0));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(b_memory[0], 1);
    T_EQ(copies_between(rt, 0, 0), N);
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}

/* The end comes while write-backs and copies are under way. */
T_TEST(the_end_waits_for_what_is_under_way)
{
    for (int round = 0; round < 20; round++) {
        unsigned char memory[2048] = {4};
        parla_runtime *rt = start("sim:2,lat=200us,mem=8KiB");
        parla_data *data[6];
        for (int i = 0; i < 6; i++) {
            data[i] = make_array("x", i == 0 ? memory : NULL, sizeof memory);
            for (int k = 0; k < 3; k++)
                parla_task_unref(
                    spawn(rt, do_nothing, NULL, on_gpu((i + k) % 2), data[i], k == 0 && i > 0 ? PARLA_OUT : PARLA_INOUT));
        }
        if (round % 2)
            T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        parla_runtime_destroy(rt);
        for (int i = 0; i < 6; i++)
            parla_data_unref(data[i]);
    }
}
