/* test_demand.c - what a spawn refuses, and in which words. */
#include "placed_fixture.h"

static int spawn_with(parla_runtime *rt, const parla_choice *choices, size_t n_choices, const parla_access *accesses,
                      size_t n_accesses)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = do_nothing;
    options.choices = choices;
    options.n_choices = n_choices;
    options.accesses = accesses;
    options.n_accesses = n_accesses;
    return parla_task_spawn(rt, NULL, &options);
}

static int spawn_demand(parla_runtime *rt, parla_demand demand) { return spawn_with(rt, &(parla_choice){&demand, 1}, 1, NULL, 0); }

T_TEST(devices_that_do_not_exist)
{
    parla_runtime *rt = start("sim:2,mem=1MiB");
    T_EQ(spawn_demand(rt, on_gpu(2)), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "gpu[2]");
    T_HAS_STR(parla_error_detail(), "cpu[0], gpu[0] (sim), gpu[1] (sim)");
    parla_demand three[3] = {on_gpu(PARLA_ANY_NUMBER), on_gpu(PARLA_ANY_NUMBER), on_gpu(PARLA_ANY_NUMBER)};
    T_EQ(spawn_with(rt, &(parla_choice){three, 3}, 1, NULL, 0), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "3 distinct devices");
    parla_demand twice[2] = {on_gpu(1), on_gpu(1)};
    T_EQ(spawn_with(rt, &(parla_choice){twice, 2}, 1, NULL, 0), PARLA_E_NO_DEVICE);
    T_OK(spawn_with(rt, &(parla_choice){three, 2}, 1, NULL, 0));
    parla_runtime_destroy(rt);
}

T_TEST(more_than_any_device_has)
{
    parla_runtime *rt = start("sim:1,mem=1MiB");
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = (1 << 20) + 1;
    T_EQ(spawn_demand(rt, demand), PARLA_E_RESOURCES);
    T_HAS_STR(parla_error_detail(), "1048577 bytes");
    T_HAS_STR(parla_error_detail(), "gpu[0]");
    T_HAS_STR(parla_error_detail(), "1048576");
    demand.memory_bytes = SIZE_MAX;
    T_EQ(spawn_demand(rt, demand), PARLA_E_RESOURCES);
    demand.memory_bytes = 1 << 20;
    T_OK(spawn_demand(rt, demand));
    demand.memory_bytes = 0;
    demand.vcus = 1.5;
    T_EQ(spawn_demand(rt, demand), PARLA_E_RESOURCES);
    demand.vcus = -0.5;
    T_EQ(spawn_demand(rt, demand), PARLA_E_INVALID);
    parla_runtime_destroy(rt);
}

T_TEST(arrays_count_as_memory)
{
    parla_runtime *rt = start("sim:1,mem=1MiB");
    parla_data *data = make_array("large", NULL, 1 << 20);
    parla_access access = {.data = data, .mode = PARLA_OUT};
    parla_demand demand = on_gpu(0);
    T_OK(spawn_with(rt, &(parla_choice){&demand, 1}, 1, &access, 1));
    demand.memory_bytes = 1;
    T_EQ(spawn_with(rt, &(parla_choice){&demand, 1}, 1, &access, 1), PARLA_E_RESOURCES);
    T_HAS_STR(parla_error_detail(), "1048576 of arrays");
    parla_demand cpu = on_cpu();
    parla_choice choices[2] = {{&demand, 1}, {&cpu, 1}};
    T_OK(spawn_with(rt, choices, 2, &access, 1)); /* the other alternative is left */
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(bad_accesses)
{
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", NULL, 16), *empty = make_array("empty", NULL, 16);
    T_EQ(spawn_with(rt, NULL, 0, &(parla_access){.data = data, .mode = 0}, 1), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "x");
    T_EQ(spawn_with(rt, NULL, 0, &(parla_access){.data = data, .mode = PARLA_OUT | 8}, 1), PARLA_E_INVALID);
    T_EQ(spawn_with(rt, NULL, 0, &(parla_access){.mode = PARLA_OUT}, 1), PARLA_E_INVALID);
    T_EQ(spawn_with(rt, NULL, 0, &(parla_access){.data = data, .mode = PARLA_OUT, .member = 1}, 1), PARLA_E_INVALID);
    T_EQ(spawn_with(rt, NULL, 0, &(parla_access){.data = data, .mode = PARLA_OUT, .region = &(parla_range){0, 17, 1}}, 1),
         PARLA_E_INVALID);
    T_EQ(spawn_with(rt, NULL, 0, &(parla_access){.data = empty, .mode = PARLA_IN}, 1), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "empty");
    T_OK(spawn_with(rt, NULL, 0, &(parla_access){.data = empty, .mode = PARLA_OUT, .region = &(parla_range){0, 8, 1}}, 1));
    T_OK(spawn_with(rt, NULL, 0, &(parla_access){.data = empty, .mode = PARLA_IN}, 1));
    T_EQ(spawn_with(rt, &(parla_choice){NULL, 0}, 1, NULL, 0), PARLA_E_INVALID);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_data_unref(data);
    parla_data_unref(empty);
    parla_runtime_destroy(rt);
}

static int read_both(parla_context *context, void *arg)
{
    parla_instance here;
    (void)arg;
    for (size_t i = 0; i < 2; i++) {
        T_OK(parla_context_instance(context, i, &here));
        T_EQ(here.i_device, parla_context_device(context, i));
        T_EQ(*(unsigned char *)here.box.base, 7);
    }
    return parla_context_n_devices(context) == 2 ? 0 : PARLA_E_USER;
}

T_TEST(one_array_on_two_members)
{
    unsigned char memory[16] = {7};
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, 16);
    parla_demand both[2] = {on_gpu(0), on_gpu(1)};
    parla_choice choice = {both, 2};
    parla_access accesses[2] = {{.data = data, .mode = PARLA_IN, .member = 0}, {.data = data, .mode = PARLA_IN, .member = 1}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task task;
    options.body = read_both;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = 2;
    T_OK(parla_task_spawn(rt, &task, &options));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    accesses[1].mode = PARLA_INOUT;
    T_EQ(parla_task_spawn(rt, &task, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "only reading can be shared");
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

static int add_two(parla_context *context, void *arg)
{
    (void)arg;
    bytes_of(context, 0)[0]++;
    bytes_of(context, 1)[0]++;
    return 0;
}

T_TEST(an_array_named_twice_gets_the_stronger_mode)
{
    unsigned char memory[16] = {7};
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, 16);
    parla_access accesses[2] = {{.data = data, .mode = PARLA_IN}, {.data = data, .mode = PARLA_OUT}};
    parla_demand demand = on_gpu(0);
    parla_choice choice = {&demand, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = add_two;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = 2;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_EQ(host_byte(rt, data), 9);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_refused_spawn_leaves_its_arrays_free)
{
    parla_runtime *a = start("cpu"), *b = start("cpu");
    parla_data *x = make_array("x", NULL, 16), *y = make_array("y", NULL, 16);
    parla_access accesses[2] = {{.data = x, .mode = PARLA_OUT}, {.data = y, .mode = PARLA_IN}};
    parla_demand gpu = on_gpu(0);
    T_EQ(spawn_with(a, &(parla_choice){&gpu, 1}, 1, accesses, 1), PARLA_E_NO_DEVICE);
    T_EQ(spawn_with(a, NULL, 0, accesses, 2), PARLA_E_STATE); /* y has no content */
    T_OK(spawn_with(b, NULL, 0, accesses, 1));
    accesses[0] = (parla_access){.data = y, .mode = PARLA_OUT};
    accesses[1] = (parla_access){.data = x, .mode = PARLA_OUT};
    T_EQ(spawn_with(a, NULL, 0, accesses, 2), PARLA_E_STATE); /* x is b's */
    T_HAS_STR(parla_error_detail(), "another runtime");
    T_OK(spawn_with(b, NULL, 0, accesses, 2));
    parla_data_unref(x);
    parla_data_unref(y);
    parla_runtime_destroy(a);
    parla_runtime_destroy(b);
}
