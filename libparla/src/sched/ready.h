/* ready.h - tasks that wait for resources, in the order in which they should get them: resumed ones first, then by priority, then
 * by age.
 *
 * Tasks that could go to the same devices with the same priority share a bucket, so a walk skips, in one step, all that could only
 * go to devices that have nothing to give. Buckets are made when a task is spawned and live while a task uses them: queueing cannot
 * fail. Guarded by rt->place.lock. */
#ifndef PL_SCHED_READY_H
#define PL_SCHED_READY_H

#include "sched/placed.h"

/* At most so many tasks of one list are tried in one walk; one that only waits for its turn counts for more, since those behind it
 * are likely to wait for the same. */
enum { PL_READY_LOOK_AHEAD = 128, PL_READY_TURN_WEIGHT = 16 };

typedef struct pl_ready_list {
    pl_placed *first, *last; /* oldest first */
    pl_placed *cursor;       /* the next one of the walk */
    int n_seen;              /* in this walk, weighted */
} pl_ready_list;

typedef struct pl_bucket {
    uint64_t devices; /* that its tasks could go to */
    int priority;
    bool is_transfer; /* its tasks need no turn in a device's queue */
    size_t n_users;   /* tasks that were spawned into it and have not ended */
    pl_ready_list resumed, fresh;
    struct pl_bucket *next; /* by falling priority */
} pl_bucket;

/* Finds or makes the bucket of a task that is being spawned, and gives it back. Errors: PARLA_E_NOMEM. */
int pl_ready_open(pl_place *place, pl_placed *placed, uint64_t devices, int priority);
void pl_ready_close(pl_place *place, pl_placed *placed);

void pl_ready_push(pl_place *place, pl_placed *placed);
void pl_ready_remove(pl_place *place, pl_placed *placed);

/* A walk: the next task, in order, that could go to one of the devices in `open`; transfers go by `reachable` instead. NULL at its
 * end. The task may be removed during the walk; no other may. */
void pl_ready_rewind(pl_place *place);
pl_placed *pl_ready_next(pl_place *place, uint64_t open, uint64_t reachable);
/* The task that the walk has just come to waits for its turn. */
void pl_ready_waits_for_turn(pl_placed *placed);

#endif
