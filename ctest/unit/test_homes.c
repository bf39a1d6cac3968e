/* test_homes.c - the set of homes of a tile, beside a plain model of it: random changes, copies, the summary by devices. */
#include "data/homes.h"
#include "data/instance.h"
#include "test.h"

enum { N = 9, N_STEPS = 20000 };

typedef enum state { OUT, ARRIVING, CURRENT } state;

static pl_instance instances[N]; /* three on each of three devices */

static void check(const pl_homes *homes, const state *model)
{
    uint64_t valid = 0, arriving = 0;
    int n = 0, n_current = 0, i_current = -1;
    for (int i = 0; i < N; i++) {
        T_EQ(pl_homes_is_current(homes, &instances[i]), model[i] == CURRENT);
        T_EQ(pl_homes_is_arriving(homes, &instances[i]), model[i] == ARRIVING);
        valid |= model[i] == CURRENT ? UINT64_C(1) << instances[i].i_device : 0;
        arriving |= model[i] == ARRIVING ? UINT64_C(1) << instances[i].i_device : 0;
        n += model[i] != OUT;
        if (model[i] != CURRENT)
            continue;
        n_current++;
        i_current = i;
    }
    T_EQ(homes->n, n);
    T_EQ(pl_homes_summary(homes).valid, valid);
    T_EQ(pl_homes_summary(homes).arriving, arriving);
    T_EQ_PTR(pl_homes_sole(homes), n_current == 1 ? &instances[i_current] : NULL);
    for (int d = 0; d < N / 3; d++) {
        const pl_instance *there = pl_homes_current_on(homes, d);
        T_EQ(there != NULL, (int)(valid >> d & 1));
        T_TRUE(!there || (there->i_device == d && model[there - instances] == CURRENT));
    }
}

/* A copy is equal, and after a change of one of them no more. */
static void check_copy(const pl_homes *homes, int i, state now)
{
    pl_homes copy = {0};
    T_OK(pl_homes_reserve_copy(&copy, homes));
    pl_homes_copy(&copy, homes);
    T_TRUE(pl_homes_are_equal(&copy, homes) && pl_homes_are_equal(homes, &copy));
    T_OK(pl_homes_reserve(&copy, 1));
    if (now == OUT)
        pl_homes_add(&copy, &instances[i], true);
    else if (now == ARRIVING)
        pl_homes_arrive(&copy, &instances[i], true);
    else
        pl_homes_drop(&copy, &instances[i]);
    T_FALSE(pl_homes_are_equal(&copy, homes) || pl_homes_are_equal(homes, &copy));
    pl_homes_clear(&copy);
}

T_TEST(random_changes_beside_a_model)
{
    t_rng rng = {t_seed()};
    pl_homes homes = {0};
    state model[N] = {OUT};
    for (int i = 0; i < N; i++)
        instances[i].i_device = i / 3;
    for (int step = 0; step < N_STEPS; step++) {
        int i = (int)t_below(&rng, N);
        bool yes = t_below(&rng, 2) == 0;
        check_copy(&homes, i, model[i]);
        if (t_below(&rng, 50) == 0) {
            pl_homes_set(&homes, &instances[i]);
            for (int k = 0; k < N; k++)
                model[k] = k == i ? CURRENT : OUT;
        } else if (model[i] == OUT) {
            T_OK(pl_homes_reserve(&homes, 1));
            pl_homes_add(&homes, &instances[i], yes);
            model[i] = yes ? ARRIVING : CURRENT;
        } else if (model[i] == ARRIVING) {
            pl_homes_arrive(&homes, &instances[i], yes);
            model[i] = yes ? CURRENT : OUT;
        } else if (yes) {
            pl_homes_drop(&homes, &instances[i]);
            model[i] = OUT;
        }
        check(&homes, model);
    }
    pl_homes_clear(&homes);
    T_EQ(homes.n, 0);
}
