/* test_access.c - the order of an array's users: who waits for whom, and ghosts. */
#include "data/access.h"
#include "test.h"

#include <stdlib.h>

enum { MAX_WAITS = 8 };

typedef struct user {
    pl_use use;
    pl_wait waits[MAX_WAITS];
} user;

static void enter(pl_order *order, user *u, int mode)
{
    u->use = (pl_use){.order_mode = (uint8_t)mode};
    size_t n = pl_order_n_waits(order, mode);
    T_LE(n, MAX_WAITS);
    pl_order_enter(order, &u->use, u->waits);
    T_EQ(u->use.n_before, n);
}

/* Leaves, and returns how many were let go. */
static int leave(pl_order *order, user *u, pl_use **first)
{
    pl_use *list = NULL;
    int n = 0;
    pl_order_leave(order, &u->use, &list);
    if (first)
        *first = list;
    for (; list; list = list->next_left)
        n++;
    return n;
}

T_TEST(readers_share)
{
    pl_order order = {0};
    user a, b;
    enter(&order, &a, PARLA_IN);
    enter(&order, &b, PARLA_IN);
    T_EQ(a.use.n_before, 0);
    T_EQ(b.use.n_before, 0);
    T_EQ(leave(&order, &a, NULL), 0);
    T_EQ(leave(&order, &b, NULL), 0);
    T_TRUE(!order.readers && !order.writer);
}

T_TEST(a_writer_waits_for_readers_and_writer)
{
    pl_order order = {0};
    user w1, r1, r2, w2, r3;
    pl_use *first;
    enter(&order, &w1, PARLA_OUT);
    enter(&order, &r1, PARLA_IN);
    enter(&order, &r2, PARLA_IN);
    enter(&order, &w2, PARLA_INOUT);
    enter(&order, &r3, PARLA_IN);
    T_EQ(r1.use.n_before, 1);
    T_EQ(w2.use.n_before, 3);
    T_EQ(r3.use.n_before, 1);
    T_EQ(leave(&order, &w1, NULL), 2);
    T_EQ(leave(&order, &r2, NULL), 0);
    T_EQ(leave(&order, &r1, &first), 1);
    T_EQ_PTR(first, &w2.use);
    T_EQ(leave(&order, &w2, &first), 1);
    T_EQ_PTR(first, &r3.use);
    T_EQ(leave(&order, &r3, NULL), 0);
    T_TRUE(!order.readers && !order.writer);
}

T_TEST(content_comes_from_the_last_writer)
{
    pl_order order = {0};
    user w;
    T_TRUE(!pl_order_content(&order, PARLA_INOUT));
    enter(&order, &w, PARLA_OUT);
    T_EQ_PTR(pl_order_content(&order, PARLA_IN), &w.use);
    T_EQ_PTR(pl_order_content(&order, PARLA_INOUT), &w.use);
    T_TRUE(!pl_order_content(&order, PARLA_OUT));
    leave(&order, &w, NULL);
    T_TRUE(!pl_order_content(&order, PARLA_IN));
}

/* The middle one of three writers is cancelled while the first runs: the last still waits for the first. */
T_TEST(a_ghost_keeps_the_order)
{
    pl_order order = {0};
    user w1, w2, w3;
    pl_use *first;
    enter(&order, &w1, PARLA_OUT);
    enter(&order, &w2, PARLA_OUT);
    enter(&order, &w3, PARLA_OUT);
    T_EQ(w3.use.n_before, 1);
    T_EQ(leave(&order, &w1, &first), 1); /* w2's task ended long ago: its use leaves only now */
    T_EQ_PTR(first, &w2.use);
    T_EQ(w3.use.n_before, 1);
    T_EQ(leave(&order, &w2, &first), 1);
    T_EQ_PTR(first, &w3.use);
}

/* Random sequences against the rule itself: two users may overlap only if both read. */
T_TEST(random_orders_never_overlap)
{
    enum { N = 60 };
    t_rng rng = {t_seed()};
    for (int round = 0; round < 200; round++) {
        pl_order order = {0};
        pl_use uses[N];
        pl_wait *waits[N];
        int n_gone = 0;
        for (int i = 0; i < N; i++) {
            int mode = 1 + (int)t_below(&rng, 3);
            uses[i] = (pl_use){.order_mode = (uint8_t)mode};
            waits[i] = malloc((pl_order_n_waits(&order, mode) + 1) * sizeof(pl_wait));
            pl_order_enter(&order, &uses[i], waits[i]);
        }
        while (n_gone < N) {
            int i = (int)t_below(&rng, N);
            if (uses[i].has_left || uses[i].n_before > 0)
                continue;
            for (int k = 0; k < i; k++)
                T_TRUE(uses[k].has_left || (uses[i].order_mode == PARLA_IN && uses[k].order_mode == PARLA_IN));
            pl_use *freed = NULL;
            pl_order_leave(&order, &uses[i], &freed);
            n_gone++;
        }
        for (int i = 0; i < N; i++)
            free(waits[i]);
        T_TRUE(!order.readers && !order.writer);
    }
}
