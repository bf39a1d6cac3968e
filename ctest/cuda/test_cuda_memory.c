/* test_cuda_memory.c - pools with limits, order of reuse, page-locked memory that is kept. */
#include "cuda_fixture.h"

T_TEST(the_limit_is_exact)
{
    card c = card_open(1000);
    void *a, *b, *none;
    T_OK(c.b->alloc(c.device, &a, 600));
    T_EQ(c.b->alloc(c.device, &none, 401), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "400 of its 1000 bytes left; 401 were asked for");
    T_OK(c.b->queue_alloc(c.queue, &b, 400));
    T_EQ(c.b->queue_alloc(c.queue, &none, 1), PARLA_E_DEVICE_MEMORY);
    c.b->queue_free(c.queue, b, 400);
    c.b->free(c.device, a, 600);
    T_OK(c.b->alloc(c.device, &a, 1000));
    c.b->free(c.device, a, 1000);
    card_close(&c);
}

T_TEST(a_refusal_of_the_driver_is_not_counted)
{
    card c = card_open(1000);
    void *a;
    c.fake->fail_call("cuMemAllocFromPoolAsync", 1, 2);
    T_EQ(c.b->alloc(c.device, &a, 1000), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "CUDA_ERROR_OUT_OF_MEMORY");
    T_OK(c.b->alloc(c.device, &a, 1000));
    c.b->free(c.device, a, 1000);
    card_close(&c);
}

T_TEST(page_locked_memory_is_kept_and_used_again)
{
    card c = card_open(0);
    for (int i = 0; i < 10; i++) {
        void *memory;
        T_OK(c.b->host_alloc(c.device, &memory, 100000));
        memset(memory, i, 100000);
        c.b->host_free(c.device, memory, 100000);
    }
    T_EQ(c.fake->n_calls("cuMemHostAlloc"), 1);
    c.fake->fail_call("cuMemHostAlloc", 1, 2);
    void *none;
    T_EQ(c.b->host_alloc(c.device, &none, 10000000), PARLA_E_NOMEM);
    card_close(&c);
}

T_TEST(more_page_locked_memory_than_is_kept_goes_back)
{
    card c = card_open(0);
    void *memory[5];
    for (int i = 0; i < 5; i++)
        T_OK(c.b->host_alloc(c.device, &memory[i], (size_t)100 << 20));
    for (int i = 0; i < 5; i++)
        c.b->host_free(c.device, memory[i], (size_t)100 << 20);
    T_EQ(c.fake->n_calls("cuMemFreeHost"), 3);
    card_close(&c);
}
