/* test_cuda_event.c - events that are used again while streams still wait for their first use. */
#include "cuda_fixture.h"

T_TEST(events_are_used_again)
{
    card c = card_open(0);
    for (int i = 0; i < 100; i++)
        T_EQ(finish(&c), 0);
    T_EQ(c.fake->n_calls("cuEventCreate"), 1);
    card_close(&c);
}

T_TEST(a_recording_that_fails_leaves_nothing)
{
    card c = card_open(0);
    void *event;
    c.fake->fail_call("cuEventRecord", 1, 1);
    T_EQ(c.b->event_record(c.queue, &event), PARLA_E_DEVICE);
    c.fake->fail_call("cuEventCreate", 1, 1);
    T_EQ(finish(&c), 0); /* with the event of before */
    card_close(&c);
}

T_TEST(a_freed_event_may_be_recorded_while_another_queue_waits)
{
    card c = card_open(0);
    void *other, *event, *last, *memory;
    T_OK(c.b->queue_open(c.device, &other));
    T_OK(c.b->alloc(c.device, &memory, 8));
    parla_strided there = bytes_at(memory, 8);
    c.fake->pause(true);
    T_OK(c.b->fill(c.queue, &there, 1));
    T_OK(c.b->event_record(c.queue, &event));
    T_OK(c.b->queue_wait(other, event));
    c.b->event_free(event);
    T_OK(c.b->event_record(other, &last)); /* the same one */
    T_EQ_PTR(last, event);
    T_EQ(c.b->event_query(last), PARLA_PENDING);
    c.fake->pause(false);
    T_EQ(c.b->event_wait(last), 0);
    c.b->event_free(last);
    c.b->free(c.device, memory, 8);
    c.b->queue_close(other);
    card_close(&c);
}
