/* deque_model.c - the work-stealing deque (base/deque.c) in every schedule: each item comes out once, whoever takes it, and what was found in
 * a task's memory is what its pusher wrote. Rings have room for two items here, so a third makes them grow. */
#include "base/deque.h"
#include "model.h"

enum { MAX_ITEMS = 8 };

static pl_deque deque;
static int contents[MAX_ITEMS + 1];        /* written before the item is pushed, plainly */
static int takers[MAX_ITEMS + 1];          /* by who takes it */
static _Atomic int n_taken[MAX_ITEMS + 1]; /* not through the conductor: no part of the protocol */

static void push(uintptr_t item)
{
    contents[item] = (int)item * 10;
    T_OK(pl_deque_push(&deque, (void *)item));
}

static bool take(void *found)
{
    uintptr_t item = (uintptr_t)found;
    if (!item)
        return false;
    T_EQ(atomic_fetch_add_explicit(&n_taken[item], 1, memory_order_relaxed), 0);
    T_EQ(contents[item], (int)item * 10);
    takers[item]++; /* a race if two have it */
    return true;
}

static bool pop(void) { return take(pl_deque_pop(&deque)); }

static void steal(void)
{
    bool is_lost;
    do
        (void)take(pl_deque_steal(&deque, &is_lost));
    while (is_lost);
}

/* Items 1 … n_before are there when the threads start, and up to n in all are pushed. */
static void fight(uintptr_t n_before, uintptr_t n, int n_threads, const m_body *bodies)
{
    memset(takers, 0, sizeof takers);
    for (uintptr_t i = 0; i <= MAX_ITEMS; i++)
        atomic_store_explicit(&n_taken[i], 0, memory_order_relaxed);
    T_OK(pl_deque_init(&deque));
    for (uintptr_t i = 1; i <= n_before; i++)
        push(i);
    m_run(n_threads, bodies);
    while (pop())
        ;
    T_TRUE(pl_deque_looks_empty(&deque));
    for (uintptr_t i = 1; i <= n; i++)
        T_EQ(takers[i], 1);
    pl_deque_fini(&deque);
}

static void *pops_two(void *arg) { return pop(), pop(), arg; }
static void *steals(void *arg) { return steal(), arg; }
static void *steals_twice(void *arg) { return steal(), steal(), arg; }
static void *pushes_and_pops(void *arg) { return push(1), pop(), push(2), pop(), arg; }
static void *pops_then_pushes(void *arg) { return pop(), push(2), push(3), pop(), arg; }
static void *grows(void *arg) { return push(3), pop(), arg; }

static void last_item(void) { fight(1, 1, 3, (const m_body[]){pops_two, steals, steals}); }
static void two_items(void) { fight(2, 2, 3, (const m_body[]){pops_two, steals, steals}); }
static void two_items_twice(void) { fight(2, 2, 2, (const m_body[]){pops_two, steals_twice}); }
static void filled_again(void) { fight(0, 2, 2, (const m_body[]){pushes_and_pops, steals_twice}); }
static void around_the_ring(void) { fight(1, 3, 2, (const m_body[]){pops_then_pushes, steals_twice}); }
static void growing(void) { fight(2, 3, 3, (const m_body[]){grows, steals, steals}); }

T_TEST(the_last_item_goes_to_one_of_three) { m_explore(last_item); }
T_TEST(two_items_go_to_three) { m_explore(two_items); }
T_TEST(two_items_go_to_two) { m_explore(two_items_twice); }
T_TEST(items_that_come_while_thieves_look) { m_explore(filled_again); }
T_TEST(slots_are_used_again) { m_explore(around_the_ring); }
T_TEST(growing_loses_nothing) { m_explore(growing); }
