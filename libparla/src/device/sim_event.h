/* sim_event.h - events of simulated queues. */
#ifndef PL_DEVICE_SIM_EVENT_H
#define PL_DEVICE_SIM_EVENT_H

#include <parla/common.h>

typedef struct pl_sim_event pl_sim_event;

/* Owns: *out comes with one reference. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_sim_event_create(pl_sim_event **out);
void pl_sim_event_ref(pl_sim_event *event);
void pl_sim_event_unref(pl_sim_event *event);

/* Sets the status, 0 or negative, and wakes who waits. Called once, by the queue that reaches the event. */
void pl_sim_event_pass(pl_sim_event *event, int status);

/* 0 passed, PARLA_PENDING not yet, negative: work before it failed. The second blocks while it is pending. */
int pl_sim_event_query(pl_sim_event *event);
int pl_sim_event_wait(pl_sim_event *event);

#endif
