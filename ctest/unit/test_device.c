/* test_device.c - a runtime's devices: opening, names, questions, memory, bodies on queues, closing. */
#include "base/atomic.h"
#include "device/backends.h"
#include "device/device.h"
#include "gate.h"
#include "test.h"

#include <parla/error.h>

T_TEST(devices_have_names_and_numbers)
{
    pl_devices devices;
    T_OK(pl_devices_open(&devices, "sim:2,mem=1MiB"));
    T_EQ(devices.n, 3);
    T_EQ(devices.n_arch[PARLA_ARCH_CPU], 1);
    T_EQ(devices.n_arch[PARLA_ARCH_GPU], 2);
    T_EQ_STR(devices.list[0].name, "cpu[0]");
    T_EQ_STR(devices.list[1].name, "gpu[0] (sim)");
    T_EQ_STR(devices.list[2].name, "gpu[1] (sim)");
    T_FALSE(pl_device_runs_bodies(&devices.list[0]));
    T_TRUE(pl_device_runs_bodies(&devices.list[1]));
    T_TRUE(devices.list[0].copy_queue == NULL);
    T_TRUE(devices.list[1].copy_queue != NULL);
    char names[64];
    pl_devices_list(&devices, names, sizeof names);
    T_EQ_STR(names, "cpu[0], gpu[0] (sim), gpu[1] (sim)");
    pl_devices_close(&devices);
    T_EQ(devices.n, 0);
}

T_TEST(query_tells_all)
{
    pl_devices devices;
    T_OK(pl_devices_open(&devices, "sim:1,mem=1MiB"));
    devices.list[1].used_bytes = 10;
    devices.list[1].reserved_bytes = 20;
    devices.list[1].free_vcus = 0.25;
    pl_store_relaxed(&devices.list[1].n_tasks, 3);
    pl_store_relaxed(&devices.list[1].busy_ns, 4);
    parla_device_info info = {.size = sizeof info};
    T_OK(pl_devices_query(&devices, 1, &info));
    T_EQ(info.size, sizeof info);
    T_EQ(info.index, 1);
    T_EQ(info.arch, PARLA_ARCH_GPU);
    T_EQ(info.number, 0);
    T_EQ_STR(info.kind, "sim");
    T_EQ_STR(info.name, "gpu[0] (sim)");
    T_EQ(info.memory_bytes, 1 << 20);
    T_EQ(info.used_bytes, 10);
    T_EQ(info.reserved_bytes, 20);
    T_NEAR(info.free_vcus, 0.25, 0);
    T_EQ(info.n_tasks, 3);
    T_EQ(info.busy_ns, 4);
    T_EQ(pl_devices_query(&devices, 2, &info), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "cpu[0], gpu[0] (sim)");
    T_EQ(pl_devices_query(&devices, -1, &info), PARLA_E_NO_DEVICE);
    pl_devices_close(&devices);
}

T_TEST(snapshots_fit_the_callers_structure)
{
    pl_devices devices;
    T_OK(pl_devices_open(&devices, "cpu"));
    parla_device_info info = {.size = offsetof(parla_device_info, number), .number = -7};
    T_OK(pl_devices_query(&devices, 0, &info));
    T_EQ(info.number, -7); /* beyond what the caller knows */
    info.size = 0;
    T_EQ(pl_devices_query(&devices, 0, &info), PARLA_E_INVALID);
    parla_link_info link = {.size = sizeof link};
    T_OK(pl_devices_link(&devices, 0, 0, &link));
    T_EQ(link.n_copies, 0);
    T_EQ(pl_devices_link(&devices, 0, 1, &link), PARLA_E_NO_DEVICE);
    T_EQ(pl_devices_link(&devices, -1, 0, &link), PARLA_E_NO_DEVICE);
    pl_devices_close(&devices);
}

T_TEST(find_by_architecture_and_number)
{
    pl_devices devices;
    int found = -1;
    T_OK(pl_devices_open(&devices, "sim:2"));
    T_OK(pl_devices_find(&devices, PARLA_ARCH_GPU, 1, &found));
    T_EQ(found, 2);
    T_OK(pl_devices_find(&devices, PARLA_ARCH_CPU, 0, &found));
    T_EQ(found, 0);
    T_EQ(pl_devices_find(&devices, PARLA_ARCH_GPU, 2, &found), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "no gpu[2]; this runtime has cpu[0], gpu[0] (sim), gpu[1] (sim)");
    T_EQ(found, 0);
    pl_devices_close(&devices);
}

T_TEST(memory_of_each_device)
{
    pl_devices devices;
    void *memory;
    T_OK(pl_devices_open(&devices, "sim:1,mem=1KiB"));
    for (int i = 0; i < 2; i++) {
        T_OK(pl_device_alloc(&devices.list[i], &memory, 1024));
        T_EQ((uintptr_t)memory % 64, 0);
        memset(memory, 1, 1024);
        pl_device_free(&devices.list[i], memory, 1024);
        pl_device_free(&devices.list[i], NULL, 0);
    }
    T_EQ(pl_device_alloc(&devices.list[1], &memory, 1025), PARLA_E_DEVICE_MEMORY);
    pl_devices_close(&devices);
}

static void count(void *arg)
{
    int *n = arg;
    ++*n;
}

/* Two sets of devices: closing one waits for its own bodies and leaves the other alone. */
T_TEST(closing_waits_for_bodies_and_spares_others)
{
    pl_devices a, b;
    int n_a = 0, n_b = 0;
    gate g = GATE_INIT;
    T_OK(pl_devices_open(&a, "sim:1"));
    T_OK(pl_devices_open(&b, "sim:1"));
    T_OK(pl_queue_run(&b.list[1], 0, gate_pass, &g));
    for (int i = 0; i < 100; i++) {
        T_OK(pl_queue_run(&a.list[1], 0, count, &n_a));
        T_OK(pl_queue_run(&b.list[1], 0, count, &n_b));
    }
    pl_devices_close(&a);
    T_EQ(n_a, 100);
    T_EQ(n_b, 0);
    gate_open(&g);
    pl_devices_close(&b);
    T_EQ(n_b, 100);
}

T_TEST(bodies_run_only_where_they_can)
{
    pl_devices devices;
    int n = 0;
    T_OK(pl_devices_open(&devices, "sim:1"));
    T_EQ(pl_queue_run(&devices.list[0], 0, count, &n), PARLA_E_UNSUPPORTED);
    T_EQ(pl_queue_run(&devices.list[1], 1, count, &n), PARLA_E_INVALID);
    T_EQ(pl_queue_run(&devices.list[1], -1, count, &n), PARLA_E_INVALID);
    pl_devices_close(&devices);
    T_EQ(n, 0);
}

T_TEST(faults_are_for_simulated_devices)
{
    pl_devices devices;
    void *memory;
    T_OK(pl_devices_open(&devices, "sim:1"));
    T_EQ(pl_devices_inject(&devices, 0, 1, 0), PARLA_E_INVALID);
    T_EQ(pl_devices_inject(&devices, 2, 1, 0), PARLA_E_INVALID);
    T_EQ(pl_devices_inject(&devices, 1, -1, 0), PARLA_E_INVALID);
    T_OK(pl_devices_inject(&devices, 1, 1, 0));
    T_EQ(pl_device_alloc(&devices.list[1], &memory, 8), PARLA_E_DEVICE_MEMORY);
    T_OK(pl_device_alloc(&devices.list[1], &memory, 8));
    pl_device_free(&devices.list[1], memory, 8);
    pl_devices_close(&devices);
}

T_TEST(bad_strings_open_nothing)
{
    pl_devices devices;
    T_EQ(pl_devices_open(&devices, "cuda:0"), PARLA_E_NO_DEVICE);
    T_EQ(pl_devices_open(&devices, "sim:"), PARLA_E_CONFIG);
}

/* A kind of which three devices exist but only some parts can be opened. */
static parla_backend flaky;
static int n_open, n_queues_open, first_bad_device = 99, first_bad_queue = 99;

static int flaky_probe(void) { return 3; }

static int flaky_open(void **out, const parla_device_spec *spec, parla_device_traits *traits)
{
    if (spec->ordinal >= first_bad_device)
        return PARLA_E_DEVICE;
    int rc = pl_backend_sim.open(out, spec, traits);
    n_open += rc == 0;
    return rc;
}

static void flaky_close(void *device)
{
    n_open--;
    pl_backend_sim.close(device);
}

static int flaky_queue_open(void *device, void **out)
{
    if (n_queues_open >= first_bad_queue)
        return PARLA_E_SYSTEM;
    int rc = pl_backend_sim.queue_open(device, out);
    n_queues_open += rc == 0;
    return rc;
}

static void flaky_queue_close(void *queue)
{
    n_queues_open--;
    pl_backend_sim.queue_close(queue);
}

T_TEST(a_failure_half_way_closes_what_was_opened)
{
    flaky = pl_backend_sim;
    flaky.kind = "flaky";
    flaky.probe = flaky_probe;
    flaky.open = flaky_open;
    flaky.close = flaky_close;
    flaky.queue_open = flaky_queue_open;
    flaky.queue_close = flaky_queue_close;
    T_OK(parla_backend_register(&flaky));
    pl_devices devices;
    for (first_bad_device = 0; first_bad_device < 3; first_bad_device++)
        T_EQ(pl_devices_open(&devices, "auto"), PARLA_E_DEVICE);
    for (first_bad_queue = 0; first_bad_queue < 6; first_bad_queue++)
        T_EQ(pl_devices_open(&devices, "auto"), PARLA_E_SYSTEM);
    T_EQ(n_open, 0);
    T_EQ(n_queues_open, 0);
    T_OK(pl_devices_open(&devices, "flaky"));
    T_EQ(n_open, 3);
    T_EQ_STR(devices.list[2].name, "gpu[1] (flaky)");
    pl_devices_close(&devices);
    T_EQ(n_open, 0);
}
