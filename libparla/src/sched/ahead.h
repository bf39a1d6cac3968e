/* ahead.h - run-ahead: successors of launched tasks start before the device work that they follow is done, behind it in the queues.
 *
 * A task T whose body has returned and left work in queues of devices is LAUNCHED (launch.h). It is *ahead* if nothing but that work keeps
 * it from being done, and whatever follows it on devices may then start at once. S may follow T if every device that S could get has queues
 * which bodies fill, of the same kind as T's. So a chain of n tasks on devices is launched without a wait of the host in between.
 *
 *   launch     T's flights are recorded. Then, under rt->place.lock, T is marked as ahead, and every wait of a use for one of T's is marked
 *              as launched, if its task may follow T. Then T's list of edges is taken: an edge of a task that may follow becomes a lead
 *              (below) and is released; the others are put back. Meanwhile T cannot end: its body's part of the holds is not dropped yet.
 *   spawn      S finds T ahead: its waits are launched from the start, and it gets a lead instead of an edge. Under the same lock, so T's
 *              end comes before, and is met, or after, and finds the lead.
 *   start      S is queued when nothing is before its uses but what is launched. It reserves beside T, which keeps what it has: S waits for
 *              what T has until T ends, and T waits for nobody.
 *   moves      Copies for S wait, in their queue, for the flights that S follows: they are who wrote what is copied, and who uses what is
 *              overwritten, or wait for those in turn. Arrays of T stay pinned until T ends, so nothing of theirs is evicted meanwhile.
 *   begin      Before S's body is called, its queues are told to wait for those flights. Of the same queue there is nothing to tell: S gets
 *              the queue of what it follows, if no other has got that yet.
 *   end of T   Leads are cut off T under the lock, then told its end one by one, from the list of things to do. T failed: S is cancelled if
 *              it has not started, else its body is not called if it has not been, and in any case S fails, following T: what it made of
 *              T's work is worth nothing, and its own followers hear of that in the same way. Each lead is a hold on S, so S does not end
 *              before T has, whichever queue is faster; nobody sees S done who could not see T done.
 *              Uses that only stand behind T's, without needing its content, are no leads: S may end before T, and its uses then leave the
 *              order as ghosts in their turn.
 *
 * Not ahead: a task that may be tried again, that holds itself (event.h), that asks for it (PARLA_TASK_NO_RUNAHEAD), whose devices are of
 * several kinds, or with MAX_AHEAD others before it in a queue. Never following: tasks that could run on a host, the library's own, those
 * that use an array in place, and tasks that suspend on T, whose bodies want to see it done.
 *
 * Coherence needs no word of its own: what T writes became current at its copies when it was handed over, and S comes after that.
 *
 * Everything here is guarded by rt->place.lock, except where a line says otherwise. */
#ifndef PL_SCHED_AHEAD_H
#define PL_SCHED_AHEAD_H

#include "sched/placed.h"

struct pl_flight;

/* An edge that was released when its predecessor was launched: a hold on its owner, and a reference. */
typedef struct pl_lead {
    pl_placed *before; /* NULL: it has ended */
    pl_placed *owner;
    parla_failure *cause;                /* once it has ended: how it failed, a reference, or NULL */
    struct pl_lead *next;                /* of the same predecessor; then in pl_todo.leads */
    struct pl_lead **at, *next_of_owner; /* among the owner's */
} pl_lead;

/* Notes what a task that is being spawned may follow, and whether it may be followed. Without the lock. */
void pl_ahead_prepare(const parla_runtime *rt, pl_placed *placed, const parla_task_options *options);
/* Its uses have entered their orders: marks the waits for what is launched already. */
void pl_ahead_entered(pl_placed *placed);
/* What is before a use has changed. */
void pl_ahead_count_soft(pl_use *use);

/* May it be queued, as far as the order is concerned? */
static inline bool pl_ahead_may_start(const pl_placed *placed) { return placed->n_unmet == placed->n_soft; }
/* Queues it if it was held back and need not be any more. */
void pl_ahead_start(parla_runtime *rt, pl_placed *placed);

/* Follows the predecessor by a lead, if it is ahead: the edge then counts as met. From: spawn, before the task's own edge guard is released.
 * Without the lock. */
bool pl_ahead_attach(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task predecessor);

/* The body of the context's task has returned 0 and left these flights (by `sibling`), of which a reference each is taken over: lets those go
 * that may follow. From: the body's thread, before its part of the holds is dropped. Without the lock. */
void pl_ahead_launched(parla_context *context, struct pl_flight *flights);

/* The queue that a task on this device should get, or -1. */
int pl_ahead_queue(pl_placed *placed);
/* What a movement for a task waits for: what the task follows. False without memory. The second gives it back. */
bool pl_ahead_order(const pl_placed *placed, pl_followed *out);
void pl_ahead_forget(pl_followed *followed);

/* Makes the queues of a task whose body is about to be called wait for what it follows. Without the lock. Errors: PARLA_E_CANCELLED if that
 * has failed already, which context->failure tells; PARLA_E_DEVICE. */
PARLA_MUST_USE int pl_ahead_begin(parla_context *context);

/* The task ends: its followers and flights go to the list. */
void pl_ahead_end(pl_placed *placed, parla_task_state how, pl_todo *todo);
/* Tells a lead that its predecessor has ended, and frees it. Without the lock. */
void pl_ahead_tell(parla_runtime *rt, pl_worker *self, pl_lead *lead);

#endif
