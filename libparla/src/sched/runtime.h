/* runtime.h - the runtime object: everything that one parla_runtime owns. */
#ifndef PL_SCHED_RUNTIME_H
#define PL_SCHED_RUNTIME_H

#include "base/park.h"
#include "sched/place.h"
#include "sched/topology.h"
#include "sched/worker.h"
#include "trace/trace.h"

#include <parla/error.h>
#include <parla/runtime.h>

enum { PL_MAX_WORKERS = 1024, PL_MAX_SPARES = 256, PL_MAX_REMEMBERED = 65536 };

struct parla_runtime {
    uint64_t id; /* never reused in a process */
    union {
        struct {
            uint32_t process;         /* which fork of the process made it, see pl_runtime_check */
            _Atomic bool is_stopping; /* nothing can be spawned any more */
            _Atomic bool is_traced;   /* while a trace is written, or a moment longer */
            uint16_t unused;
        };
        _Atomic uint64_t gate_shared; /* all of these, see pl_gate_is_open */
    };
    int n_workers; /* asked for */
    pl_topology topology;
    bool is_bound;    /* worker i belongs to core i */
    uint64_t spin_ns; /* so long an idle worker spins before it sleeps, and no more than so many at a time */
    int max_spinning;
    uint64_t stall_ns;      /* 0: no watchdog */
    int64_t window;         /* 0: no bound */
    _Atomic int64_t n_held; /* tasks that do not count in the window, see window.c */
    parla_runner runner;
    bool has_runner;
    pl_trace *trace;
    char *trace_path;
    pl_slabs slabs;

    /* Workers, and spares that stand in for workers whose body blocks. workers[0 … n_threads) exist; the array never moves. */
    pl_worker **workers;
    _Atomic int n_threads;
    _Atomic int n_active;     /* threads that take tasks: never more than n_workers for long */
    _Atomic int n_idle;       /* of those, asleep or about to */
    _Atomic uint64_t n_wakes; /* how often a thread left that state, or came back from blocking */
    _Atomic bool is_over;     /* threads end */
    _Atomic int n_spinning;   /* idle workers that will find what is pushed, or pass a wake-up on: worker.c */
    pl_park park;             /* sleeping workers */
    pthread_mutex_t spare_lock;
    pthread_cond_t spare_needed;
    int n_retired;              /* under spare_lock */
    int n_recall;               /* under spare_lock: retired threads asked to come back */
    struct pl_blocked *blocked; /* under spare_lock: bodies that wait on their threads */

    /* Other threads that use the runtime. */
    pthread_mutex_t guest_lock;
    _Atomic(pl_worker *) guests; /* pushed at the front; never removed while the runtime lives */
    pl_worker *first_guest;      /* of the thread that made the runtime */

    /* Waiting threads (wait.c). */
    pl_park ended;                                 /* some awaited task has ended, or the runtime came to rest */
    _Atomic uint64_t n_returns;                    /* how often a guest came back from a wait */
    _Atomic int n_rest_waiters;                    /* waiting threads that want to know when the runtime comes to rest */
    _Atomic uint64_t rest_activity, rest_since_ns; /* since when nothing has happened, see has_rested in wait.c */
    struct pl_stall *stall;                        /* the watchdog, or NULL */
    struct pl_exit_receipt *receipt;               /* or NULL */
    _Atomic int n_outside;                         /* events, holds, queued bodies and movements: progress that no worker makes */

    /* Tasks that did not succeed (failures.c). */
    pthread_mutex_t failure_lock;
    struct pl_unseen *unseen; /* first failures that nobody has looked at, oldest first */
    struct pl_unseen **unseen_end;
    size_t n_unseen;     /* length of that list */
    size_t n_since_seen; /* how many of it somebody has looked at since those were taken out, or more */
    pl_task *remembered; /* failed and cancelled tasks, oldest first */
    pl_task **remembered_end;
    size_t n_remembered;

    /* Progress functions (poll.c). */
    pthread_mutex_t poll_lock;
    struct parla_poll *polls;
    _Atomic int n_polls;
    _Atomic bool polls_pending;
    _Atomic bool is_watched; /* an idle worker looks again soon; or it goes to work, and hands that over before */

    pl_place place;
    struct parla_runtime *next_runtime; /* in the process's registry */
};

/* How often this process was forked. */
extern PL_HIDDEN _Atomic uint32_t pl_n_forks;

int pl_runtime_refuse(const parla_runtime *rt);

/* Is this the process that made the runtime? Every entry point asks. Returns 0 or PARLA_E_FORKED. */
static inline int pl_runtime_check(const parla_runtime *rt)
{
    return pl_likely(rt && rt->process == pl_load_relaxed(&pl_n_forks)) ? 0 : pl_runtime_refuse(rt);
}

/* The same, and it is neither stopping nor traced: what a spawn asks at once before it goes the short way. */
static inline bool pl_gate_is_open(parla_runtime *rt)
{
    union {
        struct {
            uint32_t process, others;
        };
        uint64_t all;
    } open = {.process = pl_load_relaxed(&pl_n_forks)};
    return pl_load_relaxed(&rt->gate_shared) == open.all;
}

pl_worker *pl_self_looked_up(parla_runtime *rt);

/* This thread's worker or guest of the runtime that it used last; NULL if it is another. */
static inline pl_worker *pl_self_or_null(const parla_runtime *rt) { return pl_as_last.rt_id == rt->id ? pl_as_last.worker : NULL; }

/* This thread's worker or guest of a runtime; makes a guest if needed. NULL when memory is out. */
static inline pl_worker *pl_self(parla_runtime *rt)
{
    pl_worker *self = pl_self_or_null(rt);
    return pl_likely(self) ? self : pl_self_looked_up(rt);
}

/* Calls the function for each runtime of this process that is alive; none is destroyed meanwhile. */
void pl_registry_each(void (*function)(parla_runtime *rt));

static inline pl_trace *pl_runtime_trace(parla_runtime *rt) { return rt->trace; }
PARLA_MUST_USE int pl_runtime_trace_start(parla_runtime *rt); /* errors as pl_trace_start */
void pl_runtime_trace_stop(parla_runtime *rt);

/* wait.c */
void pl_count_tasks(parla_runtime *rt, uint64_t *out_spawned, uint64_t *out_ended); /* never more ended than spawned */
bool pl_nothing_goes_on(parla_runtime *rt);                                         /* nothing runs, and nothing is ready; a hint */
void pl_notify_ended(parla_runtime *rt);                                            /* an awaited task has ended */
void pl_notify_rest(parla_runtime *rt);                                             /* the runtime may have come to rest */
void pl_outside_add(parla_runtime *rt);  /* something that no worker makes progress on begins … */
void pl_outside_done(parla_runtime *rt); /* … and is over, after what it set off was done */
/* Does nothing go on but what devices in modelled time (sim_clock.h) are to do, and does every thread that spawns wait? The clock asks. */
bool pl_rests_but_for_devices(void *rt);
bool pl_is_quiet(parla_runtime *rt); /* every counted task has ended */
int pl_wait_quiet(parla_runtime *rt, pl_worker *self, uint64_t deadline_ns);

static inline void pl_guest_busy_end(parla_runtime *rt, pl_worker *self)
{
    uint64_t marks = pl_load_relaxed(&self->marks_shared) - PL_MARK_BUSY;
    pl_store_light(&self->marks_shared, marks);
    if (pl_unlikely(pl_load_seq(&rt->n_rest_waiters) > 0))
        pl_notify_rest(rt);
    pl_store_release(&self->marks_shared, marks - PL_MARK_INSIDE); /* pairs with wait_for_guests in runtime.c */
}

static inline void pl_busy_end(parla_runtime *rt, pl_worker *self)
{
    if (self->index < 0)
        pl_guest_busy_end(rt, self);
}

/* worker.c */
bool pl_has_work(parla_runtime *rt); /* any deque with something in it; seq loads */
/* A guest takes a ready task: its own oldest first, then anybody's. */
pl_task *pl_guest_take(parla_runtime *rt, pl_worker *self);
/* This thread ends and was perhaps a guest of the runtime. */
void pl_guest_leave(parla_runtime *rt);

/* A body that waits on its thread, or another thread that waits; lies on the stack of that thread. */
typedef struct pl_blocked {
    const parla_task *tasks; /* what it waits for; NULL: for all that were spawned */
    size_t n_tasks;
    bool is_timed;       /* it goes on some day, whatever happens */
    uint64_t busy;       /* of a guest that runs it: its marks of being busy, which do not count while the body waits */
    const pl_task *body; /* whose it is; NULL: of a thread of the application */
    struct pl_blocked *next;
    pl_task *task; /* of a body with devices, and the next of these, under the lock of place */
    struct pl_blocked *next_placed;
} pl_blocked;

/* A worker's body is about to block, and is back: another thread works in its place meanwhile. Errors: PARLA_E_RESOURCES, and what
 * starting a thread can lead to. */
int pl_blocking_begin(parla_runtime *rt, pl_worker *self, pl_blocked *blocked);
void pl_blocking_end(parla_runtime *rt, pl_worker *self, pl_blocked *blocked);

/* A guest is about to run tasks like a worker: true if one of those is asleep, who stays out of the way until the guest leaves. */
bool pl_active_enter(parla_runtime *rt);
bool pl_active_has_room(parla_runtime *rt); /* it would have been true a moment ago */
void pl_active_leave(parla_runtime *rt);

/* help.c */
bool pl_thread_is_loop(void);
bool pl_may_help(const parla_runtime *rt, const pl_worker *self);
/* Runs awaited tasks and what they wait for as far as they are ready; returns when none is any more. */
void pl_help_for(parla_runtime *rt, pl_worker *self, const parla_task *tasks, size_t n_tasks);
/* A guest runs some ready tasks, whichever; false if there were none. */
bool pl_help_any(parla_runtime *rt, pl_worker *self);

/* window.c: a guest's credit is used up. */
void pl_window_enter(parla_runtime *rt, pl_worker *self);
/* A task waits for a name that is not spawned; true if it counts by it. And the name is so no longer. */
bool pl_window_hold(parla_runtime *rt, pl_worker *self, parla_task name);
void pl_window_release(parla_runtime *rt, pl_task *name);

/* stuck.c: one line of the log about a task that runs, for an end of the runtime that takes long. */
void pl_log_unfinished(parla_runtime *rt);
/* several, about who runs and who waits for whom, while things may move */
void pl_log_stall(parla_runtime *rt, uint64_t since_ns);
/* puts the tasks that wait, and for what, into the calling thread's error detail; starts from `awaited` unless NULL. Returns
 * PARLA_E_STUCK. */
int pl_report_stuck(parla_runtime *rt, const parla_task *awaited);
/* Would a name that is about to be spawned wait for itself, also by way of others? PARLA_E_STUCK says how. */
int pl_check_cycle(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_task *deps, size_t n_deps);

/* poll.c: calls the functions; returns true if something may still be pending. */
bool pl_poll_all(parla_runtime *rt);
/* As parla_poll_kick for all functions, for what may wait some 50 us: wakes nobody while an idle worker looks that often anyway. */
void pl_poll_remind(parla_runtime *rt);

/* failures.c: a task failed or was cancelled; somebody looked at a failure; the runtime ends. */
void pl_failures_add(parla_runtime *rt, pl_worker *self, pl_task *task, parla_failure *failure);
void pl_failures_seen(parla_runtime *rt, const parla_failure *failure);
void pl_failures_fini(parla_runtime *rt); /* remembered tasks are freed with all others */

#endif
