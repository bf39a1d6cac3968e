/* lease.c - see the header. Behind all queues: a queue of its own waits for an event of each, and there the memory goes back. */
#include "device/lease.h"

#include "base/error.h"

#include <stdlib.h>
#include <unistd.h>

int pl_lease_create(pl_lease **out, pl_device *device)
{
    pl_lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        return pl_error_set(PARLA_E_NOMEM, "no memory to open %s", device->name);
    lease->backend = device->backend;
    lease->handle = device->handle;
    lease->device = device;
    lease->process = (long)getpid();
    atomic_init(&lease->refs_shared, 1);
    pthread_mutex_init(&lease->lock, NULL);
    *out = lease;
    return 0;
}

void pl_lease_ref(pl_lease *lease) { pl_add_relaxed(&lease->refs_shared, 1); }

void pl_lease_unref(pl_lease *lease)
{
    if (pl_sub_acq_rel(&lease->refs_shared, 1) != 1)
        return;
    lease->backend->close(lease->handle);
    pthread_mutex_destroy(&lease->lock);
    free(lease);
}

/* --- Back --------------------------------------------------------------------------------------------------------------------- */

static void wait_for(pl_lease *lease, void *queue)
{
    void *event;
    if (lease->backend->event_record(queue, &event) < 0)
        return; /* the device has failed: nothing runs there any more */
    (void)lease->backend->queue_wait(lease->free_queue, event);
    lease->backend->event_free(event);
}

/* With the lock. False without a queue to do it in. */
static bool give_behind_all(pl_lease *lease, const parla_block *block)
{
    const pl_device *device = lease->device;
    if (!lease->free_queue && lease->backend->queue_open(lease->handle, &lease->free_queue) < 0) {
        lease->free_queue = NULL;
        return false;
    }
    for (int i = 0; i < device->n_queues; i++)
        wait_for(lease, device->queues[i]);
    if (device->copy_queue)
        wait_for(lease, device->copy_queue);
    lease->backend->queue_free(lease->free_queue, block->memory, block->n_bytes);
    return true;
}

static void drop(parla_block *block)
{
    pl_lease_unref(block->lease);
    free(block);
}

void pl_block_give(parla_block *block, void *queue)
{
    pl_lease *lease = block->lease;
    bool is_given = false;
    pl_sub_acq_rel(&lease->n_bytes, block->n_bytes);
    pthread_mutex_lock(&lease->lock);
    pl_lease_state state = lease->state;
    if (state == PL_LEASE_CLOSING) {
        block->next = lease->late;
        lease->late = block;
    } else if (state == PL_LEASE_OPEN && queue && queue == block->queue) {
        lease->backend->queue_free(queue, block->memory, block->n_bytes);
        is_given = true;
    } else if (state == PL_LEASE_OPEN && block->queue) {
        is_given = give_behind_all(lease, block);
        if (!is_given) { /* in its queue, then: other queues would have to be waited for */
            lease->backend->queue_free(block->queue, block->memory, block->n_bytes);
            is_given = true;
        }
    }
    pthread_mutex_unlock(&lease->lock);
    if (state == PL_LEASE_CLOSING)
        return;
    if (!is_given)
        lease->backend->free(lease->handle, block->memory, block->n_bytes);
    drop(block);
}

int pl_block_take(parla_block *block)
{
    pl_lease *lease = block->lease;
    int rc = block->queue ? lease->backend->queue_alloc(block->queue, &block->memory, block->n_bytes)
                          : lease->backend->alloc(lease->handle, &block->memory, block->n_bytes);
    if (rc == 0)
        pl_lease_ref(lease);
    return rc;
}

/* --- The end of the runtime --------------------------------------------------------------------------------------------------- */

void pl_lease_begin_close(pl_lease *lease)
{
    pthread_mutex_lock(&lease->lock);
    lease->state = PL_LEASE_CLOSING;
    pthread_mutex_unlock(&lease->lock);
}

void pl_lease_end_close(pl_lease *lease)
{
    if (lease->free_queue)
        lease->backend->queue_close(lease->free_queue);
    pthread_mutex_lock(&lease->lock);
    lease->free_queue = NULL;
    lease->device = NULL;
    lease->state = PL_LEASE_CLOSED;
    parla_block *late = lease->late;
    lease->late = NULL;
    pthread_mutex_unlock(&lease->lock);
    while (late) {
        parla_block *next = late->next;
        lease->backend->free(lease->handle, late->memory, late->n_bytes);
        drop(late);
        late = next;
    }
}
