/* sim_event.h - events of simulated queues. */
#ifndef PL_DEVICE_SIM_EVENT_H
#define PL_DEVICE_SIM_EVENT_H

#include <parla/common.h>

typedef struct pl_sim_event pl_sim_event;
typedef struct pl_sim_clock pl_sim_clock;

/* `clock`: of the queue that will reach it; NULL in real time.
 * Owns: *out comes with one reference. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_sim_event_create(pl_sim_event **out, pl_sim_clock *clock);
void pl_sim_event_ref(pl_sim_event *event);
void pl_sim_event_unref(pl_sim_event *event);

/* Sets the status, 0 or negative, and wakes who waits. Called once, by the queue that reaches the event. */
void pl_sim_event_pass(pl_sim_event *event, int status);

/* 0 passed, PARLA_PENDING not yet, negative: work before it failed. The second blocks while it is pending; modelled time goes on meanwhile.
 * From: not the thread of a queue in modelled time, which has pl_sim_actor_await. */
int pl_sim_event_query(pl_sim_event *event);
int pl_sim_event_wait(pl_sim_event *event);

#endif
