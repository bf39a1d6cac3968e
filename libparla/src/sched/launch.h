/* launch.h - bodies that leave work behind in a device's queue: the task is LAUNCHED until that work is done.
 *
 * A flight is one recording of an event behind the work of one body in one queue. It holds its task (event.h), so what the task holds in
 * turn (arrays, reserved memory, dependents, its result) is let go only when the event has passed; work that failed fails the task with
 * the words of the device. Flights of one queue pass in order: a progress function asks about the newest first, which has passed if all
 * have, and else about the oldest. Never a callback on a driver's thread. */
#ifndef PL_SCHED_LAUNCH_H
#define PL_SCHED_LAUNCH_H

#include "sched/placed.h"

typedef struct pl_flight {
    _Atomic int refs_shared; /* the lane's, and its task's while others may start behind it (ahead.h) */
    pl_task *task;
    pl_device *device;
    void *queue;
    void *event;
    uint64_t begin_ns;
    struct pl_flight *next;    /* in its lane; under the lock of the launches */
    struct pl_flight *sibling; /* of the same task, on another of its devices */
} pl_flight;

void pl_flight_unref(pl_flight *flight);

/* Opens what the runtime's devices need, if any of them runs bodies on workers and has queues. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_launches_open(parla_runtime *rt);
/* No task is left. */
void pl_launches_close(parla_runtime *rt);

/* Does the task's body run on a worker and fill queues of a device? */
bool pl_launch_is_needed(const parla_runtime *rt, const pl_task *task);

/* Around the body, on its thread. begin makes the device current, or returns why it cannot be. end takes the body's answer and returns the
 * one that counts: 0 may have become a failure. Work that a failed body left behind is waited for, too; a body that suspends is kept until
 * its work is done, since its arrays may be moved afterwards. */
PARLA_MUST_USE int pl_launch_begin(parla_context *context);
PARLA_MUST_USE int pl_launch_end(parla_context *context, int result);

#endif
