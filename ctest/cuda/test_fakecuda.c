/* test_fakecuda.c - the fake driver notices what is done wrongly. */
#include "cuda_fixture.h"

#include "driver.h"

static const fakecuda_api *fake;

#define FIND(name, version, arguments) static pl_cu_result(*name) arguments;
PL_CUDA_FUNCTIONS(FIND)
#undef FIND

static pl_cu_context context;
static pl_cu_stream stream[2];
static pl_cu_pool pool;
static pl_cu_event event;

static void begin(void)
{
    pl_cu_result (*get)(const char *name, void **out, int version, uint64_t flags, int *status);
    int status;
    fake = fakecuda();
    T_TRUE(fake != NULL);
    *(void **)&get = dlsym(dlopen("libcuda.so.1", RTLD_NOW), "cuGetProcAddress_v2");
#define FIND(name, version, arguments) T_EQ(get(#name, (void **)&name, version, 0, &status), 0);
    PL_CUDA_FUNCTIONS(FIND)
#undef FIND
    pl_cu_pool_props props = {.alloc_type = PL_CU_ALLOCATION_PINNED, .location = {PL_CU_LOCATION_DEVICE, 0}};
    T_EQ(cuInit(0), 0);
    T_EQ(cuDevicePrimaryCtxRetain(&context, 0), 0);
    T_EQ(cuCtxPushCurrent(context), 0);
    for (int i = 0; i < 2; i++)
        T_EQ(cuStreamCreate(&stream[i], PL_CU_STREAM_NON_BLOCKING), 0);
    T_EQ(cuMemPoolCreate(&pool, &props), 0);
    T_EQ(cuEventCreate(&event, PL_CU_EVENT_DISABLE_TIMING), 0);
}

static void end(void)
{
    T_EQ(cuEventDestroy(event), 0);
    T_EQ(cuMemPoolDestroy(pool), 0);
    for (int i = 0; i < 2; i++)
        T_EQ(cuStreamDestroy(stream[i]), 0);
    T_EQ(cuCtxPopCurrent(&context), 0);
    T_EQ(cuDevicePrimaryCtxRelease(0), 0);
}

static void expect_wrong(const char *words)
{
    T_GT(fake->n_wrong(), 0);
    T_HAS_STR(fake->last_wrong(), words);
    fake->forget();
}

static pl_cu_pointer take(size_t n_bytes)
{
    pl_cu_pointer memory;
    T_EQ(cuMemAllocFromPoolAsync(&memory, n_bytes, pool, stream[0]), 0);
    return memory;
}

static void give(pl_cu_pointer memory) { T_EQ(cuMemFreeAsync(memory, stream[0]), 0); }

T_TEST(writes_that_nothing_orders)
{
    begin();
    pl_cu_pointer memory = take(100);
    T_EQ(cuStreamSynchronize(stream[0]), 0);
    T_EQ(cuMemsetD8Async(memory, 1, 60, stream[0]), 0);
    T_EQ(cuMemsetD8Async(memory + 60, 2, 40, stream[1]), 0); /* other bytes */
    T_EQ(fake->n_wrong(), 0);
    T_EQ(cuMemsetD8Async(memory + 59, 2, 1, stream[1]), 0);
    expect_wrong("order: cuMemsetD8Async in stream");
    T_EQ(cuEventRecord(event, stream[1]), 0);
    T_EQ(cuStreamWaitEvent(stream[0], event, 0), 0);
    T_EQ(cuMemsetD8Async(memory, 3, 100, stream[0]), 0);
    T_EQ(fake->n_wrong(), 0);
    give(memory);
    end();
}

T_TEST(a_look_of_the_host_orders)
{
    begin();
    static char host[100];
    pl_cu_pointer memory = take(100);
    T_EQ(cuMemcpyDtoHAsync(host, memory, 100, stream[0]), 0);
    T_EQ(cuEventRecord(event, stream[0]), 0);
    T_EVENTUALLY(cuEventQuery(event) == 0, 5000);
    T_EQ(cuMemcpyHtoDAsync(memory, host, 100, stream[1]), 0);
    T_EQ(fake->n_wrong(), 0);
    T_EQ(cuStreamSynchronize(stream[1]), 0);
    give(memory);
    end();
}

T_TEST(rows_between_rows_do_not_meet)
{
    begin();
    pl_cu_pointer memory = take(1000);
    T_EQ(cuStreamSynchronize(stream[0]), 0);
    T_EQ(cuMemsetD2D8Async(memory, 100, 1, 50, 10, stream[0]), 0);
    T_EQ(cuMemsetD2D8Async(memory + 50, 100, 2, 50, 10, stream[1]), 0);
    T_EQ(fake->n_wrong(), 0);
    T_EQ(cuMemsetD2D8Async(memory + 49, 100, 2, 50, 10, stream[1]), 0);
    expect_wrong("order");
    T_EQ(cuStreamSynchronize(stream[1]), 0);
    give(memory);
    end();
}

T_TEST(memory_that_is_not_there)
{
    begin();
    pl_cu_pointer memory = take(100);
    T_EQ(cuMemsetD8Async(memory, 1, 1, stream[1]), 0);
    expect_wrong("before it is there");
    T_EQ(cuMemsetD8Async(memory + 50, 1, 51, stream[0]), 0); /* the allocation itself is a little larger */
    expect_wrong("in no allocation");
    T_EQ(cuStreamSynchronize(stream[0]), 0);
    T_EQ(cuStreamSynchronize(stream[1]), 0);
    fake->pause(true);
    T_EQ(cuMemsetD8Async(memory, 1, 1, stream[0]), 0); /* which keeps the stream here */
    give(memory);
    T_EQ(cuMemFreeAsync(memory, stream[0]), 0);
    expect_wrong("given back twice");
    static char host[1];
    T_EQ(cuMemcpyDtoHAsync(host, memory, 0, stream[0]), 0);
    T_EQ(fake->n_wrong(), 0); /* nothing is read */
    fake->pause(false);
    end();
}

T_TEST(memory_given_back_while_another_stream_uses_it)
{
    begin();
    pl_cu_pointer memory = take(100);
    T_EQ(cuStreamSynchronize(stream[0]), 0);
    T_EQ(cuMemsetD8Async(memory, 1, 100, stream[1]), 0);
    give(memory);
    expect_wrong("order: cuMemFreeAsync");
    end();
}

T_TEST(contexts_and_handles)
{
    begin();
    pl_cu_context popped;
    T_EQ(cuCtxPopCurrent(&popped), 0);
    T_NE(cuStreamSynchronize(stream[0]), 0);
    expect_wrong("without a current context");
    T_NE(cuCtxPopCurrent(&popped), 0);
    expect_wrong("popped");
    pl_cu_context other;
    T_EQ(cuDevicePrimaryCtxRetain(&other, 1), 0);
    T_EQ(cuCtxPushCurrent(other), 0);
    T_NE(cuEventRecord(event, stream[0]), 0);
    expect_wrong("not current");
    T_EQ(cuCtxPopCurrent(&popped), 0);
    T_EQ(cuDevicePrimaryCtxRelease(1), 0);
    T_EQ(cuCtxPushCurrent(context), 0);
    pl_cu_event gone = event;
    T_EQ(cuEventDestroy(event), 0);
    T_NE(cuEventRecord(gone, stream[0]), 0);
    expect_wrong("destroyed");
    T_EQ(cuEventCreate(&event, PL_CU_EVENT_DISABLE_TIMING), 0);
    end();
}

T_TEST(a_context_that_goes_before_what_was_made_in_it)
{
    begin();
    T_EQ(cuDevicePrimaryCtxRelease(0), 0);
    expect_wrong("while things made in it are there");
    T_EQ(cuDevicePrimaryCtxRelease(0), 201);
    expect_wrong("more often");
    _Exit(0); /* what is left cannot be ended any more */
}
