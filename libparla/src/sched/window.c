/* window.c - the soft bound on tasks in flight.
 *
 * Each thread of the application that spawns has a credit of tasks, so that a spawn only counts it down. When it is used up the thread
 * counts what is in flight, and takes a part of what is left of the window as its next credit. If nothing is left it sleeps until a quarter
 * of the window is free. It does not help meanwhile (help.c): a body that waits for what this thread will spawn, send or signal next would
 * lie on top of it and never end.
 *
 * In flight is what was spawned and has not ended, less the tasks that wait for a name that is not spawned yet: no help can bring those
 * forward, only the thread itself can. The first such name that a task meets counts it (pl_window_hold, in n_held_shared of the name and
 * in rt->n_held), and the spawn or the cancel of the name takes back all that it counted (pl_window_release); after that n_held_shared is
 * CLOSED, so a task that comes late does not count itself.
 *
 * The bound is soft. Nobody stays here when nothing runs or is ready: what everything waits for may be the next spawn. Nor when no task has
 * ended for PATIENCE_NS: a body that runs may wait, in a way that the runtime does not know, for this thread. Bodies, callbacks and threads
 * that run an event loop are never stopped.
 *
 * A thread of a language with a lock (parla_runner) would keep the bodies from running: its spawns go beyond, and its binding asks first
 * (parla_window_is_full) and stays without the lock (parla_window_wait).
 *
 * A thread that sleeps here is woken when the workers run out of tasks; otherwise it looks again every TICK_NS. */
#include "base/break.h"
#include "base/clock.h"
#include "sched/runtime.h"

#include <limits.h>

enum { TICK_NS = 1000000, PATIENCE_NS = 100000000, MAX_CREDIT = 4096, CLOSED = -1 };

/* --- Tasks that wait for a name ------------------------------------------------------------------------------------------------- */

bool pl_window_hold(parla_runtime *rt, pl_worker *self, parla_task name)
{
    if (!pl_pin(rt, self, name))
        return false;
    pl_task *task = pl_task_of(name);
    int32_t n = pl_load_relaxed(&task->n_held_shared);
    while (n != CLOSED && !pl_cas_weak_acq_rel(&task->n_held_shared, &n, n + 1)) {
    }
    if (n != CLOSED)
        pl_add_relaxed(&rt->n_held, 1);
    pl_unpin(rt, self, task);
    return n != CLOSED;
}

void pl_window_release(parla_runtime *rt, pl_task *name)
{
    int32_t n = pl_exchange_acq_rel(&name->n_held_shared, (int32_t)CLOSED);
    if (n > 0)
        pl_add_relaxed(&rt->n_held, (pl_is_broken(PL_BREAK_SLOT) ? 1 : 0) - (int64_t)n);
}

/* --- The bound ------------------------------------------------------------------------------------------------------------------ */

static int64_t count_in_flight(parla_runtime *rt)
{
    uint64_t n_ended, n_spawned;
    pl_count_tasks(rt, &n_spawned, &n_ended);
    return (int64_t)(n_spawned - n_ended) - pl_load_relaxed(&rt->n_held);
}

static bool may_stay(const parla_runtime *rt) { return !pl_thread_is_loop() && !pl_load_relaxed(&rt->is_stopping); }

/* Sleeps until something may have changed; false if there is nothing to wait for. */
static bool sleep_once(parla_runtime *rt)
{
    uint64_t key = pl_park_prepare(&rt->ended);
    if (pl_nothing_goes_on(rt)) {
        pl_park_cancel(&rt->ended, key);
        return false;
    }
    return pl_park_commit(&rt->ended, key, pl_now_ns() + TICK_NS) != PARLA_E_INTERRUPTED;
}

static void make_room(parla_runtime *rt, pl_worker *self)
{
    int64_t n, least = INT64_MAX;
    uint64_t patient_until_ns = 0;
    while ((n = count_in_flight(rt)) > rt->window - rt->window / 4) {
        uint64_t now_ns = pl_now_ns();
        if (n < least) {
            least = n;
            patient_until_ns = now_ns + PATIENCE_NS;
        }
        if (now_ns >= patient_until_ns)
            return;
        if (!(pl_is_broken(PL_BREAK_BURY) && pl_help_any(rt, self)) && !sleep_once(rt))
            return;
    }
}

static void stay(parla_runtime *rt, pl_worker *self)
{
    pl_inside_begin(self);
    pl_add_seq(&rt->n_rest_waiters, 1);
    make_room(rt, self);
    pl_sub_seq(&rt->n_rest_waiters, 1);
    pl_inside_end(self);
}

void pl_window_enter(parla_runtime *rt, pl_worker *self)
{
    pl_store_relaxed(&self->is_spawner_shared, true);
    self->credit = INT_MAX;
    if (rt->window == 0)
        return;
    if (!rt->has_runner && may_stay(rt) && count_in_flight(rt) >= rt->window)
        stay(rt, self);
    int64_t room = (rt->window - count_in_flight(rt)) / 4;
    if (room <= 0)
        room = rt->window / 4; /* it would only come back here at once */
    self->credit = room < 0 ? 0 : room > MAX_CREDIT ? MAX_CREDIT : (int)room;
}

/* --- For bindings --------------------------------------------------------------------------------------------------------------- */

static bool is_full(parla_runtime *rt, const pl_worker *self)
{
    bool is_application = self->index < 0 && !pl_current() && self->n_ending == 0;
    return is_application && self->credit <= 0 && rt->window != 0 && may_stay(rt) && count_in_flight(rt) >= rt->window;
}

bool parla_window_is_full(parla_runtime *rt)
{
    const pl_worker *self = pl_runtime_check(rt) ? NULL : pl_self(rt);
    return self && is_full(rt, self);
}

void parla_window_wait(parla_runtime *rt)
{
    pl_worker *self = pl_runtime_check(rt) ? NULL : pl_self(rt);
    if (!self || !is_full(rt, self))
        return;
    pl_store_relaxed(&self->is_spawner_shared, true);
    stay(rt, self);
}
