/* lock.c - locks that survive a fork: in the child each is free.
 *
 * A lock enters the list of known ones before it is first held, so every lock that somebody may have held at a fork is in the list that the
 * child walks. The list's own mutex is held for a few instructions only, never around a call, so a fork can wait for it: the list is whole in
 * the child. A lock may be in the list without saying so (is_known_shared), hence the look before it is added.
 *
 * The lock itself is one word, so that the child can free it with one store; a pthread mutex has owners and waiters that the child cannot know.
 * FREE -> HELD by who takes it; a taker that has to wait makes it CONTENDED, sleeps while it is, and holds it as CONTENDED when it gets it;
 * giving back a CONTENDED lock wakes one sleeper. (Ulrich Drepper, "Futexes Are Tricky", the third mutex.) */
#include "base/lock.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/compiler.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FREE, HELD, CONTENDED };

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pl_lock *known; /* under list_lock */

static void before_fork(void) { pthread_mutex_lock(&list_lock); }
static void after_fork(void) { pthread_mutex_unlock(&list_lock); }

static void renew_all(void)
{
    after_fork();
    for (pl_lock *lock = known; lock; lock = lock->next)
        pl_store_relaxed(&lock->word_shared, FREE);
    for (pl_lock *lock = known; lock; lock = lock->next)
        if (lock->on_fork)
            lock->on_fork();
}

/* When the library is loaded: done at first use, a fork at that moment would leave the child with a half-done once. */
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(before_fork, after_fork, renew_all); }

static PL_COLD void make_known(pl_lock *lock)
{
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

/* Returns false when the time is over; 0 is no limit. */
static PL_COLD bool wait_for(pl_lock *lock, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u), .tv_nsec = (long)(deadline_ns % 1000000000u)};
    while (pl_exchange_acq_rel(&lock->word_shared, CONTENDED) != FREE) {
        if (deadline_ns && pl_now_ns() >= deadline_ns)
            return false;
        syscall(SYS_futex, &lock->word_shared, FUTEX_WAIT_BITSET_PRIVATE, CONTENDED, deadline_ns ? &until : NULL, NULL,
                FUTEX_BITSET_MATCH_ANY);
    }
    return true;
}

bool pl_lock_take_until(pl_lock *lock, uint64_t deadline_ns)
{
    uint32_t is_free = FREE;
    if (pl_unlikely(!pl_load_acquire(&lock->is_known_shared)))
        make_known(lock);
    return pl_cas_acq_rel(&lock->word_shared, &is_free, HELD) || wait_for(lock, deadline_ns);
}

void pl_lock_take(pl_lock *lock) { (void)pl_lock_take_until(lock, 0); }

void pl_lock_give(pl_lock *lock)
{
    if (pl_exchange_acq_rel(&lock->word_shared, FREE) == CONTENDED)
        syscall(SYS_futex, &lock->word_shared, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
