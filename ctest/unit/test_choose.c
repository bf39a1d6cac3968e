/* test_choose.c - where tasks go: alternatives, policies, gangs. */
#include "placed_fixture.h"

#include <stdlib.h>

static int note_device(parla_context *context, void *arg)
{
    *(int *)arg = parla_context_device(context, 0);
    return 0;
}

/* The device on which a task with this array and these alternatives runs. */
static int place_of(parla_runtime *rt, parla_data *data, const parla_choice *choices, size_t n_choices)
{
    int i_device = -1;
    parla_task task;
    parla_access access = {.data = data, .mode = PARLA_IN};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = note_device;
    options.arg = &i_device;
    options.choices = choices;
    options.n_choices = n_choices;
    options.accesses = &access;
    options.n_accesses = data ? 1 : 0;
    T_OK(parla_task_spawn(rt, &task, &options));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    return i_device;
}

T_TEST(locality_goes_where_the_data_is)
{
    unsigned char *memory = calloc(1, 1 << 20);
    parla_runtime *rt = start("sim:3");
    parla_data *data = make_array("x", memory, 1 << 20);
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    for (int i = 2; i >= 0; i--) {
        T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(i), data, PARLA_INOUT)));
        T_EQ(place_of(rt, data, &(parla_choice){&any, 1}, 1), i + 1);
        T_EQ(info_of(data).i_owner, i + 1);
    }
    parla_data_unref(data);
    parla_runtime_destroy(rt);
    free(memory);
}

T_TEST(round_robin_goes_around)
{
    parla_runtime *rt = start_with("sim:3", "round_robin", 1);
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    for (int i = 0; i < 9; i++)
        T_EQ(place_of(rt, NULL, &(parla_choice){&any, 1}, 1), 1 + i % 3);
    parla_runtime_destroy(rt);
}

T_TEST(eager_avoids_the_busy_device)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start_with("sim:2", "eager", 1);
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_task busy = spawn(rt, pass_gate, &closed, on_gpu(0), NULL, 0);
    for (int i = 0; i < 5; i++)
        T_EQ(place_of(rt, NULL, &(parla_choice){&any, 1}, 1), 2);
    gate_open(&closed);
    T_OK(finish(rt, busy));
    parla_runtime_destroy(rt);
}

T_TEST(an_alternative_that_is_full_is_passed_over)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1");
    parla_demand whole = on_gpu(0), cpu = on_cpu();
    whole.vcus = 1;
    parla_task busy = spawn(rt, pass_gate, &closed, whole, NULL, 0);
    parla_choice choices[2] = {{&whole, 1}, {&cpu, 1}};
    T_EVENTUALLY(device_info(rt, 1).free_vcus == 0, 5000);
    T_EQ(place_of(rt, NULL, choices, 2), 0);
    gate_open(&closed);
    T_OK(finish(rt, busy));
    T_EVENTUALLY(device_info(rt, 1).free_vcus == 1, 5000);
    T_EQ(place_of(rt, NULL, choices, 1), 1);
    parla_runtime_destroy(rt);
}

static int note_gang(parla_context *context, void *arg)
{
    int *devices = arg;
    size_t n = parla_context_n_devices(context);
    for (size_t i = 0; i < n; i++)
        devices[i] = parla_context_device(context, i);
    return 0;
}

T_TEST(a_gang_gets_distinct_devices)
{
    parla_runtime *rt = start("sim:3");
    parla_demand members[3] = {on_gpu(PARLA_ANY_NUMBER), on_gpu(0), on_gpu(PARLA_ANY_NUMBER)};
    parla_choice choice = {members, 3};
    int devices[3] = {-1, -1, -1}, told[3];
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = note_gang;
    options.arg = devices;
    options.choices = &choice;
    options.n_choices = 1;
    T_OK(parla_task_create(rt, &task, "gang"));
    options.task = task;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    T_EQ(devices[1], 1);
    T_EQ(devices[0] + devices[2], 5);
    T_NE(devices[0], devices[2]);
    T_EQ(parla_task_devices(task, told, 3), 3);
    T_EQ_MEM(told, devices, sizeof told);
    T_EQ(parla_task_devices(task, told, 1), 1);
    parla_task_unref(task);
    parla_runtime_destroy(rt);
}

T_TEST(an_unknown_policy)
{
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.policy = "best";
    T_EQ(parla_runtime_create(&rt, &options), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "locality, eager and round_robin");
}

/* A copy's source is used in place: its task reserves nothing there, but the memory comes back. */
T_TEST(memory_that_a_use_in_place_pins_is_waited_for)
{
    unsigned char value = 7;
    parla_runtime *rt = start("sim:1,mem=1000000,lat=50ms");
    parla_data *source = make_array("source", NULL, 600000), *target = make_array("target", NULL, 600000);
    parla_data *other = make_array("other", NULL, 600000);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), source, PARLA_OUT)));
    parla_task copy;
    T_OK(parla_data_copy(rt, &copy, target, NULL, source, NULL, 0));
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), other, PARLA_OUT)));
    T_OK(parla_task_wait(rt, &copy, 1, PARLA_FOREVER));
    T_EQ(host_byte(rt, target), 7);
    parla_data_unref(source);
    parla_data_unref(target);
    parla_data_unref(other);
    parla_runtime_destroy(rt);
}
