/* test_cuda_queue.c - streams that are used again, and those that are not any more. */
#include "cuda_fixture.h"

T_TEST(streams_are_used_again)
{
    card c = card_open(0);
    uint64_t before = c.fake->n_calls("cuStreamCreate");
    for (int i = 0; i < 10; i++) {
        void *queues[3];
        for (int k = 0; k < 3; k++)
            T_OK(c.b->queue_open(c.device, &queues[k]));
        for (int k = 0; k < 3; k++)
            c.b->queue_close(queues[k]);
    }
    T_EQ(c.fake->n_calls("cuStreamCreate") - before, 3);
    card_close(&c);
}

T_TEST(a_stream_whose_work_failed_is_not)
{
    card c = card_open(0);
    void *memory;
    T_OK(c.b->alloc(c.device, &memory, 8));
    parla_strided there = bytes_at(memory, 8);
    c.fake->fail_work(1, 700);
    T_OK(c.b->fill(c.queue, &there, 0));
    uint64_t before = c.fake->n_calls("cuStreamDestroy");
    c.b->queue_close(c.queue);
    T_EQ(c.fake->n_calls("cuStreamDestroy") - before, 1);
    c.b->free(c.device, memory, 8);
    c.b->close(c.device);
}

T_TEST(a_queue_that_cannot_be_opened)
{
    card c = card_open(0);
    void *queue;
    c.fake->fail_call("cuStreamCreate", 1, 2);
    T_EQ(c.b->queue_open(c.device, &queue), PARLA_E_DEVICE_MEMORY);
    T_OK(c.b->queue_open(c.device, &queue));
    c.b->queue_close(queue);
    card_close(&c);
}
