/* sim_queue.h - the queue of a simulated device: a thread that does what it is given, in order, and sleeps when there is nothing. */
#ifndef PL_DEVICE_SIM_QUEUE_H
#define PL_DEVICE_SIM_QUEUE_H

#include "device/sim_clock.h"

#include <parla/strided.h>

typedef struct pl_sim_queue pl_sim_queue;

/* One piece of work. */
typedef struct pl_sim_op {
    enum { PL_SIM_COPY, PL_SIM_FILL, PL_SIM_CALL, PL_SIM_RECORD, PL_SIM_WAIT } kind;
    bool is_faulty;              /* copy: moves nothing and fails */
    unsigned char value;         /* fill */
    int64_t least_ns;            /* copy: how long it takes at least */
    parla_strided dst;           /* copy, fill */
    parla_strided src;           /* copy */
    void (*function)(void *arg); /* call */
    void *arg;
    pl_sim_event *event; /* record, wait; pushing takes over one reference */
} pl_sim_op;

/* Starts the thread, named `thread_name` (at most 15 bytes), in the modelled time of `clock`, or in real time if that is NULL.
 * Errors: PARLA_E_NOMEM, PARLA_E_SYSTEM. */
PARLA_MUST_USE int pl_sim_queue_open(pl_sim_queue **out, const char *thread_name, pl_sim_clock *clock);

/* Waits for the queue's work and ends its thread. Blocks. From: not the queue's own thread. */
void pl_sim_queue_close(pl_sim_queue *queue);

/* Appends one piece of work; the boxes were checked. Never blocks on the work. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_sim_queue_push(pl_sim_queue *queue, const pl_sim_op *op);

/* Lets the work that is being done on this thread take so long, in the queue's time. False if this is no queue's thread. */
bool pl_sim_queue_spend(uint64_t duration_ns);

/* Waits for an event from any thread, also a queue's own if another queue will reach the event; returns as pl_sim_event_wait. */
int pl_sim_queue_wait_for(pl_sim_event *event);

/* Blocks until all work pushed so far is done. From: not the queue's own thread. */
void pl_sim_queue_drain(pl_sim_queue *queue);

#endif
