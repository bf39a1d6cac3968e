/* test_deque.c - order, growth and the races of the work-stealing deque; ctest/stress/deque_stress.c goes on for longer. */
#include "base/deque.h"
#include "test.h"

#include <parla/error.h>
#include <pthread.h>
#include <stdlib.h>

static pl_deque deque;

static void *number(uintptr_t n) { return (void *)n; }

static void push(uintptr_t n) { T_OK(pl_deque_push(&deque, number(n))); }

static void *steal(void)
{
    bool lost;
    void *item = pl_deque_steal(&deque, &lost);
    T_FALSE(lost); /* nobody else is there */
    return item;
}

T_TEST(starts_empty)
{
    T_OK(pl_deque_init(&deque));
    T_TRUE(pl_deque_looks_empty(&deque));
    T_EQ_PTR(pl_deque_pop(&deque), NULL);
    T_EQ_PTR(steal(), NULL);
    T_EQ_PTR(pl_deque_pop(&deque), NULL);
    pl_deque_fini(&deque);
}

T_TEST(pop_takes_the_newest_steal_the_oldest)
{
    T_OK(pl_deque_init(&deque));
    for (uintptr_t i = 1; i <= 6; i++)
        push(i);
    T_FALSE(pl_deque_looks_empty(&deque));
    T_EQ_PTR(pl_deque_pop(&deque), number(6));
    T_EQ_PTR(steal(), number(1));
    T_EQ_PTR(steal(), number(2));
    T_EQ_PTR(pl_deque_pop(&deque), number(5));
    push(7);
    T_EQ_PTR(pl_deque_pop(&deque), number(7));
    T_EQ_PTR(pl_deque_pop(&deque), number(4));
    T_EQ_PTR(pl_deque_pop(&deque), number(3)); /* the last one, through the compare-and-swap */
    T_EQ_PTR(pl_deque_pop(&deque), NULL);
    T_TRUE(pl_deque_looks_empty(&deque));
    push(8);
    T_EQ_PTR(steal(), number(8)); /* the last one, by a thief */
    T_EQ_PTR(pl_deque_pop(&deque), NULL);
    pl_deque_fini(&deque);
}

T_TEST(growing_keeps_order_wherever_the_items_lie)
{
    enum { N = 5000 };
    for (uintptr_t n_before = 0; n_before < 600; n_before += 199) {
        T_OK(pl_deque_init(&deque));
        for (uintptr_t i = 1; i <= n_before; i++) { /* moves the items along the ring */
            push(i);
            T_EQ_PTR(steal(), number(i));
        }
        for (uintptr_t i = 1; i <= N; i++)
            push(i);
        for (uintptr_t i = 1; i <= N / 2; i++)
            T_EQ_PTR(steal(), number(i));
        for (uintptr_t i = N; i > N / 2; i--)
            T_EQ_PTR(pl_deque_pop(&deque), number(i));
        T_TRUE(pl_deque_looks_empty(&deque));
        pl_deque_fini(&deque);
    }
}

T_TEST(behaves_like_a_list)
{
    enum { MAX = 3000 };
    static uintptr_t model[200000];
    size_t first = 0, last = 0;
    t_rng rng = {t_seed()};
    T_OK(pl_deque_init(&deque));
    for (uintptr_t i = 1; i < 100000; i++) {
        uint64_t die = t_below(&rng, 16);
        if (die < 8 && last - first < MAX) {
            push(i);
            model[last++] = i;
        } else if (die < 13) {
            T_EQ_PTR(pl_deque_pop(&deque), first < last ? number(model[--last]) : NULL);
        } else {
            T_EQ_PTR(steal(), first < last ? number(model[first++]) : NULL);
        }
        T_EQ(pl_deque_looks_empty(&deque), first == last);
    }
    pl_deque_fini(&deque);
}

/* One item at a time, after which two run: exactly one of them gets it. */
typedef struct duel {
    _Atomic int n_ready;
    _Atomic int n_rounds;
    _Atomic uint64_t stolen;
    uint64_t n;
} duel;

static void *thief_main(void *arg)
{
    duel *self = arg;
    uint64_t n_stolen = 0;
    bool lost;
    pl_store_release(&self->n_ready, 1);
    while (pl_load_acquire(&self->n_rounds) == 0)
        n_stolen += pl_deque_steal(&deque, &lost) != NULL;
    pl_store_release(&self->stolen, n_stolen);
    return NULL;
}

T_TEST(the_last_item_goes_to_one_of_two)
{
    duel self = {.n = t_scale(300000)};
    uint64_t n_popped = 0;
    pthread_t thief;
    T_OK(pl_deque_init(&deque));
    T_EQ(pthread_create(&thief, NULL, thief_main, &self), 0);
    T_EVENTUALLY(pl_load_acquire(&self.n_ready), 10000);
    for (uint64_t i = 0; i < self.n; i++) {
        push(i + 1);
        n_popped += pl_deque_pop(&deque) != NULL;
    }
    pl_store_release(&self.n_rounds, 1);
    pthread_join(thief, NULL);
    T_EQ(n_popped + pl_load_acquire(&self.stolen), self.n);
    T_TRUE(pl_deque_looks_empty(&deque));
    pl_deque_fini(&deque);
}
