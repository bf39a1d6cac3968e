/* gate.h - something that queued work waits behind until the test lets it pass. */
#ifndef PARLA_TEST_GATE_H
#define PARLA_TEST_GATE_H

#include <pthread.h>
#include <stdbool.h>

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
} gate;

#define GATE_INIT                                                                                                                  \
    {                                                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false                                                                 \
    }

static inline void gate_open(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->is_open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* Blocks until the gate is open; its type fits queue calls. */
static inline void gate_pass(void *arg)
{
    gate *g = arg;
    pthread_mutex_lock(&g->lock);
    while (!g->is_open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

#endif
