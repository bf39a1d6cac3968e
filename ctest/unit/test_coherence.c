/* test_coherence.c - every state of three devices, every access: the rules of coherence.h hold, and the plan is the best one. */
#include "data/coherence.h"
#include "test.h"

#include <parla/task.h>

enum { N = 3 };

static const uint64_t link_bytes[][N] = {{0, 0, 0}, {5, 9, 1}, {0, 1, 9}, {7, 7, 7}};

static int count(uint64_t set) { return __builtin_popcountll(set); }

/* At most one owner; a current copy if anything was ever written; the states and the owner agree. */
static void check_state(pl_coherence now, bool is_written)
{
    int n_owned = 0, n_shared = 0;
    for (int i = 0; i < N; i++) {
        n_owned += pl_coherence_state(now, i) == PL_COPY_OWNED;
        n_shared += pl_coherence_state(now, i) == PL_COPY_SHARED;
    }
    T_LE(n_owned, 1);
    T_TRUE(n_owned == 0 || n_shared == 0);
    T_NE(n_shared, 1);
    T_EQ(n_owned + n_shared, count(now.valid));
    T_EQ(n_owned == 1, pl_coherence_owner(now) >= 0);
    if (n_owned == 1)
        T_EQ(pl_coherence_state(now, pl_coherence_owner(now)), PL_COPY_OWNED);
    if (is_written)
        T_TRUE(now.valid != 0);
}

static void check_source(pl_coherence now, int device, const uint64_t *bytes, int source)
{
    T_TRUE(pl_coherence_is_valid(now, source));
    T_NE(source, device);
    if (source == 0)
        T_EQ(now.valid, 1); /* the host comes last */
    for (int i = 1; i < N; i++)
        if (pl_coherence_is_valid(now, i))
            T_LE(bytes[source], bytes[i]);
}

static void check_plan(pl_coherence now, int device, int mode, const uint64_t *bytes)
{
    pl_coherence_step step = pl_coherence_plan(now, device, mode, bytes);
    bool reads = mode & PARLA_IN, writes = mode & PARLA_OUT;
    bool is_missing = reads && !pl_coherence_is_valid(now, device);
    if (!is_missing)
        T_EQ(step.source, PL_SOURCE_NONE);
    else if (!now.valid)
        T_EQ(step.source, PL_SOURCE_ABSENT);
    else
        check_source(now, device, bytes, step.source);
    if (step.source == PL_SOURCE_ABSENT) {
        T_EQ(step.after.valid, now.valid);
        return;
    }
    T_TRUE(pl_coherence_is_valid(step.after, device) == (reads || writes || pl_coherence_is_valid(now, device)));
    if (writes) {
        T_EQ(pl_coherence_owner(step.after), device);
        T_EQ(step.stale, now.valid & ~(UINT64_C(1) << device));
    } else {
        T_EQ(step.stale, 0);
        T_EQ(step.after.valid & now.valid, now.valid);
    }
    check_state(step.after, true);
}

T_TEST(all_states_all_accesses)
{
    for (uint64_t valid = 0; valid < 1u << N; valid++) {
        check_state((pl_coherence){valid}, valid != 0);
        for (int device = 0; device < N; device++)
            for (int mode = PARLA_IN; mode <= PARLA_INOUT; mode++)
                for (size_t k = 0; k < sizeof link_bytes / sizeof link_bytes[0]; k++)
                    check_plan((pl_coherence){valid}, device, mode, link_bytes[k]);
    }
}

T_TEST(spare_copies_can_be_dropped)
{
    for (uint64_t valid = 0; valid < 1u << N; valid++)
        for (int device = 0; device < N; device++) {
            pl_coherence now = {valid};
            T_EQ(pl_coherence_is_spare(now, device), pl_coherence_state(now, device) != PL_COPY_OWNED);
            if (pl_coherence_is_spare(now, device))
                check_state(pl_coherence_dropped(now, device), valid != 0);
        }
}

/* From a fresh array, any sequence of accesses and droppings: content never gets lost. */
T_TEST(random_walks_keep_the_content)
{
    t_rng rng = {t_seed()};
    for (int walk = 0; walk < 200; walk++) {
        pl_coherence now = {0};
        bool is_written = false;
        for (int step = 0; step < 100; step++) {
            int device = (int)t_below(&rng, N), mode = 1 + (int)t_below(&rng, 3);
            if (t_below(&rng, 4) == 0 && pl_coherence_is_spare(now, device)) {
                now = pl_coherence_dropped(now, device);
            } else {
                pl_coherence_step plan = pl_coherence_plan(now, device, mode, link_bytes[step % 4]);
                is_written = is_written || ((mode & PARLA_OUT) && plan.source != PL_SOURCE_ABSENT);
                now = plan.after;
            }
            check_state(now, is_written);
        }
    }
}
