/* sim_event.c - events of simulated queues: a status that is set once, by the queue that reaches the event.
 *
 * References are held by whoever recorded the event and by each queue that has it in its ring, so it may be freed while queues still wait
 * for it. Lock: the event's own, a leaf; it guards the sleep only, the status is also read without it. */
#include "device/sim_event.h"

#include "base/atomic.h"
#include "base/error.h"
#include "device/sim_clock.h"

#include <pthread.h>
#include <stdlib.h>

struct pl_sim_event {
    pl_sim_clock *clock; /* constant; NULL in real time */
    _Atomic int n_refs;
    _Atomic int status; /* PARLA_PENDING until it has passed */
    pthread_mutex_t lock;
    pthread_cond_t passed;
};

int pl_sim_event_create(pl_sim_event **out, pl_sim_clock *clock)
{
    pl_sim_event *event = malloc(sizeof *event);
    if (!event)
        return pl_error_set(PARLA_E_NOMEM, "no memory for an event");
    event->clock = clock;
    atomic_init(&event->n_refs, 1);
    atomic_init(&event->status, PARLA_PENDING);
    pthread_mutex_init(&event->lock, NULL);
    pthread_cond_init(&event->passed, NULL);
    *out = event;
    return 0;
}

void pl_sim_event_ref(pl_sim_event *event) { pl_add_relaxed(&event->n_refs, 1); }

void pl_sim_event_unref(pl_sim_event *event)
{
    if (pl_sub_acq_rel(&event->n_refs, 1) != 1)
        return;
    pthread_cond_destroy(&event->passed);
    pthread_mutex_destroy(&event->lock);
    free(event);
}

void pl_sim_event_pass(pl_sim_event *event, int status)
{
    pthread_mutex_lock(&event->lock);
    pl_store_release(&event->status, status); /* pairs with query: the queue's work before its event */
    pthread_cond_broadcast(&event->passed);
    pthread_mutex_unlock(&event->lock);
}

int pl_sim_event_query(pl_sim_event *event) { return pl_load_acquire(&event->status); }

int pl_sim_event_wait(pl_sim_event *event)
{
    if (pl_sim_event_query(event) != PARLA_PENDING)
        return pl_sim_event_query(event);
    pl_sim_clock_force(event->clock);
    pthread_mutex_lock(&event->lock);
    while (pl_sim_event_query(event) == PARLA_PENDING)
        pthread_cond_wait(&event->passed, &event->lock);
    pthread_mutex_unlock(&event->lock);
    pl_sim_clock_unforce(event->clock);
    return pl_sim_event_query(event);
}
