/* hold.c - the host's own access to an array.
 *
 * An acquire spawns a task of the library's own that uses the array on the CPU: so it is ordered, and the array is moved, like for
 * any other task. Its body takes a hold, which keeps the task from ending, and completes an event that the acquiring thread waits
 * for. A release drops the hold.
 *
 * A thread that stops waiting (timeout, signal) makes the task void, if its arrays are not in place yet: it then writes nothing and
 * takes no hold. Else its turn has come, and the thread waits the moment that it takes. A void task was to overwrite the array, so
 * those behind it do not know what was before it: if that has failed, it fails in its place.
 *
 * The event does not count as outside progress (wait.c), so a wait for something that cannot happen is told as stuck. */
#include "sched/hold.h"

#include "base/error.h"
#include "sched/placed.h"
#include "task/failure.h"

#include <parla/event.h>
#include <parla/log.h>

#include <stdlib.h>

typedef struct pl_hold {
    _Atomic int refs_shared; /* the thread's and the task's */
    _Atomic bool is_held;    /* set before the event is completed */
    parla_task task;         /* a reference */
    parla_task event;        /* a reference */
    int mode;
    bool is_whole;
    parla_range region[PARLA_MAX_NDIM];
    struct pl_hold *next; /* in parla_data.holds */
} pl_hold;

static void hold_unref(pl_hold *hold)
{
    if (pl_sub_acq_rel(&hold->refs_shared, 1) != 1)
        return;
    parla_task_unref(hold->event);
    free(hold);
}

/* --- The task ----------------------------------------------------------------------------------------------------------------- */

static void complete_event(parla_runtime *rt, const pl_hold *hold)
{
    pl_outside_add(rt); /* which the completion takes back */
    if (parla_event_complete(hold->event, 0, NULL) < 0)
        pl_outside_done(rt); /* the runtime is being stopped and has cancelled it */
}

/* Out: why what a void task leaves as it is cannot be read, a reference, or NULL. */
static bool is_void(parla_runtime *rt, const pl_placed *placed, parla_failure **out_spoilt)
{
    pl_place_lock(rt);
    bool answer = placed->is_void;
    parla_failure *spoilt = answer ? pl_order_spoilt(&placed->parts[0]) : NULL;
    *out_spoilt = spoilt ? parla_failure_ref(spoilt) : NULL;
    pl_place_unlock(rt);
    return answer;
}

static int end_void(parla_context *context, parla_failure *spoilt)
{
    if (!spoilt)
        return 0;
    context->failure = pl_failure_follow(context->task->name, spoilt);
    return PARLA_E_CANCELLED;
}

static int hold_body(parla_context *context, void *arg)
{
    pl_hold *hold = arg;
    parla_failure *spoilt;
    if (is_void(context->rt, pl_placed_of(context->task), &spoilt))
        return end_void(context, spoilt);
    int rc = parla_hold(context, 1);
    if (rc < 0)
        return parla_fail(context, rc, "%s", parla_error_detail());
    pl_store_release(&hold->is_held, true);
    complete_event(context->rt, hold);
    return 0;
}

static void hold_ended(void *arg, const parla_outcome *outcome)
{
    pl_hold *hold = arg;
    if (!pl_load_acquire(&hold->is_held))
        complete_event(pl_task_runtime(pl_task_of(outcome->task)), hold);
    hold_unref(hold);
}

/* --- Acquire ------------------------------------------------------------------------------------------------------------------ */

/* An event that does not count as outside progress: made from a name, for it must be told from others before anybody may cancel
 * it. */
static int create_event(parla_runtime *rt, parla_task *out)
{
    int rc = parla_task_create(rt, out, "access of the host");
    if (rc < 0)
        return rc;
    pl_task *task = pl_task_of(*out);
    if (!pl_task_move(task, PARLA_TASK_CREATED, (parla_task_state)PL_TASK_SPAWNING)) {
        parla_task_unref(*out);
        return pl_error_set(PARLA_E_STATE, "the runtime is stopping: the host gets no access any more");
    }
    task->flags = PL_FLAG_EVENT | PL_FLAG_UNCOUNTED;
    pl_task_ref(task); /* life, besides the caller's */
    pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_RUNNING);
    return 0;
}

static int hold_create(parla_runtime *rt, const parla_data *data, const parla_range *region, int mode, pl_hold **out)
{
    pl_hold *hold = calloc(1, sizeof *hold);
    if (!hold)
        return pl_error_set(PARLA_E_NOMEM, "no memory for an access of the host");
    atomic_init(&hold->refs_shared, 2);
    hold->mode = mode;
    hold->is_whole = !region;
    for (int k = 0; region && k < data->shape.ndim; k++)
        hold->region[k] = region[k];
    int rc = create_event(rt, &hold->event);
    if (rc < 0) {
        free(hold);
        return rc;
    }
    *out = hold;
    return 0;
}

/* The hold of a spawn that failed. */
static void hold_destroy(parla_runtime *rt, pl_hold *hold)
{
    complete_event(rt, hold);
    parla_task_unref(hold->event);
    free(hold);
}

static int spawn_hold(parla_runtime *rt, pl_worker *self, parla_data *data, pl_hold *hold)
{
    /* An INOUT of an array without content is refused here, like that of any task. */
    parla_access access = {.data = data, .mode = hold->mode, .region = hold->is_whole ? NULL : hold->region};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = hold_body;
    options.on_end = hold_ended;
    options.arg = hold;
    options.name = "access of the host";
    options.accesses = &access;
    options.n_accesses = 1;
    int rc = parla_task_create(rt, &hold->task, options.name);
    if (rc < 0)
        return rc;
    options.task = hold->task;
    rc = pl_spawn_internal(rt, self, NULL, &options);
    if (rc < 0)
        parla_task_unref(hold->task);
    return rc;
}

/* Nobody waits for it any more: true if it will not take hold. */
static bool make_void(parla_runtime *rt, const pl_hold *hold)
{
    pl_placed *placed = pl_placed_of(pl_task_of(hold->task));
    pl_place_lock(rt);
    bool is_early = placed->stage < PL_STAGE_HANDED;
    if (is_early)
        placed->is_void = true;
    pl_place_unlock(rt);
    return is_early;
}

static void keep_hold(parla_data *data, pl_hold *hold)
{
    pl_attachment_lock();
    hold->next = data->holds;
    data->holds = hold;
    pl_attachment_unlock();
}

/* The answer to a hold whose task did not take it: its failure. */
static int not_held(parla_runtime *rt, const pl_hold *hold, int wait_result)
{
    int rc = parla_task_wait(rt, &hold->task, 1, 0);
    return rc < 0 && rc != PARLA_E_TIMEOUT ? rc : wait_result < 0 ? wait_result : PARLA_E_CANCELLED;
}

int pl_hold_acquire(parla_runtime *rt, pl_worker *self, parla_data *data, const parla_range *region, int mode, int64_t timeout_ns,
                    parla_instance *out)
{
    pl_hold *hold = NULL;
    int rc = hold_create(rt, data, region, mode, &hold);
    if (rc < 0)
        return rc;
    rc = spawn_hold(rt, self, data, hold);
    if (rc < 0) {
        hold_destroy(rt, hold);
        return rc;
    }
    rc = parla_task_wait(rt, &hold->event, 1, timeout_ns);
    bool waits = rc == 0 || !make_void(rt, hold);
    if (rc < 0 && waits)
        rc = parla_task_wait(rt, &hold->event, 1, PARLA_FOREVER);
    if (waits && pl_load_acquire(&hold->is_held)) {
        *out = (parla_instance){.box = data->host.box, .i_device = 0};
        keep_hold(data, hold);
        return 0;
    }
    if (waits)
        rc = not_held(rt, hold, rc);
    parla_task_unref(hold->task);
    hold_unref(hold);
    return rc;
}

/* What the host is about to use of an array without a runtime: which may be covered coarsely, since it is nowhere else. */
typedef struct look {
    parla_data *data;
    bool any_content, any_lost;
} look;

static int look_at_tile(void *ctx, pl_tile *top, bool is_coarse)
{
    look *l = ctx;
    (void)is_coarse;
    for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
        l->any_content = l->any_content || leaf->coherence.valid;
        l->any_lost = l->any_lost || leaf->is_lost;
    }
    return 0;
}

static int write_tile(void *ctx, pl_tile *top, bool is_coarse)
{
    const look *l = ctx;
    (void)is_coarse;
    for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
        pl_data_written(l->data, leaf, &l->data->host);
        leaf->is_lost = false;
    }
    return 0;
}

static int visit_region(parla_data *data, const parla_range *region, int (*visit)(void *ctx, pl_tile *top, bool is_coarse), look *l)
{
    pl_span spans[PARLA_MAX_NDIM];
    pl_tile *root = &data->tiles.root;
    *l = (look){.data = data};
    for (int k = 0; region && k < data->shape.ndim; k++)
        spans[k] = pl_span_of_range(&region[k]);
    int rc = pl_tiles_cover(&data->tiles, region ? spans : NULL, visit, l);
    pl_tile_hold(root);
    pl_tile_release(&data->tiles, root);
    return rc;
}

/* Content that was lost may not be read; what was never written may be, beside other content. */
static int check_detached(parla_data *data, const parla_range *region)
{
    look l;
    int rc = visit_region(data, region, look_at_tile, &l);
    if (rc < 0 || (l.any_content && !l.any_lost))
        return rc;
    return pl_error_set(PARLA_E_STATE, "%s has no content: nothing was written to it, or the task that should have failed",
                        pl_data_label(data));
}

int pl_hold_acquire_detached(parla_data *data, const parla_range *region, int mode, parla_instance *out)
{
    int rc = 0;
    look l;
    if (mode & PARLA_IN)
        rc = check_detached(data, region);
    if (rc == 0 && !data->host.memory)
        rc = pl_data_alloc_detached(data);
    if (rc < 0)
        return rc;
    if (mode & PARLA_OUT)
        rc = visit_region(data, region, write_tile, &l);
    if (rc < 0)
        return rc;
    data->n_held++;
    *out = (parla_instance){.box = data->host.box, .i_device = 0};
    return 0;
}

/* --- Release ------------------------------------------------------------------------------------------------------------------ */

static bool is_of_region(const pl_hold *hold, const parla_data *data, const parla_range *region)
{
    if (hold->is_whole || !region)
        return hold->is_whole && !region;
    for (int k = 0; k < data->shape.ndim; k++)
        if (hold->region[k].start != region[k].start || hold->region[k].stop != region[k].stop ||
            hold->region[k].step != region[k].step)
            return false;
    return true;
}

static pl_hold *take_hold(parla_data *data, const parla_range *region, int mode)
{
    pl_hold **at = &data->holds;
    while (*at && ((*at)->mode != mode || !is_of_region(*at, data, region)))
        at = &(*at)->next;
    pl_hold *hold = *at;
    if (hold)
        *at = hold->next;
    return hold;
}

static void give_back(pl_hold *hold)
{
    if (parla_release(hold->task, 0, NULL) < 0)
        parla_log(PARLA_LOG_ERROR, "an access of the host cannot be given back: %s", parla_error_detail());
    parla_task_unref(hold->task);
    hold_unref(hold);
}

void pl_hold_release(parla_data *data, const parla_range *region, int mode)
{
    pl_attachment_lock();
    pl_hold *hold = take_hold(data, region, mode);
    bool is_known = hold || data->n_held > 0;
    if (!hold && data->n_held > 0)
        data->n_held--;
    pl_attachment_unlock();
    if (hold)
        give_back(hold);
    else if (!is_known)
        parla_log(PARLA_LOG_ERROR, "parla_data_release of %s: it was not acquired with this mode", pl_data_label(data));
}

/* The next array that is held, with a reference. */
static parla_data *next_held(parla_runtime *rt, pl_hold **out)
{
    parla_data *found = NULL;
    pl_attachment_lock();
    pl_place_lock(rt);
    for (parla_data *data = rt->place.attached; data && !found; data = data->next_attached)
        if (data->holds)
            found = parla_data_ref(data); /* its hold's task has a reference, so it lives */
    pl_place_unlock(rt);
    if (found)
        *out = take_hold(found, found->holds->is_whole ? NULL : found->holds->region, found->holds->mode);
    pl_attachment_unlock();
    return found;
}

void pl_release_forgotten(parla_runtime *rt)
{
    parla_data *data;
    pl_hold *hold = NULL;
    while ((data = next_held(rt, &hold)) != NULL) {
        parla_log(PARLA_LOG_ERROR, "%s is still acquired by the host while its runtime is destroyed; it is released now",
                  pl_data_label(data));
        give_back(hold);
        pl_data_drop(data);
    }
}
