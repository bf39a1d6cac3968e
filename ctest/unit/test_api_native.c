/* test_api_native.c - order with streams of others and copies in a body's queue: on CUDA devices of the fake driver, which finds what is not
 * ordered, and on simulated devices, which have no such streams. */
#include "fakecuda/fakecuda.h"
#include "placed_fixture.h"

#include <parla/native.h>
#include <string.h>

enum { N = 4096 };

/* A stream of somebody else's on card 0: a queue of a device that the module opened for the test alone. */
typedef struct other {
    const parla_backend *b;
    void *device, *queue, *memory;
    void *native;
} other;

static other open_other(void)
{
    other o = {.b = parla_backend_find("cuda")};
    parla_device_traits traits;
    parla_device_spec spec = {.kind = "cuda", .memory_bytes = 1 << 20, .n_sharing = 1};
    T_TRUE(o.b != NULL);
    T_OK(o.b->open(&o.device, &spec, &traits));
    T_OK(o.b->queue_open(o.device, &o.queue));
    T_OK(o.b->alloc(o.device, &o.memory, N));
    o.native = o.b->queue_native(o.queue);
    return o;
}

static void close_other(other *o)
{
    o->b->queue_close(o->queue);
    o->b->free(o->device, o->memory, N);
    o->b->close(o->device);
}

static parla_strided bytes_at(void *base)
{
    return (parla_strided){.base = base, .item_bytes = 1, .ndim = 1, .extent = {N}, .stride = {1}};
}

/* The other's stream fills its memory, the body copies that into a block of its own, the other's stream overwrites its memory again. */
static int take_from_other(parla_context *context, void *arg)
{
    other *o = arg;
    static unsigned char seen[N];
    parla_strided theirs = bytes_at(o->memory), mine, host = bytes_at(seen);
    parla_block *block;
    int here = parla_context_device(context, 0);
    T_OK(parla_block_create(&block, context, 0, N));
    mine = bytes_at(parla_block_memory(block));
    T_OK(o->b->fill(o->queue, &theirs, 7));
    T_OK(parla_context_follow(context, 0, -1, o->native));
    T_OK(parla_context_copy(context, 0, &mine, here, &theirs, here));
    T_OK(parla_context_lead(context, 0, -1, o->native));
    T_OK(o->b->fill(o->queue, &theirs, 8));
    T_OK(parla_context_copy(context, 0, &host, 0, &mine, here));
    T_OK(parla_context_drain(context, 0));
    T_EQ(seen[0], 7);
    T_EQ(seen[N - 1], 7);
    parla_block_destroy(block);
    return 0;
}

T_TEST(work_of_others_is_put_in_order)
{
    parla_runtime *rt = start("cuda:0,cuda:0");
    other o = open_other();
    for (int i = 0; i < 10; i++)
        T_OK(finish(rt, spawn(rt, take_from_other, &o, on_gpu(i % 2), NULL, 0)));
    close_other(&o);
    parla_runtime_destroy(rt);
    T_EQ(fakecuda_n_wrong(), 0);
}

/* The stream is on card 0, the body on card 1. */
static int take_from_the_other_card(parla_context *context, void *arg)
{
    other *o = arg;
    static unsigned char seen[N];
    parla_strided theirs = bytes_at(o->memory), mine, host = bytes_at(seen);
    parla_block *block;
    int here = parla_context_device(context, 0), there = here - 1;
    T_OK(parla_block_create(&block, context, 0, N));
    mine = bytes_at(parla_block_memory(block));
    T_OK(o->b->fill(o->queue, &theirs, 9));
    T_OK(parla_context_follow(context, 0, there, o->native));
    T_OK(parla_context_copy(context, 0, &mine, here, &theirs, there));
    T_OK(parla_context_lead(context, 0, there, o->native));
    T_OK(o->b->fill(o->queue, &theirs, 8));
    T_OK(parla_context_copy(context, 0, &host, 0, &mine, here));
    T_OK(parla_context_drain(context, 0));
    T_EQ(seen[N - 1], 9);
    T_EQ(parla_context_follow(context, 0, 0, o->native), PARLA_E_INVALID); /* the host */
    T_EQ(parla_context_follow(context, 0, 9, o->native), PARLA_E_INVALID);
    parla_block_destroy(block);
    return 0;
}

T_TEST(streams_of_another_card_too)
{
    parla_runtime *rt = start("cuda:0,cuda:1");
    other o = open_other();
    T_OK(finish(rt, spawn(rt, take_from_the_other_card, &o, on_gpu(1), NULL, 0)));
    close_other(&o);
    parla_runtime_destroy(rt);
    T_EQ(fakecuda_n_wrong(), 0);
}

/* The judge would notice: without the follow. */
static int take_without_order(parla_context *context, void *arg)
{
    other *o = arg;
    parla_strided theirs = bytes_at(o->memory), mine;
    parla_block *block;
    int here = parla_context_device(context, 0);
    T_OK(parla_block_create(&block, context, 0, N));
    mine = bytes_at(parla_block_memory(block));
    T_OK(o->b->fill(o->queue, &theirs, 7));
    T_OK(parla_context_copy(context, 0, &mine, here, &theirs, here));
    parla_block_destroy(block);
    return 0;
}

T_TEST(memory_tells_its_card)
{
    other o = open_other();
    int ordinal = -1, on_host;
    T_OK(parla_native_locate("cuda", (char *)o.memory + N / 2, &ordinal));
    T_EQ(ordinal, 0);
    T_EQ(parla_native_locate("cuda", &on_host, &ordinal), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "memory of no CUDA device");
    T_EQ(parla_native_locate("sim", o.memory, &ordinal), PARLA_E_UNSUPPORTED);
    T_EQ(parla_native_locate("none", o.memory, &ordinal), PARLA_E_NO_DEVICE);
    close_other(&o);
}

T_TEST(a_missing_order_is_noticed)
{
    if (!fakecuda())
        T_SKIP("only the driver in host memory notices");
    parla_runtime *rt = start("cuda:0");
    other o = open_other();
    (void)finish(rt, spawn(rt, take_without_order, &o, on_gpu(0), NULL, 0));
    T_GT(fakecuda()->n_wrong(), 0);
    T_HAS_STR(fakecuda()->last_wrong(), "order");
    fakecuda()->forget();
    close_other(&o);
    parla_runtime_destroy(rt);
}

static int copy_on_sim(parla_context *context, void *arg)
{
    unsigned char from[N], to[N] = {0};
    memset(from, 5, N);
    parla_strided dst = bytes_at(to), src = bytes_at(from);
    (void)arg;
    T_EQ(parla_context_follow(context, 0, -1, NULL), PARLA_E_UNSUPPORTED);
    T_EQ(parla_context_lead(context, 0, -1, NULL), PARLA_E_UNSUPPORTED);
    T_HAS_STR(parla_error_detail(), "has no streams");
    T_OK(parla_context_copy(context, 0, &dst, parla_context_device(context, 0), &src, 0));
    T_EQ(to[N - 1], 5);
    T_OK(parla_context_drain(context, 0));
    T_EQ(parla_context_copy(context, 0, &dst, 9, &src, 0), PARLA_E_INVALID);
    T_EQ(parla_context_copy(context, 3, &dst, 0, &src, 0), PARLA_E_INVALID);
    T_EQ(parla_context_drain(context, 3), PARLA_E_INVALID);
    return 0;
}

T_TEST(devices_without_streams_do_it_at_once)
{
    parla_runtime *rt = start("sim:1");
    T_OK(finish(rt, spawn(rt, copy_on_sim, NULL, on_gpu(0), NULL, 0)));
    parla_task task;
    T_OK(parla_spawn(rt, &task, copy_on_sim, NULL, NULL, 0));
    T_OK(finish(rt, task));
    parla_runtime_destroy(rt);
}

/* Work that fails is told by the one who waits for it. */
static int drain_failed(parla_context *context, void *arg)
{
    other *o = arg;
    parla_block *block;
    T_OK(parla_block_create(&block, context, 0, N));
    parla_strided mine = bytes_at(parla_block_memory(block)), theirs = bytes_at(o->memory);
    fakecuda()->fail_work(1, 700);
    T_OK(parla_context_copy(context, 0, &mine, parla_context_device(context, 0), &theirs, parla_context_device(context, 0)));
    T_EQ(parla_context_drain(context, 0), PARLA_E_DEVICE);
    parla_block_destroy(block);
    return 0;
}

T_TEST(a_failure_of_the_work_is_told)
{
    if (!fakecuda())
        T_SKIP("a real driver does not fail on request");
    parla_runtime *rt = start("cuda:0");
    other o = open_other();
    T_EQ(finish(rt, spawn(rt, drain_failed, &o, on_gpu(0), NULL, 0)), PARLA_E_DEVICE);
    close_other(&o);
    parla_runtime_destroy(rt);
    fakecuda()->forget(); /* what the failed context still has is not given back */
}
