/* deque_stress.c - every item that goes into a deque comes out once, whoever takes it and however the deque grows. */
#include "base/deque.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAX_OWNERS = 3, MAX_THIEVES = 3 };

typedef struct arena {
    pl_deque deques[MAX_OWNERS];
    int n_owners;
    uint64_t n_items; /* of each owner */
    _Atomic unsigned char *n_taken;
    _Atomic int n_pushing;
} arena;

typedef struct worker {
    arena *all;
    pthread_t thread;
    int index;
} worker;

/* Items are numbers from 1. */
static void take(arena *all, void *item)
{
    if (item)
        T_EQ(pl_add_relaxed(&all->n_taken[(uintptr_t)item - 1], 1), 0);
}

static void *own(void *arg)
{
    worker *self = arg;
    arena *all = self->all;
    pl_deque *deque = &all->deques[self->index];
    t_rng rng = {t_seed() + (uint64_t)self->index};
    uintptr_t next = (uintptr_t)self->index * all->n_items, end = next + all->n_items;
    while (next < end) {
        uint64_t n = 1 + t_below(&rng, t_below(&rng, 50) == 0 ? 3000 : 4); /* mostly short, now and then long enough to grow */
        for (; n > 0 && next < end; n--)
            T_OK(pl_deque_push(deque, (void *)++next));
        for (n = t_below(&rng, 6); n > 0; n--)
            take(all, pl_deque_pop(deque));
    }
    pl_sub_acq_rel(&all->n_pushing, 1);
    for (void *item; (item = pl_deque_pop(deque));)
        take(all, item);
    return NULL;
}

static void *rob(void *arg)
{
    worker *self = arg;
    arena *all = self->all;
    bool is_last = false;
    for (;;) {
        bool found = false, lost = false;
        for (int i = 0; i < all->n_owners; i++) {
            void *item = pl_deque_steal(&all->deques[(i + self->index) % all->n_owners], &lost);
            found |= item || lost;
            take(all, item);
        }
        if (is_last && !found)
            return NULL;
        is_last = pl_load_acquire(&all->n_pushing) == 0;
    }
}

static void fight(int n_owners, int n_thieves, uint64_t n_items)
{
    static arena all;
    worker owners[MAX_OWNERS], thieves[MAX_THIEVES];
    all.n_owners = n_owners;
    all.n_items = n_items;
    all.n_taken = calloc((size_t)n_owners * n_items, 1);
    T_TRUE(all.n_taken != NULL);
    pl_store_relaxed(&all.n_pushing, n_owners);
    for (int i = 0; i < n_owners; i++)
        T_OK(pl_deque_init(&all.deques[i]));
    for (int i = 0; i < n_thieves; i++) {
        thieves[i] = (worker){.all = &all, .index = i};
        T_EQ(pthread_create(&thieves[i].thread, NULL, rob, &thieves[i]), 0);
    }
    for (int i = 0; i < n_owners; i++) {
        owners[i] = (worker){.all = &all, .index = i};
        T_EQ(pthread_create(&owners[i].thread, NULL, own, &owners[i]), 0);
    }
    for (int i = 0; i < n_owners; i++)
        pthread_join(owners[i].thread, NULL);
    for (int i = 0; i < n_thieves; i++)
        pthread_join(thieves[i].thread, NULL);
    for (uint64_t i = 0; i < (uint64_t)n_owners * n_items; i++)
        T_EQ(pl_load_relaxed(&all.n_taken[i]), 1);
    for (int i = 0; i < n_owners; i++) {
        T_TRUE(pl_deque_looks_empty(&all.deques[i]));
        pl_deque_fini(&all.deques[i]);
    }
    free((void *)all.n_taken);
    t_count((uint64_t)n_owners * n_items, "items through structures");
}

T_TEST(one_owner_one_thief) { fight(1, 1, t_scale(3000000)); }
T_TEST(one_owner_three_thieves) { fight(1, 3, t_scale(2000000)); }
T_TEST(three_owners_three_thieves) { fight(3, 3, t_scale(700000)); }
