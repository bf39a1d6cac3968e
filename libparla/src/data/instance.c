/* instance.c - memory, pins and the list of unpinned instances. The invariants are in instance.h. */
#include "data/instance.h"

#include "base/break.h"
#include "base/compiler.h"
#include "base/error.h"
#include "data/data.h"
#include "device/backends.h"

#include <stdlib.h>
#include <string.h>

size_t pl_box_bytes(const parla_data *data, const pl_span *spans)
{
    size_t n = data->shape.item_bytes;
    for (int k = 0; spans && k < data->shape.ndim; k++)
        n *= (size_t)spans[k].n;
    return spans ? n : data->n_bytes;
}

static bool is_empty(const pl_span *spans, int ndim)
{
    for (int k = 0; k < ndim; k++)
        if (spans[k].n == 0)
            return true;
    return false;
}

bool pl_instance_covers(const pl_instance *instance, const pl_span *spans)
{
    int ndim = instance->data->shape.ndim;
    if (instance->is_whole)
        return true;
    if (!spans)
        return false;
    bool is_inside = true;
    for (int k = 0; is_inside && k < ndim; k++) {
        const pl_span *own = &instance->spans[k];
        is_inside = spans[k].start >= own->start && pl_span_last(&spans[k]) < own->start + own->n;
    }
    return is_inside || is_empty(spans, ndim);
}

/* --- The list of the unpinned ------------------------------------------------------------------------------------------------- */

static void list_newest(pl_store *store, pl_instance *instance)
{
    instance->older = store->newest;
    instance->newer = NULL;
    if (store->newest)
        store->newest->newer = instance;
    else
        store->oldest = instance;
    store->newest = instance;
    instance->is_listed = true;
    store->idle_bytes += instance->n_bytes;
}

static void unlist(pl_store *store, pl_instance *instance)
{
    if (instance->older)
        instance->older->newer = instance->newer;
    else
        store->oldest = instance->newer;
    if (instance->newer)
        instance->newer->older = instance->older;
    else
        store->newest = instance->older;
    instance->is_listed = false;
    store->idle_bytes -= instance->n_bytes;
}

/* --- Memory ------------------------------------------------------------------------------------------------------------------- */

/* The whole array as it would lie if all of it had memory like the box has. The base may be outside of the memory. */
static void set_box(pl_instance *instance, void *memory)
{
    const parla_strided *shape = &instance->data->shape;
    int64_t extent[PARLA_MAX_NDIM], offset = 0;
    for (int k = 0; k < shape->ndim; k++)
        extent[k] = instance->is_whole ? shape->extent[k] : instance->spans[k].n;
    int rc = parla_strided_contiguous(&instance->box, memory, shape->item_bytes, shape->ndim, extent);
    PL_ASSERT(rc == 0); /* a part of a shape that was checked when the array was made */
    (void)rc;
    for (int k = 0; k < shape->ndim && !instance->is_whole; k++) {
        offset += instance->spans[k].start * instance->box.stride[k];
        instance->box.extent[k] = shape->extent[k];
    }
    instance->box.base = (void *)((uintptr_t)memory - (uintptr_t)offset);
    instance->memory = memory;
}

static int take_memory(pl_store *store, pl_instance *instance)
{
    void *memory = store->pool ? pl_host_pool_alloc(store->pool, instance->n_bytes) : NULL;
    instance->pool = memory ? store->pool : NULL;
    int rc = memory ? 0 : pl_device_alloc(store->device, &memory, instance->n_bytes);
    if (rc == 0)
        set_box(instance, memory);
    return rc;
}

static bool is_of_object(const pl_instance *instance) { return instance == &instance->data->host; }

static pl_instance **first_of(const pl_instance *instance) { return &instance->data->others[instance->i_device - 1]; }

static void link_to_array(pl_instance *instance)
{
    pl_instance **first = first_of(instance);
    instance->next = *first;
    if (*first)
        (*first)->prev = instance;
    *first = instance;
}

static void unlink_from_array(pl_instance *instance)
{
    if (instance->prev)
        instance->prev->next = instance->next;
    else
        *first_of(instance) = instance->next;
    if (instance->next)
        instance->next->prev = instance->prev;
}

static pl_instance *make(parla_data *data, int i_device, const pl_span *spans)
{
    if (i_device == 0)
        return &data->host;
    pl_instance *instance = calloc(1, sizeof *instance);
    if (!instance)
        return NULL;
    instance->data = data;
    instance->i_device = i_device;
    instance->n_bytes = pl_box_bytes(data, spans);
    instance->is_whole = instance->n_bytes == data->n_bytes;
    if (spans)
        memcpy(instance->spans, spans, (size_t)data->shape.ndim * sizeof *spans);
    return instance;
}

int pl_instance_create(pl_store *store, parla_data *data, const pl_span *spans, pl_instance **out)
{
    pl_instance *instance = make(data, store->device->index, spans);
    if (!instance)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the record of a copy of %s", pl_data_label(data));
    PL_ASSERT(!instance->memory);
    int rc = take_memory(store, instance);
    if (rc < 0) {
        if (!is_of_object(instance))
            free(instance);
        return rc;
    }
    if (!is_of_object(instance))
        link_to_array(instance);
    instance->is_kept = false;
    store->device->used_bytes += instance->n_bytes;
    list_newest(store, instance);
    *out = instance;
    return 0;
}

void pl_instance_free_detached(pl_instance *host)
{
    if (!host->memory || host->is_given)
        return;
    if (host->pool)
        pl_host_pool_free(host->pool, host->memory);
    else
        pl_backend_cpu.free(NULL, host->memory, host->n_bytes);
    host->memory = NULL;
}

void pl_instance_free(pl_store *store, pl_instance *instance)
{
    if (!instance->memory || instance->is_given)
        return;
    PL_ASSERT(instance->n_pins == 0 && instance->current_bytes == 0);
    unlist(store, instance);
    if (instance->pool)
        pl_host_pool_free(instance->pool, instance->memory);
    else
        pl_device_free(store->device, instance->memory, instance->n_bytes);
    store->device->used_bytes -= instance->n_bytes;
    instance->memory = NULL;
    if (is_of_object(instance))
        return;
    unlink_from_array(instance);
    free(instance);
}

void pl_instance_adopt(pl_store *store, pl_instance *host)
{
    if (!host->memory || host->is_given)
        return;
    store->device->used_bytes += host->n_bytes;
    list_newest(store, host);
}

void pl_instance_disown(pl_store *store, pl_instance *host)
{
    if (!host->memory || host->is_given)
        return;
    PL_ASSERT(host->n_pins == 0);
    unlist(store, host);
    store->device->used_bytes -= host->n_bytes;
}

/* --- Use ---------------------------------------------------------------------------------------------------------------------- */

void pl_instance_pin(pl_store *store, pl_instance *instance)
{
    if (instance->n_pins++ == 0 && instance->is_listed)
        unlist(store, instance);
    instance->is_kept = false;
}

void pl_instance_unpin(pl_store *store, pl_instance *instance)
{
    PL_ASSERT(instance->n_pins > 0);
    if (--instance->n_pins == 0 && instance->memory && !instance->is_given)
        list_newest(store, instance);
}

void pl_instance_demote(pl_store *store, pl_instance *instance)
{
    if (!instance->is_listed || store->oldest == instance)
        return;
    unlist(store, instance);
    instance->newer = store->oldest;
    instance->older = NULL;
    store->oldest->older = instance;
    store->oldest = instance;
    instance->is_listed = true;
    store->idle_bytes += instance->n_bytes;
}

pl_instance *pl_store_victim(const pl_store *store, bool spare)
{
    if (pl_is_broken(PL_BREAK_EVICT))
        return spare ? store->oldest : NULL;
    for (pl_instance *at = store->oldest; at; at = at->newer)
        if (!at->is_kept && pl_instance_is_spare(at) == spare)
            return at;
    return NULL;
}
