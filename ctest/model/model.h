/* model.h - what the models share: a scenario is explored twice, sequentially consistent and with store buffers, and says how often. */
#ifndef PARLA_TEST_MODEL_H
#define PARLA_TEST_MODEL_H

#include "conductor.h"
#include "test.h"

#include <pthread.h>
#include <stdio.h>

typedef void *(*m_body)(void *arg);

/* Runs the bodies in threads of their own, each with its index as argument, and waits for them. */
static inline void m_run(int n, const m_body *bodies)
{
    pthread_t threads[8];
    for (int i = 0; i < n; i++)
        T_EQ(pthread_create(&threads[i], NULL, bodies[i], (void *)(intptr_t)i), 0);
    for (int i = 0; i < n; i++)
        T_EQ(pthread_join(threads[i], NULL), 0);
}

#if defined(__SANITIZE_THREAD__)
enum { M_HAS_STORE_BUFFERS = false }; /* a store that is seen later is none that ThreadSanitizer knows */
#else
enum { M_HAS_STORE_BUFFERS = true };
#endif

static inline void m_explore(void (*scenario)(void))
{
    cd_exploring how = {0};
    uint64_t n = cd_explore(&how, scenario);
    how.has_store_buffers = M_HAS_STORE_BUFFERS && cd_may_have_late_stores();
    if (how.has_store_buffers)
        n += cd_explore(&how, scenario);
    t_count(n, "schedules of models");
}

#endif
