/* place.h - the placed path: tasks with a choice of devices, data, resources or a priority.
 *
 *   spawn      pl_place_prepare   checks and copies what the task asked for; orders it by its arrays (data/access.h)
 *   ready      pl_place_ready     into the queue; then the pump: chooses devices by policy, reserves memory and shares, starts
 *                                 movements, and launches the task when the last of them has ended
 *   run        pl_place_begin     frees its place in the device's queue
 *   suspend    pl_place_suspend   gives back shares and unused memory, unpins arrays
 *   resume     pl_place_ready     reserves anew, ahead of new tasks
 *   again      pl_place_retry     gives everything back and queues the task once more, after its body has failed
 *   end        pl_place_end       gives everything back, marks written arrays, pumps
 *
 * All state of the placed path (devices' accounting, queues, arrays' coherence) is guarded by one lock, rt->place.lock. It is never
 * held while a body, a callback or another part of the scheduler runs: what has to be launched, moved, failed or ended is collected
 * in a list and done after unlocking. */
#ifndef PL_SCHED_PLACE_H
#define PL_SCHED_PLACE_H

#include "device/device.h"
#include "sched/history.h"
#include "sched/receipt.h"
#include "sched/worker.h"

#include <parla/device.h>
#include <parla/policy.h>

typedef struct pl_launches pl_launches;

typedef struct pl_place {
    pthread_mutex_t lock;
    pl_devices devices;
    const parla_policy *policy;
    /* Under the lock; the structures are in sched/placed.h. */
    struct pl_site *sites;          /* one for each device */
    struct pl_bucket *buckets;      /* tasks that wait for resources, see sched/ready.h */
    pl_history history;             /* how long kernels took */
    size_t n_queued;                /* of those */
    uint64_t n_arrivals;            /* ages of queued tasks */
    size_t n_aiming;                /* queued tasks that wait for one device (aim.c) */
    unsigned turn;                  /* the device after the one that was chosen last */
    struct parla_data *attached;    /* arrays that have, or may get, copies here */
    pl_receipt receipt;             /* what was moved, and why */
    struct pl_blocked *blocked;     /* bodies of placed tasks that wait on their threads */
    size_t n_live;                  /* placed tasks that were spawned and have not ended */
    size_t n_busy;                  /* movements, bodies on queues, and threads that do what was decided under the lock */
    pthread_cond_t calm;            /* one of the two fell to 0 */
    struct parla_poll *blocks_poll; /* constant; sched/block.c; NULL if there is only the CPU */
    /* What guests had spawned when modelled time went on without one of them; 0: never (wait.c). */
    _Atomic uint64_t n_spawned_alone;
    _Atomic int n_back;           /* blocks that came back and for which no waiting task was looked for yet */
    struct pl_launches *launches; /* constant; sched/launch.h; NULL if no device needs it */
} pl_place;

int pl_place_init(parla_runtime *rt, const char *devices, const char *policy, const parla_memory_source *memory);
/* All tasks have ended. Writes attached arrays back to the host and closes the devices. */
void pl_place_fini(parla_runtime *rt);

/* Does this spawn need the placed path? */
static inline bool pl_place_is_needed(const parla_task_options *options)
{
    return (options->n_choices | options->n_accesses | (size_t)options->priority | (size_t)options->n_retries) != 0;
}

/* At spawn, on the spawning thread, before the task can become ready. On success task->extra->placed is set, *out_deps (malloc'ed,
 * to be freed by the caller) are the tasks that wrote the content that it reads, and edges for all its dependencies are reserved:
 * from here on other tasks may be ordered behind it, so the spawn cannot fail any more. Order that carries no content (a writer
 * after readers) is kept by the placed path itself, which holds the task back in pl_place_ready. On error nothing has changed. */
int pl_place_prepare(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_task_options *options, parla_task **out_deps,
                     size_t *out_n_deps);
/* Undoes a prepare whose spawn failed before another task could be ordered behind it. */
void pl_place_abandon(parla_runtime *rt, pl_worker *self, pl_task *task);

/* The task's predecessors have ended (state WAITING or SUSPENDED). Takes over its life reference. Never blocks. */
void pl_place_ready(parla_runtime *rt, pl_worker *self, pl_task *task);
/* Its body is about to be called: its place in the device's queue is free for another. */
void pl_place_begin(parla_runtime *rt, pl_worker *self, pl_task *task);
void pl_place_suspend(parla_runtime *rt, pl_worker *self, pl_task *task);
/* The body took this long; adds up over the steps of a task. From: the thread that runs it. */
void pl_place_ran(pl_task *task, uint64_t run_ns);
/* The body takes holds. From: its thread. */
void pl_place_held(pl_task *task);
/* The body of blocked->task waits on its thread from here on, or does not any more. From: that thread, for a placed task. */
void pl_place_block(parla_runtime *rt, pl_worker *self, struct pl_blocked *blocked);
void pl_place_unblock(parla_runtime *rt, const struct pl_blocked *blocked);
/* Its last hold was dropped: did something fail behind which it started (ahead.h)? The task's failure then follows that one. */
bool pl_place_follows_failure(pl_task *task);
/* The task has failed with `failure`, a reference, or with the one that it has already (state RUNNING or LAUNCHED). True if it is tried
 * again: the failure is dropped then, and the life reference taken over. */
bool pl_place_retry(parla_runtime *rt, pl_worker *self, pl_task *task, parla_failure *failure);
/* Called once for each placed task that was spawned, from pl_end, before its dependents are released; `how` is DONE, FAILED or
 * CANCELLED. */
void pl_place_end(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task_state how);
/* Frees what the task kept; called when its object is recycled. */
void pl_place_free(pl_placed *placed);

/* Queue of the body's device: for running it there. -1: on a worker. */
int pl_place_queue_of(const pl_task *task);

/* What parla_context_* and parla_task_devices answer: writes at most `capacity` devices and returns how many; without `out`, how
 * many the task has. */
size_t pl_place_devices(const pl_task *task, int *out, size_t capacity);

/* What parla_context_choice and parla_context_attempt answer. */
size_t pl_place_choice(const pl_task *task);
int pl_place_attempt(const pl_task *task);

/* What parla_task_explain answers for a placed task. */
void pl_place_explain(pl_task *task, parla_explanation *out, parla_judgement *judgements, size_t capacity);

/* True if some queued task could not be placed for lack of resources. For reports of what is stuck. */
bool pl_place_is_waiting(parla_runtime *rt);

#endif
