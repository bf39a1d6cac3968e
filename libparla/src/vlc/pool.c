/* pool.c - n contexts alike, lent to one borrower at a time.
 *
 * Under one mutex: a stack of free contexts (the one used last is the warmest), and a queue of those who wait, of two kinds: threads in
 * parla_vlc_pool_acquire and waiters of tasks, both as pl_vlc_waiter, first come first served. A released context goes to the first waiter
 * directly and never to the stack past it, so nobody can be overtaken.
 *
 * Invariant: free contexts and waiters do not exist at the same time. */
#include "vlc/pool.h"

#include "base/break.h"
#include "base/clock.h"
#include "base/error.h"

#include <parla/log.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct parla_vlc_pool {
    int n_contexts, n_cpus;
    parla_vlc **contexts;

    pthread_mutex_t mutex;
    parla_vlc **free;
    int n_free, n_tasks;
    pl_vlc_waiter *first, **end;
};

/* --- Made and destroyed ------------------------------------------------------------------------------------------------------ */

static void free_pool(parla_vlc_pool *pool)
{
    for (int i = 0; i < pool->n_contexts; i++)
        parla_vlc_destroy(pool->contexts[i]);
    free(pool->contexts);
    free(pool->free);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

static int add_context(parla_vlc_pool *pool, const parla_vlc_options *options)
{
    parla_vlc_info info = {.size = sizeof info};
    parla_vlc *vlc;
    int error = parla_vlc_create(&vlc, options);
    if (error)
        return error;
    pool->contexts[pool->n_contexts++] = pool->free[pool->n_free++] = vlc;
    error = parla_vlc_query(vlc, &info);
    pool->n_cpus = info.n_cpus;
    return error;
}

int parla_vlc_pool_create(parla_vlc_pool **out, int n_contexts, const parla_vlc_options *options)
{
    parla_vlc_limits limits = {.size = sizeof limits};
    int error = parla_vlc_query_limits(&limits);
    if (error)
        return error;
    if (n_contexts < 1 || n_contexts > limits.max_contexts)
        return pl_error_set(PARLA_E_INVALID,
                            "a pool of %d contexts was asked for, expected 1 to %d: the dynamic linker has no more", n_contexts,
                            limits.max_contexts);
    parla_vlc_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a pool of contexts");
    pthread_mutex_init(&pool->mutex, NULL);
    pool->end = &pool->first;
    pool->contexts = calloc((size_t)n_contexts, sizeof pool->contexts[0]);
    pool->free = calloc((size_t)n_contexts, sizeof pool->free[0]);
    if (!pool->contexts || !pool->free)
        error = pl_error_set(PARLA_E_NOMEM, "no memory for a pool of contexts");
    for (int i = 0; i < n_contexts && !error; i++)
        error = add_context(pool, options);
    if (error) {
        free_pool(pool);
        return error;
    }
    *out = pool;
    return 0;
}

void parla_vlc_pool_destroy(parla_vlc_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    int n_lent = pool->n_contexts - pool->n_free, n_tasks = pool->n_tasks;
    pthread_mutex_unlock(&pool->mutex);
    if (n_lent > 0 || n_tasks > 0)
        parla_log(PARLA_LOG_ERROR, "a pool of contexts is not destroyed: %d are lent, %d of its tasks have not ended", n_lent,
                  n_tasks);
    else
        free_pool(pool);
}

int parla_vlc_pool_size(const parla_vlc_pool *pool) { return pool->n_contexts; }
int pl_vlc_pool_cpus(const parla_vlc_pool *pool) { return pool->n_cpus; }

parla_vlc *parla_vlc_pool_context(const parla_vlc_pool *pool, int i)
{
    return i >= 0 && i < pool->n_contexts ? pool->contexts[i] : NULL;
}

void pl_vlc_pool_count_tasks(parla_vlc_pool *pool, int n)
{
    pthread_mutex_lock(&pool->mutex);
    pool->n_tasks += n;
    pthread_mutex_unlock(&pool->mutex);
}

/* --- Lending ----------------------------------------------------------------------------------------------------------------- */

parla_vlc *pl_vlc_pool_take(parla_vlc_pool *pool, pl_vlc_waiter *waiter)
{
    parla_vlc *vlc = NULL;
    pthread_mutex_lock(&pool->mutex);
    if (pool->n_free > 0) {
        vlc = pool->free[--pool->n_free];
    } else if (waiter) {
        waiter->next = NULL;
        *pool->end = waiter;
        pool->end = &waiter->next;
    }
    pthread_mutex_unlock(&pool->mutex);
    return vlc;
}

bool pl_vlc_pool_forget(parla_vlc_pool *pool, pl_vlc_waiter *waiter)
{
    bool is_there = false;
    pthread_mutex_lock(&pool->mutex);
    for (pl_vlc_waiter **link = &pool->first; *link && !is_there; link = &(*link)->next) {
        if (*link == waiter) {
            is_there = true;
            *link = waiter->next;
            if (!*link)
                pool->end = link;
            break;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return is_there;
}

void parla_vlc_pool_release(parla_vlc_pool *pool, parla_vlc *vlc)
{
    pthread_mutex_lock(&pool->mutex);
    pl_vlc_waiter *waiter = pool->first;
    if (waiter) {
        pool->first = waiter->next;
        if (!pool->first)
            pool->end = &pool->first;
    }
    if (!waiter || (pl_is_broken(PL_BREAK_VLC_LEND) && pool->n_free < pool->n_contexts))
        pool->free[pool->n_free++] = vlc;
    pthread_mutex_unlock(&pool->mutex);
    if (waiter)
        waiter->take(waiter, vlc);
}

/* --- Threads that wait ------------------------------------------------------------------------------------------------------- */

typedef struct sleeper {
    pl_vlc_waiter waiter; /* first: take() casts */
    pthread_mutex_t mutex;
    pthread_cond_t taken;
    parla_vlc *vlc;
} sleeper;

static void wake(pl_vlc_waiter *waiter, parla_vlc *vlc)
{
    sleeper *self = (sleeper *)waiter;
    pthread_mutex_lock(&self->mutex);
    self->vlc = vlc;
    pthread_cond_signal(&self->taken);
    pthread_mutex_unlock(&self->mutex); /* the sleeper's memory may go from here on */
}

/* Until it has a context or the time is over (NULL). */
static parla_vlc *sleep_until(sleeper *self, const struct timespec *limit)
{
    int rc = 0;
    pthread_mutex_lock(&self->mutex);
    while (!self->vlc && rc != ETIMEDOUT)
        rc = limit ? pthread_cond_timedwait(&self->taken, &self->mutex, limit) : pthread_cond_wait(&self->taken, &self->mutex);
    parla_vlc *vlc = self->vlc;
    pthread_mutex_unlock(&self->mutex);
    return vlc;
}

static parla_vlc *wait_for(parla_vlc_pool *pool, sleeper *self, int64_t timeout_ns)
{
    struct timespec limit;
    if (timeout_ns >= 0) {
        int64_t at_ns = (int64_t)pl_now_ns() + timeout_ns;
        limit = (struct timespec){.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    }
    parla_vlc *vlc = sleep_until(self, timeout_ns >= 0 ? &limit : NULL);
    if (!vlc && !pl_vlc_pool_forget(pool, &self->waiter))
        vlc = sleep_until(self, NULL); /* it is being handed over */
    return vlc;
}

int parla_vlc_pool_acquire(parla_vlc_pool *pool, parla_vlc **out, int64_t timeout_ns)
{
    sleeper self = {.waiter.take = wake};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&self.mutex, NULL);
    pthread_cond_init(&self.taken, &attributes);
    parla_vlc *vlc = pl_vlc_pool_take(pool, &self.waiter);
    if (!vlc)
        vlc = wait_for(pool, &self, timeout_ns);
    pthread_cond_destroy(&self.taken);
    pthread_mutex_destroy(&self.mutex);
    pthread_condattr_destroy(&attributes);
    if (!vlc)
        return pl_error_set(PARLA_E_TIMEOUT, "all %d contexts of the pool are lent", pool->n_contexts);
    *out = vlc;
    return 0;
}
