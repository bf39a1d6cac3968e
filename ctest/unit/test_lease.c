/* test_lease.c - when memory of a block goes back: in the order of its queue, behind all queues, after the queues are closed; and who closes
 * the device. On a backend that counts, over the simulated one. */
#include "device/lease.h"

#include "device/backends.h"
#include "gate.h"
#include "test.h"

#include <parla/error.h>
#include <stdlib.h>

static parla_backend counting;
static int n_open, n_queue_frees, n_frees, n_waits;
static void *last_free_queue;

static int count_open(void **out, const parla_device_spec *spec, parla_device_traits *traits)
{
    n_open++;
    return pl_backend_sim.open(out, spec, traits);
}

static void count_close(void *device)
{
    n_open--;
    pl_backend_sim.close(device);
}

static void count_queue_free(void *queue, void *memory, size_t n_bytes)
{
    n_queue_frees++;
    last_free_queue = queue;
    pl_backend_sim.queue_free(queue, memory, n_bytes);
}

static void count_free(void *device, void *memory, size_t n_bytes)
{
    n_frees++;
    pl_backend_sim.free(device, memory, n_bytes);
}

static int count_wait(void *queue, void *event)
{
    n_waits++;
    return pl_backend_sim.queue_wait(queue, event);
}

__attribute__((constructor)) static void register_counting(void)
{
    counting = pl_backend_sim;
    counting.kind = "counting";
    counting.queue_call = NULL; /* bodies run on workers, as they do for cards */
    counting.open = count_open;
    counting.close = count_close;
    counting.queue_free = count_queue_free;
    counting.free = count_free;
    counting.queue_wait = count_wait;
    T_OK(parla_backend_register(&counting));
}

static pl_device *open_device(pl_devices *devices)
{
    T_OK(pl_devices_open(devices, "counting:1"));
    return &devices->list[1];
}

static parla_block *take(pl_device *device, void *queue)
{
    parla_block *block = calloc(1, sizeof *block);
    T_TRUE(block != NULL);
    *block = (parla_block){.lease = device->lease, .n_bytes = 100, .queue = queue};
    T_OK(pl_block_take(block));
    pl_add_relaxed(&device->lease->n_bytes, 100);
    return block;
}

T_TEST(in_its_own_queue_it_waits_for_nothing_else)
{
    pl_devices devices;
    pl_device *device = open_device(&devices);
    void *queue = device->queues[0];
    parla_block *block = take(device, queue);
    T_EQ(pl_lease_bytes(device->lease), 100);
    pl_block_give(block, queue);
    T_EQ(n_queue_frees, 1);
    T_EQ_PTR(last_free_queue, queue);
    T_EQ(n_waits, 0);
    T_EQ(pl_lease_bytes(device->lease), 0);
    pl_devices_close(&devices);
    T_EQ(n_open, 0);
}

T_TEST(from_elsewhere_it_waits_for_all_queues)
{
    pl_devices devices;
    pl_device *device = open_device(&devices);
    pl_block_give(take(device, device->queues[0]), NULL);
    T_EQ(n_queue_frees, 1);
    T_EQ(n_waits, device->n_queues + 1);
    T_EVENTUALLY(pl_lease_collect(device->lease) == 1, 10000);
    T_EQ(pl_lease_bytes(device->lease), 0);
    T_FALSE(pl_lease_is_going(device->lease));
    T_TRUE(last_free_queue != device->queues[0]);
    if (device->n_queues > 1) {
        pl_block_give(take(device, device->queues[0]), device->queues[1]);
        T_EQ(n_waits, 2 * (device->n_queues + 1));
    }
    T_EQ(n_frees, 0);
    pl_devices_close(&devices);
    T_EQ(n_open, 0);
}

/* Nobody else can have it before the queues have passed, so it counts until then. */
static int n_begins, n_kicks;
static void count_begin(void *ctx) { n_begins += ctx == &n_kicks; }
static void count_kick(void *ctx) { n_kicks += ctx == &n_kicks; }
static const pl_lease_watcher count_both = {count_begin, count_kick};

static void pass_gate_in_queue(void *arg) { gate_pass(arg); }

T_TEST(on_its_way_it_still_counts)
{
    gate closed = GATE_INIT;
    pl_devices devices;
    pl_device *device = open_device(&devices);
    pl_lease_watch(device->lease, &count_both, &n_kicks);
    parla_block *block = take(device, device->queues[0]);
    T_OK(pl_backend_sim.queue_call(device->queues[0], pass_gate_in_queue, &closed));
    pl_block_give(block, NULL);
    T_EQ(n_begins, 1);
    T_EQ(n_kicks, 1);
    T_TRUE(pl_lease_is_going(device->lease));
    T_EQ(pl_lease_collect(device->lease), 0);
    T_EQ(pl_lease_bytes(device->lease), 100);
    gate_open(&closed);
    T_EVENTUALLY(pl_lease_collect(device->lease) == 1, 10000);
    T_EQ(pl_lease_bytes(device->lease), 0);
    pl_devices_close(&devices);
    T_EQ(n_open, 0);
}

T_TEST(what_is_on_its_way_is_there_when_the_device_closes)
{
    pl_devices devices;
    pl_device *device = open_device(&devices);
    for (int i = 0; i < 10; i++)
        pl_block_give(take(device, device->queues[0]), NULL);
    pl_devices_close(&devices);
    T_EQ(n_open, 0);
    T_EQ(n_queue_frees, 10);
}

T_TEST(while_queues_are_closing_it_is_put_off)
{
    pl_devices devices;
    pl_device *device = open_device(&devices);
    parla_block *block = take(device, device->queues[0]);
    pl_lease_begin_close(device->lease);
    pl_block_give(block, device->queues[0]);
    T_EQ(n_queue_frees + n_frees, 0);
    T_EQ(pl_lease_bytes(device->lease), 0);
    pl_devices_close(&devices);
    T_EQ(n_frees, 1);
    T_EQ(n_open, 0);
}

T_TEST(the_last_block_closes_the_device)
{
    pl_devices devices;
    pl_device *device = open_device(&devices);
    parla_block *first = take(device, device->queues[0]), *second = take(device, NULL);
    pl_devices_close(&devices);
    T_EQ(n_open, 1);
    pl_block_give(first, NULL);
    T_EQ(n_open, 1);
    T_EQ(n_frees, 1);
    pl_block_give(second, NULL);
    T_EQ(n_frees, 2);
    T_EQ(n_open, 0);
}

T_TEST(memory_of_no_queue_goes_back_at_once)
{
    pl_devices devices;
    pl_device *device = open_device(&devices);
    pl_block_give(take(device, NULL), NULL);
    T_EQ(n_frees, 1);
    pl_devices_close(&devices);
    T_EQ(n_open, 0);
}
