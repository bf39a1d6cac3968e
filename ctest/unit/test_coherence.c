/* test_coherence.c - every state of three devices, every access: the rules of coherence.h hold, and the plan is the best one; and every
 * state that copies, writes and evictions can reach, with what is really in each copy. */
#include "data/coherence.h"
#include "test.h"

#include <parla/task.h>

enum { N = 3 };

static const uint64_t costs[][N] = {{0, 0, 0}, {5, 9, 1}, {0, 1, 9}, {7, 7, 7}};

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

static void check_source(pl_coherence now, int device, const uint64_t *of, int source)
{
    T_TRUE(pl_coherence_is_valid(now, source));
    T_NE(source, device);
    for (int i = 1; i < N; i++)
        if (pl_coherence_is_valid(now, i))
            T_LE(of[source] + (source == 0), of[i]); /* the host has to be better */
}

static void check_plan(pl_coherence now, int device, int mode, const uint64_t *of)
{
    pl_coherence_step step = pl_coherence_plan(now, device, mode, of);
    bool reads = mode & PARLA_IN, writes = mode & PARLA_OUT;
    bool is_missing = reads && !pl_coherence_is_valid(now, device);
    if (!is_missing)
        T_EQ(step.source, PL_SOURCE_NONE);
    else if (!now.valid)
        T_EQ(step.source, PL_SOURCE_ABSENT);
    else
        check_source(now, device, of, step.source);
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
        check_state((pl_coherence){.valid = valid}, valid != 0);
        for (int device = 0; device < N; device++)
            for (int mode = PARLA_IN; mode <= PARLA_INOUT; mode++)
                for (size_t k = 0; k < sizeof costs / sizeof costs[0]; k++)
                    check_plan((pl_coherence){.valid = valid}, device, mode, costs[k]);
    }
}

T_TEST(spare_copies_can_be_dropped)
{
    for (uint64_t valid = 0; valid < 1u << N; valid++)
        for (int device = 0; device < N; device++) {
            pl_coherence now = {.valid = valid};
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
        pl_coherence now = {.valid = 0};
        bool is_written = false;
        for (int step = 0; step < 100; step++) {
            int device = (int)t_below(&rng, N), mode = 1 + (int)t_below(&rng, 3);
            if (t_below(&rng, 4) == 0 && pl_coherence_is_spare(now, device)) {
                now = pl_coherence_dropped(now, device);
            } else {
                pl_coherence_step plan = pl_coherence_plan(now, device, mode, costs[step % 4]);
                is_written = is_written || ((mode & PARLA_OUT) && plan.source != PL_SOURCE_ABSENT);
                now = plan.after;
            }
            check_state(now, is_written);
        }
    }
}

/* --- All that can happen to a tile on three devices ---------------------------------------------------------------------------- */

/* What a tile's protocol must keep true, beside what is in the memory: a copy is fresh if it has what was written last. */
typedef struct world {
    pl_coherence now;
    unsigned fresh;  /* bit i: the copy on device i */
    uint64_t flying; /* bit i: a copy is really on its way to device i, whatever the protocol says */
    int source[N];   /* of that copy */
    bool carries[N]; /* did it read fresh content? */
    bool is_written;
} world;

/* Fits into 19 bits: the sources of what is not on its way do not count. */
static unsigned key_of(const world *w)
{
    unsigned key = (unsigned)w->now.valid | (unsigned)w->flying << 3 | w->fresh << 6 | (unsigned)w->is_written << 9;
    for (int i = 0; i < N; i++)
        if (w->flying >> i & 1)
            key |= ((unsigned)w->source[i] | (unsigned)w->carries[i] << 2) << (10 + 3 * i);
    return key;
}

static void check_world(const world *w)
{
    T_EQ(w->now.valid & w->now.arriving, 0);
    T_EQ(w->now.arriving, w->flying);
    T_EQ(w->now.valid & ~(uint64_t)w->fresh, 0); /* nobody reads what is stale */
    if (w->is_written)
        T_TRUE(w->now.valid != 0); /* nothing is lost */
    for (int i = 0; i < N; i++)
        if (w->flying >> i & 1) {
            T_TRUE(pl_coherence_is_valid(w->now, w->source[i])); /* is still there to be read */
            T_TRUE(w->carries[i]);
        }
    check_state((pl_coherence){.valid = w->now.valid}, w->is_written);
}

typedef struct exploration {
    bool is_known[1 << 19];
    world todo[1 << 12];
    int n_todo, n_states;
} exploration;

static void reach(exploration *x, const world *w)
{
    unsigned key = key_of(w);
    if (x->is_known[key])
        return;
    x->is_known[key] = true;
    check_world(w);
    T_LT(x->n_todo, 1 << 12);
    x->todo[x->n_todo++] = *w;
    x->n_states++;
}

static bool is_read_from(const world *w, int device)
{
    for (int i = 0; i < N; i++)
        if ((w->flying >> i & 1) && w->source[i] == device)
            return true;
    return false;
}

/* A reader on a device: content begins to come, if it is missing. */
static void read_on(exploration *x, world w, int device)
{
    if (pl_coherence_is_arriving(w.now, device))
        return;
    pl_coherence_step step = pl_coherence_plan(w.now, device, PARLA_IN, costs[0]);
    if (step.source < 0)
        return;
    w.flying |= UINT64_C(1) << device;
    w.source[device] = step.source;
    w.carries[device] = w.fresh >> step.source & 1;
    w.now = pl_coherence_leaving(w.now, device);
    reach(x, &w);
}

static void arrive_on(exploration *x, world w, int device, bool is_whole)
{
    if (!(w.flying >> device & 1))
        return;
    w.flying &= ~(UINT64_C(1) << device);
    w.now = pl_coherence_arrived(w.now, device, is_whole);
    w.fresh = (w.fresh & ~(1u << device)) | (unsigned)(is_whole && w.carries[device]) << device;
    reach(x, &w);
}

static void write_on(exploration *x, world w, int device, bool reads)
{
    if (!pl_coherence_is_settled(w.now) || (reads && !pl_coherence_is_valid(w.now, device)))
        return;
    w.now = pl_coherence_plan(w.now, device, PARLA_OUT, NULL).after;
    w.fresh = 1u << device;
    for (int i = 0; i < N; i++)
        w.carries[i] = false; /* what is on its way now is old */
    w.is_written = true;
    reach(x, &w);
}

/* Nothing reads it and nothing arrives there: both would pin it. */
static void drop_on(exploration *x, world w, int device)
{
    if (!pl_coherence_is_spare(w.now, device) || is_read_from(&w, device) || pl_coherence_is_arriving(w.now, device))
        return;
    w.now = pl_coherence_dropped(w.now, device);
    w.fresh &= ~(1u << device);
    reach(x, &w);
}

T_TEST(nothing_reachable_breaks_the_rules)
{
    static exploration x;
    reach(&x, &(world){.now = {.valid = 0}});
    while (x.n_todo > 0) {
        world w = x.todo[--x.n_todo];
        for (int i = 0; i < N; i++) {
            read_on(&x, w, i);
            arrive_on(&x, w, i, true);
            arrive_on(&x, w, i, false);
            write_on(&x, w, i, false);
            write_on(&x, w, i, true);
            drop_on(&x, w, i);
        }
    }
    T_GE(x.n_states, 20);
}
