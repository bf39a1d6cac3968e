/* lock.h - a lock of the whole process that a forked child can use, whoever held it in the parent at the fork.
 *
 * For the few lists that exist once in a process: `static pl_lock lock = PL_LOCK_INIT(NULL);`. */
#ifndef PL_BASE_LOCK_H
#define PL_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct pl_lock {
    _Atomic uint32_t word_shared;
    void (*on_fork)(void); /* in the child, once the locks are free and before fork returns: drops what is the parent's; or NULL */
    struct pl_lock *next;  /* constant once is_known_shared */
    _Atomic bool is_known_shared;
} pl_lock;

#define PL_LOCK_INIT(function)                                                                                                     \
    {                                                                                                                              \
        .on_fork = (function)                                                                                                      \
    }

void pl_lock_take(pl_lock *lock);

/* Gives up at a time of pl_now_ns: returns false without the lock. */
bool pl_lock_take_until(pl_lock *lock, uint64_t deadline_ns);
void pl_lock_give(pl_lock *lock);

#endif
