/* stall.c - the watchdog: a thread that looks, now and then, whether tasks still end.
 *
 * If none has ended or was spawned for as long as the user asked for, although some are unfinished, it writes once who runs and who waits
 * for whom (stuck.c), calls who listens, and does so again only after things have moved. It exists only if it was asked for: an idle
 * runtime has no timers. */
#include "sched/stall.h"

#include "base/clock.h"
#include "base/error.h"
#include "sched/runtime.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOKS = 4 /* in each interval */ };

struct pl_stall {
    parla_runtime *rt;
    uint64_t interval_ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_over;                  /* under lock */
    pthread_mutex_t listener_lock; /* held while told runs; for the next two */
    void (*told)(void *ctx);
    void *told_ctx;
};

void parla_runtime_on_stall(parla_runtime *rt, void (*told)(void *ctx), void *ctx)
{
    if (pl_runtime_check(rt) < 0 || !rt->stall)
        return;
    pthread_mutex_lock(&rt->stall->listener_lock);
    rt->stall->told = told;
    rt->stall->told_ctx = ctx;
    pthread_mutex_unlock(&rt->stall->listener_lock);
}

static void tell_listener(pl_stall *stall)
{
    pthread_mutex_lock(&stall->listener_lock);
    if (stall->told)
        stall->told(stall->told_ctx);
    pthread_mutex_unlock(&stall->listener_lock);
}

/* Sleeps a part of the interval; false when the watchdog ends. */
static bool sleep_a_while(pl_stall *stall)
{
    uint64_t until_ns = pl_now_ns() + stall->interval_ns / LOOKS + 1;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u)};
    pthread_mutex_lock(&stall->lock);
    while (!stall->is_over && pl_now_ns() < until_ns)
        pthread_cond_timedwait(&stall->changed, &stall->lock, &until);
    bool goes_on = !stall->is_over;
    pthread_mutex_unlock(&stall->lock);
    return goes_on;
}

static void *watch(void *arg)
{
    pl_stall *stall = arg;
    uint64_t last = 0, since_ns = pl_now_ns();
    bool is_told = false;
    pthread_setname_np(pthread_self(), "parla watchdog");
    while (sleep_a_while(stall)) {
        uint64_t n_spawned, n_ended, now_ns = pl_now_ns();
        pl_count_tasks(stall->rt, &n_spawned, &n_ended);
        if (n_spawned + n_ended != last || n_spawned == n_ended) {
            last = n_spawned + n_ended;
            since_ns = now_ns;
            is_told = false;
        } else if (!is_told && now_ns - since_ns >= stall->interval_ns) {
            pl_log_stall(stall->rt, now_ns - since_ns);
            tell_listener(stall);
            is_told = true;
        }
    }
    return NULL;
}

static int start_thread(pl_stall *stall)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&stall->thread, NULL, watch, stall);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? pl_error_set(PARLA_E_SYSTEM, "cannot start the watchdog: %s", strerror(error)) : 0;
}

static void destroy(pl_stall *stall)
{
    pthread_cond_destroy(&stall->changed);
    pthread_mutex_destroy(&stall->listener_lock);
    pthread_mutex_destroy(&stall->lock);
    free(stall);
}

int pl_stall_start(parla_runtime *rt, uint64_t interval_ns, pl_stall **out)
{
    pl_stall *stall = calloc(1, sizeof *stall);
    if (!stall)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the watchdog");
    stall->rt = rt;
    stall->interval_ns = interval_ns;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&stall->lock, NULL);
    pthread_mutex_init(&stall->listener_lock, NULL);
    pthread_cond_init(&stall->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int rc = start_thread(stall);
    if (rc < 0)
        destroy(stall);
    else
        *out = stall;
    return rc;
}

void pl_stall_stop(pl_stall *stall)
{
    if (!stall)
        return;
    pthread_mutex_lock(&stall->lock);
    stall->is_over = true;
    pthread_cond_signal(&stall->changed);
    pthread_mutex_unlock(&stall->lock);
    pthread_join(stall->thread, NULL);
    destroy(stall);
}
