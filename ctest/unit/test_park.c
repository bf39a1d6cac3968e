/* test_park.c - the eventcount's promises: no wake-up is lost, none is needed, and every way to leave. */
#include "base/clock.h"
#include "base/park.h"
#include "test.h"

#include <parla/error.h>
#include <pthread.h>
#include <signal.h>

enum { N_SLEEPERS = 4 };

static pl_park park;

T_TEST(nobody_sleeps_at_first)
{
    pl_park_init(&park);
    T_FALSE(pl_park_has_sleepers(&park));
    uint64_t word = pl_load_relaxed(&park.word);
    pl_park_wake_one(&park);
    pl_park_wake_all(&park);
    T_EQ(pl_load_relaxed(&park.word), word); /* no write when nobody sleeps */
}

T_TEST(cancel_takes_the_announcement_back)
{
    pl_park_init(&park);
    uint64_t a = pl_park_prepare(&park), b = pl_park_prepare(&park);
    T_TRUE(pl_park_has_sleepers(&park));
    pl_park_cancel(&park, a);
    T_TRUE(pl_park_has_sleepers(&park));
    pl_park_cancel(&park, b);
    T_FALSE(pl_park_has_sleepers(&park));
}

T_TEST(a_wake_between_prepare_and_commit_is_not_lost)
{
    pl_park_init(&park);
    for (int all = 0; all < 2; all++) {
        uint64_t key = pl_park_prepare(&park);
        if (all)
            pl_park_wake_all(&park);
        else
            pl_park_wake_one(&park);
        T_FALSE(pl_park_has_sleepers(&park));
        T_OK(pl_park_commit(&park, key, 0));
    }
}

T_TEST(cancel_after_a_wake_does_not_count_another_sleeper_out)
{
    pl_park_init(&park);
    uint64_t a = pl_park_prepare(&park);
    pl_park_wake_one(&park);
    uint64_t b = pl_park_prepare(&park);
    pl_park_cancel(&park, a); /* was claimed by the wake: the announcement that is left is b's */
    T_TRUE(pl_park_has_sleepers(&park));
    pl_park_wake_one(&park);
    T_OK(pl_park_commit(&park, b, 0));
}

T_TEST(the_deadline_ends_a_sleep)
{
    pl_park_init(&park);
    T_EQ(pl_park_commit(&park, pl_park_prepare(&park), 1), PARLA_E_TIMEOUT); /* long ago */
    uint64_t until = pl_now_ns() + 2000000;
    T_EQ(pl_park_commit(&park, pl_park_prepare(&park), until), PARLA_E_TIMEOUT);
    T_GE(pl_now_ns(), until);
    T_FALSE(pl_park_has_sleepers(&park));
}

typedef struct sleeper {
    pthread_t thread;
    _Atomic int result; /* 1 until it is known */
} sleeper;

static void *sleep_once(void *arg)
{
    sleeper *self = arg;
    pl_store_release(&self->result, pl_park_commit(&park, pl_park_prepare(&park), 0));
    return NULL;
}

static int n_woken(sleeper *sleepers)
{
    int n = 0;
    for (int i = 0; i < N_SLEEPERS; i++)
        n += pl_load_acquire(&sleepers[i].result) == 0;
    return n;
}

static void start_sleepers(sleeper *sleepers)
{
    for (int i = 0; i < N_SLEEPERS; i++) {
        pl_store_relaxed(&sleepers[i].result, 1);
        T_EQ(pthread_create(&sleepers[i].thread, NULL, sleep_once, &sleepers[i]), 0);
    }
    T_EVENTUALLY((uint32_t)pl_load_acquire(&park.word) == N_SLEEPERS, 10000);
}

T_TEST(wake_all_wakes_all)
{
    static sleeper sleepers[N_SLEEPERS];
    pl_park_init(&park);
    start_sleepers(sleepers);
    pl_park_wake_all(&park);
    for (int i = 0; i < N_SLEEPERS; i++)
        pthread_join(sleepers[i].thread, NULL);
    T_EQ(n_woken(sleepers), N_SLEEPERS);
}

T_TEST(as_many_wake_one_as_sleepers_wake_all)
{
    static sleeper sleepers[N_SLEEPERS];
    pl_park_init(&park);
    start_sleepers(sleepers);
    for (int n = 1; n <= N_SLEEPERS; n++) {
        pl_park_wake_one(&park);
        T_EVENTUALLY(n_woken(sleepers) >= n, 10000);
    }
    for (int i = 0; i < N_SLEEPERS; i++)
        pthread_join(sleepers[i].thread, NULL);
}

static void on_signal(int number) { (void)number; }

/* The signal may come before the thread sleeps, so it is sent until it has had its effect. */
T_TEST(a_signal_handler_ends_a_sleep)
{
    static sleeper one;
    struct sigaction action = {.sa_handler = on_signal};
    pl_park_init(&park);
    T_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    pl_store_relaxed(&one.result, 1);
    T_EQ(pthread_create(&one.thread, NULL, sleep_once, &one), 0);
    T_EVENTUALLY(pl_load_acquire(&one.result) != 1 || (pthread_kill(one.thread, SIGUSR1), false), 10000);
    pthread_join(one.thread, NULL);
    T_EQ(pl_load_acquire(&one.result), PARLA_E_INTERRUPTED);
    T_FALSE(pl_park_has_sleepers(&park));
}
