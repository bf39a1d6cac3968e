/* lease.c - see the header. Behind all queues: a queue of its own waits for an event of each, and there the memory goes back. */
#include "device/lease.h"

#include "base/break.h"
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
    lease->last_going = &lease->going;
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

/* With the lock. Where memory goes back that may be in use in any queue, or NULL without a queue to do it in. */
static void *behind_all(pl_lease *lease)
{
    const pl_device *device = lease->device;
    if (!lease->free_queue && lease->backend->queue_open(lease->handle, &lease->free_queue) < 0) {
        lease->free_queue = NULL;
        return NULL;
    }
    for (int i = 0; i < device->n_queues && !pl_is_broken(PL_BREAK_BLOCK); i++)
        wait_for(lease, device->queues[i]);
    if (device->copy_queue)
        wait_for(lease, device->copy_queue);
    return lease->free_queue;
}

static void drop(parla_block *block)
{
    pl_lease_unref(block->lease);
    free(block);
}

static void count_out(parla_block *block) { pl_sub_acq_rel(&block->lease->n_bytes, block->n_bytes); }

static void enlist(pl_lease *lease, parla_block *block)
{
    if (lease->watcher)
        lease->watcher->begin(lease->watcher_ctx);
    block->next = NULL;
    pl_add_relaxed(&lease->n_going, 1);
    *lease->last_going = block;
    lease->last_going = &block->next;
    if (lease->watcher)
        lease->watcher->kick(lease->watcher_ctx);
}

/* With the lock, while open. False: the caller counts it out and drops it. */
static bool send_back(pl_lease *lease, parla_block *block, void *queue)
{
    bool is_own = queue && queue == block->queue;
    if (is_own && pl_device_runs_bodies(lease->device)) { /* what its body did is done */
        lease->backend->free(lease->handle, block->memory, block->n_bytes);
        return false;
    }
    void *where = is_own ? queue : behind_all(lease);
    lease->backend->queue_free(where ? where : block->queue, block->memory, block->n_bytes);
    if (is_own || !where || lease->backend->event_record(where, &block->event) < 0)
        return false;
    enlist(lease, block);
    return true;
}

void pl_block_give(parla_block *block, void *queue)
{
    pl_lease *lease = block->lease;
    bool is_kept = false;
    pthread_mutex_lock(&lease->lock);
    if (lease->state == PL_LEASE_CLOSING) {
        block->next = lease->late;
        lease->late = block;
        count_out(block);
        is_kept = true;
    } else if (lease->state == PL_LEASE_OPEN && block->queue) {
        is_kept = send_back(lease, block, queue);
    } else {
        lease->backend->free(lease->handle, block->memory, block->n_bytes);
    }
    pthread_mutex_unlock(&lease->lock);
    if (is_kept)
        return;
    count_out(block);
    drop(block);
}

/* With the lock. Takes out the oldest that is on its way, or NULL. */
static parla_block *take_going(pl_lease *lease)
{
    parla_block *block = lease->going;
    if (block) {
        lease->going = block->next;
        if (!lease->going)
            lease->last_going = &lease->going;
        lease->backend->event_free(block->event);
        count_out(block);
        pl_sub_acq_rel(&lease->n_going, 1); /* pairs with pl_lease_is_going() */
    }
    return block;
}

/* The runtime holds the lease meanwhile, so none of these is its last. */
int pl_lease_collect(pl_lease *lease)
{
    int n = 0;
    pthread_mutex_lock(&lease->lock);
    while (lease->going && lease->backend->event_query(lease->going->event) != PARLA_PENDING) {
        drop(take_going(lease));
        n++;
    }
    pthread_mutex_unlock(&lease->lock);
    return n;
}

void pl_lease_watch(pl_lease *lease, const pl_lease_watcher *watcher, void *ctx)
{
    pthread_mutex_lock(&lease->lock);
    lease->watcher = watcher;
    lease->watcher_ctx = ctx;
    pthread_mutex_unlock(&lease->lock);
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
        lease->backend->queue_close(lease->free_queue); /* waits for what is on its way */
    pthread_mutex_lock(&lease->lock);
    while (lease->going)
        drop(take_going(lease));
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
