/* notifier.h - wakes the thread that runs the callbacks of ended tasks.
 *
 * A task's end is pushed to the deferred list by a thread without the GIL; when nobody waits for callbacks that is all. Otherwise the
 * pusher pokes the notifier. No end is missed: the pusher pushes, then loads n_watchers; who adds a callback increments n_watchers, then
 * drains. All four accesses are sequentially consistent, so at least one of the two sees the other. */
#ifndef PARLA_PYTHON_NOTIFIER_H
#define PARLA_PYTHON_NOTIFIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct notifier {
    atomic_int n_watchers; /* callbacks on tasks whose end was not seen yet */
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool is_poked; /* under the mutex */
} notifier;

/* Returns 0, or -1 if the system refuses. */
int notifier_init(notifier *self);
void notifier_fini(notifier *self);

/* Makes the next or the current notifier_wait return. From: any thread. */
void notifier_poke(notifier *self);

/* Pokes if anybody watches. From: any thread, after its push. */
static inline void notifier_end(notifier *self)
{
    if (atomic_load_explicit(&self->n_watchers, memory_order_seq_cst) > 0) {
        notifier_poke(self);
    }
}

/* Blocks until poked. From: a thread without the GIL. */
void notifier_wait(notifier *self);

#endif
