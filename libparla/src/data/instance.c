/* instance.c - memory, pins and the list of unpinned copies. The invariants are in instance.h. */
#include "data/instance.h"

#include "base/break.h"
#include "base/compiler.h"
#include "data/data.h"
#include "device/backends.h"

size_t pl_instance_bytes(const pl_instance *instance) { return instance->data->n_bytes; }

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
    store->idle_bytes += pl_instance_bytes(instance);
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
    store->idle_bytes -= pl_instance_bytes(instance);
}

int pl_instance_alloc(pl_store *store, pl_instance *instance)
{
    PL_ASSERT(!instance->memory);
    const parla_strided *shape = &instance->data->shape;
    void *memory = store->pool ? pl_host_pool_alloc(store->pool, pl_instance_bytes(instance)) : NULL;
    instance->pool = memory ? store->pool : NULL;
    int rc = memory ? 0 : pl_device_alloc(store->device, &memory, pl_instance_bytes(instance));
    if (rc < 0)
        return rc;
    rc = parla_strided_contiguous(&instance->box, memory, shape->item_bytes, shape->ndim, shape->extent);
    PL_ASSERT(rc == 0); /* the shape was checked when the array was made */
    instance->memory = memory;
    instance->is_kept = false;
    store->device->used_bytes += pl_instance_bytes(instance);
    list_newest(store, instance);
    return rc;
}

void pl_instance_free_detached(pl_instance *host)
{
    if (!host->memory || host->is_given)
        return;
    if (host->pool)
        pl_host_pool_free(host->pool, host->memory);
    else
        pl_backend_cpu.free(NULL, host->memory, pl_instance_bytes(host));
    host->memory = NULL;
}

void pl_instance_free(pl_store *store, pl_instance *instance)
{
    if (!instance->memory || instance->is_given)
        return;
    PL_ASSERT(instance->n_pins == 0);
    unlist(store, instance);
    if (instance->pool)
        pl_host_pool_free(instance->pool, instance->memory);
    else
        pl_device_free(store->device, instance->memory, pl_instance_bytes(instance));
    store->device->used_bytes -= pl_instance_bytes(instance);
    instance->memory = NULL;
}

void pl_instance_adopt(pl_store *store, pl_instance *instance)
{
    if (!instance->memory || instance->is_given)
        return;
    store->device->used_bytes += pl_instance_bytes(instance);
    list_newest(store, instance);
}

void pl_instance_disown(pl_store *store, pl_instance *instance)
{
    if (!instance->memory || instance->is_given)
        return;
    PL_ASSERT(instance->n_pins == 0);
    unlist(store, instance);
    store->device->used_bytes -= pl_instance_bytes(instance);
}

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
    store->idle_bytes += pl_instance_bytes(instance);
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
