/* worker.c - the threads that run tasks: what they look for, how they sleep, and who stands in while a body blocks.
 *
 * A worker looks, in this order, at the successor handed to it, its own deque (newest first), the guest that it had the last task from, the
 * deques of the others and of the guests (oldest first), and the progress functions. Then it spins for a bounded time, and sleeps. Each
 * OLD_EVERY-th time it looks first where tasks may have waited for long: else bodies that go on spawning would keep its deque filled, and
 * what is older, or lies elsewhere, would never run.
 *
 * Sleeping follows park.h: announce, count itself idle, a heavy fence, look at all deques once more, sleep. Who pushes a task does so with a
 * light store (fence.h) and then looks for sleepers, so no task is left behind while all sleep. A worker counts itself idle after its
 * announcement, and back (n_wakes last) before it takes anything: whoever sees all workers idle, empty deques, and the same n_wakes before
 * and after, knows that nothing ran in between (wait.c).
 *
 * Spinning: a few idle workers spin for a while before they sleep, once after each task. While one does, who pushes a placed task or has seen
 * something pending wakes nobody (pl_push_spared in plain.h, pl_poll_remind): the spinner finds it. He pushes, has a fence, and then looks at
 * n_spinning. If he saw it raised, the spinner lowers it later, and looks again after that: before it sleeps, as above, or when it has found a
 * task to run, and then wakes another for what is left, who does the same (pass_on). If he saw it lowered he wakes somebody himself.
 *
 * Blocking: a body that waits on its thread lowers n_active and brings in a spare, so n_workers threads go on taking tasks. When it comes back
 * there is one too many; the next thread that finds n_active > n_workers between two tasks retires until it is needed again. */
#include "base/break.h"
#include "base/clock.h"
#include "base/error.h"
#include "sched/replay.h"
#include "task/failure.h"

#include <errno.h>
#include <parla/log.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLL_EVERY_NS = 20000, POLL_IDLE_NS = 50000, POLL_SPIN_NS = 5000, SPIN_CHECKS = 32, OLD_EVERY = 61 };

static pl_task *steal_from(pl_worker *victim)
{
    bool lost;
    pl_task *task;
    do
        task = pl_deque_steal(&victim->deque, &lost);
    while (lost);
    return task;
}

static uint32_t next_random(pl_worker *self)
{
    self->seed ^= self->seed << 13;
    self->seed ^= self->seed >> 17;
    self->seed ^= self->seed << 5;
    return self->seed;
}

/* From one of workers[begin … end), beginning anywhere. */
static pl_task *steal_among(parla_runtime *rt, pl_worker *self, int begin, int end)
{
    uint32_t n = (uint32_t)(end - begin), first = n > 1 ? next_random(self) % n : 0;
    for (uint32_t i = 0; i < n; i++) {
        pl_worker *victim = rt->workers[(uint32_t)begin + (first + i) % n];
        pl_task *task = victim == self ? NULL : steal_from(victim);
        if (task)
            return task;
    }
    return NULL;
}

/* Ring by ring, nearest first; beginning anywhere in each. */
static pl_task *steal_nearest(parla_runtime *rt, pl_worker *self)
{
    int begin = 0;
    for (int distance = 0; distance <= PL_MAX_DISTANCE; distance++) {
        uint32_t n = (uint32_t)(self->victims_end[distance] - begin), first = n > 1 ? next_random(self) % n : 0;
        for (uint32_t i = 0; i < n; i++) {
            pl_task *task = steal_from(rt->workers[self->victims[(uint32_t)begin + (first + i) % n]]);
            if (task)
                return task;
        }
        begin = self->victims_end[distance];
    }
    return NULL;
}

static pl_task *search(parla_runtime *rt, pl_worker *self)
{
    int n = pl_load_acquire(&rt->n_threads);
    pl_task *found = NULL;
    if (self->victims && n >= rt->n_workers) {
        found = steal_nearest(rt, self);
        if (!found)
            found = steal_among(rt, self, rt->n_workers, n); /* the spares */
    } else {
        found = steal_among(rt, self, 0, n);
    }
    if (found)
        return found;
    for (pl_worker *guest = pl_load_acquire(&rt->guests); guest; guest = guest->next_guest) {
        pl_task *task = steal_from(guest);
        if (task) {
            self->spawning_guest = guest;
            return task;
        }
    }
    return NULL;
}

/* A thread of the application that spawns has more where the last one came from. */
static inline pl_task *steal(parla_runtime *rt, pl_worker *self)
{
    if (self->spawning_guest) {
        pl_task *task = steal_from(self->spawning_guest);
        if (task)
            return task;
        self->spawning_guest = NULL;
    }
    return search(rt, self);
}

pl_task *pl_guest_take(parla_runtime *rt, pl_worker *self)
{
    pl_task *own = steal_from(self);
    return own ? own : steal(rt, self);
}

bool pl_has_work(parla_runtime *rt)
{
    int n = pl_load_acquire(&rt->n_threads);
    for (int i = 0; i < n; i++)
        if (!pl_deque_looks_empty(&rt->workers[i]->deque))
            return true;
    for (pl_worker *guest = pl_load_seq(&rt->guests); guest; guest = guest->next_guest)
        if (!pl_deque_looks_empty(&guest->deque))
            return true;
    return false;
}

/* From a queue where tasks may have waited for long, oldest first: the own one, that of a guest, those of the other workers, in turn. */
static PL_COLD pl_task *find_old_task(parla_runtime *rt, pl_worker *self)
{
    self->until_old = OLD_EVERY;
    switch (self->old_turn++ % 3) {
    case 0:
        return steal_from(self);
    case 1:
        self->old_guest = self->old_guest ? self->old_guest->next_guest : NULL;
        if (!self->old_guest)
            self->old_guest = pl_load_acquire(&rt->guests);
        return self->old_guest ? steal_from(self->old_guest) : NULL;
    default:
        return steal_among(rt, self, 0, pl_load_acquire(&rt->n_threads));
    }
}

static pl_task *find_task(parla_runtime *rt, pl_worker *self)
{
    pl_task *task = self->next;
    if (task) {
        self->next = NULL;
        self->chain++;
        return task;
    }
    self->chain = 0;
    if (pl_unlikely(--self->until_old <= 0) && (task = find_old_task(rt, self)) != NULL)
        return task;
    task = pl_deque_pop(&self->deque);
    return task ? task : steal(rt, self);
}

/* Somebody asked for the progress functions since they were last called. */
static bool is_kicked(parla_runtime *rt)
{
    return pl_load_seq(&rt->polls_pending) && pl_load_relaxed(&rt->n_polls) > 0 && !pl_is_broken(PL_BREAK_KICK);
}

static bool begin_to_spin(parla_runtime *rt, const pl_worker *self)
{
    if (rt->spin_ns == 0 || self->is_tired)
        return false;
    int n = pl_load_relaxed(&rt->n_spinning);
    while (n < rt->max_spinning)
        if (pl_cas_weak_seq(&rt->n_spinning, &n, n + 1))
            return true;
    return false;
}

/* Returns true once there is something to look for. */
static bool spin_until(parla_runtime *rt, pl_worker *self, uint64_t end_ns)
{
    uint64_t now = pl_now_ns();
    while (now < end_ns) {
        for (int i = 0; i < SPIN_CHECKS; i++)
            pl_cpu_relax();
        if (pl_has_work(rt) || pl_load_relaxed(&rt->is_over))
            return true;
        now = pl_now_ns();
        if ((self->saw_pending || is_kicked(rt)) && now - self->polled_ns >= POLL_SPIN_NS) {
            self->saw_pending = pl_poll_all(rt);
            self->polled_ns = now = pl_now_ns();
            if (self->next)
                return true;
        }
    }
    return false;
}

static bool spin(parla_runtime *rt, pl_worker *self)
{
    if (!begin_to_spin(rt, self))
        return false;
    bool is_found = spin_until(rt, self, pl_now_ns() + rt->spin_ns);
    pl_sub_seq(&rt->n_spinning, 1);
    self->is_tired = !is_found;
    return is_found;
}

/* It has found something. Who pushed while it spun, or asked for the progress functions, may have left more to it, or to who woke it. */
static PL_COLD void pass_on(parla_runtime *rt, pl_worker *self)
{
    self->was_idle = self->is_tired = false;
    if (!pl_is_broken(PL_BREAK_SPINNER) && pl_load_seq(&rt->n_spinning) == 0 && (pl_has_work(rt) || is_kicked(rt)))
        pl_park_wake_one(&rt->park);
}

/* At a task boundary, not more often than every POLL_EVERY_NS. */
static void poll_sometimes(parla_runtime *rt, pl_worker *self)
{
    if (pl_likely(pl_load_relaxed(&rt->n_polls) == 0))
        return;
    uint64_t now = pl_now_ns();
    if (now - self->polled_ns < POLL_EVERY_NS)
        return;
    pl_rest(rt, self);
    self->saw_pending = pl_poll_all(rt);
    self->polled_ns = pl_now_ns();
}

static void become_idle(parla_runtime *rt)
{
    int idle = pl_add_seq(&rt->n_idle, 1) + 1;
    if (idle >= pl_load_seq(&rt->n_active) && pl_load_seq(&rt->n_rest_waiters) > 0)
        pl_notify_rest(rt);
}

static void stop_being_idle(parla_runtime *rt)
{
    if (pl_is_broken(PL_BREAK_WAKE_FIRST)) {
        pl_add_seq(&rt->n_wakes, 1);
        sched_yield(); /* so that the broken rule shows */
    }
    pl_sub_seq(&rt->n_idle, 1);
    if (!pl_is_broken(PL_BREAK_WAKE_FIRST))
        pl_add_seq(&rt->n_wakes, 1);
}

/* One idle worker at a time watches what is pending, the others sleep until they are woken. */
static bool begin_to_watch(parla_runtime *rt)
{
    return pl_is_broken(PL_BREAK_WATCHERS) || (!pl_load_seq(&rt->is_watched) && !pl_exchange_seq(&rt->is_watched, true));
}

/* It goes to work, perhaps for long: somebody else is to watch. */
static void hand_over_watch(parla_runtime *rt, pl_worker *self)
{
    self->saw_pending = false;
    if (!pl_is_broken(PL_BREAK_HAND_OVER))
        pl_poll_remind(rt);
}

static void sleep_traced(parla_runtime *rt, uint64_t key, uint64_t deadline_ns)
{
    uint64_t t0 = pl_trace_is_on(rt->trace) ? pl_now_ns() : 0;
    (void)!pl_park_commit(&rt->park, key, deadline_ns); /* however it ends, the worker looks for work again */
    if (t0)
        pl_trace_span(rt->trace, PL_TRACE_IDLE, "idle", t0, pl_now_ns(), 0, -1, 0);
}

static void sleep_or_watch(parla_runtime *rt, const pl_worker *self, uint64_t key)
{
    bool is_watching = self->saw_pending && begin_to_watch(rt);
    sleep_traced(rt, key, is_watching ? pl_now_ns() + POLL_IDLE_NS : 0);
    if (is_watching)
        pl_store_seq(&rt->is_watched, false);
}

static void sleep_until_work(parla_runtime *rt, pl_worker *self)
{
    pl_rest(rt, self);
    self->was_idle = true;
    self->saw_pending = pl_load_relaxed(&rt->n_polls) > 0 && pl_poll_all(rt);
    self->polled_ns = pl_now_ns();
    if (self->next || spin(rt, self))
        return;
    /* Seen by whoever counts ended tasks after seeing this thread idle. */
    pl_store_seq(&self->n_ended_shared, pl_load_relaxed(&self->n_ended_shared));
    uint64_t key = pl_park_prepare(&rt->park);
    become_idle(rt);
    pl_fence_heavy(); /* who pushes sees this thread announced, or is seen to have pushed */
    if (pl_has_work(rt) || is_kicked(rt) || pl_load_seq(&rt->is_over) || pl_load_seq(&rt->n_active) > rt->n_workers)
        pl_park_cancel(&rt->park, key);
    else
        sleep_or_watch(rt, self, key);
    stop_being_idle(rt);
}

/* A thread too many steps back until it is recalled. Not with a successor in hand, which nobody else would find. */
static void retire_if_surplus(parla_runtime *rt, pl_worker *self)
{
    if (pl_likely(pl_load_seq(&rt->n_active) <= rt->n_workers) || (self->next && !pl_is_broken(PL_BREAK_RETIRE)))
        return;
    pl_rest(rt, self);
    pthread_mutex_lock(&rt->spare_lock);
    if (pl_load_relaxed(&rt->n_active) > rt->n_workers && !pl_load_relaxed(&rt->is_over)) {
        pl_sub_seq(&rt->n_active, 1);
        rt->n_retired++;
        if (self->saw_pending)
            hand_over_watch(rt, self);
        if (pl_has_work(rt) || is_kicked(rt))
            pl_park_wake_one(&rt->park); /* it may have swallowed the wake-up for it */
        if (pl_load_seq(&rt->n_rest_waiters) > 0)
            pl_notify_rest(rt);
        while (rt->n_recall == 0 && !pl_load_relaxed(&rt->is_over))
            pthread_cond_wait(&rt->spare_needed, &rt->spare_lock);
        rt->n_retired--;
        if (rt->n_recall > 0)
            rt->n_recall--; /* n_active was raised by who recalled */
    }
    pthread_mutex_unlock(&rt->spare_lock);
}

/* A worker is one of one runtime for all its life, and the guest of others; see also pl_as_last. */
PL_HOT_THREAD_LOCAL pl_role pl_as_last;
static PL_HOT_THREAD_LOCAL pl_role as_worker, as_guest;

static void *worker_main(void *arg)
{
    pl_worker *self = arg;
    parla_runtime *rt = self->rt;
    char name[16];
    snprintf(name, sizeof name, "parla %d", self->index);
    pthread_setname_np(pthread_self(), name);
    as_worker = pl_as_last = (pl_role){rt->id, self};
    snprintf(name, sizeof name, "worker %d", self->index);
    pl_trace_row_name(rt->trace, name);
    if (rt->has_runner && rt->runner.thread_begin)
        rt->runner.thread_begin(rt->runner.ctx);
    while (!pl_load_relaxed(&rt->is_over)) {
        retire_if_surplus(rt, self);
        pl_task *task = find_task(rt, self);
        if (task) {
            if (pl_unlikely(self->was_idle))
                pass_on(rt, self);
            if (pl_unlikely(self->is_unrested) && !pl_goes_on(task))
                pl_rest(rt, self);
            if (pl_unlikely(self->saw_pending))
                hand_over_watch(rt, self);
            pl_run(rt, self, task);
            poll_sometimes(rt, self);
        } else {
            sleep_until_work(rt, self);
        }
    }
    pl_rest(rt, self);
    if (rt->has_runner && rt->runner.thread_end)
        rt->runner.thread_end(rt->runner.ctx);
    return NULL;
}

/* --- Start and stop ------------------------------------------------------------------------------------------------------------ */

static pl_worker *worker_create(parla_runtime *rt, int index)
{
    pl_worker *self = aligned_alloc(PL_CACHE_LINE, (sizeof *self + PL_CACHE_LINE - 1) & ~(size_t)(PL_CACHE_LINE - 1));
    if (!self)
        return NULL;
    memset(self, 0, sizeof *self);
    if (pl_deque_init(&self->deque)) {
        free(self);
        return NULL;
    }
    self->rt = rt;
    self->index = index;
    self->may_chain = index >= 0;
    self->seed = 0x9e3779b9u * (uint32_t)(index + 2) | 1;
    return self;
}

static void worker_destroy(pl_worker *self)
{
    free(self->victims);
    pl_capture_free(self->capture);
    pl_deque_fini(&self->deque);
    free(self);
}

/* Gives a worker on a core its order of victims, unless all are as near. */
static int set_victims(parla_runtime *rt, pl_worker *self)
{
    if (!rt->is_bound || self->index >= rt->n_workers || rt->n_workers < 3 || self->victims)
        return 0;
    uint16_t *victims = calloc((size_t)rt->n_workers, sizeof *victims);
    if (!victims)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a worker");
    pl_topology_steal_order(&rt->topology, self->index, rt->n_workers, victims, self->victims_end);
    self->victims = victims;
    return 0;
}

/* A worker goes to its core, a spare may stand in for any of them; without a binding both go where the thread that starts them is. */
static int set_affinity(const parla_runtime *rt, const pl_worker *self, pthread_attr_t *attributes)
{
    const pl_topology *topology = &rt->topology;
    if (!rt->is_bound || !topology->is_this_machine || !topology->mask)
        return 0;
    if (self->index >= rt->n_workers)
        return pthread_attr_setaffinity_np(attributes, topology->mask_bytes, topology->mask);
    cpu_set_t *one = CPU_ALLOC(8 * topology->mask_bytes);
    if (!one)
        return ENOMEM;
    CPU_ZERO_S(topology->mask_bytes, one);
    CPU_SET_S((size_t)topology->cores[self->index % topology->n_cores].os_index, topology->mask_bytes, one);
    int error = pthread_attr_setaffinity_np(attributes, topology->mask_bytes, one);
    CPU_FREE(one);
    return error;
}

/* Binding is for speed: a system that refuses it gets a thread without. */
static int create_thread(parla_runtime *rt, pl_worker *self)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    int bind_error = set_affinity(rt, self, &attributes);
    error = pthread_create(&self->thread, bind_error ? NULL : &attributes, worker_main, self);
    if (error == EINVAL && !bind_error) {
        bind_error = error;
        error = pthread_create(&self->thread, NULL, worker_main, self);
    }
    if (bind_error)
        parla_log(PARLA_LOG_INFO, "worker %d is not bound to a core: %s", self->index, strerror(bind_error));
    pthread_attr_destroy(&attributes);
    return error;
}

/* Starts one more thread; it counts as active from before it runs. Called with the spare lock held, or before any thread exists. */
static int start_thread(parla_runtime *rt)
{
    int i = pl_load_relaxed(&rt->n_threads);
    pl_worker *self = rt->workers[i] ? rt->workers[i] : worker_create(rt, i); /* left by a start that failed */
    if (!self)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a worker");
    rt->workers[i] = self;
    int rc = set_victims(rt, self);
    if (rc < 0)
        return rc;
    /* Signals are for the application's own threads: a wait there must notice them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pl_add_seq(&rt->n_active, 1);
    pl_store_release(&rt->n_threads, i + 1);
    int error = create_thread(rt, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        pl_store_release(&rt->n_threads, i);
        pl_sub_seq(&rt->n_active, 1);
        return pl_error_set(PARLA_E_SYSTEM, "cannot start worker thread %d: %s", i, strerror(error));
    }
    return 0;
}

int pl_workers_start(parla_runtime *rt)
{
    rt->workers = calloc((size_t)rt->n_workers + PL_MAX_SPARES, sizeof *rt->workers);
    if (!rt->workers)
        return pl_error_set(PARLA_E_NOMEM, "no memory for %d workers", rt->n_workers);
    for (int i = 0; i < rt->n_workers; i++) {
        int error = start_thread(rt);
        if (error)
            return error;
    }
    return 0;
}

void pl_workers_stop(parla_runtime *rt)
{
    pl_store_seq(&rt->is_over, true);
    pthread_mutex_lock(&rt->spare_lock);
    pthread_cond_broadcast(&rt->spare_needed);
    pthread_mutex_unlock(&rt->spare_lock);
    pl_park_wake_all(&rt->park);
    int n = pl_load_relaxed(&rt->n_threads);
    for (int i = 0; i < n; i++)
        pthread_join(rt->workers[i]->thread, NULL);
    for (int i = 0; rt->workers && rt->workers[i]; i++)
        worker_destroy(rt->workers[i]);
    free(rt->workers);
    /* A thread that was a guest may end at this moment (pl_guest_leave). */
    pthread_mutex_lock(&rt->guest_lock);
    pl_worker *guests = pl_load_relaxed(&rt->guests);
    pl_store_relaxed(&rt->guests, (pl_worker *)NULL);
    pthread_mutex_unlock(&rt->guest_lock);
    while (guests) {
        pl_worker *next = guests->next_guest;
        worker_destroy(guests);
        guests = next;
    }
}

/* --- Blocking ------------------------------------------------------------------------------------------------------------------ */

/* Another thread for one that blocks. Called with the spare lock held. */
static int replace_locked(parla_runtime *rt)
{
    int error = 0;
    if (rt->n_retired > rt->n_recall) {
        rt->n_recall++;
        pl_add_seq(&rt->n_active, 1);
        pthread_cond_signal(&rt->spare_needed);
    } else if (pl_load_relaxed(&rt->n_threads) < rt->n_workers + PL_MAX_SPARES - 1) {
        error = start_thread(rt);
    } else {
        error = pl_error_set(PARLA_E_RESOURCES,
                             "%d bodies block in parla_task_wait at once: let them suspend (parla_suspend_on, await) instead",
                             PL_MAX_SPARES);
    }
    if (!error)
        pl_sub_seq(&rt->n_active, 1);
    return error;
}

int pl_blocking_begin(parla_runtime *rt, pl_worker *self, pl_blocked *blocked)
{
    pthread_mutex_lock(&rt->spare_lock);
    int error = replace_locked(rt);
    if (!error) {
        blocked->next = rt->blocked;
        rt->blocked = blocked;
    }
    if (!error && self->index < 0) { /* it runs this body while it waits for something, see help.c */
        uint64_t marks = pl_load_relaxed(&self->marks_shared), inside = marks % PL_MARK_BUSY;
        blocked->busy = marks - inside;
        pl_store_seq(&self->marks_shared, inside);
    }
    pthread_mutex_unlock(&rt->spare_lock);
    if (!error && pl_load_seq(&rt->n_rest_waiters) > 0)
        pl_notify_rest(rt);
    return error;
}

/* Active and busy first, then out of the list: whoever looks for stuck tasks sees one or the other. */
void pl_blocking_end(parla_runtime *rt, pl_worker *self, pl_blocked *blocked)
{
    pl_add_seq(&rt->n_active, 1);
    if (self->index < 0)
        pl_store_seq(&self->marks_shared, pl_load_relaxed(&self->marks_shared) + blocked->busy);
    pl_add_seq(&rt->n_wakes, 1);
    pthread_mutex_lock(&rt->spare_lock);
    pl_blocked **at = &rt->blocked;
    while (*at != blocked)
        at = &(*at)->next;
    *at = blocked->next;
    pthread_mutex_unlock(&rt->spare_lock);
    pl_park_wake_one(&rt->park); /* a sleeper may retire */
}

/* --- A guest in the place of a worker ------------------------------------------------------------------------------------------------ */

/* The guest raises n_active before it looks at n_idle; a worker that wakes up lowers n_idle before it looks at n_active, and retires if
 * that is too high. So either the guest sees that all workers are up, and goes without, or the worker sees the guest. */
bool pl_active_has_room(parla_runtime *rt) { return pl_load_seq(&rt->n_active) - pl_load_seq(&rt->n_idle) < rt->n_workers; }

bool pl_active_enter(parla_runtime *rt)
{
    int n_active = pl_add_seq(&rt->n_active, 1) + 1;
    pl_add_seq(&rt->n_wakes, 1); /* wait.c: something may be taken from now on */
    if (n_active - pl_load_seq(&rt->n_idle) <= rt->n_workers)
        return true;
    pl_active_leave(rt);
    return false;
}

void pl_active_leave(parla_runtime *rt)
{
    pthread_mutex_lock(&rt->spare_lock);
    int n_active = pl_sub_seq(&rt->n_active, 1) - 1;
    if (n_active < rt->n_workers && rt->n_retired > rt->n_recall) {
        rt->n_recall++;
        pl_add_seq(&rt->n_active, 1);
        pthread_cond_signal(&rt->spare_needed);
    }
    pthread_mutex_unlock(&rt->spare_lock);
}

/* --- Guests -------------------------------------------------------------------------------------------------------------------- */

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

/* A thread that was a guest of some runtimes ends: others may take its places over. */
static void thread_exits(void *unused)
{
    (void)unused;
    as_guest = pl_as_last = (pl_role){0, NULL}; /* a later destructor of this thread that uses the runtime becomes a guest anew */
    pl_registry_each(pl_guest_leave);
}

static void make_exit_key(void) { pthread_key_create(&exit_key, thread_exits); }

void pl_guest_leave(parla_runtime *rt)
{
    pthread_mutex_lock(&rt->guest_lock);
    for (pl_worker *guest = pl_load_relaxed(&rt->guests); guest; guest = guest->next_guest)
        if (guest->has_thread && pthread_equal(guest->thread, pthread_self()))
            guest->has_thread = false;
    pthread_mutex_unlock(&rt->guest_lock);
    if (pl_load_seq(&rt->n_rest_waiters) > 0)
        pl_notify_rest(rt); /* one thread less that might spawn what they wait for */
}

/* The guest of this thread, one that lost its thread, or a new one. Called with the guest lock held. */
static pl_worker *guest_locked(parla_runtime *rt)
{
    pl_worker *orphan = NULL;
    for (pl_worker *guest = pl_load_relaxed(&rt->guests); guest; guest = guest->next_guest) {
        if (guest->has_thread && pthread_equal(guest->thread, pthread_self()))
            return guest;
        if (!guest->has_thread)
            orphan = guest;
    }
    pl_worker *self = orphan ? orphan : worker_create(rt, -1);
    if (!self)
        return NULL;
    self->has_thread = true;
    self->thread = pthread_self();
    pl_store_relaxed(&self->is_spawner_shared, false);
    self->credit = 0;
    pl_capture_free(self->capture); /* of a thread that ended in the middle of it */
    self->capture = NULL;
    if (!orphan) {
        self->next_guest = pl_load_relaxed(&rt->guests);
        pl_store_seq(&rt->guests, self);
    }
    return self;
}

static PL_COLD pl_worker *self_as_guest(parla_runtime *rt)
{
    pthread_once(&exit_once, make_exit_key);
    pthread_mutex_lock(&rt->guest_lock);
    pl_worker *self = guest_locked(rt);
    pthread_mutex_unlock(&rt->guest_lock);
    if (!self) {
        pl_error_set(PARLA_E_NOMEM, "no memory for this thread's queue");
        return NULL;
    }
    pthread_setspecific(exit_key, self);
    as_guest = (pl_role){rt->id, self};
    return self;
}

PL_COLD pl_worker *pl_self_looked_up(parla_runtime *rt)
{
    pl_worker *self = as_worker.rt_id == rt->id ? as_worker.worker : as_guest.rt_id == rt->id ? as_guest.worker : self_as_guest(rt);
    if (self)
        pl_as_last = (pl_role){rt->id, self};
    return self;
}

bool pl_pin(parla_runtime *rt, pl_worker *self, parla_task handle)
{
    pl_task *task = pl_task_of(handle);
    if (!pl_task_pin(handle))
        return false;
    if (pl_likely(pl_head_generation(pl_load_acquire(&task->head_shared)) == (uint32_t)handle.generation))
        return true;
    pl_unpin(rt, self, task);
    return false;
}

/* Nobody can spawn this name any more, so who waits for it is told. */
static PL_COLD void drop_name(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_task_revive(task);
    (void)pl_cancel(rt, self, task, "the task was dropped before it was spawned");
    pl_unpin(rt, self, task);
}

void pl_unpin(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    if (!pl_task_unref(task))
        return;
    if (pl_unlikely(pl_task_state(task) == PARLA_TASK_CREATED)) {
        drop_name(rt, self, task);
        return;
    }
    pl_placed *placed = pl_task_recycle(&rt->slabs, &self->cache, task);
    if (pl_unlikely(placed != NULL))
        pl_place_free(placed);
}
