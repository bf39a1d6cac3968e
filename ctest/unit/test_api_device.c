/* test_api_device.c - what a runtime tells about its devices. */
#include "runtime_fixture.h"

static void open_with(const char *devices)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1;
    options.devices = devices;
    T_OK(parla_runtime_create(&rt, &options));
}

T_TEST(there_is_always_the_cpu)
{
    open_with(NULL);
    T_EQ(parla_device_count(rt), 1);
    T_EQ(parla_device_count_arch(rt, PARLA_ARCH_CPU), 1);
    T_EQ(parla_device_count_arch(rt, PARLA_ARCH_GPU), 0);
    T_EQ(parla_device_count_arch(rt, PARLA_ARCH_ANY), 1);
    T_EQ(parla_device_count_arch(rt, (parla_arch)77), 0);
    parla_device_info info = {.size = sizeof info};
    T_OK(parla_device_query(rt, 0, &info));
    T_EQ(info.index, 0);
    T_EQ(info.arch, PARLA_ARCH_CPU);
    T_EQ_STR(info.kind, "cpu");
    T_EQ_STR(info.name, "cpu[0]");
    T_EQ(info.used_bytes, 0);
    T_NEAR(info.free_vcus, 1.0, 0.0);
    close_runtime();
}

T_TEST(devices_are_found_by_architecture_and_number)
{
    int i_device = -1;
    open_with("sim:3");
    T_EQ(parla_device_count(rt), 4);
    T_EQ(parla_device_count_arch(rt, PARLA_ARCH_GPU), 3);
    T_EQ(counts().n_devices, 4);
    for (int i = 0; i < 3; i++) {
        parla_device_info info = {.size = sizeof info};
        T_OK(parla_device_find(rt, PARLA_ARCH_GPU, i, &i_device));
        T_OK(parla_device_query(rt, i_device, &info));
        T_EQ(info.number, i);
        T_EQ(info.arch, PARLA_ARCH_GPU);
        T_EQ_STR(info.kind, "sim");
    }
    i_device = -1;
    T_EQ(parla_device_find(rt, PARLA_ARCH_GPU, 3, &i_device), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "gpu[2] (sim)"); /* lists what exists */
    T_EQ(i_device, -1);
    close_runtime();
}

T_TEST(refusals)
{
    parla_device_info info = {.size = sizeof info};
    parla_link_info link = {.size = sizeof link};
    open_with("sim:1");
    T_EQ(parla_device_query(rt, 2, &info), PARLA_E_NO_DEVICE);
    T_EQ(parla_device_query(rt, -1, &info), PARLA_E_NO_DEVICE);
    T_EQ(parla_link_query(rt, 0, 5, &link), PARLA_E_NO_DEVICE);
    info.size = 1;
    T_EQ(parla_device_query(rt, 0, &info), PARLA_E_INVALID);
    link.size = 1;
    T_EQ(parla_link_query(rt, 0, 1, &link), PARLA_E_INVALID);
    T_EQ(parla_sim_inject(rt, 0, 1, 0), PARLA_E_INVALID); /* the CPU is not simulated */
    T_OK(parla_sim_inject(rt, 1, 1, 1));
    T_OK(parla_sim_inject(rt, 1, 0, 0));
    T_EQ(parla_device_query(NULL, 0, &info), PARLA_E_INVALID);
    close_runtime();
}

static int stay_on(parla_context *context, void *arg) { return stop_body(context, arg); }

T_TEST(use_is_counted)
{
    stopper stop = {0};
    open_with("sim:1");
    parla_demand gpu = {.arch = PARLA_ARCH_GPU, .number = 0, .vcus = 0.25, .memory_bytes = 4096};
    parla_choice choice = {&gpu, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_device_info info = {.size = sizeof info};
    options.body = stay_on;
    options.arg = &stop;
    options.choices = &choice;
    options.n_choices = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000);
    T_OK(parla_device_query(rt, 1, &info));
    T_EQ(info.reserved_bytes, 4096);
    T_NEAR(info.free_vcus, 0.75, 1e-9);
    pl_store_release(&stop.may_go, true);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_OK(parla_device_query(rt, 1, &info));
    T_EQ(info.reserved_bytes, 0);
    T_NEAR(info.free_vcus, 1.0, 1e-9);
    T_EQ(info.n_tasks, 1);
    T_GT(info.busy_ns, 0);
    close_runtime();
}
