/* test_clock.c - time goes forward, and a sleep lasts at least as long as asked. */
#include "base/clock.h"

#include "test.h"

#include <signal.h>
#include <sys/time.h>

T_TEST(never_goes_back)
{
    uint64_t last = pl_now_ns();
    T_GT(last, 0);
    for (uint64_t i = 0; i < t_scale(100000); i++) {
        uint64_t now = pl_now_ns();
        T_GE(now, last);
        last = now;
    }
}

T_TEST(sleeps_until_the_deadline)
{
    uint64_t deadline = pl_now_ns() + 2000000;
    pl_sleep_until(deadline);
    T_GE(pl_now_ns(), deadline);
    pl_sleep_until(deadline); /* in the past: returns */
}

static volatile sig_atomic_t n_signals;

static void count_signal(int number)
{
    (void)number;
    n_signals++;
}

T_TEST(sleeps_on_after_a_signal)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval every_ms = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    T_EQ(sigaction(SIGALRM, &action, NULL), 0);
    T_EQ(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
    uint64_t deadline = pl_now_ns() + 20000000;
    pl_sleep_until(deadline);
    T_GE(pl_now_ns(), deadline);
    T_GT(n_signals, 0);
}
