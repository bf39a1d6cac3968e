/* sim_clock.c - a discrete-event clock whose events are turns of threads.
 *
 * Each queue of a simulated device is an actor. An actor has work (its ring is not empty: due now), sleeps (in a copy or a modelled kernel:
 * due when that ends), or awaits an event of another queue (due now, once that has passed). One actor at a time has the turn: it computes,
 * which takes no modelled time, until it has nothing to do, sleeps or awaits. Then the turn is free, and the clock may go on:
 *
 *   look: turn free, somebody due, and everybody at rest -> the time becomes that of the actor that is due first; it has the turn
 *
 * "At rest" is what the scheduler says through is_at_rest: no worker has a task, no thread is inside a call, and every thread that spawns
 * tasks waits. So what an actor sets off, on whatever thread, is over before the next one moves, and at no time do two of them run. Among
 * actors that are due at the same time the one that was opened first goes first. Hence a program whose own threads are deterministic sees the
 * same times to the nanosecond in each run, however the machine is loaded.
 *
 * No moment is missed: whoever frees the turn looks after it, whoever may have brought about rest looks after that, and each sees what the
 * other did before, since the turn is guarded by the lock and rest is read with full fences (wait.c). The answer is asked for without the
 * lock, since it takes others, and counts only if nothing has changed meanwhile (n_changes).
 *
 * Rejected: a loop that calls everything on one thread. A body could then not sleep in the middle, and its end would have to be put off
 * behind its return; with a thread for each queue modelled and real time share all code but the sleep. */
#include "device/sim_clock.h"

#include "base/atomic.h"
#include "base/break.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/error.h"

#include <stdlib.h>

struct pl_sim_clock {
    uint64_t origin_ns; /* constant */
    _Atomic uint64_t now_ns;

    pthread_mutex_t lock; /* guards what follows, writes of now_ns, and the actors */
    bool (*is_at_rest)(void *ctx);
    void *ctx;
    pl_sim_actor *first, **last;
    pl_sim_actor *turn;
    uint64_t n_changes;
    int n_forcing;
};

int pl_sim_clock_create(pl_sim_clock **out)
{
    pl_sim_clock *clock = calloc(1, sizeof *clock);
    if (!clock)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a clock of modelled time");
    clock->origin_ns = pl_now_ns();
    atomic_init(&clock->now_ns, clock->origin_ns);
    pthread_mutex_init(&clock->lock, NULL);
    clock->last = &clock->first;
    *out = clock;
    return 0;
}

void pl_sim_clock_destroy(pl_sim_clock *clock)
{
    if (!clock)
        return;
    PL_ASSERT(!clock->first);
    pthread_mutex_destroy(&clock->lock);
    free(clock);
}

void pl_sim_clock_on_rest(pl_sim_clock *clock, bool (*is_at_rest)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&clock->lock); /* queues that were opened before look for work already */
    clock->is_at_rest = is_at_rest;
    clock->ctx = ctx;
    pthread_mutex_unlock(&clock->lock);
}

uint64_t pl_sim_clock_now_ns(const pl_sim_clock *clock) { return pl_load_acquire(&((pl_sim_clock *)clock)->now_ns); }
uint64_t pl_sim_clock_origin_ns(const pl_sim_clock *clock) { return clock->origin_ns; }

/* --- Going on ----------------------------------------------------------------------------------------------------------------- */

/* When an actor is due; UINT64_MAX: nothing will ever be, as things are. */
static uint64_t due_ns(const pl_sim_clock *clock, const pl_sim_actor *actor)
{
    bool is_due_now = actor->awaits ? pl_sim_event_query(actor->awaits) != PARLA_PENDING : actor->has_work;
    return actor->is_asleep ? actor->wake_ns : is_due_now ? pl_load_relaxed(&clock->now_ns) : UINT64_MAX;
}

static pl_sim_actor *first_due(const pl_sim_clock *clock, uint64_t *out_ns)
{
    pl_sim_actor *first = NULL;
    *out_ns = UINT64_MAX;
    for (pl_sim_actor *actor = clock->first; actor; actor = actor->next) {
        uint64_t ns = due_ns(clock, actor);
        if (ns < *out_ns || (pl_is_broken(PL_BREAK_CLOCK_DUE) && ns < UINT64_MAX)) {
            *out_ns = ns;
            first = actor;
        }
    }
    return first;
}

static void give_turn(pl_sim_clock *clock, pl_sim_actor *actor, uint64_t ns)
{
    pl_store_release(&clock->now_ns, ns);
    actor->is_asleep = false;
    actor->awaits = NULL;
    clock->turn = actor;
    clock->n_changes++;
    pthread_cond_signal(&actor->turn);
}

/* Asks without the lock. False also if the question was overtaken and is to be asked again. */
static bool rests(pl_sim_clock *clock, bool *out_again)
{
    *out_again = false;
    if (!clock->is_at_rest || clock->n_forcing > 0 || pl_is_broken(PL_BREAK_CLOCK))
        return true;
    uint64_t n_changes = clock->n_changes;
    bool (*is_at_rest)(void *ctx) = clock->is_at_rest;
    void *ctx = clock->ctx;
    pthread_mutex_unlock(&clock->lock);
    bool answer = is_at_rest(ctx);
    pthread_mutex_lock(&clock->lock);
    *out_again = clock->n_changes != n_changes;
    return answer && !*out_again;
}

static void look_locked(pl_sim_clock *clock)
{
    uint64_t ns;
    bool again = true;
    while (again && !clock->turn && first_due(clock, &ns))
        if (rests(clock, &again)) {
            pl_sim_actor *actor = first_due(clock, &ns);
            give_turn(clock, actor, ns);
        }
}

void pl_sim_clock_look(pl_sim_clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    look_locked(clock);
    pthread_mutex_unlock(&clock->lock);
}

bool pl_sim_clock_stands(pl_sim_clock *clock)
{
    uint64_t ns;
    pthread_mutex_lock(&clock->lock);
    bool stands = !clock->turn && first_due(clock, &ns);
    pthread_mutex_unlock(&clock->lock);
    return stands;
}

void pl_sim_clock_force(pl_sim_clock *clock)
{
    if (!clock)
        return;
    pthread_mutex_lock(&clock->lock);
    clock->n_forcing++;
    clock->n_changes++;
    look_locked(clock);
    pthread_mutex_unlock(&clock->lock);
}

void pl_sim_clock_unforce(pl_sim_clock *clock)
{
    if (!clock)
        return;
    pthread_mutex_lock(&clock->lock);
    clock->n_forcing--;
    pthread_mutex_unlock(&clock->lock);
}

/* --- Actors ------------------------------------------------------------------------------------------------------------------- */

void pl_sim_actor_enter(pl_sim_actor *actor, pl_sim_clock *clock)
{
    *actor = (pl_sim_actor){.clock = clock};
    pthread_cond_init(&actor->turn, NULL);
    pthread_mutex_lock(&clock->lock);
    *clock->last = actor;
    clock->last = &actor->next;
    pthread_mutex_unlock(&clock->lock);
}

void pl_sim_actor_leave(pl_sim_actor *actor)
{
    pl_sim_clock *clock = actor->clock;
    pthread_mutex_lock(&clock->lock);
    pl_sim_actor **at = &clock->first;
    while (*at != actor)
        at = &(*at)->next;
    *at = actor->next;
    if (!actor->next)
        clock->last = at;
    if (clock->turn == actor)
        clock->turn = NULL;
    clock->n_changes++;
    look_locked(clock);
    pthread_mutex_unlock(&clock->lock);
    pthread_cond_destroy(&actor->turn);
}

/* Work that comes from outside, when nobody asks who rests or somebody forces the clock, is begun at once: nobody else would look. */
void pl_sim_actor_set_work(pl_sim_actor *actor, bool has_work)
{
    pl_sim_clock *clock = actor->clock;
    pthread_mutex_lock(&clock->lock);
    actor->has_work = has_work;
    clock->n_changes++;
    if (!clock->is_at_rest || clock->n_forcing > 0)
        look_locked(clock);
    pthread_mutex_unlock(&clock->lock);
}

static void free_turn_and_wait(pl_sim_actor *actor)
{
    pl_sim_clock *clock = actor->clock;
    if (clock->turn == actor)
        clock->turn = NULL;
    clock->n_changes++;
    look_locked(clock);
    while (clock->turn != actor)
        pthread_cond_wait(&actor->turn, &clock->lock);
}

void pl_sim_actor_next(pl_sim_actor *actor)
{
    pthread_mutex_lock(&actor->clock->lock);
    free_turn_and_wait(actor);
    pthread_mutex_unlock(&actor->clock->lock);
}

void pl_sim_actor_sleep(pl_sim_actor *actor, uint64_t duration_ns)
{
    pl_sim_clock *clock = actor->clock;
    pthread_mutex_lock(&clock->lock);
    actor->is_asleep = true;
    actor->wake_ns = pl_load_relaxed(&clock->now_ns) + duration_ns;
    free_turn_and_wait(actor);
    pthread_mutex_unlock(&clock->lock);
}

void pl_sim_actor_await(pl_sim_actor *actor, pl_sim_event *event)
{
    pthread_mutex_lock(&actor->clock->lock);
    actor->awaits = event;
    free_turn_and_wait(actor);
    pthread_mutex_unlock(&actor->clock->lock);
}
