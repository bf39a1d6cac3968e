/* test_ready.c - the order in which waiting tasks are tried. */
#include "sched/ready.h"
#include "test.h"

#include <stdlib.h>

enum { ALL = 0xff };

static pl_placed *make(pl_place *place, uint64_t devices, int priority)
{
    pl_placed *placed = calloc(1, sizeof *placed);
    T_OK(pl_ready_open(place, placed, devices, priority));
    pl_ready_push(place, placed);
    return placed;
}

static void drop(pl_place *place, pl_placed *placed)
{
    pl_ready_remove(place, placed);
    pl_ready_close(place, placed);
    free(placed);
}

T_TEST(priority_then_age)
{
    pl_place place = {0};
    pl_placed *low = make(&place, 1, 0), *first = make(&place, 1, 5), *second = make(&place, 2, 5), *third = make(&place, 1, 5);
    T_EQ(place.n_queued, 4);
    pl_ready_rewind(&place);
    T_EQ_PTR(pl_ready_next(&place, ALL, ALL), first);
    T_EQ_PTR(pl_ready_next(&place, ALL, ALL), second);
    T_EQ_PTR(pl_ready_next(&place, ALL, ALL), third);
    T_EQ_PTR(pl_ready_next(&place, ALL, ALL), low);
    T_TRUE(pl_ready_next(&place, ALL, ALL) == NULL);
    drop(&place, second);
    drop(&place, low);
    drop(&place, first);
    drop(&place, third);
    T_EQ(place.n_queued, 0);
    T_TRUE(place.buckets == NULL);
}

T_TEST(resumed_ones_first)
{
    pl_place place = {0};
    pl_placed *fresh = make(&place, 1, 9);
    pl_placed *resumed = calloc(1, sizeof *resumed);
    T_OK(pl_ready_open(&place, resumed, 1, 0));
    resumed->is_resumed = true;
    pl_ready_push(&place, resumed);
    pl_ready_rewind(&place);
    T_EQ_PTR(pl_ready_next(&place, ALL, ALL), resumed);
    T_EQ_PTR(pl_ready_next(&place, ALL, ALL), fresh);
    drop(&place, fresh);
    drop(&place, resumed);
}

T_TEST(closed_devices_are_skipped)
{
    pl_place place = {0};
    pl_placed *a = make(&place, 1, 0), *b = make(&place, 2, 0), *c = make(&place, 3, 0);
    pl_ready_rewind(&place);
    T_EQ_PTR(pl_ready_next(&place, 2, ALL), b);
    T_EQ_PTR(pl_ready_next(&place, 2, ALL), c);
    T_TRUE(pl_ready_next(&place, 2, ALL) == NULL);
    T_EQ_PTR(pl_ready_next(&place, 1, ALL), a);
    drop(&place, a);
    drop(&place, b);
    drop(&place, c);
}

T_TEST(transfers_need_no_turn)
{
    pl_place place = {0};
    pl_placed *transfer = calloc(1, sizeof *transfer);
    transfer->is_transfer = true;
    T_OK(pl_ready_open(&place, transfer, 2, 0));
    pl_ready_push(&place, transfer);
    pl_ready_rewind(&place);
    T_EQ_PTR(pl_ready_next(&place, 0, ALL), transfer);
    drop(&place, transfer);
}

T_TEST(a_walk_looks_so_far_ahead)
{
    enum { N = PL_READY_LOOK_AHEAD + 10 };
    pl_place place = {0};
    pl_placed *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = make(&place, 1, 0);
    for (int round = 0; round < 2; round++) {
        int n = 0;
        pl_ready_rewind(&place);
        while (pl_ready_next(&place, ALL, ALL))
            n++;
        T_EQ(n, PL_READY_LOOK_AHEAD);
    }
    for (int i = 0; i < N; i++)
        drop(&place, tasks[(i * 7) % N]);
    T_TRUE(place.buckets == NULL);
}

/* What is removed during a walk is not met again, and nothing else is lost. */
T_TEST(removal_during_a_walk)
{
    pl_place place = {0};
    pl_placed *placed;
    int n = 0;
    for (int i = 0; i < 20; i++)
        make(&place, 1u << (i % 3), i % 2);
    pl_ready_rewind(&place);
    while ((placed = pl_ready_next(&place, ALL, ALL)) != NULL) {
        drop(&place, placed);
        n++;
    }
    T_EQ(n, 20);
    T_EQ(place.n_queued, 0);
}
