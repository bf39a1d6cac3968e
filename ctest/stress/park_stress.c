/* park_stress.c - no wake-up is lost between threads that hand work to each other through one park. A lost one hangs the case. */
#include "base/clock.h"
#include "base/park.h"
#include "test.h"

#include <parla/error.h>
#include <pthread.h>

enum { MAX_THREADS = 4 };

static pl_park park;
static _Atomic int64_t n_tokens;
static _Atomic uint64_t n_taken;
static _Atomic bool is_over;

static void run(int n, void *(*function)(void *), pthread_t *out)
{
    for (int i = 0; i < n; i++)
        T_EQ(pthread_create(&out[i], NULL, function, (void *)(intptr_t)i), 0);
}

static void join(int n, pthread_t *threads)
{
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* --- Two threads in turn ------------------------------------------------------------------------------------------------------ */

static _Atomic uint64_t turn;
static pl_park sides[2];

static void *play(void *arg)
{
    int side = (int)(intptr_t)arg;
    uint64_t n = t_scale(100000);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t wanted = 2 * i + (uint64_t)side;
        while (pl_load_seq(&turn) != wanted) {
            uint64_t key = pl_park_prepare(&sides[side]);
            if (pl_load_seq(&turn) == wanted)
                pl_park_cancel(&sides[side], key);
            else
                T_OK(pl_park_commit(&sides[side], key, 0));
        }
        pl_store_seq(&turn, wanted + 1);
        pl_park_wake_one(&sides[1 - side]);
    }
    return NULL;
}

T_TEST(ping_pong)
{
    pthread_t threads[2];
    pl_park_init(&sides[0]);
    pl_park_init(&sides[1]);
    run(2, play, threads);
    join(2, threads);
    T_EQ(turn, 2 * t_scale(100000));
    t_count(2 * t_scale(100000), "items through structures");
}

/* --- Many producers and consumers --------------------------------------------------------------------------------------------- */

static bool take_token(void)
{
    int64_t n = pl_load_seq(&n_tokens);
    while (n > 0)
        if (pl_cas_weak_seq(&n_tokens, &n, n - 1))
            return true;
    return false;
}

static void *consume(void *arg)
{
    t_rng rng = {t_seed() + (uintptr_t)arg};
    while (!pl_load_seq(&is_over)) {
        if (take_token()) {
            pl_add_relaxed(&n_taken, 1);
            continue;
        }
        uint64_t key = pl_park_prepare(&park);
        if (pl_load_seq(&n_tokens) > 0 || pl_load_seq(&is_over) || t_below(&rng, 8) == 0) {
            pl_park_cancel(&park, key);
            continue;
        }
        bool is_timed = t_below(&rng, 4) == 0;
        int code = pl_park_commit(&park, key, is_timed ? pl_now_ns() + t_below(&rng, 30000) : 0);
        T_TRUE(code == 0 || (is_timed && code == PARLA_E_TIMEOUT));
    }
    return NULL;
}

static void *produce(void *arg)
{
    uint64_t n = t_scale(150000);
    t_rng rng = {t_seed() + 100 + (uintptr_t)arg};
    for (uint64_t i = 0; i < n; i++) {
        pl_add_seq(&n_tokens, 1);
        if (t_below(&rng, 1000) == 0)
            pl_park_wake_all(&park);
        else
            pl_park_wake_one(&park);
        while (pl_load_seq(&n_tokens) > 100) /* so that consumers sleep again and again */
            pl_cpu_relax();
    }
    return NULL;
}

static void market(int n_producers, int n_consumers)
{
    pthread_t producers[MAX_THREADS], consumers[MAX_THREADS];
    pl_park_init(&park);
    run(n_consumers, consume, consumers);
    run(n_producers, produce, producers);
    join(n_producers, producers);
    T_EVENTUALLY(pl_load_acquire(&n_taken) == (uint64_t)n_producers * t_scale(150000), 20000);
    pl_store_seq(&is_over, true);
    pl_park_wake_all(&park);
    join(n_consumers, consumers);
    T_EQ(n_tokens, 0);
    t_count(pl_load_relaxed(&n_taken), "items through structures");
}

T_TEST(one_producer_one_consumer) { market(1, 1); }
T_TEST(one_producer_four_consumers) { market(1, 4); }
T_TEST(two_producers_three_consumers) { market(2, 3); }

/* --- All wait for all --------------------------------------------------------------------------------------------------------- */

static _Atomic uint64_t n_arrived;

static void *meet(void *unused)
{
    for (uint64_t round = 1; round <= t_scale(10000); round++) {
        if (pl_add_seq(&n_arrived, 1) + 1 == MAX_THREADS * round)
            pl_park_wake_all(&park);
        while (pl_load_seq(&n_arrived) < MAX_THREADS * round) {
            uint64_t key = pl_park_prepare(&park);
            if (pl_load_seq(&n_arrived) >= MAX_THREADS * round)
                pl_park_cancel(&park, key);
            else
                T_OK(pl_park_commit(&park, key, 0));
        }
    }
    return unused;
}

T_TEST(a_barrier_of_sleepers)
{
    pthread_t threads[MAX_THREADS];
    pl_park_init(&park);
    run(MAX_THREADS, meet, threads);
    join(MAX_THREADS, threads);
    T_EQ(n_arrived, MAX_THREADS * t_scale(10000));
}
