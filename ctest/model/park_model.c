/* park_model.c - the eventcount (base/park.c) in every schedule: whoever waits for what somebody does and then wakes for, gets it. A wake-up
 * that is lost leaves a thread asleep for ever, which the conductor sees. */
#include "base/park.h"
#include "model.h"

#include <parla/error.h>

static pl_park park;
static _Atomic int n_tokens, n_left;

static bool take_token(void)
{
    int n = pl_load_seq(&n_tokens);
    while (n > 0)
        if (pl_cas_seq(&n_tokens, &n, n - 1))
            return true;
    return false;
}

/* Announces, looks, sleeps: until there is a token. */
static void wait_for_token(uint64_t deadline_ns)
{
    while (!take_token()) {
        uint64_t key = pl_park_prepare(&park);
        if (pl_load_seq(&n_tokens) > 0) {
            pl_park_cancel(&park, key);
            continue;
        }
        int code = pl_park_commit(&park, key, deadline_ns);
        T_TRUE(code == 0 || code == PARLA_E_TIMEOUT);
        if (code)
            return;
    }
}

static void *waits(void *arg) { return wait_for_token(0), arg; }
static void *waits_for_a_time(void *arg) { return wait_for_token(2000000000), arg; }

static void give(int n)
{
    pl_add_seq(&n_tokens, n);
    if (n == 1)
        pl_park_wake_one(&park);
    else
        pl_park_wake_all(&park);
}

static void *gives(void *arg) { return give(1), arg; }
static void *gives_both(void *arg) { return give(2), arg; }
static void *gives_twice(void *arg) { return give(1), give(1), arg; }

static void run(int n, const m_body *bodies)
{
    pl_store_seq(&n_tokens, 0);
    pl_store_seq(&n_left, 0);
    pl_park_init(&park);
    m_run(n, bodies);
}

static void one_by_one(void) { run(2, (const m_body[]){waits, gives}); }
static void two_by_one(void) { run(3, (const m_body[]){waits, waits, gives_twice}); }
static void all(void) { run(3, (const m_body[]){waits, waits, gives_both}); }
static void two_by_two(void) { run(4, (const m_body[]){waits, waits, gives, gives}); }
static void with_a_time_limit(void)
{
    run(3, (const m_body[]){waits, waits_for_a_time, gives_twice});
    T_LE(pl_load_relaxed(&n_tokens), 1);
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
T_TEST(two_sleepers_woken_one_by_one) { m_explore(two_by_one); }
T_TEST(two_sleepers_woken_at_once) { m_explore(all); }
T_TEST(two_sleepers_two_wakers) { m_explore(two_by_two); }
T_TEST(a_sleeper_whose_time_ends_takes_no_wake_from_another) { m_explore(with_a_time_limit); }
T_TEST(turns_are_handed_on) { m_explore(turns); }
