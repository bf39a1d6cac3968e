/* test_assign.c - distinct devices for gangs: possible exactly when a search of all assignments finds one, and cheap. */
#include "sched/assign.h"
#include "test.h"

static bool search(const uint64_t *candidates, size_t n, size_t i, uint64_t used)
{
    if (i == n)
        return true;
    for (uint64_t left = candidates[i] & ~used; left; left &= left - 1)
        if (search(candidates, n, i + 1, used | (left & -left)))
            return true;
    return false;
}

T_TEST(agrees_with_a_search)
{
    t_rng rng = {t_seed()};
    for (int round = 0; round < 3000; round++) {
        uint64_t candidates[6];
        int out[6] = {-1, -1, -1, -1, -1, -1};
        size_t n = 1 + t_below(&rng, 6);
        uint64_t used = 0;
        for (size_t i = 0; i < n; i++)
            candidates[i] = t_next(&rng) & t_next(&rng) & 0x7f;
        bool expected = search(candidates, n, 0, 0);
        T_EQ(pl_assign(candidates, NULL, n, out), expected);
        for (size_t i = 0; i < n && expected; i++) {
            T_TRUE(candidates[i] >> out[i] & 1);
            T_FALSE(used >> out[i] & 1);
            used |= UINT64_C(1) << out[i];
        }
        if (!expected)
            T_EQ(out[0], -1);
    }
}

T_TEST(takes_the_cheapest_that_is_free)
{
    double cost[2 * PL_ASSIGN_MAX] = {0};
    uint64_t candidates[2] = {0x0f, 0x0f};
    int out[2];
    for (int i = 0; i < 4; i++)
        cost[i] = cost[PL_ASSIGN_MAX + i] = 10 - i;
    T_TRUE(pl_assign(candidates, cost, 2, out));
    T_TRUE((out[0] == 3 && out[1] == 2) || (out[0] == 2 && out[1] == 3));
}

T_TEST(more_members_than_devices)
{
    uint64_t candidates[PL_ASSIGN_MAX];
    int out[PL_ASSIGN_MAX];
    for (int i = 0; i < PL_ASSIGN_MAX; i++)
        candidates[i] = ~UINT64_C(1); /* 63 devices for 64 members: no search of all assignments would end */
    T_FALSE(pl_assign(candidates, NULL, PL_ASSIGN_MAX, out));
    candidates[0] = 1;
    T_TRUE(pl_assign(candidates, NULL, PL_ASSIGN_MAX, out));
    T_EQ(out[0], 0);
}
