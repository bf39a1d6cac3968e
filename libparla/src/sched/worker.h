/* worker.h - what each thread that spawns or runs tasks has of its own.
 *
 * A worker is a thread of the runtime that takes tasks from its deque, from the others' deques, and sleeps when there are none. A guest is any
 * other thread that spawns or ends tasks (the main thread, a device's queue thread): it has a deque to push to and a cache of task slots,
 * and runs tasks only while it waits (help.c). Both are a pl_worker; only its own thread writes it, except where "shared" says otherwise. */
#ifndef PL_SCHED_WORKER_H
#define PL_SCHED_WORKER_H

#include "base/deque.h"
#include "sched/topology.h"
#include "task/task.h"

#include <pthread.h>

typedef struct pl_worker {
    pl_deque deque;
    parla_runtime *rt;
    int index; /* of a worker: 0, 1, …; of a guest: -1 */
    pl_slab_cache cache;
    pl_task *next;     /* a successor made ready by the last task: runs next without a queue */
    int chain;         /* how many ran that way in a row */
    bool may_chain;    /* it takes `next` as soon as it is back from pl_run: a worker, or a guest in pl_help_any */
    uint32_t seed;     /* for the choice of victims */
    uint16_t *victims; /* the other workers, nearest first; NULL: all are as near */
    int victims_end[PL_MAX_DISTANCE + 1];
    uint64_t polled_ns;
    bool saw_pending;                 /* when it last looked before a sleep, a progress function had something to do */
    bool was_idle;                    /* since it last ran something: others may rely on it to look for more */
    bool is_tired;                    /* it has spun in vain, and does not again before it has run something */
    struct pl_worker *spawning_guest; /* the one whose task it stole last, while it has more */
    bool is_unrested;                 /* parla_runner.rest is due, see manage.c */
    int until_old;                    /* so many tasks more before it looks for old ones first, see find_old_task in worker.c … */
    unsigned old_turn;                /* … where it looks then … */
    struct pl_worker *old_guest;      /* … and the guest that it looked at last */
    pthread_t thread;
    struct pl_worker *next_guest;   /* constant once in the list */
    bool has_thread;                /* of a guest, under the guest lock: a live thread uses it */
    _Atomic uint64_t marks_shared;  /* of a guest: calls under way, see PL_MARK_INSIDE */
    _Atomic bool is_spawner_shared; /* of a guest: a thread of the application that spawns, outside bodies */
    struct pl_blocked *waits;       /* of a guest, under the guest lock: what its thread waits for, the innermost wait first */
    int credit;                     /* of a guest: so many tasks it spawns before it looks at the window, see window.c */
    struct pl_capture *capture;     /* this thread records its spawns, see capture.c */
    int n_ending;                   /* calls of pl_end under way: what on_end spawns is not spawned by the application */
    /* Counters: written by the owner, read by all. */
    _Alignas(PL_CACHE_LINE) _Atomic uint64_t n_spawned_shared;
    _Atomic uint64_t n_ended_shared;
    _Atomic uint64_t n_failed_shared;
    _Atomic uint64_t n_cancelled_shared;
} pl_worker;

/* The context of a body, on the stack of the thread that runs it. */
struct parla_context {
    parla_runtime *rt;
    pl_task *task;
    pl_worker *self;
    parla_failure *failure; /* given by parla_fail */
    bool on_queue;          /* runs on a device's queue thread */
    bool is_suspending;     /* parla_suspend_on was called in this step */
    parla_task *awaited;    /* what parla_suspend_on asked for in this step; malloc'ed */
    size_t n_awaited;
    struct parla_context *outer; /* what this thread ran when this body began */
    const struct pl_step *step;  /* which part of its task the body is, see replay.h; NULL: all of it */
};

/* What this thread is in the runtime that it used last, and the body it is in. */
typedef struct pl_role {
    uint64_t rt_id;
    pl_worker *worker;
} pl_role;

extern PL_HIDDEN PL_HOT_THREAD_LOCAL pl_role pl_as_last;
extern PL_HIDDEN PL_HOT_THREAD_LOCAL parla_context *pl_current_context;

/* The context that this thread is in, or NULL. */
static inline parla_context *pl_current(void) { return pl_current_context; }

/* Two counts in one word, so that a call sets both at once. They nest. */
enum {
    PL_MARK_INSIDE = 1, /* calls that end or await tasks: the runtime is not freed before their last access (wait_for_guests) … */
    PL_MARK_BUSY = 1 << 24, /* … and among them those that count, ready or end tasks: wait.c takes no guest for idle in between */
};

static inline bool pl_marks_inside(uint64_t marks) { return marks % PL_MARK_BUSY > 0; }
static inline bool pl_marks_busy(uint64_t marks) { return marks >= PL_MARK_BUSY; }

static inline void pl_inside_begin(pl_worker *self)
{
    if (self->index < 0)
        pl_store_relaxed(&self->marks_shared, pl_load_relaxed(&self->marks_shared) + PL_MARK_INSIDE);
}

static inline void pl_inside_end(pl_worker *self)
{
    if (self->index < 0) /* pairs with wait_for_guests in runtime.c */
        pl_store_release(&self->marks_shared, pl_load_relaxed(&self->marks_shared) - PL_MARK_INSIDE);
}

/* Around each call of a guest that counts, readies or ends tasks. The runtime is not freed before the last instruction of pl_busy_end, though
 * what the call did may let another thread destroy it. Workers need no mark. PL_MARK_BUSY is taken back with a light store; who waits for rest
 * raises n_rest_waiters and has a heavy fence before it looks at the mark. The other half is pl_busy_end in runtime.h. */
static inline void pl_guest_busy_begin(pl_worker *self)
{
    pl_store_release(&self->marks_shared, pl_load_relaxed(&self->marks_shared) + (PL_MARK_BUSY + PL_MARK_INSIDE));
}

static inline void pl_busy_begin(pl_worker *self)
{
    if (self->index < 0)
        pl_guest_busy_begin(self);
}

/* Pins the task of a handle, and checks that it is still that one. */
bool pl_pin(parla_runtime *rt, pl_worker *self, parla_task handle);
void pl_unpin(parla_runtime *rt, pl_worker *self, pl_task *task);

/* A task whose predecessors have all ended: to a deque, or to the placed path. State WAITING, SUSPENDED or RESERVED -> READY …
 * `may_chain`: self is a worker between two bodies, and may run the task next without a queue. */
void pl_ready(parla_runtime *rt, pl_worker *self, pl_task *task, bool may_chain);

/* Puts a READY or RESERVED task to where workers find it, and wakes one. */
void pl_push_runnable(parla_runtime *rt, pl_worker *self, pl_task *task);

/* Calls the body of a task whose turn has come, on this thread, and does what its result asks for (end, suspend, wait for holds). Takes over
 * the life reference. */
void pl_run(parla_runtime *rt, pl_worker *self, pl_task *task);

/* Calls the body of a PARLA_TASK_MANAGED task, or one of its steps, through the runner, which may keep what it needs until pl_rest. */
int pl_manage(const parla_runtime *rt, parla_context *context, parla_body body, void *arg);
void pl_rest(parla_runtime *rt, pl_worker *self);

/* May the runner keep that until this task runs? */
bool pl_goes_on(const pl_task *task);

/* The two halves of it, also for a device's queue thread (on_queue): takes the task's turn, false if it was cancelled before that came; then
 * the body. */
bool pl_run_begin(parla_runtime *rt, pl_worker *self, pl_task *task);
void pl_run_body(parla_runtime *rt, pl_worker *self, pl_task *task, bool on_queue);
/* What follows a body that did not just return 0; `context` is the one that it had. */
void pl_run_after(parla_runtime *rt, pl_worker *self, pl_task *task, parla_context *context, int result);

/* Ends a task and everything that is cancelled by it. `failure`: a reference that is taken over, NULL if done.
 * The caller owns the life reference and drops it afterwards with pl_drop_life, except where pl_cancel is used. */
void pl_end(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task_state how, parla_failure *failure, bool may_chain);

/* Cancels a task that has not started: true if this call did it. The caller pins the task. Takes over `failure` if so. */
bool pl_cancel(parla_runtime *rt, pl_worker *self, pl_task *task, const char *why);

/* The same for a task that follows a failure, of which a reference is taken over either way. */
bool pl_cancel_following(parla_runtime *rt, pl_worker *self, pl_task *task, parla_failure *cause);

/* Cancels every task that has not started, and with `all` also names never spawned and pending events. Returns how many tasks. */
size_t pl_cancel_all(parla_runtime *rt, pl_worker *self, bool all);

/* At the end of the runtime, when nothing else helps: cancels one task that is suspended, so that those which wait for it go on. False if there
 * is none. */
bool pl_cancel_suspended(parla_runtime *rt, pl_worker *self);

/* The context that the thread is in from now on; NULL: none. For bodies that are steps of a task. */
void pl_context_set(parla_context *context);

/* Why a body that returned `result`, which is not 0, failed. A reference. */
parla_failure *pl_body_failure(parla_context *context, int result);

/* Drops n of pl_extra.holds_shared; the last ends the task. */
void pl_drop_hold(parla_runtime *rt, pl_worker *self, pl_task *task, pl_extra *extra, int n);

/* Releases one hold of a task (see pl_extra); a negative status fails it. */
void pl_release_hold(parla_runtime *rt, pl_worker *self, pl_task *task, int status, const char *message);

/* Drops the life reference of a task that this thread took out of the scheduler. */
static inline void pl_drop_life(parla_runtime *rt, pl_worker *self, pl_task *task) { pl_unpin(rt, self, task); }

/* Releases one edge (or the guard) of a task; whoever brings the count to 0 makes it ready or drops its life reference. */
void pl_release_edges(parla_runtime *rt, pl_worker *self, pl_task *task, int n, bool may_chain);

/* What a spawn says; the public options, checked. */
int pl_spawn(parla_runtime *rt, pl_worker *self, parla_task *out, const parla_task_options *options);

/* Spawns a task of the library's own, which is not counted: nobody waits for it but who knows it. */
int pl_spawn_internal(parla_runtime *rt, pl_worker *self, parla_task *out, const parla_task_options *options);

/* The worker threads. */
int pl_workers_start(parla_runtime *rt);
void pl_workers_stop(parla_runtime *rt);

#endif
