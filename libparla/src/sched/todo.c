/* todo.c - what was decided under rt->place.lock, done without it.
 *
 * Doing one thing can lead to the next: a task that is ended here lets others go, whose arrays are moved, on this very thread if
 * both ends are on the host. Each of these calls decides under the lock and comes here again. The innermost call only adds to the
 * list of the outermost one on its thread, so the stack stays flat however long the chain is.
 *
 * A thread that does a list counts as busy (n_busy), so that the runtime's end waits for it. */
#include "sched/ahead.h"
#include "sched/launch.h"

#include <sched.h>

/* The list that this thread does now. */
typedef struct doing {
    parla_runtime *rt;
    pl_todo *todo;
} doing;

static _Thread_local doing current;

void pl_place_busy_begin(pl_place *place)
{
    pthread_mutex_lock(&place->lock);
    place->n_busy++;
    pthread_mutex_unlock(&place->lock);
}

static void busy_end_locked(pl_place *place)
{
    if (--place->n_busy == 0)
        pthread_cond_broadcast(&place->calm);
}

void pl_place_busy_end(pl_place *place)
{
    pthread_mutex_lock(&place->lock);
    busy_end_locked(place);
    pthread_mutex_unlock(&place->lock);
}

pl_worker *pl_place_self(parla_runtime *rt)
{
    pl_worker *self;
    while (!(self = pl_self(rt)))
        sched_yield(); /* a callback that is lost would hang its task; memory for one small record comes back */
    return self;
}

static bool is_empty(const pl_todo *todo)
{
    return !todo->moves && !todo->launch && !todo->fail && !todo->drop && !todo->unpin && !todo->leads && !todo->flights;
}

static void append_placed(pl_placed **list, pl_placed *more)
{
    while (*list)
        list = &(*list)->link;
    *list = more;
}

static void append(pl_todo *todo, pl_todo *more)
{
    pl_move **moves = &todo->moves;
    while (*moves)
        moves = &(*moves)->next;
    *moves = more->moves;
    append_placed(&todo->launch, more->launch);
    append_placed(&todo->fail, more->fail);
    append_placed(&todo->drop, more->drop);
    pl_placed **unpin = &todo->unpin;
    while (*unpin)
        unpin = &(*unpin)->unpin_link;
    *unpin = more->unpin;
    pl_lead **leads = &todo->leads;
    while (*leads)
        leads = &(*leads)->next;
    *leads = more->leads;
    pl_flight **flights = &todo->flights;
    while (*flights)
        flights = &(*flights)->sibling;
    *flights = more->flights;
}

static pl_placed *take(pl_placed **list)
{
    pl_placed *placed = *list;
    *list = placed->link;
    placed->link = NULL;
    return placed;
}

/* One thing; launches first, for they keep devices busy. */
static void do_one(parla_runtime *rt, pl_worker *self, pl_todo *todo)
{
    if (todo->launch) {
        pl_hand_over(rt, self, take(&todo->launch));
    } else if (todo->moves) {
        pl_move *move = todo->moves;
        todo->moves = move->next;
        pl_move_start(move);
    } else if (todo->leads) {
        pl_lead *lead = todo->leads;
        todo->leads = lead->next;
        pl_ahead_tell(rt, self, lead);
    } else if (todo->flights) {
        pl_flight *flight = todo->flights;
        todo->flights = flight->sibling;
        pl_flight_unref(flight);
    } else if (todo->fail) {
        pl_give_up(rt, self, take(&todo->fail));
    } else if (todo->drop) {
        pl_drop_life(rt, self, take(&todo->drop)->task);
    } else {
        pl_placed *placed = todo->unpin;
        todo->unpin = placed->unpin_link;
        pl_unpin(rt, self, placed->task);
    }
}

void pl_place_unlock_and_do(parla_runtime *rt, pl_worker *self, pl_todo *todo)
{
    if (is_empty(todo)) {
        pl_place_unlock(rt);
        return;
    }
    if (current.rt == rt) {
        pl_place_unlock(rt);
        append(current.todo, todo);
        return;
    }
    /* A worker is not idle meanwhile; of any other thread, waiting ones must know that it is about to set something off
     * (wait.c). */
    bool is_guest = self->index < 0;
    if (is_guest)
        pl_outside_add(rt);
    rt->place.n_busy++;
    pl_place_unlock(rt);
    doing outer = current;
    current = (doing){rt, todo};
    while (!is_empty(todo))
        do_one(rt, self, todo);
    current = outer;
    if (is_guest)
        pl_outside_done(rt);
    pl_place_busy_end(&rt->place);
}
