/* cuda_fixture.h - one open CUDA device of the module, behind its table, for tests on the fake driver. */
#ifndef PARLA_TEST_CUDA_FIXTURE_H
#define PARLA_TEST_CUDA_FIXTURE_H

#include "fakecuda/fakecuda.h"
#include "test.h"

#include <parla/backend.h>
#include <parla/error.h>

#include <pthread.h>
#include <stdlib.h>

typedef struct card {
    const parla_backend *b;
    const fakecuda_api *fake;
    void *device, *queue;
    parla_device_traits traits;
} card;

static inline card card_open(size_t memory_bytes)
{
    card c = {.b = parla_backend_find("cuda"), .fake = fakecuda()};
    T_TRUE(c.b != NULL && c.fake != NULL);
    parla_device_spec spec = {.kind = "cuda", .memory_bytes = memory_bytes, .n_sharing = 1};
    T_OK(c.b->open(&c.device, &spec, &c.traits));
    T_OK(c.b->queue_open(c.device, &c.queue));
    return c;
}

static inline void card_close(card *c)
{
    c->b->queue_close(c->queue);
    c->b->close(c->device);
}

static inline parla_strided bytes_at(void *base, size_t n_bytes)
{
    return (parla_strided){.base = base, .item_bytes = 1, .ndim = 1, .extent = {(int64_t)n_bytes}, .stride = {1}};
}

/* Waits for what is in the queue; returns how it went. */
static inline int finish(card *c)
{
    void *event;
    T_OK(c->b->event_record(c->queue, &event));
    int rc = c->b->event_wait(event);
    c->b->event_free(event);
    return rc;
}

#endif
