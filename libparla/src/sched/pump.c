/* pump.c - from a queued task to a launched one.
 *
 * Whenever something may have become free, the pump walks over the queued tasks, in order, and places those that fit. A task that
 * does not fit lets later ones pass (backfill). Each time one of them takes resources of a device that the first could have used
 * counts; after MAX_PASSED times, the devices that it could use are kept: closed to all behind it until it fits. So tasks that are large,
 * gangs above all, cannot starve.
 *
 * Keeping must not turn into a deadlock: who has a kept device may wait for a task that needs it. So a device is kept only while somebody
 * who has it can go on by himself (is_stalled), and for a gang only while that is so of all devices that it could use: it would wait for
 * the one, and whom that one's holder waits for for another. Where nobody can, one task passes at a time, the first of the queue. So a
 * stream of bodies that block, each of which lets the next one pass before it ends, does keep a large task waiting; those that suspend do
 * not. */
#include "base/break.h"
#include "base/error.h"
#include "base/text.h"
#include "sched/ahead.h"
#include "sched/aim.h"
#include "sched/plain.h"
#include "sched/ready.h"
#include "task/failure.h"

enum { MAX_PASSED = 64 };

bool pl_enqueue(parla_runtime *rt, pl_placed *placed)
{
    if (!placed->is_resumed && !pl_task_move(placed->task, PARLA_TASK_WAITING, PARLA_TASK_READY))
        return false;
    placed->stage = PL_STAGE_QUEUED;
    placed->n_passed = 0;
    pl_ready_push(&rt->place, placed);
    pl_aim(rt, placed);
    return true;
}

static void append(pl_placed **list, pl_placed *placed)
{
    while (*list)
        list = &(*list)->link;
    placed->link = NULL;
    *list = placed;
}

static pl_site *turn_site(parla_runtime *rt, const pl_placed *placed)
{
    return placed->is_transfer ? NULL : &rt->place.sites[placed->devices[0]];
}

static int next_queue(pl_site *site, pl_placed *placed)
{
    int i_queue = pl_ahead_queue(placed);
    return i_queue >= 0 ? i_queue : site->next_queue++ % site->store.device->n_queues;
}

static void take_turn(parla_runtime *rt, pl_placed *placed)
{
    pl_site *site = turn_site(rt, placed);
    placed->i_queue = -1;
    if (!site)
        return;
    site->n_handed++;
    if (site->store.device->n_queues > 0)
        placed->i_queue = next_queue(site, placed);
}

void pl_give_turn(parla_runtime *rt, const pl_placed *placed)
{
    pl_site *site = turn_site(rt, placed);
    if (site)
        site->n_handed--;
}

/* --- Launch ------------------------------------------------------------------------------------------------------------------- */

void pl_launch(parla_runtime *rt, pl_placed *placed, pl_todo *todo)
{
    if (placed->failure) {
        pl_give_turn(rt, placed);
        placed->stage = PL_STAGE_FAILING;
        append(&todo->fail, placed);
        return;
    }
    if (!pl_is_broken(PL_BREAK_SETTLE) && !pl_is_settled(placed))
        return;
    pl_begin_uses(rt, placed);
    placed->stage = PL_STAGE_HANDED;
    append(&todo->launch, placed);
}

/* As a body that failed: what it followed may still fail, and is then the cause. */
static void end_after_leads(parla_runtime *rt, pl_worker *self, pl_task *task, pl_extra *extra, parla_failure *failure)
{
    parla_failure *none = NULL;
    if (!pl_cas_acq_rel(&extra->failure_shared, &none, failure))
        parla_failure_unref(failure);
    pl_task_move(task, PARLA_TASK_RESERVED, PARLA_TASK_LAUNCHED);
    pl_drop_hold(rt, self, task, extra, 1);
}

void pl_give_up(parla_runtime *rt, pl_worker *self, pl_placed *placed)
{
    pl_task *task = placed->task;
    pl_extra *extra = pl_task_extra_or_null(task);
    parla_failure *failure = placed->failure;
    placed->failure = NULL;
    if (pl_load_acquire(&extra->holds_shared) > 0) {
        end_after_leads(rt, self, task, extra, failure);
        return;
    }
    pl_end(rt, self, task, PARLA_TASK_FAILED, failure, false);
    pl_drop_life(rt, self, task);
}

/* A queue's thread has a row of its own in traces. */
static void name_row(parla_runtime *rt, const pl_placed *placed)
{
    static _Thread_local bool is_named;
    char name[128];
    if (is_named)
        return;
    is_named = true;
    pl_text_format(name, sizeof name, "%s queue %d", rt->place.devices.list[placed->devices[0]].name, placed->i_queue);
    pl_trace_row_name(rt->trace, name);
}

static void run_on_queue(void *arg)
{
    pl_placed *placed = arg;
    parla_runtime *rt = placed->rt;
    pl_worker *self = pl_place_self(rt);
    name_row(rt, placed);
    if (pl_run_begin(rt, self, placed->task))
        pl_run_body(rt, self, placed->task, true);
    pl_outside_done(rt);
    pl_place_busy_end(&rt->place);
}

static void queue_refused(parla_runtime *rt, pl_worker *self, pl_placed *placed, int code)
{
    placed->failure =
        pl_failure_create(code, placed->task->name, NULL, "the queue of its device does not take it: %s", parla_error_detail());
    pl_place_lock(rt);
    pl_give_turn(rt, placed);
    placed->stage = PL_STAGE_FAILING;
    pl_place_unlock(rt);
    pl_give_up(rt, self, placed);
}

void pl_hand_over(parla_runtime *rt, pl_worker *self, pl_placed *placed)
{
    pl_device *device = &rt->place.devices.list[placed->devices[0]];
    if (placed->is_transfer || !pl_device_runs_bodies(device)) {
        pl_push_spared(rt, self, placed->task);
        return;
    }
    pl_outside_add(rt);
    pl_place_busy_begin(&rt->place);
    int rc = pl_queue_run(device, placed->i_queue, run_on_queue, placed);
    if (rc == 0)
        return;
    queue_refused(rt, self, placed, rc);
    pl_outside_done(rt);
    pl_place_busy_end(&rt->place);
}

void pl_place_begin(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_placed *placed = pl_placed_of(task);
    pl_todo todo = {0};
    pl_place_lock(rt);
    placed->stage = PL_STAGE_RUNNING;
    pl_count_begin(rt, placed);
    pl_give_turn(rt, placed);
    pl_pump(rt, &todo);
    pl_place_unlock_and_do(rt, self, &todo);
}

/* --- Placing ------------------------------------------------------------------------------------------------------------------ */

/* Takes a queued task out, unless it was cancelled a moment ago: its end will take it out then. */
static bool claim(parla_runtime *rt, pl_placed *placed)
{
    if (!placed->is_resumed && !pl_task_move(placed->task, PARLA_TASK_READY, PARLA_TASK_RESERVED))
        return false;
    pl_ready_remove(&rt->place, placed);
    pl_aim_drop(rt, placed);
    return true;
}

static void fail_hopeless(parla_runtime *rt, pl_placed *placed, int i_device, pl_todo *todo)
{
    if (!claim(rt, placed))
        return;
    if (!placed->failure)
        placed->failure = pl_hopeless_failure(rt, placed, i_device);
    placed->stage = PL_STAGE_FAILING;
    append(&todo->fail, placed);
}

static void next_turn(parla_runtime *rt, const pl_placed *placed)
{
    uint64_t choices = placed->bucket->devices;
    if (choices & (choices - 1))
        rt->place.turn = (unsigned)placed->devices[0] + 1;
}

static bool commit(parla_runtime *rt, pl_placed *placed, pl_todo *todo)
{
    if (!claim(rt, placed)) {
        pl_unreserve(rt, placed);
        placed->n_devices = 0;
        return false;
    }
    placed->stage = PL_STAGE_MOVING;
    placed->task->body = placed->alternatives[placed->i_alternative].body; /* of a resumed task: the same as before */
    take_turn(rt, placed);
    next_turn(rt, placed);
    pl_fetch_all(rt, placed, todo);
    if (placed->n_moving == 0)
        pl_launch(rt, placed, todo);
    return true;
}

/* For a message, if none fits. */
static int first_device(const pl_placed *placed)
{
    return placed->is_resumed ? placed->devices[0] : __builtin_ctzll(placed->bucket->devices);
}

static pl_fit try_place(parla_runtime *rt, pl_placed *placed, uint64_t open, uint64_t asked, pl_todo *todo)
{
    uint64_t excluded = 0;
    int refusing = first_device(placed);
    for (;;) {
        pl_fit fit = pl_choose(rt, placed, open, excluded, asked);
        if (fit == PL_HOPELESS)
            fail_hopeless(rt, placed, refusing, todo);
        if (fit != PL_FITS)
            return fit;
        fit = pl_reserve(rt, placed, &refusing, todo);
        if (fit == PL_FITS)
            return commit(rt, placed, todo) ? PL_FITS : PL_NO_TURN;
        if (!placed->is_resumed)
            placed->n_devices = 0;
        if (fit != PL_HOPELESS)
            return fit;
        excluded |= UINT64_C(1) << refusing;
    }
}

static uint64_t devices_with_turns(const pl_place *place)
{
    uint64_t devices = 0;
    for (int i = 0; i < place->devices.n; i++)
        if (place->sites[i].n_handed < place->sites[i].max_handed)
            devices |= UINT64_C(1) << i;
    return devices;
}

/* Tasks of one walk that found no room. */
typedef struct passed {
    pl_placed *tasks[PL_READY_LOOK_AHEAD];
    int n;
} passed;

static uint64_t taken_devices(const pl_placed *placed)
{
    uint64_t devices = 0;
    for (int k = 0; k < placed->n_devices; k++)
        devices |= UINT64_C(1) << placed->devices[k];
    return devices;
}

static bool waits_still(const pl_blocked *blocked)
{
    for (size_t i = 0; i < blocked->n_tasks; i++)
        if (!parla_task_is_none(blocked->tasks[i]) && !pl_handle_has_ended(blocked->tasks[i]))
            return true;
    return false;
}

/* How many bodies that have this device wait on their threads, for something that has not ended. */
static int n_blocked_on(const pl_place *place, int i_device)
{
    int n = 0;
    for (const pl_blocked *blocked = place->blocked; blocked; blocked = blocked->next_placed) {
        const pl_placed *placed = pl_placed_of(blocked->task);
        for (int k = 0; k < placed->n_devices; k++)
            n += placed->devices[k] == i_device && waits_still(blocked);
    }
    return n;
}

/* Is a device taken only by what cannot go on by itself: by bodies that wait for others, by scratch memory of suspended tasks? */
static bool is_stalled(const pl_place *place, int i_device)
{
    const pl_site *site = &place->sites[i_device];
    return site->n_moves == 0 && pl_site_is_used(site) && n_blocked_on(place, i_device) == site->n_holders;
}

static uint64_t stalled_devices(const pl_place *place, uint64_t devices)
{
    uint64_t stalled = 0;
    for (uint64_t left = devices; left; left &= left - 1)
        if (is_stalled(place, __builtin_ctzll(left)))
            stalled |= left & -left;
    return stalled;
}

static bool is_gang(const pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_alternatives; i++)
        if (placed->alternatives[i].n > 1)
            return true;
    return false;
}

/* The devices that are closed for the tasks of this walk which have waited too long. */
static uint64_t kept_devices(const pl_place *place, const passed *before)
{
    uint64_t kept = 0;
    for (int i = 0; i < before->n; i++) {
        const pl_placed *placed = before->tasks[i];
        if (placed->n_passed < MAX_PASSED || pl_is_broken(PL_BREAK_AGEING))
            continue;
        uint64_t stalled = stalled_devices(place, placed->bucket->devices);
        kept |= stalled && is_gang(placed) ? 0 : placed->bucket->devices & ~stalled;
    }
    return kept;
}

uint64_t pl_kept_before(parla_runtime *rt, const pl_placed *placed)
{
    pl_place *place = &rt->place;
    passed before = {.n = 0};
    pl_placed *one;
    pl_ready_rewind(place);
    pl_aim_rewind(place);
    while ((one = pl_ready_next(place, ~UINT64_C(0), ~UINT64_C(0))) != NULL && one != placed) {
        pl_aim_pass(place, one);
        if (one->n_passed >= MAX_PASSED && before.n < PL_READY_LOOK_AHEAD)
            before.tasks[before.n++] = one;
    }
    return kept_devices(place, &before);
}

static void count_passed(passed *before, uint64_t taken)
{
    for (int i = 0; i < before->n; i++)
        if (before->tasks[i]->bucket->devices & taken)
            before->tasks[i]->n_passed++;
}

/* One walk over the queue. With only_aims a task is offered no device but the one that it waits for, and only if that has a turn. */
static void walk(parla_runtime *rt, bool only_aims, pl_todo *todo)
{
    pl_place *place = &rt->place;
    uint64_t kept = 0; /* for tasks that have waited too long */
    passed before = {.n = 0};
    pl_placed *placed;
    pl_ready_rewind(place);
    pl_aim_rewind(place);
    while ((placed = pl_ready_next(place, devices_with_turns(place) & ~kept, ~kept)) != NULL) {
        bool has_aim = placed->aim >= 0;
        if (only_aims && has_aim && !(devices_with_turns(place) >> placed->aim & 1))
            continue;
        pl_fit fit = try_place(rt, placed, ~kept, only_aims && has_aim ? UINT64_C(1) << placed->aim : ~UINT64_C(0), todo);
        if (fit == PL_FITS) {
            count_passed(&before, taken_devices(placed));
            kept = kept_devices(place, &before);
        } else if ((fit == PL_NO_ROOM || fit == PL_NOT_AHEAD) && before.n < PL_READY_LOOK_AHEAD) {
            before.tasks[before.n++] = placed;
            kept = kept_devices(place, &before);
        } else if (fit == PL_NO_TURN) {
            pl_ready_waits_for_turn(placed);
        }
        if (fit == PL_NO_TURN || fit == PL_NOT_AHEAD)
            pl_aim_pass(place, placed);
    }
}

void pl_pump(parla_runtime *rt, pl_todo *todo)
{
    if (rt->place.n_queued == 0)
        return;
    if (rt->place.n_aiming > 0)
        walk(rt, true, todo);
    walk(rt, false, todo);
}
