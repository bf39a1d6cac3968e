/* test_backend_cpu.c - the host as a device. What all kinds have in common is in backend/conformance.c. */
#include "device/backends.h"
#include "device/host_memory.h"
#include "test.h"

#include <parla/error.h>
#include <sched.h>
#include <stdio.h>

T_TEST(traits_tell_the_cores_and_memory)
{
    void *device;
    parla_device_traits traits;
    T_EQ(pl_backend_cpu.probe(), 1);
    T_OK(pl_backend_cpu.open(&device, &(parla_device_spec){.kind = "cpu"}, &traits));
    T_EQ(traits.arch, PARLA_ARCH_CPU);
    T_EQ(traits.n_queues, 0); /* bodies run on workers */
    T_EQ(traits.memory_bytes, pl_host_memory_bytes());
    cpu_set_t set;
    T_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    char cores[32];
    snprintf(cores, sizeof cores, ", %d core", CPU_COUNT(&set));
    T_HAS_STR(traits.name, cores);
    pl_backend_cpu.close(device);
}

T_TEST(a_memory_limit_may_be_given)
{
    void *device;
    parla_device_traits traits;
    T_OK(pl_backend_cpu.open(&device, &(parla_device_spec){.kind = "cpu", .memory_bytes = 12345}, &traits));
    T_EQ(traits.memory_bytes, 12345);
    pl_backend_cpu.close(device);
}

T_TEST(knows_its_own_handle)
{
    void *device;
    parla_device_traits traits;
    T_OK(pl_backend_cpu.open(&device, &(parla_device_spec){.kind = "cpu"}, &traits));
    T_TRUE(pl_cpu_is_handle(device));
    T_TRUE(pl_cpu_is_handle(NULL));
    T_FALSE(pl_cpu_is_handle(&traits));
    pl_backend_cpu.close(device);
}

T_TEST(too_much_memory_is_refused)
{
    void *device, *memory;
    parla_device_traits traits;
    T_OK(pl_backend_cpu.open(&device, &(parla_device_spec){.kind = "cpu"}, &traits));
    T_EQ(pl_backend_cpu.alloc(device, &memory, SIZE_MAX - 5), PARLA_E_DEVICE_MEMORY);
    pl_backend_cpu.close(device);
}
