/* test_backend_sim.c - what simulated devices have of their own: limits, faults, slow links. The rest is in backend/conformance.c. */
#include "base/clock.h"
#include "device/backends.h"
#include "test.h"

#include <limits.h>
#include <parla/error.h>

static const parla_backend *const sim = &pl_backend_sim;

static void *open_sim(parla_device_spec spec)
{
    void *device;
    parla_device_traits traits;
    spec.kind = "sim";
    T_OK(sim->open(&device, &spec, &traits));
    T_EQ(traits.arch, PARLA_ARCH_GPU);
    T_EQ(traits.n_queues, 1);
    return device;
}

static int finish(void *queue)
{
    void *event;
    T_OK(sim->event_record(queue, &event));
    int status = sim->event_wait(event);
    sim->event_free(event);
    return status;
}

T_TEST(there_are_as_many_as_asked_for)
{
    T_EQ(sim->probe(), INT_MAX);
    void *device;
    parla_device_traits traits;
    T_OK(sim->open(&device, &(parla_device_spec){.kind = "sim"}, &traits));
    T_EQ(traits.memory_bytes, 1 << 30);
    sim->close(device);
}

T_TEST(memory_is_limited_to_the_byte)
{
    void *device = open_sim((parla_device_spec){.memory_bytes = 1000}), *a, *b, *c;
    T_OK(sim->alloc(device, &a, 600));
    T_OK(sim->alloc(device, &b, 400));
    T_EQ(sim->alloc(device, &c, 1), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "0 of its 1000 bytes");
    sim->free(device, a, 600);
    T_EQ(sim->alloc(device, &c, 601), PARLA_E_DEVICE_MEMORY);
    T_EQ(sim->alloc(device, &c, SIZE_MAX), PARLA_E_DEVICE_MEMORY);
    T_OK(sim->alloc(device, &c, 600));
    sim->free(device, b, 400);
    sim->free(device, c, 600);
    sim->close(device);
}

T_TEST(the_nth_allocation_fails_once)
{
    void *device = open_sim((parla_device_spec){0}), *memory[5];
    pl_sim_inject(device, 3, 0);
    for (int i = 0; i < 5; i++) {
        int rc = sim->alloc(device, &memory[i], 8);
        T_EQ(rc, i == 2 ? PARLA_E_DEVICE_MEMORY : 0);
    }
    for (int i = 0; i < 5; i++)
        if (i != 2)
            sim->free(device, memory[i], 8);
    sim->close(device);
}

static parla_strided bytes(void *base, int64_t n)
{
    return (parla_strided){.base = base, .item_bytes = 1, .ndim = 1, .extent = {n}, .stride = {1}};
}

T_TEST(the_nth_copy_fails_once_and_moves_nothing)
{
    void *device = open_sim((parla_device_spec){0}), *queue;
    T_OK(sim->queue_open(device, &queue));
    pl_sim_inject(device, 0, 2);
    for (int i = 1; i <= 4; i++) {
        char from = (char)i, to = 0;
        parla_strided dst = bytes(&to, 1), src = bytes(&from, 1);
        T_OK(sim->copy(queue, device, &dst, NULL, &src));
        T_EQ(finish(queue), i == 2 ? PARLA_E_DEVICE : 0);
        T_EQ(to, i == 2 ? 0 : i);
    }
    sim->queue_close(queue);
    sim->close(device);
}

/* Nanoseconds that a copy of n bytes takes on `device`, to or from `other`. */
static int64_t time_copy(void *device, void *other, int64_t n)
{
    static char a[1 << 16], b[1 << 16];
    parla_strided dst = bytes(a, n), src = bytes(b, n);
    void *queue;
    T_OK(sim->queue_open(device, &queue));
    uint64_t begin_ns = pl_now_ns();
    T_OK(sim->copy(queue, device, &dst, other, &src));
    T_EQ(finish(queue), 0);
    uint64_t end_ns = pl_now_ns();
    sim->queue_close(queue);
    return (int64_t)(end_ns - begin_ns);
}

T_TEST(copies_take_the_time_of_the_slower_link)
{
    void *fast = open_sim((parla_device_spec){.link_bytes_per_s = 1e12, .link_latency_ns = 1});
    void *slow = open_sim((parla_device_spec){.ordinal = 1, .link_bytes_per_s = 10e6, .link_latency_ns = 2000000});
    T_GE(time_copy(slow, NULL, 0), 2000000);
    T_GE(time_copy(slow, NULL, 1 << 16), 2000000 + 6553600);
    T_GE(time_copy(slow, fast, 1 << 16), 2000000 + 6553600);
    T_GE(time_copy(fast, slow, 1 << 16), 2000000 + 6553600);
    sim->close(fast);
    sim->close(slow);
}

#ifndef NDEBUG
T_TEST(freed_memory_is_overwritten)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    T_SKIP("the sanitizer has an allocator of its own, which reports such reads or hands out other bytes");
#else
    /* A block this small stays in the allocator's lists, which use its first 16 bytes. */
    void *device = open_sim((parla_device_spec){0}), *memory;
    T_OK(sim->alloc(device, &memory, 128));
    memset(memory, 1, 128);
    sim->free(device, memory, 128);
    void *again;
    T_OK(sim->alloc(device, &again, 128));
    unsigned char *at = again;
    T_TRUE(again != memory || at[100] == 0xDB);
    sim->free(device, again, 128);
    sim->close(device);
#endif
}
#endif
