/* test_api_data.c - instances inside bodies, queries, evictions. */
#include "placed_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

static int look_in_place(parla_context *context, void *arg)
{
    parla_instance here;
    T_EQ(parla_context_instance(context, 0, &here), PARLA_E_INVALID);
    T_EQ(parla_context_source(context, 2, &here), PARLA_E_INVALID);
    T_OK(parla_context_source(context, 0, &here));
    *(int *)arg = here.i_device;
    T_EQ(parla_context_source(context, 1, &here), PARLA_E_STATE);
    return 0;
}

T_TEST(an_access_in_place_moves_nothing)
{
    unsigned char memory[64] = {0};
    int i_device = -1;
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, sizeof memory), *empty = make_array("empty", NULL, 64);
    T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(1), data, PARLA_INOUT)));
    parla_access accesses[2] = {{.data = data, .mode = PARLA_IN | PARLA_ORDER}, {.data = empty, .mode = PARLA_IN | PARLA_ORDER}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task task;
    options.body = look_in_place;
    options.arg = &i_device;
    options.accesses = accesses;
    options.n_accesses = 2;
    T_OK(parla_task_spawn(rt, &task, &options));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    T_EQ(i_device, 2);
    T_EQ(info_of(data).i_owner, 2);
    T_EQ(copies_between(rt, 2, 0), 0);
    parla_data_unref(data);
    parla_data_unref(empty);
    parla_runtime_destroy(rt);
}

static int no_such_access(parla_context *context, void *arg)
{
    parla_instance here;
    (void)arg;
    T_EQ(parla_context_instance(context, 0, &here), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "the task has 0");
    return 0;
}

T_TEST(a_task_without_arrays)
{
    parla_task task;
    parla_runtime *rt = start("sim:1");
    T_OK(finish(rt, spawn(rt, no_such_access, NULL, on_gpu(0), NULL, 0)));
    T_OK(parla_spawn(rt, &task, no_such_access, NULL, NULL, 0));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    parla_runtime_destroy(rt);
}

T_TEST(queries_fit_the_callers_structure)
{
    unsigned char memory[64] = {0};
    parla_data *data = make_array("x", memory, sizeof memory);
    parla_data_info info = {.size = offsetof(parla_data_info, valid_mask), .valid_mask = 99};
    T_OK(parla_data_query(data, &info));
    T_EQ(info.n_bytes, 64);
    T_EQ(info.valid_mask, 99);
    info.size = 1;
    T_EQ(parla_data_query(data, &info), PARLA_E_INVALID);
    parla_data_unref(data);
}

T_TEST(evict_from_one_device)
{
    unsigned char memory[64] = {3}, seen = 0;
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, sizeof memory);
    for (int i = 0; i < 2; i++)
        T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(i), data, PARLA_IN)));
    T_EQ(info_of(data).valid_mask, 7);
    T_OK(parla_data_evict(rt, data, 1, PARLA_FOREVER));
    T_EQ(info_of(data).valid_mask, 5);
    T_EQ(device_info(rt, 1).used_bytes, 0);
    T_EQ(device_info(rt, 2).used_bytes, 64);
    T_OK(parla_data_evict(rt, data, 1, PARLA_FOREVER)); /* nothing left to do */
    T_EQ(parla_data_evict(rt, data, 3, PARLA_FOREVER), PARLA_E_INVALID);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(evict_what_is_nowhere_else)
{
    unsigned char value = 8;
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", NULL, 64);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(1), data, PARLA_OUT)));
    parla_task user = spawn(rt, pass_gate, &closed, on_gpu(1), data, PARLA_IN);
    T_EQ(parla_data_evict(rt, data, -1, 2000000), PARLA_E_TIMEOUT);
    gate_open(&closed);
    T_OK(finish(rt, user));
    T_OK(parla_data_evict(rt, data, -1, PARLA_FOREVER));
    T_EQ(info_of(data).valid_mask, 1);
    T_EQ(device_info(rt, 2).used_bytes, 0);
    T_EQ(host_byte(rt, data), 8);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_failed_eviction_spoils_nothing)
{
    unsigned char value = 8;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", NULL, 64);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), data, PARLA_OUT)));
    T_OK(parla_sim_inject(rt, 1, 0, 1));
    T_EQ(parla_data_evict(rt, data, 1, PARLA_FOREVER), PARLA_E_DEVICE);
    T_EQ(info_of(data).i_owner, 1);
    T_EQ(host_byte(rt, data), 8);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_forked_child_is_refused_what_the_parent_uses)
{
    unsigned char memory[16] = {3};
    int status;
    parla_runtime *rt = start("cpu");
    parla_data *data = make_array("x", memory, 16);
    T_EQ(host_byte(rt, data), 3);
    pid_t child = fork();
    if (child == 0) {
        parla_data_info info = {.size = sizeof info};
        parla_instance here;
        T_EQ(parla_data_query(data, &info), PARLA_E_FORKED);
        T_EQ(parla_data_acquire(NULL, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_FORKED);
        _exit(0);
    }
    T_EQ(waitpid(child, &status, 0), child);
    T_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}
