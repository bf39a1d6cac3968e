/* wait.c - threads that wait for tasks, and how they learn that nothing will come any more.
 *
 * One park (rt->ended) serves all waiting threads. A waiter for a task marks the task (waited_shared), looks whether it has ended, and sleeps;
 * pl_end closes the task and then looks for the mark (end.c). Waiters are few and long; being woken for another's task costs little.
 *
 * Waiters for everything, and waiters that want to know that they wait in vain, count themselves in n_rest_waiters. They are woken when the
 * runtime may have come to rest: by the worker that goes idle last, by a guest that ends a task or leaves a spawn, by whoever finishes the
 * last thing that goes on outside the workers.
 *
 * At rest, with unfinished tasks, means stuck. The check (is_at_rest) reads, in this order:
 *   R1 n_wakes, then that all active workers are idle
 *   R2 that nothing goes on outside         (raised before, lowered after what it sets off)
 *   R3 that no guest is inside a spawn, a cancel or a release (it marks itself busy before it counts, and queues before it unmarks)
 *   R4 the ended, then the spawned counters, equal means quiet, not stuck; or, for a waiter, whether its task has ended. After R2 and R3: what
 *      these saw as over may have ended tasks a moment before.
 *   R5 that all deques are empty
 *   R6 that no body which waits on its thread can go on: each waits for something unfinished, and without a time limit
 *   R7 that all active workers are still idle and n_wakes is that of R1
 * By R1 and R7 no worker took or ended anything in between, and no body came back from its wait (it counts as active, with a wake, before it
 * leaves the list of R6); by R2 to R6 nothing that the runtime knows of goes on.
 *
 * Guests end tasks, push them and take their mark back with light stores (fence.h) and then look whether anybody waits. Between the
 * announcement (n_rest_waiters and the park) and R2 to R5 there is a heavy fence: one sees the other. Workers go idle with an update of
 * n_idle instead, and then look.
 *
 * What it cannot know is whether a thread of the application spawns the missing task later. So rest counts as stuck only when every thread
 * that spawns here (is_spawner_shared) waits as well, for something unfinished (has_company). That is looked at before R2 and again after
 * R6, and n_returns must be the same: a thread that came back in between, spawned, and waits again would else be missed, and the task that
 * it spawned after R5 with it. A thread takes itself off the list of waiting threads, then raises n_returns, and only then spawns.
 *
 * Modelled time (device/sim_clock.h) goes on at rest, whether there are unfinished tasks or not, and whatever is outside: that may be the
 * work of the devices itself, and nobody can tell it from what somebody else does, which therefore takes no modelled time
 * (pl_rests_but_for_devices). The clock looks when a queue has done a piece of work; after that, rest begins when a worker goes idle or a guest
 * leaves, which wakes the waiting threads, or when a thread begins to wait: so each of them looks before it sleeps.
 *
 * Who waits for all tasks is content with less: if nothing has happened for GRACE_NS although some such thread is elsewhere, the wait ends;
 * a program that means to spawn after a longer pause holds an event (event.h), which counts as outside. */
#include "base/break.h"
#include "base/clock.h"
#include "base/error.h"
#include "sched/runtime.h"
#include "task/failure.h"

#include <parla/log.h>

enum { GRACE_NS = 2000000000 };

void pl_notify_ended(parla_runtime *rt) { pl_park_wake_all(&rt->ended); }
void pl_notify_rest(parla_runtime *rt) { pl_park_wake_all(&rt->ended); }

void pl_outside_add(parla_runtime *rt) { pl_add_seq(&rt->n_outside, 1); }

void pl_outside_done(parla_runtime *rt)
{
    if (pl_sub_seq(&rt->n_outside, 1) == 1 && pl_load_seq(&rt->n_rest_waiters) > 0)
        pl_notify_rest(rt);
}

void pl_count_tasks(parla_runtime *rt, uint64_t *out_spawned, uint64_t *out_ended)
{
    uint64_t n_ended = 0, n_spawned = 0;
    int n = pl_load_acquire(&rt->n_threads);
    for (int i = 0; i < n; i++)
        n_ended += pl_load_seq(&rt->workers[i]->n_ended_shared);
    for (pl_worker *guest = pl_load_seq(&rt->guests); guest; guest = guest->next_guest)
        n_ended += pl_load_seq(&guest->n_ended_shared);
    /* Every task that was counted as ended was counted as spawned before, and is found below. */
    n = pl_load_acquire(&rt->n_threads);
    for (int i = 0; i < n; i++)
        n_spawned += pl_load_acquire(&rt->workers[i]->n_spawned_shared);
    for (pl_worker *guest = pl_load_seq(&rt->guests); guest; guest = guest->next_guest)
        n_spawned += pl_load_acquire(&guest->n_spawned_shared);
    *out_spawned = n_spawned;
    *out_ended = n_ended;
}

bool pl_is_quiet(parla_runtime *rt)
{
    uint64_t n_ended, n_spawned;
    pl_count_tasks(rt, &n_spawned, &n_ended);
    return n_ended == n_spawned;
}

static bool all_idle(parla_runtime *rt) { return pl_load_seq(&rt->n_idle) >= pl_load_seq(&rt->n_active); }

static bool any_guest_busy(parla_runtime *rt)
{
    for (pl_worker *guest = pl_load_seq(&rt->guests); guest; guest = guest->next_guest)
        if (pl_marks_busy(pl_load_seq(&guest->marks_shared)))
            return true;
    return false;
}

bool pl_nothing_goes_on(parla_runtime *rt)
{
    return all_idle(rt) && pl_load_seq(&rt->n_outside) == 0 && !any_guest_busy(rt) && !pl_has_work(rt);
}

static size_t skip_ended(const parla_task *tasks, size_t i, size_t n_tasks)
{
    while (i < n_tasks && (parla_task_is_none(tasks[i]) || pl_handle_has_ended(tasks[i])))
        i++;
    return i;
}

/* A body that waits on its thread has what it waits for, and only has not woken up yet; or its time will be over some day. */
static bool can_body_go_on(parla_runtime *rt, bool time_counts)
{
    bool can = false;
    pthread_mutex_lock(&rt->spare_lock);
    for (const pl_blocked *body = rt->blocked; body && !can; body = body->next)
        can = (time_counts && body->is_timed) || skip_ended(body->tasks, 0, body->n_tasks) == body->n_tasks;
    pthread_mutex_unlock(&rt->spare_lock);
    return can && !pl_is_broken(PL_BREAK_STUCK);
}

/* Is there a thread of the application that spawns tasks here, and does not wait now, or has what it waits for and is about to wake up? */
static bool has_company(parla_runtime *rt)
{
    bool has = false;
    if (pl_load_seq(&rt->is_stopping))
        return false;
    pthread_mutex_lock(&rt->guest_lock);
    for (pl_worker *guest = pl_load_relaxed(&rt->guests); guest && !has; guest = guest->next_guest) {
        const pl_blocked *wait = guest->waits;
        bool goes_on = !wait || (wait->tasks ? skip_ended(wait->tasks, 0, wait->n_tasks) == wait->n_tasks : pl_is_quiet(rt));
        has = guest->has_thread && pl_load_relaxed(&guest->is_spawner_shared) && goes_on;
    }
    pthread_mutex_unlock(&rt->guest_lock);
    return has;
}

/* At rest with unfinished tasks; or, if one is awaited, before that has ended: it may be a name, which counts as no task. *out_is_alone: no
 * thread of the application can spawn what is missing. */
static bool is_at_rest(parla_runtime *rt, const parla_task *awaited, bool *out_is_alone)
{
    uint64_t n_returns = pl_load_seq(&rt->n_returns), n_wakes = pl_load_seq(&rt->n_wakes);
    if (!all_idle(rt)) /* R1 */
        return false;
    pl_fence_heavy();
    bool is_alone = !has_company(rt);
    bool rests = pl_load_seq(&rt->n_outside) == 0 &&                             /* R2 */
                 !any_guest_busy(rt) &&                                          /* R3 */
                 !(awaited ? pl_handle_has_ended(*awaited) : pl_is_quiet(rt)) && /* R4 */
                 !pl_has_work(rt) &&                                             /* R5 */
                 !can_body_go_on(rt, true);                                      /* R6 */
    *out_is_alone = is_alone && !has_company(rt) && pl_load_seq(&rt->n_returns) == n_returns;
    return rests && all_idle(rt) && pl_load_seq(&rt->n_wakes) == n_wakes; /* R7 */
}

/* What threads of the application have spawned. */
static uint64_t count_spawned_by_guests(parla_runtime *rt)
{
    uint64_t n = 1;
    for (pl_worker *guest = pl_load_seq(&rt->guests); guest; guest = guest->next_guest)
        n += pl_load_acquire(&guest->n_spawned_shared);
    return n;
}

bool pl_rests_but_for_devices(void *ctx)
{
    parla_runtime *rt = ctx;
    uint64_t n_returns = pl_load_seq(&rt->n_returns), n_wakes = pl_load_seq(&rt->n_wakes);
    if (!all_idle(rt))
        return false;
    pl_fence_heavy();
    bool is_alone = !has_company(rt) || pl_load_relaxed(&rt->place.n_spawned_alone) == count_spawned_by_guests(rt);
    return is_alone && !any_guest_busy(rt) && !pl_has_work(rt) && !can_body_go_on(rt, false) &&
           pl_load_seq(&rt->n_returns) == n_returns && all_idle(rt) && pl_load_seq(&rt->n_wakes) == n_wakes;
}

/* Threads that wait say so and for what, for has_company, and want to be woken at rest. */
static void waiting_begin(parla_runtime *rt, pl_worker *self, pl_blocked *wait)
{
    if (self->index < 0) {
        pthread_mutex_lock(&rt->guest_lock);
        wait->next = self->waits;
        self->waits = wait;
        pthread_mutex_unlock(&rt->guest_lock);
    }
    pl_add_seq(&rt->n_rest_waiters, 1);
}

static void waiting_end(parla_runtime *rt, pl_worker *self, const pl_blocked *wait)
{
    pl_sub_seq(&rt->n_rest_waiters, 1);
    if (self->index < 0) {
        pthread_mutex_lock(&rt->guest_lock);
        self->waits = wait->next;
        pthread_mutex_unlock(&rt->guest_lock);
        pl_add_seq(&rt->n_returns, 1);
    }
}

/* For how long has the runtime rested? True after GRACE_NS; else *until becomes the moment to look again, if that is earlier. */
static bool has_rested(parla_runtime *rt, uint64_t *until)
{
    uint64_t now_ns = pl_now_ns();
    uint64_t activity = pl_load_seq(&rt->n_wakes) + 1;
    for (pl_worker *guest = pl_load_seq(&rt->guests); guest; guest = guest->next_guest)
        activity += pl_load_acquire(&guest->n_spawned_shared) + pl_load_acquire(&guest->n_ended_shared);
    if (pl_load_acquire(&rt->rest_activity) != activity) {
        pl_store_relaxed(&rt->rest_since_ns, now_ns);
        pl_store_release(&rt->rest_activity, activity); /* who sees it sees the moment above, or a later one */
    }
    uint64_t end_ns = pl_load_relaxed(&rt->rest_since_ns) + GRACE_NS;
    if (*until == 0 || end_ns < *until)
        *until = end_ns;
    return now_ns >= end_ns;
}

static bool is_over(uint64_t deadline_ns) { return deadline_ns != 0 && pl_now_ns() >= deadline_ns; }

/* Modelled time stands for a thread that spawned tasks and neither waits nor spawns any more. It is not waited for any longer. */
static void stop_waiting_for_company(parla_runtime *rt)
{
    pl_store_relaxed(&rt->place.n_spawned_alone, count_spawned_by_guests(rt));
    parla_log(PARLA_LOG_WARN,
              "modelled time stood for %d s, since a thread that has spawned tasks does not wait in the library; it goes on "
              "without that thread now, and the times may not be the same in each run",
              GRACE_NS / 1000000000);
    pl_sim_clock_look(rt->place.devices.clock);
}

/* Before a waiting thread sleeps, with a key of rt->ended: what the devices do then wakes it. *until: the moment to look again, or 0. */
static void let_time_pass(parla_runtime *rt, uint64_t *until)
{
    pl_sim_clock *clock = rt->place.devices.clock;
    if (pl_likely(!clock))
        return;
    pl_sim_clock_look(clock);
    if (pl_sim_clock_stands(clock) && has_company(rt) && has_rested(rt, until))
        stop_waiting_for_company(rt);
}

int pl_wait_quiet(parla_runtime *rt, pl_worker *self, uint64_t deadline_ns)
{
    int result = 0;
    bool helps = deadline_ns == 0 && self->index < 0 && pl_may_help(rt, self) && !pl_current();
    pl_blocked wait = {.tasks = NULL};
    waiting_begin(rt, self, &wait);
    while (!pl_is_quiet(rt)) {
        uint64_t until = deadline_ns;
        bool is_alone;
        if (helps && pl_help_any(rt, self))
            continue;
        uint64_t key = pl_park_prepare(&rt->ended);
        if (all_idle(rt))
            pl_fence_heavy(); /* a guest may end the last task; else a worker will go idle and tell */
        if (pl_is_quiet(rt)) {
            pl_park_cancel(&rt->ended, key);
            break;
        }
        if (is_at_rest(rt, NULL, &is_alone) && (is_alone || has_rested(rt, &until))) {
            pl_park_cancel(&rt->ended, key);
            result = PARLA_E_STUCK;
            break;
        }
        let_time_pass(rt, &until);
        result = pl_park_commit(&rt->ended, key, until);
        if (result == PARLA_E_TIMEOUT && !is_over(deadline_ns))
            result = 0; /* only the moment to look again */
        if (result)
            break;
    }
    waiting_end(rt, self, &wait);
    return result;
}

/* --- Waiting for tasks ----------------------------------------------------------------------------------------------------------- */

static int sleep_for(parla_runtime *rt, const parla_task *tasks, size_t n_tasks, uint64_t deadline_ns)
{
    size_t i = 0;
    bool is_alone;
    while ((i = skip_ended(tasks, i, n_tasks)) < n_tasks) {
        uint64_t key = pl_park_prepare(&rt->ended);
        pl_store_seq(&pl_task_of(tasks[i])->waited_shared, (uint8_t)1);
        if (pl_handle_has_ended(tasks[i])) {
            pl_park_cancel(&rt->ended, key);
            continue;
        }
        if (is_at_rest(rt, &tasks[i], &is_alone) && is_alone) {
            pl_park_cancel(&rt->ended, key);
            return PARLA_E_STUCK;
        }
        uint64_t until = deadline_ns;
        let_time_pass(rt, &until);
        int result = pl_park_commit(&rt->ended, key, until);
        if (result == PARLA_E_TIMEOUT && !is_over(deadline_ns))
            continue; /* only the moment to look again */
        if (result)
            return skip_ended(tasks, i, n_tasks) == n_tasks ? 0 : result;
    }
    return 0;
}

/* What a wait returns, with its words. */
static int explained(parla_runtime *rt, const parla_task *awaited, int result)
{
    switch (result) {
    case PARLA_E_TIMEOUT:
        return pl_error_set(PARLA_E_TIMEOUT, "the time was over before all had ended that was waited for");
    case PARLA_E_INTERRUPTED:
        return pl_error_set(PARLA_E_INTERRUPTED, "a signal handler ran during the wait: call again to go on");
    case PARLA_E_STUCK:
        return pl_report_stuck(rt, awaited);
    default:
        return result;
    }
}

static int wait_blocking(parla_runtime *rt, pl_worker *self, const parla_task *tasks, size_t n_tasks, uint64_t deadline_ns)
{
    parla_context *context = pl_current();
    pl_blocked blocked = {.tasks = tasks, .n_tasks = n_tasks, .is_timed = deadline_ns != 0 && !pl_is_broken(PL_BREAK_LIMIT)},
               wait = blocked;
    bool is_body = context && context->rt == rt;
    if (is_body)
        blocked.body = context->task;
    if (is_body && context->on_queue)
        return pl_error_set(PARLA_E_STATE,
                            "a body on a device's queue must not block in a wait: call parla_suspend_on (await) instead");
    if (deadline_ns == 0 && pl_may_help(rt, self)) {
        pl_help_for(rt, self, tasks, n_tasks);
        if (skip_ended(tasks, 0, n_tasks) == n_tasks)
            return 0;
    }
    bool is_placed = is_body && (context->task->flags & PL_FLAG_PLACED);
    int result = 0;
    if (is_placed) { /* while it counts as active: what this lets pass is queued before anybody can take the runtime for stuck */
        blocked.task = context->task;
        pl_place_block(rt, self, &blocked);
    }
    if (is_body)
        result = pl_blocking_begin(rt, self, &blocked);
    if (!result) {
        waiting_begin(rt, self, &wait);
        result = sleep_for(rt, tasks, n_tasks, deadline_ns);
        waiting_end(rt, self, &wait);
        if (is_body)
            pl_blocking_end(rt, self, &blocked);
    }
    if (is_placed)
        pl_place_unblock(rt, &blocked);
    size_t i = skip_ended(tasks, 0, n_tasks);
    return i < n_tasks ? explained(rt, &tasks[i], result) : 0;
}

/* The first failure among ended tasks, now looked at. */
static int first_failure(parla_runtime *rt, pl_worker *self, const parla_task *tasks, size_t n_tasks)
{
    int code = 0;
    for (size_t i = 0; i < n_tasks; i++) {
        if (parla_task_is_none(tasks[i]) || !pl_pin(rt, self, tasks[i]))
            continue;
        pl_task *task = pl_task_of(tasks[i]);
        parla_failure *failure = pl_task_failure(task);
        if (failure && !(pl_is_broken(PL_BREAK_TOLD) && failure->code == PARLA_E_CANCELLED)) {
            pl_failures_seen(rt, failure);
            if (!code)
                code = pl_error_set(failure->code, "%s", failure->message);
        }
        pl_unpin(rt, self, task);
    }
    return code;
}

/* A body waits for the task of `awaited`, which this thread is inside of. If that is an outer one, this body runs while that one waits for
 * it, or for what comes after it. */
static int waits_for_own(const parla_context *context, const parla_context *awaited)
{
    const char *inner = context->task->name ? context->task->name : "a task without a name";
    const char *outer = awaited->task->name ? awaited->task->name : "a task without a name";
    if (awaited == context)
        return pl_error_set(PARLA_E_INVALID, "%s waits for itself", inner);
    return pl_error_set(PARLA_E_STUCK, "%s waits for %s, which waits for it: a cycle", inner, outer);
}

static int check_wait(parla_runtime *rt, const parla_task *tasks, size_t n_tasks)
{
    parla_context *context = pl_current();
    for (size_t i = 0; i < n_tasks; i++) {
        if (parla_task_is_none(tasks[i]))
            continue;
        if (pl_slab_of(tasks[i].object)->rt != rt)
            return pl_error_set(PARLA_E_INVALID, "task %zu of the list belongs to another runtime", i);
        for (parla_context *c = context; c; c = c->outer)
            if (c->task == tasks[i].object && !pl_handle_has_ended(tasks[i]))
                return waits_for_own(context, c);
    }
    return 0;
}

static uint64_t deadline_of(int64_t timeout_ns) { return timeout_ns < 0 ? 0 : pl_now_ns() + (uint64_t)timeout_ns; }

int parla_task_wait(parla_runtime *rt, const parla_task *tasks, size_t n_tasks, int64_t timeout_ns)
{
    int error = pl_runtime_check(rt);
    if (!error)
        error = check_wait(rt, tasks, n_tasks);
    if (error)
        return error;
    pl_worker *self = pl_self(rt);
    if (!self)
        return PARLA_E_NOMEM;
    pl_inside_begin(self);
    if (skip_ended(tasks, 0, n_tasks) < n_tasks)
        error = wait_blocking(rt, self, tasks, n_tasks, deadline_of(timeout_ns));
    if (!error)
        error = first_failure(rt, self, tasks, n_tasks);
    pl_inside_end(self);
    return error;
}

int parla_runtime_wait(parla_runtime *rt, int64_t timeout_ns)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    if (pl_current() && pl_current()->rt == rt)
        return pl_error_set(PARLA_E_STATE, "a task cannot wait for all tasks: it is one of them");
    pl_worker *self = pl_self(rt);
    if (!self)
        return PARLA_E_NOMEM;
    pl_inside_begin(self);
    error = explained(rt, NULL, pl_wait_quiet(rt, self, deadline_of(timeout_ns)));
    pl_inside_end(self);
    return error;
}
