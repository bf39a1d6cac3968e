/* test_sim_event.c - events of simulated queues. */
#include "base/atomic.h"
#include "device/sim_event.h"
#include "test.h"

#include <parla/error.h>
#include <pthread.h>

T_TEST(has_the_status_it_was_given)
{
    static const int given[] = {0, PARLA_E_DEVICE};
    for (int i = 0; i < 2; i++) {
        pl_sim_event *event;
        T_OK(pl_sim_event_create(&event, NULL));
        T_EQ(pl_sim_event_query(event), PARLA_PENDING);
        pl_sim_event_pass(event, given[i]);
        T_EQ(pl_sim_event_query(event), given[i]);
        T_EQ(pl_sim_event_wait(event), given[i]);
        pl_sim_event_unref(event);
    }
}

typedef struct waiter {
    pl_sim_event *event; /* with a reference of the waiter's */
    _Atomic int *n_begun;
    int *written_before;
    int seen;
} waiter;

static void *wait_and_read(void *arg)
{
    waiter *self = arg;
    pl_add_relaxed(self->n_begun, 1);
    T_EQ(pl_sim_event_wait(self->event), 0);
    self->seen = *self->written_before;
    pl_sim_event_unref(self->event);
    return NULL;
}

T_TEST(wakes_all_waiters_and_publishes)
{
    for (uint64_t i = t_scale(200); i > 0; i--) {
        pl_sim_event *event;
        T_OK(pl_sim_event_create(&event, NULL));
        _Atomic int n_begun = 0;
        int written = 0;
        pthread_t threads[3];
        waiter waiters[3];
        for (int k = 0; k < 3; k++) {
            pl_sim_event_ref(event);
            waiters[k] = (waiter){event, &n_begun, &written, -1};
            T_EQ(pthread_create(&threads[k], NULL, wait_and_read, &waiters[k]), 0);
        }
        T_EVENTUALLY(pl_load_acquire(&n_begun) >= (int)(i % 4), 5000); /* some already wait, some do not */
        written = 42;
        pl_sim_event_pass(event, 0);
        pl_sim_event_unref(event);
        for (int k = 0; k < 3; k++) {
            pthread_join(threads[k], NULL);
            T_EQ(waiters[k].seen, 42);
        }
    }
}
