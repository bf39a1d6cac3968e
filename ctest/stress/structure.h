/* structure.h - several threads on one structure, and a tally of what came out of it: each item exactly once. Everything is drawn from
 * t_seed(). */
#ifndef PARLA_TEST_STRUCTURE_H
#define PARLA_TEST_STRUCTURE_H

#include "base/atomic.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct tally {
    _Atomic unsigned char *n_out;
    uint64_t n;
} tally;

static inline void tally_open(tally *t, uint64_t n)
{
    t->n = n;
    t->n_out = calloc(n, 1);
    T_TRUE(t->n_out != NULL);
}

static inline void tally_take(tally *t, uint64_t item)
{
    T_LT(item, t->n);
    T_EQ(pl_add_relaxed(&t->n_out[item], 1), 0);
}

static inline void tally_close(tally *t)
{
    for (uint64_t i = 0; i < t->n; i++)
        T_EQ(pl_load_relaxed(&t->n_out[i]), 1);
    free((void *)t->n_out);
    t_count(t->n, "items through structures");
}

enum { MAX_ACTORS = 8 };

typedef struct actor {
    int index;
    t_rng rng;
    void (*act)(struct actor *self);
    pthread_t thread;
} actor;

static inline void *actor_main(void *arg)
{
    actor *self = arg;
    self->act(self);
    return NULL;
}

/* Calls act on n threads at once and waits for all. Each call draws anew. */
static inline void act_all(int n, void (*act)(actor *self))
{
    static uint64_t n_calls;
    actor actors[MAX_ACTORS];
    uint64_t seed = t_seed() + 1000003 * n_calls++;
    for (int i = 0; i < n; i++) {
        actors[i] = (actor){.index = i, .rng = {seed + 1000 * (uint64_t)i}, .act = act};
        T_EQ(pthread_create(&actors[i].thread, NULL, actor_main, &actors[i]), 0);
    }
    for (int i = 0; i < n; i++)
        pthread_join(actors[i].thread, NULL);
}

#endif
