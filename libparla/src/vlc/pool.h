/* pool.h - contexts lent to one at a time. */
#ifndef PL_VLC_POOL_H
#define PL_VLC_POOL_H

#include <parla/vlc.h>

/* Somebody who waits for a context without a thread: `take` is called, once, with the context that is theirs from then on, by the thread that
 * released it and without a lock. */
typedef struct pl_vlc_waiter {
    void (*take)(struct pl_vlc_waiter *self, parla_vlc *vlc);
    struct pl_vlc_waiter *next;
} pl_vlc_waiter;

/* A context, or NULL: then the waiter, if there is one, stands in the queue, and its memory must stay valid until it was called or removed. */
parla_vlc *pl_vlc_pool_take(parla_vlc_pool *pool, pl_vlc_waiter *waiter);

/* Takes a waiter out of the queue: false if it was not there, since it was called or is about to be. */
bool pl_vlc_pool_forget(parla_vlc_pool *pool, pl_vlc_waiter *waiter);

/* Tasks that were spawned for the pool and have not ended. */
void pl_vlc_pool_count_tasks(parla_vlc_pool *pool, int n);

/* CPUs of each context. */
int pl_vlc_pool_cpus(const parla_vlc_pool *pool);

#endif
