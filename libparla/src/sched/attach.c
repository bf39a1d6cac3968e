/* attach.c - arrays come to a runtime, and leave it.
 *
 * An array leaves when its last reference goes, or when the runtime ends; both take the attachment lock, then the placed lock, so
 * they do not meet half-way. The runtime's end first brings the content back to the host. Content is copied without a lock: no task
 * is left, and the reference that is held meanwhile keeps the array. */
#include "base/error.h"
#include "sched/placed.h"

#include <parla/log.h>

#include <sched.h>

/* --- Coming ------------------------------------------------------------------------------------------------------------------- */

static void attach_locked(parla_runtime *rt, parla_data *data)
{
    pl_place *place = &rt->place;
    pl_place_lock(rt);
    pl_instance_adopt(&place->sites[0].store, &data->host);
    data->prev_attached = NULL;
    data->next_attached = place->attached;
    if (place->attached)
        place->attached->prev_attached = data;
    place->attached = data;
    pl_store_release(&data->rt_shared, rt);
    pl_place_unlock(rt);
}

/* All that can fail, with the attachment lock held. */
static int prepare(parla_runtime *rt, const pl_use *use)
{
    parla_data *data = use->data;
    parla_runtime *now = pl_data_runtime(data);
    if (now == rt)
        return 0;
    if (now)
        return pl_error_set(PARLA_E_STATE, "%s is used by another runtime, until that is destroyed", pl_data_label(data));
    if (data->n_held > 0)
        return pl_error_set(PARLA_E_STATE, "%s is acquired by the host outside of any runtime: release it first",
                            pl_data_label(data));
    if (!use->may_be_absent && !pl_data_has_content(data))
        return pl_error_set(PARLA_E_STATE,
                            "%s is read, but it has no content: nothing was written to it, or the task that should have failed",
                            pl_data_label(data));
    return use->order_mode ? pl_data_open_instances(data, rt->place.devices.n) : 0;
}

/* Attaches what was prepared, or undoes that. */
static void attach(parla_runtime *rt, pl_placed *placed, bool is_prepared)
{
    for (size_t i = 0; i < placed->n_uses; i++) {
        parla_data *data = placed->uses[i].data;
        if (pl_data_runtime(data))
            continue;
        if (is_prepared)
            attach_locked(rt, data);
        else
            pl_data_close_instances(data);
    }
}

static bool are_attached(parla_runtime *rt, const pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        if (pl_data_runtime(placed->uses[i].data) != rt)
            return false;
    return true;
}

int pl_attach(parla_runtime *rt, pl_placed *placed)
{
    int rc = 0;
    if (are_attached(rt, placed))
        return 0;
    pl_attachment_lock();
    for (size_t i = 0; i < placed->n_uses && rc == 0; i++)
        rc = prepare(rt, &placed->uses[i]);
    attach(rt, placed, rc == 0);
    pl_attachment_unlock();
    return rc;
}

/* --- Leaving ------------------------------------------------------------------------------------------------------------------ */

/* With both locks held. No task and no movement uses the array. */
static void detach_locked(parla_runtime *rt, parla_data *data, pl_todo *todo)
{
    pl_place *place = &rt->place;
    pl_tile *root = &data->tiles.root;
    for (pl_tile *leaf = pl_tile_first(root); leaf; leaf = pl_tile_next(leaf, root)) {
        pl_order_cure(leaf, todo);
        parla_failure_unref(leaf->spoilt);
        leaf->spoilt = NULL;
        leaf->evicted = 0;
        leaf->is_lost = leaf->is_lost || (leaf->coherence.valid && !(leaf->coherence.valid & 1));
    }
    for (int i = 1; i < place->devices.n; i++)
        for (pl_instance *at; (at = pl_data_first(data, i)) != NULL; pl_instance_free(&place->sites[i].store, at))
            pl_data_forget(data, at, false);
    pl_instance_disown(&place->sites[0].store, &data->host);
    pl_data_close_instances(data);
    if (data->prev_attached)
        data->prev_attached->next_attached = data->next_attached;
    else
        place->attached = data->next_attached;
    if (data->next_attached)
        data->next_attached->prev_attached = data->prev_attached;
    pl_store_release(&data->rt_shared, (parla_runtime *)NULL);
}

static void leave(parla_runtime *rt, parla_data *data)
{
    pl_todo todo = {0};
    pl_place_lock(rt);
    detach_locked(rt, data, &todo);
    pl_attachment_unlock(); /* before what follows, which may call the user */
    pl_place_unlock_and_do(rt, pl_place_self(rt), &todo);
}

void pl_data_drop(parla_data *data)
{
    if (!pl_data_unref_last(data))
        return;
    parla_runtime *rt = pl_data_runtime(data);
    if (rt && pl_runtime_check(rt) < 0)
        return; /* a forked child: the memory is left to the end of the process */
    pl_attachment_lock();
    rt = pl_data_runtime(data);
    if (rt)
        leave(rt, data);
    else
        pl_attachment_unlock();
    pl_data_destroy(data);
}

/* --- The runtime's end -------------------------------------------------------------------------------------------------------- */

typedef struct arrival {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    bool is_over;
    int status;
} arrival;

static void arrived(void *arg, int status)
{
    arrival *a = arg;
    pthread_mutex_lock(&a->lock);
    a->status = status;
    a->is_over = true;
    pthread_cond_signal(&a->arrived);
    pthread_mutex_unlock(&a->lock);
}

static int copy_and_wait(parla_runtime *rt, const pl_instance *to, const pl_instance *from, const pl_span *box)
{
    arrival a = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};
    parla_instance dst = {pl_box_part(&to->box, box), to->i_device}, src = {pl_box_part(&from->box, box), from->i_device};
    int rc = pl_copy_async(&rt->place.devices, &dst, &src, arrived, &a);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&a.lock);
    while (!a.is_over)
        pthread_cond_wait(&a.arrived, &a.lock);
    pthread_mutex_unlock(&a.lock);
    pthread_cond_destroy(&a.arrived);
    pthread_mutex_destroy(&a.lock);
    return a.status;
}

/* Forgets content that may not be read. */
static void lose_spoilt(parla_runtime *rt, parla_data *data)
{
    pl_tile *root = &data->tiles.root;
    pl_place_lock(rt);
    for (pl_tile *leaf = pl_tile_first(root); leaf; leaf = pl_tile_next(leaf, root)) {
        if (!leaf->poison && !leaf->spoilt)
            continue;
        pl_data_lost(data, leaf);
        leaf->is_lost = true;
    }
    pl_place_unlock(rt);
}

/* The next leaf whose content is not on the host, with its box and an instance that has it; NULL if there is none. */
static pl_tile *find_content(parla_runtime *rt, parla_data *data, pl_span *box, pl_instance **out_from)
{
    pl_tile *root = &data->tiles.root;
    pl_place_lock(rt);
    pl_tile *leaf = pl_tile_first(root);
    while (leaf && (!leaf->coherence.valid || (leaf->coherence.valid & 1)))
        leaf = pl_tile_next(leaf, root);
    if (leaf) {
        *out_from = pl_homes_current_on(&leaf->homes, __builtin_ctzll(leaf->coherence.valid));
        pl_tile_box(&data->tiles, leaf, box);
    }
    pl_place_unlock(rt);
    return leaf;
}

/* The copies on devices are about to go anyway, and this takes no memory. */
static void note_brought(parla_runtime *rt, parla_data *data, pl_tile *leaf)
{
    pl_place_lock(rt);
    pl_data_written(data, leaf, &data->host);
    pl_place_unlock(rt);
}

static int alloc_host(parla_runtime *rt, parla_data *data)
{
    pl_place_lock(rt);
    pl_instance *host;
    int rc = data->host.memory ? 0 : pl_instance_create(&rt->place.sites[0].store, data, NULL, &host);
    pl_place_unlock(rt);
    return rc;
}

/* Brings the content to the host. What cannot be brought is lost, and the array says so when it is read. No task is left, so the
 * tiles stay as they are. */
static void bring_home(parla_runtime *rt, parla_data *data)
{
    pl_span box[PARLA_MAX_NDIM];
    pl_tile *leaf;
    pl_instance *from;
    int rc = 0;
    lose_spoilt(rt, data);
    while (rc == 0 && (leaf = find_content(rt, data, box, &from)) != NULL) {
        rc = alloc_host(rt, data);
        if (rc == 0)
            rc = copy_and_wait(rt, &data->host, from, box);
        if (rc == 0)
            note_brought(rt, data, leaf);
    }
    if (rc < 0)
        parla_log(PARLA_LOG_ERROR, "%s is lost: it cannot be written back to the host: %s", pl_data_label(data),
                  parla_error_text(rc));
}

/* An attached array with a reference, or NULL. One whose last reference is just going is left to who drops it. */
static parla_data *take_attached(parla_runtime *rt, bool *out_any)
{
    pl_place_lock(rt);
    parla_data *data = rt->place.attached;
    *out_any = data != NULL;
    while (data && !pl_data_ref_if_alive(data))
        data = data->next_attached;
    pl_place_unlock(rt);
    return data;
}

void pl_detach_all(parla_runtime *rt)
{
    bool any;
    do {
        parla_data *data = take_attached(rt, &any);
        if (!data) {
            sched_yield();
            continue;
        }
        bring_home(rt, data);
        pl_attachment_lock();
        leave(rt, data);
        pl_data_drop(data);
    } while (any);
}
