/* park_model.c - the eventcount (base/park.c) in every schedule: whoever waits for what somebody does and then wakes for, gets it. A wake-up
 * that is lost leaves a thread asleep for ever, which the conductor sees. */
#include "base/deque.h"
#include "base/park.h"
#include "model.h"
#include "seeds.h"

#include <parla/error.h>

static pl_park park;
static _Atomic int has_token;

static bool take_token(void) { return pl_exchange_seq(&has_token, 0); }

/* Announces, looks, sleeps: until it has the token. */
static void *waits(void *arg)
{
    for (;;) {
        uint64_t key = pl_park_prepare(&park);
        if (take_token()) {
            pl_park_cancel(&park, key);
            return arg;
        }
        T_OK(pl_park_commit(&park, key, 0));
    }
}

static void *gives(void *arg)
{
    pl_store_seq(&has_token, 1);
    pl_park_wake_one(&park);
    return arg;
}

/* Two that come and go beside it: one that has something else to do after all, and one whose time ends. Who was woken without need wakes
 * another, since the wake-up may have been meant for that one. */
static void *thinks_better_of_it(void *arg)
{
    pl_park_cancel(&park, pl_park_prepare(&park));
    return arg;
}

static void *waits_for_a_time(void *arg)
{
    int code = pl_park_commit(&park, pl_park_prepare(&park), 2000000000);
    if (code == 0)
        pl_park_wake_one(&park);
    else
        T_EQ(code, PARLA_E_TIMEOUT);
    return arg;
}

static void *waits_and_gives(void *arg) { return gives(waits(arg)); }

static void run(int n, const m_body *bodies)
{
    pl_store_seq(&has_token, 0);
    pl_park_init(&park);
    m_run(n, bodies);
}

static void one_by_one(void) { run(2, (const m_body[]){waits, gives}); }
static void beside_one_that_cancels(void) { run(3, (const m_body[]){waits, thinks_better_of_it, gives}); }
static void beside_one_whose_time_ends(void) { run(3, (const m_body[]){waits, waits_for_a_time, gives}); }
static void from_hand_to_hand(void) { run(4, (const m_body[]){waits_and_gives, waits_and_gives, waits_and_gives, gives}); }

/* The same with a light store on the side of who gives, as a push to a deque is, and a heavy fence on the side of who goes to sleep. */
static pl_deque deque;

static void *waits_for_a_push(void *arg)
{
    bool is_lost;
    for (;;) {
        uint64_t key = pl_park_prepare(&park);
        pl_fence_heavy();
        if (!pl_deque_looks_empty(&deque)) {
            pl_park_cancel(&park, key);
            T_EQ_PTR(pl_deque_steal(&deque, &is_lost), (void *)&park);
            return arg;
        }
        T_OK(pl_park_commit(&park, key, 0));
    }
}

static void *pushes(void *arg)
{
    T_OK(pl_deque_push(&deque, &park));
    pl_park_wake_one(&park);
    return arg;
}

static void a_push(void)
{
    T_OK(pl_deque_init(&deque));
    run(2, (const m_body[]){waits_for_a_push, pushes});
    pl_deque_fini(&deque);
}

/* One store that all wait for. */
static _Atomic bool is_open;

static void *waits_at_the_gate(void *arg)
{
    while (!pl_load_seq(&is_open)) {
        uint64_t key = pl_park_prepare(&park);
        if (pl_load_seq(&is_open))
            pl_park_cancel(&park, key);
        else
            T_OK(pl_park_commit(&park, key, 0));
    }
    return arg;
}

static void *opens(void *arg)
{
    pl_store_seq(&is_open, true);
    pl_park_wake_all(&park);
    return arg;
}

static void all(void)
{
    pl_store_seq(&is_open, false);
    run(3, (const m_body[]){waits_at_the_gate, waits_at_the_gate, opens});
}

/* Two threads hand a turn to and fro with stores, as the runtime's flags are. */
static _Atomic int turn;
static pl_park sides[2];

static void *plays(void *arg)
{
    int me = (int)(intptr_t)arg;
    while (pl_load_seq(&turn) != me) {
        uint64_t key = pl_park_prepare(&sides[me]);
        if (pl_load_seq(&turn) == me)
            pl_park_cancel(&sides[me], key);
        else
            T_OK(pl_park_commit(&sides[me], key, 0));
    }
    pl_store_seq(&turn, me + 1);
    pl_park_wake_one(&sides[(me + 1) % 2]);
    return arg;
}

static void turns(void)
{
    pl_store_seq(&turn, 0);
    pl_park_init(&sides[0]);
    pl_park_init(&sides[1]);
    m_run(2, (const m_body[]){plays, plays});
    T_EQ(pl_load_relaxed(&turn), 2);
}

T_TEST(one_sleeper_one_waker) { m_explore(one_by_one); }
T_TEST_TIMEOUT(a_sleeper_beside_one_that_cancels, 120) { m_explore(beside_one_that_cancels); }
T_TEST_TIMEOUT(a_sleeper_beside_one_whose_time_ends, 120)
{
    if (t_scale(10) < 10)
        T_SKIP("too many schedules for a sanitizer");
    m_explore(beside_one_whose_time_ends);
}
T_TEST_TIMEOUT(two_sleepers_woken_at_once, 120) { m_explore(all); }
T_TEST(turns_are_handed_on) { m_explore(turns); }

/* Too large for every schedule. */
static void run_token(uint64_t seed, t_run *out) { out->n_steps = cd_perturb(seed, from_hand_to_hand); }

static const t_seeds token = {"a_token_from_hand_to_hand", run_token, NULL};

T_TEST(a_token_from_hand_to_hand) { t_each_seed(&token, t_seed(), t_scale(1000)); }

T_TEST(kept_seeds) { t_kept_seeds(&token); }
T_TEST(a_push_beside_one_who_goes_to_sleep) { m_explore(a_push); }
