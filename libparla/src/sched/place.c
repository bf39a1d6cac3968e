/* place.c - the entry points of the placed path, and its beginning and end. The path is described in place.h. */
#include "sched/place.h"

#include "base/break.h"
#include "base/error.h"
#include "sched/ahead.h"
#include "sched/aim.h"
#include "sched/hold.h"
#include "sched/launch.h"
#include "sched/placed.h"
#include "sched/policy.h"
#include "sched/ready.h"
#include "task/failure.h"

#include <parla/log.h>
#include <stdlib.h>

/* --- Beginning and end -------------------------------------------------------------------------------------------------------- */

/* Arrays of a task that take no more than this part of a device are kept there whole. */
enum { WHOLE_SHARE = 32 };

/* Bodies that wait behind each one of a device. More of them hide more of the copies, but cannot go elsewhere any more. */
enum { SUPPLIED_AHEAD = 3 };

static void open_site(parla_runtime *rt, int i)
{
    pl_device *device = &rt->place.devices.list[i];
    pl_site *site = &rt->place.sites[i];
    site->store.device = device;
    site->whole_bytes = device->traits.memory_bytes / WHOLE_SHARE;
    /* One body waits behind each that runs, and on a device a few more are supplied with their arrays meanwhile. */
    bool has_queues = pl_device_runs_bodies(device);
    site->n_at_once = has_queues ? device->n_queues : rt->n_workers;
    site->max_handed = has_queues ? SUPPLIED_AHEAD * device->n_queues : rt->n_workers;
}

static int open_sites(parla_runtime *rt, const parla_memory_source *memory)
{
    pl_place *place = &rt->place;
    place->sites = calloc((size_t)place->devices.n, sizeof place->sites[0]);
    if (!place->sites)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the scheduler's view of %d devices", place->devices.n);
    for (int i = 0; i < place->devices.n; i++)
        open_site(rt, i);
    int rc = memory && memory->hold ? pl_host_pool_create(&place->sites[0].store.pool, memory) : 0;
    if (rc < 0)
        free(place->sites);
    return rc;
}

static void close_sites(pl_place *place)
{
    pl_host_pool_unref(place->sites[0].store.pool);
    free(place->sites);
}

/* Every worker asks for it, and each has it for a microsecond: most of the waiting is over sooner than a sleep would be. */
static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

int pl_place_init(parla_runtime *rt, const char *devices, const char *policy, const parla_memory_source *memory)
{
    pl_place *place = &rt->place;
    int rc = pl_policy_find(policy, &place->policy);
    if (rc < 0)
        return rc;
    rc = pl_devices_open_in(&place->devices, devices, memory);
    if (rc < 0)
        return rc;
    place->receipt.clock = place->devices.clock;
    rc = open_sites(rt, memory);
    if (rc < 0)
        goto close_devices;
    rc = pl_launches_open(rt);
    if (rc < 0)
        goto close_sites;
    rc = pl_blocks_open(rt);
    if (rc < 0)
        goto close_launches;
    init_lock(&place->lock);
    pthread_cond_init(&place->calm, NULL);
    if (place->devices.clock)
        pl_sim_clock_on_rest(place->devices.clock, pl_rests_but_for_devices, rt);
    return 0;
close_launches:
    pl_launches_close(rt);
close_sites:
    close_sites(place);
close_devices:
    pl_devices_close(&place->devices);
    return rc;
}

static void wait_until_calm(pl_place *place)
{
    pthread_mutex_lock(&place->lock);
    while (place->n_live > 0 || place->n_busy > 0)
        pthread_cond_wait(&place->calm, &place->lock);
    pthread_mutex_unlock(&place->lock);
}

void pl_place_fini(parla_runtime *rt)
{
    pl_place *place = &rt->place;
    pl_sim_clock_force(place->devices.clock); /* nobody asks for a time any more */
    pl_release_forgotten(rt);
    wait_until_calm(place);
    pl_detach_all(rt);
    wait_until_calm(place); /* a thread that has dropped an array's last reference may still unpin its poison */
    pl_blocks_close(rt);
    pl_launches_close(rt);
    pl_devices_close(&place->devices);
    pl_history_fini(&place->history);
    pthread_cond_destroy(&place->calm);
    pthread_mutex_destroy(&place->lock);
    close_sites(place);
}

/* --- Spawn -------------------------------------------------------------------------------------------------------------------- */

static uint64_t devices_of(const pl_placed *placed)
{
    uint64_t devices = 0;
    for (size_t i = 0; i < placed->n_alternatives; i++)
        for (size_t k = 0; k < placed->alternatives[i].n; k++)
            devices |= placed->members[placed->alternatives[i].first + k].devices;
    return devices;
}

/* Puts a record into the queues and orders of the runtime: all that can fail, then all that others see. */
static int enter(parla_runtime *rt, pl_worker *self, pl_placed *placed, const parla_task_options *options, parla_task **out_deps)
{
    pl_todo todo = {0};
    pl_place_lock(rt);
    int rc = pl_ready_open(&rt->place, placed, devices_of(placed), options->priority);
    if (rc == 0) {
        rc = pl_order_task(rt, self, placed, options, out_deps, &todo);
        if (rc < 0)
            pl_ready_close(&rt->place, placed);
        else
            rt->place.n_live++;
    }
    pl_place_unlock_and_do(rt, self, &todo);
    return rc;
}

int pl_place_prepare(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_task_options *options, parla_task **out_deps,
                     size_t *out_n_deps)
{
    pl_placed *placed;
    pl_extra *extra = pl_task_extra(task);
    if (!extra)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the record of a placed task");
    int rc = pl_demand_create(rt, task, options, &placed);
    if (rc < 0)
        return rc;
    pl_ahead_prepare(rt, placed, options);
    parla_task *deps = NULL;
    placed->aim = -1;
    rc = enter(rt, self, placed, options, &deps);
    if (rc < 0) {
        pl_demand_destroy(placed);
        return rc;
    }
    for (size_t i = 0; i < placed->n_content; i++)
        deps[i] = pl_task_handle(placed->content[i]);
    *out_deps = deps;
    *out_n_deps = placed->n_content;
    extra->priority = options->priority;
    extra->placed = placed;
    return 0;
}

/* --- The end of a task -------------------------------------------------------------------------------------------------------- */

void pl_count_begin(parla_runtime *rt, pl_placed *placed)
{
    if (placed->is_counted || (placed->task->flags & PL_FLAG_INTERNAL))
        return;
    placed->is_counted = true;
    if (placed->is_transfer)
        pl_receipt_copy_begin(&rt->place.receipt);
    else
        pl_receipt_body_begin(&rt->place.receipt);
}

void pl_count_end(parla_runtime *rt, pl_placed *placed)
{
    if (!placed->is_counted)
        return;
    placed->is_counted = false;
    if (placed->is_transfer)
        pl_receipt_copy_end(&rt->place.receipt);
    else
        pl_receipt_body_end(&rt->place.receipt);
}

/* Takes the task out of wherever it is. */
static void leave_stage(parla_runtime *rt, pl_placed *placed, pl_todo *todo)
{
    if (placed->stage == PL_STAGE_QUEUED) {
        pl_ready_remove(&rt->place, placed);
        pl_aim_drop(rt, placed);
    }
    if (placed->stage == PL_STAGE_HANDED)
        pl_give_turn(rt, placed); /* the thread that was to call its body could not take it */
    if (placed->stage == PL_STAGE_QUEUED || placed->stage == PL_STAGE_HELD_BACK) {
        placed->link = todo->drop; /* cancelled, and pinned by who cancels it */
        todo->drop = placed;
    }
    placed->stage = PL_STAGE_ENDED;
}

/* The first run of a kernel on a device shows what others there were guessed to take. */
static void note_run(parla_runtime *rt, const pl_placed *placed)
{
    int i = placed->devices[0];
    bool is_first = rt->place.n_aiming > 0 && pl_history_find(&rt->place.history, placed->kernel, i, placed->n_bytes).n_runs == 0;
    pl_history_add(&rt->place.history, placed->kernel, i, placed->n_bytes, (double)placed->run_ns);
    if (is_first)
        pl_aim_anew(rt);
}

static void end(parla_runtime *rt, pl_worker *self, pl_placed *placed, parla_task_state how)
{
    pl_todo todo = {0};
    pl_place_lock(rt);
    if (how == PARLA_TASK_DONE && placed->run_ns > 0 && !(placed->task->flags & PL_FLAG_INTERNAL))
        note_run(rt, placed);
    leave_stage(rt, placed, &todo);
    pl_count_end(rt, placed);
    pl_unreserve(rt, placed);
    pl_ahead_end(placed, how, &todo);
    pl_order_end(rt, placed, how, &todo);
    parla_failure *spoilt_by = placed->spoilt_by;
    placed->spoilt_by = NULL;
    pl_ready_close(&rt->place, placed);
    if (--rt->place.n_live == 0)
        pthread_cond_broadcast(&rt->place.calm);
    pl_pump(rt, &todo);
    pl_place_unlock_and_do(rt, self, &todo);
    parla_failure_unref(spoilt_by);
    pl_order_forget_content(rt, self, placed);
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].order_mode && !placed->uses[i].is_ghost)
            pl_data_drop(placed->uses[i].data);
}

void pl_place_end(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task_state how)
{
    end(rt, self, pl_placed_of(task), how);
}

void pl_place_abandon(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_extra *extra = pl_task_extra_or_null(task);
    pl_placed *placed = extra->placed;
    extra->placed = NULL;
    placed->is_void = true;
    end(rt, self, placed, PARLA_TASK_DONE); /* spoils no array: it was never there */
    pl_placed_unref(placed);
}

void pl_place_free(pl_placed *placed) { pl_placed_unref(placed); }

/* --- Blocked ------------------------------------------------------------------------------------------------------------------ */

void pl_place_block(parla_runtime *rt, pl_worker *self, pl_blocked *blocked)
{
    pl_todo todo = {0};
    pl_place_lock(rt);
    blocked->next_placed = rt->place.blocked;
    rt->place.blocked = blocked;
    pl_pump(rt, &todo);
    pl_place_unlock_and_do(rt, self, &todo);
}

void pl_place_unblock(parla_runtime *rt, const pl_blocked *blocked)
{
    pl_place_lock(rt);
    pl_blocked **at = &rt->place.blocked;
    while (*at != blocked)
        at = &(*at)->next_placed;
    *at = blocked->next_placed;
    pl_place_unlock(rt);
}

/* --- Ready, suspended --------------------------------------------------------------------------------------------------------- */

/* Queues the task, or holds it back; false if it was cancelled a moment ago. */
static bool enqueue_or_hold(parla_runtime *rt, pl_placed *placed)
{
    if (placed->stage == PL_STAGE_ENDED)
        return false;
    if (pl_ahead_may_start(placed))
        return pl_enqueue(rt, placed);
    if (pl_task_state(placed->task) == PARLA_TASK_CANCELLED)
        return false;
    placed->stage = PL_STAGE_HELD_BACK;
    return true;
}

/* It has started: nobody may cancel it in the queue. False if it was cancelled before it could. */
static bool resume(pl_placed *placed)
{
    placed->is_resumed = pl_task_move(placed->task, PARLA_TASK_SUSPENDED, PARLA_TASK_RESERVED);
    return placed->is_resumed;
}

void pl_place_ready(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_placed *placed = pl_placed_of(task);
    pl_todo todo = {0};
    pl_place_lock(rt);
    if ((placed->stage != PL_STAGE_SUSPENDED || resume(placed)) && enqueue_or_hold(rt, placed)) {
        pl_pump(rt, &todo);
    } else {
        placed->link = todo.drop;
        todo.drop = placed;
    }
    pl_place_unlock_and_do(rt, self, &todo);
}

void pl_place_suspend(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_placed *placed = pl_placed_of(task);
    pl_todo todo = {0};
    pl_place_lock(rt);
    placed->stage = PL_STAGE_SUSPENDED;
    pl_count_end(rt, placed);
    pl_unreserve(rt, placed);
    pl_pump(rt, &todo);
    pl_place_unlock_and_do(rt, self, &todo);
}

void pl_place_held(pl_task *task) { pl_placed_of(task)->is_held = true; }

void pl_place_ran(pl_task *task, uint64_t run_ns)
{
    pl_placed *placed = pl_placed_of(task);
    pl_devices *devices = &placed->rt->place.devices;
    placed->run_ns += run_ns;
    pl_device_note_end(devices, &devices->list[pl_load_relaxed(&task->i_device_shared)]);
}

/* --- Once more ---------------------------------------------------------------------------------------------------------------- */

/* What the failed try left, and its reason. */
static void forget_try(pl_task *task, parla_failure *failure)
{
    pl_extra *extra = pl_task_extra_or_null(task);
    parla_failure *of_hold = pl_exchange_acq_rel(&extra->failure_shared, (parla_failure *)NULL);
    const parla_failure *reason = failure ? failure : of_hold;
    pl_placed *placed = extra->placed;
    placed->n_tries_left--;
    placed->i_attempt++;
    placed->run_ns = 0;
    parla_log(PARLA_LOG_INFO, "%s failed and is tried again (%d more): %s", pl_placed_label(placed), placed->n_tries_left,
              reason ? parla_failure_message(reason) : "no reason was given");
    parla_failure_unref(failure);
    parla_failure_unref(of_hold);
}

static void give_all_back(parla_runtime *rt, pl_placed *placed)
{
    pl_place_lock(rt);
    placed->stage = PL_STAGE_SPAWNED;
    pl_unreserve(rt, placed);
    placed->is_resumed = false;
    placed->n_devices = 0;
    pl_place_unlock(rt); /* what became free is offered by pl_place_ready */
}

/* As at its spawn: first it can be cancelled, then this thread looks whether somebody asked for it; parla_task_cancel asks first and then
 * looks at the state. */
bool pl_place_retry(parla_runtime *rt, pl_worker *self, pl_task *task, parla_failure *failure)
{
    pl_placed *placed = pl_placed_of(task);
    if (placed->n_tries_left == (pl_is_broken(PL_BREAK_TRIES) ? -1 : 0) || pl_load_seq(&task->cancel_shared))
        return false;
    forget_try(task, failure);
    give_all_back(rt, placed);
    if (!pl_task_move(task, PARLA_TASK_RUNNING, PARLA_TASK_WAITING))
        pl_task_move(task, PARLA_TASK_LAUNCHED, PARLA_TASK_WAITING);
    if (pl_load_seq(&task->cancel_shared))
        (void)pl_cancel(rt, self, task, "cancelled before it was tried again");
    pl_place_ready(rt, self, task);
    return true;
}

/* --- Questions ---------------------------------------------------------------------------------------------------------------- */

int pl_place_queue_of(const pl_task *task)
{
    const pl_extra *extra = pl_task_extra_or_null((pl_task *)task);
    return extra && extra->placed ? extra->placed->i_queue : -1;
}

size_t pl_place_devices(const pl_task *task, int *out, size_t capacity)
{
    pl_placed *placed = pl_placed_of((pl_task *)task);
    pl_place_lock(placed->rt);
    size_t n = (size_t)placed->n_devices;
    for (size_t i = 0; out && i < n && i < capacity; i++)
        out[i] = placed->devices[i];
    pl_place_unlock(placed->rt);
    return !out || n < capacity ? n : capacity;
}

bool pl_place_is_waiting(parla_runtime *rt)
{
    pl_place_lock(rt);
    bool is_waiting = rt->place.n_queued > 0;
    pl_place_unlock(rt);
    return is_waiting;
}
