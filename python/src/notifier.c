/* notifier.c - a flag with a condition variable; one waiter. */
#include "notifier.h"

int notifier_init(notifier *self)
{
    atomic_init(&self->n_watchers, 0);
    self->is_poked = false;
    if (pthread_mutex_init(&self->mutex, NULL)) {
        return -1;
    }
    if (pthread_cond_init(&self->condition, NULL)) {
        pthread_mutex_destroy(&self->mutex);
        return -1;
    }
    return 0;
}

void notifier_fini(notifier *self)
{
    pthread_cond_destroy(&self->condition);
    pthread_mutex_destroy(&self->mutex);
}

void notifier_poke(notifier *self)
{
    pthread_mutex_lock(&self->mutex);
    self->is_poked = true;
    pthread_cond_signal(&self->condition);
    pthread_mutex_unlock(&self->mutex);
}

void notifier_wait(notifier *self)
{
    pthread_mutex_lock(&self->mutex);
    while (!self->is_poked) {
        pthread_cond_wait(&self->condition, &self->mutex);
    }
    self->is_poked = false;
    pthread_mutex_unlock(&self->mutex);
}
