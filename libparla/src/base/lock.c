/* lock.c - locks that survive a fork: in the child each becomes a fresh one.
 *
 * A lock enters the list of known ones before it is first held, so every lock that somebody may have held at a fork is in the list that the
 * child walks. The list's own mutex is held for a few instructions only, never around a call, so a fork can wait for it: the list is whole in
 * the child. A lock may be in the list without saying so (is_known_shared), hence the look before it is added. */
#include "base/lock.h"

#include "base/atomic.h"
#include "base/compiler.h"

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pl_lock *known; /* under list_lock */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void) { pthread_mutex_lock(&list_lock); }
static void after_fork(void) { pthread_mutex_unlock(&list_lock); }

/* The threads that ThreadSanitizer remembers as its last users do not exist here. */
__attribute__((no_sanitize("thread"))) static void renew(pthread_mutex_t *mutex)
{
    *mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void renew_all(void)
{
    after_fork();
    for (pl_lock *lock = known; lock; lock = lock->next)
        renew(&lock->mutex);
    for (pl_lock *lock = known; lock; lock = lock->next)
        if (lock->on_fork)
            lock->on_fork();
}

static void watch_forks(void) { pthread_atfork(before_fork, after_fork, renew_all); }

static PL_COLD void make_known(pl_lock *lock)
{
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&list_lock);
    const pl_lock *one = known;
    while (one && one != lock)
        one = one->next;
    if (!one) {
        lock->next = known;
        known = lock;
    }
    pl_store_release(&lock->is_known_shared, true); /* pairs with pl_lock_take */
    pthread_mutex_unlock(&list_lock);
}

void pl_lock_take(pl_lock *lock)
{
    if (pl_unlikely(!pl_load_acquire(&lock->is_known_shared)))
        make_known(lock);
    pthread_mutex_lock(&lock->mutex);
}

void pl_lock_give(pl_lock *lock) { pthread_mutex_unlock(&lock->mutex); }
