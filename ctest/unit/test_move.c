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

static int store_first(parla_context *context, void *arg)
{
    bytes_of(context, 0)[0] = *(unsigned char *)arg;
    return bytes_of(context, 1)[0] == 7 ? 0 : PARLA_E_USER;
}

/* While the task waits for y, the old content of x, which it overwrites, begins to be written back, over a slower link: that must
 * not arrive after it. */
T_TEST(a_late_write_back_does_not_revive_old_content)
{
    enum { BYTES = 40 * 1024 };
    static unsigned char y_memory[BYTES] = {7};
    unsigned char old = 1, new = 2;
    parla_runtime *rt = start("sim:1,mem=100KB,lat=150ms,sim:1,mem=100KB,lat=60ms");
    parla_data *x = make_array("x", NULL, BYTES), *y = make_array("y", y_memory, BYTES),
               *large = make_array("large", NULL, 80 * 1024);
    T_OK(finish(rt, spawn(rt, store_byte, &old, on_gpu(0), x, PARLA_OUT)));
    parla_demand gpu = on_gpu(1);
    parla_choice choice = {&gpu, 1};
    parla_access accesses[2] = {{.data = x, .mode = PARLA_OUT}, {.data = y, .mode = PARLA_IN}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task task;
    options.body = store_first;
    options.arg = &new;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = 2;
    T_OK(parla_task_spawn(rt, &task, &options));
    parla_task other = spawn(rt, store_byte, &old, on_gpu(0), large, PARLA_OUT); /* needs the room of x */
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    T_OK(finish(rt, other));
    T_EQ(info_of(x).i_owner, 2);
    T_EQ(host_byte(rt, x), 2);
    parla_data_unref(x);
    parla_data_unref(y);
    parla_data_unref(large);
    parla_runtime_destroy(rt);
}
