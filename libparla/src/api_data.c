/* api_data.c - the public functions of data.h that involve a runtime: check, translate, call down. */
#include "base/error.h"
#include "sched/hold.h"
#include "sched/placed.h"

#include <string.h>

void parla_data_unref(parla_data *data)
{
    if (data)
        pl_data_drop(data);
}

/* --- Inside a body ------------------------------------------------------------------------------------------------------------ */

static const pl_part *part_of(const parla_context *context, size_t i_access)
{
    const pl_placed *placed = context->task->flags & PL_FLAG_PLACED ? pl_placed_of(context->task) : NULL;
    if (placed && i_access < placed->n_accesses)
        return &placed->parts[i_access];
    pl_error_set(PARLA_E_INVALID, "access %zu was asked for; the task has %zu", i_access, placed ? placed->n_accesses : 0);
    return NULL;
}

static parla_instance pinned_instance(const pl_part *part)
{
    const pl_instance *instance = pl_part_instance(part);
    return (parla_instance){.box = instance->box, .i_device = instance->i_device};
}

int parla_context_instance(const parla_context *context, size_t i_access, parla_instance *out)
{
    const pl_part *part = part_of(context, i_access);
    if (!part)
        return PARLA_E_INVALID;
    if (part->use->is_in_place)
        return pl_error_set(PARLA_E_INVALID, "access %zu (%s) is in place, wherever that is: ask parla_context_source", i_access,
                            pl_data_label(part->use->data));
    *out = pinned_instance(part);
    return 0;
}

int parla_context_source(const parla_context *context, size_t i_access, parla_instance *out)
{
    const pl_part *part = part_of(context, i_access);
    if (!part)
        return PARLA_E_INVALID;
    if (!pl_part_instance(part))
        return pl_error_set(PARLA_E_STATE, "%s has no content: nothing was written to it, or the task that should have failed",
                            pl_data_label(part->use->data));
    *out = pinned_instance(part);
    return 0;
}

/* --- The host's access -------------------------------------------------------------------------------------------------------- */

static int check_outside_tasks(parla_runtime *rt, const parla_data *data)
{
    int rc = pl_runtime_check(rt);
    if (rc < 0)
        return rc;
    if (pl_load_relaxed(&rt->is_stopping))
        return pl_error_set(PARLA_E_STATE, "the runtime is stopping: %s can be looked at when it has been destroyed",
                            pl_data_label(data));
    if (pl_current() && pl_current()->rt == rt)
        return pl_error_set(PARLA_E_STATE, "a task does not acquire %s: it names it in its accesses", pl_data_label(data));
    return 0;
}

/* With rt == NULL: true if the array has no runtime, and then acquired. */
static bool acquire_detached(parla_data *data, const parla_range *region, int mode, parla_instance *out, int *rc)
{
    pl_attachment_lock();
    bool is_detached = !pl_data_runtime(data);
    if (is_detached)
        *rc = pl_hold_acquire_detached(data, region, mode, out);
    pl_attachment_unlock();
    return is_detached;
}

int parla_data_acquire_region(parla_runtime *rt, parla_data *data, const parla_range *region, int mode, int64_t timeout_ns,
                              parla_instance *out)
{
    bool is_whole;
    int rc = pl_data_check_region(data, region, &is_whole);
    if (rc < 0)
        return rc;
    if (mode != PARLA_IN && mode != PARLA_OUT && mode != PARLA_INOUT)
        return pl_error_set(PARLA_E_INVALID, "mode %d is none of PARLA_IN, PARLA_OUT and PARLA_INOUT", mode);
    if (!rt && acquire_detached(data, region, mode, out, &rc))
        return rc;
    if (!rt)
        rt = pl_data_runtime(data);
    rc = check_outside_tasks(rt, data);
    if (rc < 0)
        return rc;
    pl_worker *self = pl_self(rt);
    return self ? pl_hold_acquire(rt, self, data, region, mode, timeout_ns, out) : PARLA_E_NOMEM;
}

int parla_data_acquire(parla_runtime *rt, parla_data *data, int mode, int64_t timeout_ns, parla_instance *out)
{
    return parla_data_acquire_region(rt, data, NULL, mode, timeout_ns, out);
}

void parla_data_release_region(parla_data *data, const parla_range *region, int mode) { pl_hold_release(data, region, mode); }

void parla_data_release(parla_data *data, int mode) { pl_hold_release(data, NULL, mode); }

/* --- Look, evict -------------------------------------------------------------------------------------------------------------- */

int parla_data_query(parla_data *data, parla_data_info *out)
{
    if (out->size < sizeof(size_t))
        return pl_error_set(PARLA_E_INVALID, "parla_data_info.size is %zu; set it to the structure's sizeof", out->size);
    pl_attachment_lock();
    parla_runtime *rt = pl_data_runtime(data);
    int rc = rt ? pl_runtime_check(rt) : 0;
    if (rc < 0) {
        pl_attachment_unlock();
        return rc;
    }
    if (rt)
        pl_place_lock(rt);
    parla_data_info info = {.size = out->size, .n_bytes = data->n_bytes, .valid_mask = pl_data_valid_mask(&data->tiles.root)};
    info.i_owner = pl_coherence_owner((pl_coherence){.valid = info.valid_mask});
    if (rt)
        pl_place_unlock(rt);
    pl_attachment_unlock();
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
    return 0;
}

/* What an eviction's task is told; small enough to be copied into it. */
typedef struct eviction {
    parla_data *data; /* the task's access keeps it */
    int i_device;     /* negative: all but the host */
} eviction;

static void drop_copies(pl_site *site, parla_data *data, int i_device)
{
    for (pl_instance *next, *at = pl_data_first(data, i_device); at; at = next) {
        next = at->next;
        if (at->n_pins > 0 || !pl_instance_is_spare(at))
            continue;
        pl_data_forget(data, at, false);
        pl_instance_free(&site->store, at);
    }
}

static int evict_body(parla_context *context, void *arg)
{
    const eviction *e = arg;
    pl_place *place = &context->rt->place;
    pl_place_lock(context->rt);
    for (int i = 1; i < place->devices.n; i++)
        if (e->i_device < 0 || e->i_device == i)
            drop_copies(&place->sites[i], e->data, i);
    pl_place_unlock(context->rt);
    return 0;
}

/* How the copies are made spare: nothing to do, or bring the content to the host first. Returns false if there are no copies to
 * evict. */
static bool plan_eviction(parla_runtime *rt, const eviction *e, int *out_mode)
{
    bool any = false, all_spare = true;
    uint64_t evicted = e->i_device < 0 ? ~UINT64_C(1) : UINT64_C(1) << e->i_device;
    pl_place_lock(rt);
    for (int i = 1; i < rt->place.devices.n; i++)
        any = any || ((evicted >> i & 1) && pl_data_first(e->data, i));
    pl_tile *root = &e->data->tiles.root;
    for (pl_tile *leaf = pl_tile_first(root); leaf; leaf = pl_tile_next(leaf, root))
        all_spare = all_spare && (!leaf->coherence.valid || (leaf->coherence.valid & ~evicted));
    pl_place_unlock(rt);
    *out_mode = PARLA_IN | PL_MODE_ALONE | PL_MODE_ABSENT | (all_spare ? PARLA_ORDER : 0);
    return any;
}

static int evict_once(parla_runtime *rt, pl_worker *self, eviction *e, int mode, int64_t timeout_ns)
{
    parla_task task;
    parla_access access = {.data = e->data, .mode = mode};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = evict_body;
    options.arg = e;
    options.arg_bytes = sizeof *e;
    options.name = "eviction";
    options.flags = PL_TASK_OWN;
    options.accesses = &access;
    options.n_accesses = 1;
    int rc = parla_task_create(rt, &task, options.name);
    if (rc < 0)
        return rc;
    options.task = task;
    rc = pl_spawn_internal(rt, self, NULL, &options);
    if (rc == 0)
        rc = parla_task_wait(rt, &task, 1, timeout_ns);
    parla_task_unref(task);
    return rc;
}

int parla_data_evict(parla_runtime *rt, parla_data *data, int i_device, int64_t timeout_ns)
{
    eviction e = {.data = data, .i_device = i_device};
    int rc = check_outside_tasks(rt, data), mode;
    if (rc < 0)
        return rc;
    if (i_device >= rt->place.devices.n)
        return pl_error_set(PARLA_E_INVALID, "there is no device %d; there are devices 0 to %d", i_device, rt->place.devices.n - 1);
    if (pl_data_runtime(data) && pl_data_runtime(data) != rt)
        return pl_error_set(PARLA_E_STATE, "%s is used by another runtime, until that is destroyed", pl_data_label(data));
    pl_worker *self = pl_self(rt);
    if (!self)
        return PARLA_E_NOMEM;
    /* Tasks that wait before this one can move the array once more; then its content is brought to the host, which nothing can
     * undo. */
    for (int round = 0; rc == 0 && round < 2 && pl_data_runtime(data) && plan_eviction(rt, &e, &mode); round++)
        rc = evict_once(rt, self, &e, round == 0 ? mode : mode & ~PARLA_ORDER, timeout_ns);
    return rc;
}
