/* block.c - memory that bodies take of their devices: what it is counted as, and making room for it.
 *
 * A block is drawn from its task's reservation as far as that goes, so what a task has asked for at its spawn is not counted twice. When the
 * task destroys such a block itself, the reservation gets the bytes back; when its reservation ends, all that its blocks hold are simply
 * bytes in use. Bytes beyond the reservation are taken from what is free, and copies of arrays that are spare are dropped for them. */
#include "base/error.h"
#include "base/text.h"
#include "sched/placed.h"

#include <parla/native.h>
#include <parla/poll.h>

#include <stdlib.h>
#include <unistd.h>

/* The reservation behind a member of the running task; NULL if it has none. Needs the lock. */
static pl_member *reservation_of(const parla_context *context, size_t member)
{
    pl_placed *placed = context->task->flags & PL_FLAG_PLACED ? pl_placed_of(context->task) : NULL;
    if (!placed || !placed->has_resources || member >= (size_t)placed->n_devices)
        return NULL;
    return &placed->members[placed->alternatives[placed->i_alternative].first + member];
}

static bool drop_a_spare_copy(parla_runtime *rt, pl_site *site)
{
    pl_instance *victim = pl_store_victim(&site->store, true);
    if (victim)
        pl_evict(rt, victim);
    return victim != NULL;
}

static int refuse(const pl_device *device, size_t n_bytes, size_t free_bytes)
{
    return pl_error_set(
        PARLA_E_DEVICE_MEMORY,
        "a body asks for %zu bytes of %s, which has %zu of its %zu free beside arrays (%zu), blocks of bodies (%zu) and "
        "reservations (%zu): say at the spawn how much memory the task needs, so that room is made before it starts",
        n_bytes, device->name, free_bytes, device->traits.memory_bytes, device->used_bytes, pl_lease_bytes(device->lease),
        device->reserved_bytes);
}

/* Blocks that have come back count no longer; the progress function then looks for tasks that wait for their memory. */
static void collect_here(parla_runtime *rt, const pl_device *device)
{
    int n = pl_lease_collect(device->lease);
    if (n == 0)
        return;
    pl_add_seq(&rt->place.n_back, n);
    parla_poll_kick(rt->place.blocks_poll);
}

static int count_in(parla_context *context, size_t member, pl_device *device, parla_block *block)
{
    parla_runtime *rt = context->rt;
    pl_site *site = &rt->place.sites[device->index];
    int rc = 0;
    collect_here(rt, device);
    pl_place_lock(rt);
    pl_member *reserved = reservation_of(context, member);
    size_t left = reserved ? reserved->memory_bytes - reserved->drawn_bytes : 0;
    block->drawn_bytes = left < block->n_bytes ? left : block->n_bytes;
    size_t need = block->n_bytes - block->drawn_bytes;
    while (need > pl_free_bytes(device) && drop_a_spare_copy(rt, site))
        ;
    if (need > pl_free_bytes(device)) {
        rc = refuse(device, block->n_bytes, pl_free_bytes(device));
    } else {
        if (reserved)
            reserved->drawn_bytes += block->drawn_bytes;
        device->reserved_bytes -= block->drawn_bytes;
        pl_add_relaxed(&device->lease->n_bytes, block->n_bytes);
    }
    pl_place_unlock(rt);
    return rc;
}

/* The running body gives back what its own task has drawn. */
static void give_to_reservation(parla_context *context, size_t member, pl_device *device, const parla_block *block)
{
    parla_runtime *rt = context->rt;
    pl_place_lock(rt);
    pl_member *reserved = reservation_of(context, member);
    if (reserved) {
        size_t n_bytes = block->drawn_bytes < reserved->drawn_bytes ? block->drawn_bytes : reserved->drawn_bytes;
        reserved->drawn_bytes -= n_bytes;
        device->reserved_bytes += n_bytes;
    }
    pl_place_unlock(rt);
}

static void *queue_at(const parla_context *context, const pl_device *device)
{
    int i_queue = pl_place_queue_of(context->task);
    return i_queue < 0 || device->n_queues == 0 ? NULL : device->queues[i_queue % device->n_queues];
}

/* Takes memory; drops one more spare copy each time that the backend refuses what the accounts say is free. */
static int take(parla_runtime *rt, pl_device *device, parla_block *block)
{
    int rc;
    bool dropped = true;
    while ((rc = pl_block_take(block)) == PARLA_E_DEVICE_MEMORY && dropped) {
        pl_place_lock(rt);
        dropped = drop_a_spare_copy(rt, &rt->place.sites[device->index]);
        pl_place_unlock(rt);
    }
    return rc;
}

int parla_block_create(parla_block **out, parla_context *context, size_t member, size_t n_bytes)
{
    int i_device = parla_context_device(context, member);
    if (i_device < 0)
        return i_device;
    pl_device *device = &context->rt->place.devices.list[i_device];
    parla_block *block = calloc(1, sizeof *block);
    if (!block)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the record of a block");
    *block = (parla_block){.lease = device->lease, .n_bytes = n_bytes, .queue = queue_at(context, device)};
    block->task = pl_task_handle(context->task);
    int rc = count_in(context, member, device, block);
    if (rc == 0) {
        rc = take(context->rt, device, block);
        if (rc < 0) {
            pl_sub_acq_rel(&device->lease->n_bytes, n_bytes);
            give_to_reservation(context, member, device, block);
        }
    }
    if (rc < 0)
        free(block);
    else
        *out = block;
    return rc;
}

void *parla_block_memory(const parla_block *block) { return block->memory; }

/* The queue of the running body on the block's device, or NULL; what the body's task has drawn goes back to it. */
static void *leave_body(parla_block *block)
{
    parla_context *context = pl_current();
    size_t n = context ? parla_context_n_devices(context) : 0;
    for (size_t k = 0; k < n; k++) {
        pl_device *device = &context->rt->place.devices.list[parla_context_device(context, k)];
        if (device->lease != block->lease)
            continue;
        if (parla_task_equal(pl_task_handle(context->task), block->task))
            give_to_reservation(context, k, device, block);
        return queue_at(context, device);
    }
    return NULL;
}

void parla_block_destroy(parla_block *block)
{
    if (!block || block->lease->process != (long)getpid())
        return; /* in the child of a fork the device is not ours to call */
    void *queue = leave_body(block);
    pl_block_give(block, queue);
}

/* --- What is on its way back -------------------------------------------------------------------------------------------------- */

/* A progress function: tasks may wait for what comes back, so a block on its way is something that goes on outside, until they were looked
 * at. */
static int poll_blocks(void *ctx)
{
    parla_runtime *rt = ctx;
    bool is_going = false;
    int n = pl_exchange_seq(&rt->place.n_back, 0);
    for (int i = 1; i < rt->place.devices.n; i++) {
        pl_lease *lease = rt->place.devices.list[i].lease;
        n += pl_lease_collect(lease);
        is_going |= pl_lease_is_going(lease);
    }
    if (n > 0) {
        pl_todo todo = {0};
        pl_worker *self = pl_place_self(rt);
        pl_place_lock(rt);
        pl_pump(rt, &todo);
        pl_place_unlock_and_do(rt, self, &todo);
    }
    for (int i = 0; i < n; i++)
        pl_outside_done(rt);
    return is_going || n > 0 ? n : -1;
}

static void begin_outside(void *rt) { pl_outside_add(rt); }
static void kick_poll(void *rt) { parla_poll_kick(((parla_runtime *)rt)->place.blocks_poll); }
static const pl_lease_watcher watcher = {begin_outside, kick_poll};

int pl_blocks_open(parla_runtime *rt)
{
    if (rt->place.devices.n == 1)
        return 0;
    int rc = parla_poll_add(rt, &rt->place.blocks_poll, poll_blocks, rt);
    for (int i = 1; rc == 0 && i < rt->place.devices.n; i++)
        pl_lease_watch(rt->place.devices.list[i].lease, &watcher, rt);
    return rc;
}

void pl_blocks_close(parla_runtime *rt)
{
    if (!rt->place.blocks_poll)
        return;
    for (int i = 1; i < rt->place.devices.n; i++)
        pl_lease_watch(rt->place.devices.list[i].lease, NULL, NULL);
    parla_poll_remove(rt->place.blocks_poll);
    rt->place.blocks_poll = NULL;
}
