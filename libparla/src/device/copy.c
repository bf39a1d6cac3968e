/* copy.c - moves boxes between devices, each by one of three routes.
 *
 *   host to host        at once, on the calling thread
 *   direct              one copy in the copy queue of the destination, or of the source if the destination is the host
 *   staged              source to a buffer of the host, then from there to the destination: for devices of different kinds, and where the
 *                       backend declines the direct route
 *
 * A leg of a copy is three entries in a copy queue: the copy, an event, and a call of leg_ended, which reads from the event how the copy
 * went. (Without queue_call, a watch waits for the event and calls.) The device's copy_lock keeps the three together: a failure is reported
 * by the next event, which must be the copy's own. leg_ended starts the second leg or ends the copy. All calls for one queue come from
 * one thread, in order.
 *
 * A link's busy time is that of its copies alone: from when the queue was free for the copy to when it had ended.
 *
 * Locks: copy_lock while a leg is queued; flight_lock for the count of copies in flight; neither while `done` is called. */
#include "device/copy.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/strided.h"
#include "device/watch.h"

#include <stdlib.h>

#define RETRY_NS UINT64_C(1000000)

typedef struct copy_op {
    pl_devices *devices;
    pl_link *link;
    parla_instance dst, src;
    void (*done)(void *arg, int status);
    void *arg;
    size_t n_bytes;
    uint64_t busy_ns; /* of the legs that have ended */

    /* The staging buffer, and whether the leg that fills it is still to end. NULL for a direct copy. */
    void *staging;
    bool is_first_leg;

    /* The leg in flight. */
    pl_device *device; /* in whose copy queue it is */
    uint64_t queued_ns;
    pl_watch_item ended; /* its event, and the call */
} copy_op;

static void flight_begin(pl_devices *devices)
{
    pthread_mutex_lock(&devices->flight_lock);
    devices->n_flying++;
    pthread_mutex_unlock(&devices->flight_lock);
}

static void flight_end(pl_devices *devices)
{
    pthread_mutex_lock(&devices->flight_lock);
    if (--devices->n_flying == 0)
        pthread_cond_broadcast(&devices->flight_over);
    pthread_mutex_unlock(&devices->flight_lock);
}

void pl_copy_drain(pl_devices *devices)
{
    pthread_mutex_lock(&devices->flight_lock);
    while (devices->n_flying > 0)
        pthread_cond_wait(&devices->flight_over, &devices->flight_lock);
    pthread_mutex_unlock(&devices->flight_lock);
}

static void count(pl_link *link, size_t n_bytes, uint64_t busy_ns)
{
    pl_add_relaxed(&link->n_copies, 1);
    pl_add_relaxed(&link->n_bytes, n_bytes);
    pl_add_relaxed(&link->busy_ns, busy_ns);
}

static void op_end(copy_op *op, int status)
{
    pl_devices *devices = op->devices;
    if (status == 0)
        count(op->link, op->n_bytes, op->busy_ns);
    op->done(op->arg, status);
    free(op->staging);
    free(op);
    flight_end(devices);
}

/* Queues what follows a copy that is queued already. There is no way back from here, since the copy will touch its memory in any case: if
 * the host has no memory for an entry, this waits until it has some. Needs the copy_lock. */
static int queue_end_locked(copy_op *op)
{
    const parla_backend *backend = op->device->backend;
    int rc;
    while ((rc = backend->event_record(op->device->copy_queue, &op->ended.event)) == PARLA_E_NOMEM)
        pl_sleep_until(pl_now_ns() + RETRY_NS);
    if (rc < 0)
        return rc; /* the device is lost, and with it the copy */
    if (!backend->queue_call) {
        pl_watch_push(op->device->watch, &op->ended);
        return 0;
    }
    while ((rc = backend->queue_call(op->device->copy_queue, op->ended.function, op->ended.arg)) == PARLA_E_NOMEM)
        pl_sleep_until(pl_now_ns() + RETRY_NS);
    if (rc < 0)
        backend->event_free(op->ended.event);
    return rc;
}

/* Queues one leg on a device. On error nothing is in flight. */
static int queue_leg(copy_op *op, pl_device *device, const parla_strided *dst, void *dst_handle, const parla_strided *src,
                     void *src_handle)
{
    op->device = device;
    pthread_mutex_lock(&device->copy_lock);
    op->queued_ns = pl_now_ns();
    int rc = device->backend->copy(device->copy_queue, dst_handle, dst, src_handle, src);
    if (rc == 0)
        rc = queue_end_locked(op);
    pthread_mutex_unlock(&device->copy_lock);
    return rc;
}

/* The staging buffer as a box of the copy's shape. */
static parla_strided staging_box(const copy_op *op)
{
    parla_strided box;
    int rc = parla_strided_contiguous(&box, op->staging, op->dst.box.item_bytes, op->dst.box.ndim, op->dst.box.extent);
    PL_ASSERT(rc == 0); /* a box of this shape exists already */
    (void)rc;
    return box;
}

static int queue_first_leg(copy_op *op)
{
    pl_device *src = &op->devices->list[op->src.i_device];
    parla_strided box = staging_box(op);
    op->is_first_leg = true;
    return queue_leg(op, src, &box, NULL, &op->src.box, src->handle);
}

static int queue_second_leg(copy_op *op)
{
    pl_device *dst = &op->devices->list[op->dst.i_device];
    parla_strided box = staging_box(op);
    op->is_first_leg = false;
    return queue_leg(op, dst, &op->dst.box, dst->handle, &box, NULL);
}

/* Called on the thread of the leg's queue, or of the watch, after the leg's event has passed. */
static void leg_ended(void *arg)
{
    copy_op *op = arg;
    pl_device *device = op->device;
    int status = device->backend->event_query(op->ended.event);
    device->backend->event_free(op->ended.event);

    uint64_t now_ns = pl_now_ns();
    op->busy_ns += now_ns - (device->copy_done_ns > op->queued_ns ? device->copy_done_ns : op->queued_ns);
    device->copy_done_ns = now_ns;

    if (status == 0 && op->is_first_leg) {
        status = queue_second_leg(op);
        if (status == 0)
            return; /* op may be gone already */
    }
    op_end(op, status);
}

static int start_staged(copy_op *op)
{
    op->staging = malloc(op->n_bytes > 0 ? op->n_bytes : 1);
    if (!op->staging)
        return pl_error_set(PARLA_E_NOMEM, "no host memory for %zu bytes on their way from %s to %s", op->n_bytes,
                            op->devices->list[op->src.i_device].name, op->devices->list[op->dst.i_device].name);
    return queue_first_leg(op);
}

/* Picks the route of a copy that is not between two boxes of the host. */
static int start(copy_op *op)
{
    pl_device *dst = &op->devices->list[op->dst.i_device], *src = &op->devices->list[op->src.i_device];
    bool has_host = dst->index == 0 || src->index == 0;
    if (!has_host && dst->backend != src->backend)
        return start_staged(op);
    pl_device *device = dst->index == 0 ? src : dst;
    int rc = queue_leg(op, device, &op->dst.box, dst->handle, &op->src.box, src->handle);
    return rc == PARLA_E_UNSUPPORTED && !has_host ? start_staged(op) : rc;
}

static int copy_on_host(pl_link *link, const parla_strided *dst, const parla_strided *src)
{
    uint64_t begin_ns = pl_now_ns();
    pl_strided_copy_checked(dst, src);
    count(link, parla_strided_bytes(dst), pl_now_ns() - begin_ns);
    return 0;
}

static int check(const pl_devices *devices, const parla_instance *dst, const parla_instance *src)
{
    int n = devices->n;
    if (dst->i_device < 0 || dst->i_device >= n || src->i_device < 0 || src->i_device >= n)
        return pl_error_set(PARLA_E_INVALID, "a copy from device %d to device %d; there are devices 0 to %d", src->i_device,
                            dst->i_device, n - 1);
    return pl_strided_check(&dst->box, &src->box);
}

int pl_copy_async(pl_devices *devices, const parla_instance *dst, const parla_instance *src, void (*done)(void *arg, int status),
                  void *arg)
{
    int rc = check(devices, dst, src);
    if (rc < 0)
        return rc;
    pl_link *link = &devices->links[src->i_device * devices->n + dst->i_device];
    if (dst->i_device == 0 && src->i_device == 0) {
        done(arg, copy_on_host(link, &dst->box, &src->box));
        return 0;
    }

    copy_op *op = malloc(sizeof *op);
    if (!op)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a copy");
    *op = (copy_op){.devices = devices, .link = link, .dst = *dst, .src = *src, .done = done, .arg = arg};
    op->n_bytes = parla_strided_bytes(&dst->box);
    op->ended = (pl_watch_item){.function = leg_ended, .arg = op};
    flight_begin(devices);
    rc = start(op);
    if (rc < 0) {
        free(op->staging);
        free(op);
        flight_end(devices);
    }
    return rc;
}
