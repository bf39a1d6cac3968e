/* copy.c - moves boxes between devices, each by one of three routes.
 *
 *   host to host        at once, on the calling thread
 *   direct              one copy in the copy queue of the destination, or of the source if the destination is the host
 *   staged              piece by piece through buffers of the host (staging.h): between devices of different kinds, where the backend
 *                       declines the direct route, and where the host's end is not page-locked and the backend wants it to be
 *
 * A copy has lanes, each with one buffer, that take its pieces in turn: so one piece is packed or unpacked while others are on the link.
 *
 *   host to device      the piece is copied into the buffer here, then queued from there: "out"
 *   device to host      queued into the buffer: "in"; copied to its place when that is done
 *   device to device    in, then out
 *
 * The first lane waits in the staging's list if there is no buffer, so it is not a thread that waits; further lanes are opened while buffers
 * are to be had. After a failure no lane takes another piece. The lane that closes last ends the copy. A direct copy is one lane without a
 * buffer.
 *
 * What a lane has in flight are three entries in a copy queue: the copy, an event, and a call of leg_ended, which reads from the event how
 * the copy went. (Without queue_call, a watch waits for the event and calls.) The device's copy_lock keeps the three together: a failure is
 * reported by the next event, which must be the copy's own. All calls for one queue come from one thread, in order.
 *
 * The host's end of a copy is settled when it begins; only the device's may still be in use by what it comes behind (pl_copy_order). So the
 * queue waits for that once, before the first piece, and the host's part is done without a wait.
 *
 * A link's busy time is that of its copies alone: from when the queue was free for the copy, and what it came behind was done, to when it
 * had ended; of staged copies with the host's part of the work.
 *
 * Locks: copy_lock while a leg is queued; flight_lock for the count of copies in flight; an operation's own for its pieces; none while `done`
 * is called. */
#include "device/copy.h"

#include "base/atomic.h"
#include "base/break.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/cut.h"
#include "base/error.h"
#include "base/strided.h"
#include "device/links.h"
#include "device/watch.h"

#include <stdlib.h>

#define RETRY_NS UINT64_C(1000000)

enum { MAX_LANES = 4 };

typedef struct lane {
    pl_stage_buffer stage; /* first, since the staging gives it back; without memory: a direct copy */
    struct copy_op *op;
    int64_t i_piece;
    bool waits; /* for its buffer, and with it the whole copy */
    bool is_in; /* what is in flight fills the buffer */
    uint64_t begin_ns;
    pl_device *device;   /* in whose copy queue it is */
    pl_watch_item ended; /* its event, and the call */
} lane;

typedef struct copy_op {
    pl_devices *devices;
    pl_link *link;
    parla_instance dst, src;
    const pl_copy_order *order; /* what it comes behind */
    void (*done)(void *arg, int status);
    void *arg;
    size_t n_bytes;

    pl_cut cut;
    pl_staging *staging; /* NULL: direct */

    pthread_mutex_t lock; /* guards what follows */
    bool is_ordered[2];   /* the queue of dst, of src waits for the order */
    int64_t n_taken;      /* pieces */
    int n_open;           /* lanes */
    int status;
    uint64_t busy_ns;

    lane lanes[];
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

static void op_end(copy_op *op)
{
    pl_devices *devices = op->devices;
    if (op->status == 0)
        pl_link_count(op->link, op->n_bytes, op->busy_ns);
    op->done(op->arg, op->status);
    pthread_mutex_destroy(&op->lock);
    free(op);
    flight_end(devices);
}

static bool is_host(const parla_instance *end) { return end->i_device == 0; }

/* --- One leg ------------------------------------------------------------------------------------------------------------------ */

/* Queues what follows a copy that is queued already. There is no way back from here, since the copy will touch its memory in any case: if
 * the host has no memory for an entry, this waits until it has some. Needs the copy_lock. */
static int queue_end_locked(lane *l)
{
    const parla_backend *backend = l->device->backend;
    int rc;
    while ((rc = backend->event_record(l->device->copy_queue, &l->ended.event)) == PARLA_E_NOMEM)
        pl_sleep_until(pl_now_ns() + RETRY_NS);
    if (rc < 0)
        return rc; /* the device is lost, and with it the copy */
    if (!backend->queue_call) {
        pl_watch_push(l->device->watch, &l->ended);
        return 0;
    }
    while ((rc = backend->queue_call(l->device->copy_queue, l->ended.function, l->ended.arg)) == PARLA_E_NOMEM)
        pl_sleep_until(pl_now_ns() + RETRY_NS);
    if (rc < 0)
        backend->event_free(l->ended.event);
    return rc;
}

/* When a queue has waited for what a copy comes behind. */
typedef struct beginning {
    pl_watch_item passed;
    const pl_devices *devices;
    pl_device *device;
} beginning;

static void note_beginning(void *arg)
{
    beginning *b = arg;
    b->device->backend->event_free(b->passed.event);
    b->device->copy_done_ns = pl_devices_now_ns(b->devices);
    free(b);
}

/* For the link's busy time only, so it may fail. Needs the copy_lock. */
static void queue_beginning_locked(const pl_devices *devices, pl_device *device)
{
    beginning *b = device->watch ? malloc(sizeof *b) : NULL;
    if (!b)
        return;
    *b = (beginning){.passed = {.function = note_beginning, .arg = b}, .devices = devices, .device = device};
    if (device->backend->event_record(device->copy_queue, &b->passed.event) == 0)
        pl_watch_push(device->watch, &b->passed);
    else
        free(b);
}

/* Makes the copy queue wait for what the copy comes behind, once. Needs the copy_lock. */
static int queue_order_locked(lane *l)
{
    copy_op *op = l->op;
    const pl_copy_order *order = op->order;
    const parla_backend *backend = l->device->backend;
    int rc = 0, n_waits = 0;
    bool *is_ordered = &op->is_ordered[l->device->index == op->dst.i_device ? 0 : 1];
    pthread_mutex_lock(&op->lock);
    bool is_needed = !*is_ordered && order->n > 0 && order->backend == backend;
    *is_ordered = true;
    pthread_mutex_unlock(&op->lock);
    for (size_t i = 0; is_needed && rc == 0 && i < order->n; i++)
        if (backend->event_query(order->events[i]) == PARLA_PENDING) {
            rc = backend->queue_wait(l->device->copy_queue, order->events[i]);
            n_waits++;
        }
    if (rc == 0 && n_waits > 0)
        queue_beginning_locked(op->devices, l->device);
    return rc;
}

/* Queues one leg on a device. On error nothing is in flight. */
static int queue_leg(lane *l, pl_device *device, const parla_strided *dst, void *dst_handle, const parla_strided *src,
                     void *src_handle)
{
    l->device = device;
    pthread_mutex_lock(&device->copy_lock);
    int rc = queue_order_locked(l);
    if (rc == 0)
        rc = device->backend->copy(device->copy_queue, dst_handle, dst, src_handle, src);
    if (rc == 0)
        rc = queue_end_locked(l);
    pthread_mutex_unlock(&device->copy_lock);
    return rc;
}

/* The lane's piece of one end, and its buffer as a box of that shape. */
static parla_strided piece_of(const lane *l, const parla_instance *end) { return pl_cut_piece(&l->op->cut, &end->box, l->i_piece); }

static parla_strided buffer_of(const lane *l)
{
    parla_strided piece = piece_of(l, &l->op->dst), box;
    const lane *owner = pl_is_broken(PL_BREAK_STAGE) ? &l->op->lanes[0] : l;
    int rc = parla_strided_contiguous(&box, owner->stage.memory, piece.item_bytes, piece.ndim, piece.extent);
    PL_ASSERT(rc == 0); /* a box of this shape exists already */
    (void)rc;
    return box;
}

static int queue_in(lane *l)
{
    pl_device *src = &l->op->devices->list[l->op->src.i_device];
    parla_strided box = buffer_of(l), piece = piece_of(l, &l->op->src);
    l->is_in = true;
    return queue_leg(l, src, &box, NULL, &piece, src->handle);
}

static int queue_out(lane *l)
{
    pl_device *dst = &l->op->devices->list[l->op->dst.i_device];
    parla_strided box = buffer_of(l), piece = piece_of(l, &l->op->dst);
    l->is_in = false;
    return queue_leg(l, dst, &piece, dst->handle, &box, NULL);
}

/* --- Lanes -------------------------------------------------------------------------------------------------------------------- */

static void fail(copy_op *op, int status)
{
    pthread_mutex_lock(&op->lock);
    op->status = op->status < 0 ? op->status : status;
    pthread_mutex_unlock(&op->lock);
}

static bool take_piece(lane *l)
{
    copy_op *op = l->op;
    pthread_mutex_lock(&op->lock);
    bool is_there = op->status == 0 && op->n_taken < op->cut.n_pieces;
    if (is_there)
        l->i_piece = op->n_taken++;
    pthread_mutex_unlock(&op->lock);
    return is_there;
}

/* Puts the next piece into flight. False if there is none, or it failed. */
static bool step(lane *l)
{
    copy_op *op = l->op;
    if (!take_piece(l))
        return false;
    l->begin_ns = pl_devices_now_ns(op->devices);
    if (is_host(&op->src)) {
        parla_strided box = buffer_of(l), piece = piece_of(l, &op->src);
        pl_strided_copy_checked(&box, &piece);
    }
    int rc = is_host(&op->src) ? queue_out(l) : queue_in(l);
    if (rc < 0)
        fail(op, rc);
    return rc == 0;
}

/* Closes a lane. Returns those of other copies that its buffer was for. */
static lane *finish(lane *l)
{
    copy_op *op = l->op;
    pl_stage_buffer *next = NULL;
    if (l->stage.memory)
        pl_staging_give(op->staging, &l->stage);
    if (op->staging)
        next = pl_staging_next(op->staging);
    pthread_mutex_lock(&op->lock);
    bool is_last = --op->n_open == 0;
    pthread_mutex_unlock(&op->lock);
    if (is_last)
        op_end(op); /* not before: the devices may be closed then */
    return (lane *)next;
}

static void go_on(lane *l);

/* Opens more lanes for a copy whose first one has a buffer, but nothing in flight yet. */
static void open_others(copy_op *op)
{
    int64_t n = op->cut.n_pieces < MAX_LANES ? op->cut.n_pieces : MAX_LANES;
    for (int64_t i = 1; i < n; i++) {
        lane *l = &op->lanes[i];
        l->stage.n_bytes = op->cut.piece_bytes;
        int rc = pl_staging_take(op->staging, &l->stage, false);
        if (rc == PARLA_PENDING)
            return;
        pthread_mutex_lock(&op->lock);
        op->n_open++;
        pthread_mutex_unlock(&op->lock);
        if (rc < 0)
            fail(op, rc);
        go_on(l);
    }
}

/* Lets a lane, and those that come after it in the list of the staging, go on until each has something in flight or is closed. */
static void go_on(lane *l)
{
    while (l) {
        pl_stage_buffer *more = l->stage.next;
        bool begins = l->waits;
        l->waits = false;
        l->stage.next = NULL;
        if (l->stage.status < 0)
            fail(l->op, l->stage.status);
        else if (begins)
            open_others(l->op);
        lane *next = step(l) ? NULL : finish(l);
        pl_stage_buffer *end = (pl_stage_buffer *)next;
        while (end && end->next)
            end = end->next;
        if (end)
            end->next = more;
        l = next ? next : (lane *)more;
    }
}

static void note_busy(lane *l)
{
    pl_device *device = l->device;
    uint64_t now_ns = pl_devices_now_ns(l->op->devices);
    pthread_mutex_lock(&l->op->lock);
    l->op->busy_ns += now_ns - (device->copy_done_ns > l->begin_ns ? device->copy_done_ns : l->begin_ns);
    pthread_mutex_unlock(&l->op->lock);
    device->copy_done_ns = now_ns;
    pl_device_note_end(l->op->devices, device);
}

/* The buffer is full: the second half of a piece. False if nothing is in flight. */
static bool pass_on(lane *l)
{
    if (!is_host(&l->op->dst)) {
        l->begin_ns = pl_devices_now_ns(l->op->devices);
        int rc = queue_out(l);
        if (rc < 0)
            fail(l->op, rc);
        return rc == 0;
    }
    parla_strided box = buffer_of(l), piece = piece_of(l, &l->op->dst);
    pl_strided_copy_checked(&piece, &box);
    return false;
}

/* Called on the thread of the leg's queue, or of the watch, after the leg's event has passed. */
static void leg_ended(void *arg)
{
    lane *l = arg;
    int status = l->device->backend->event_query(l->ended.event);
    l->device->backend->event_free(l->ended.event);
    note_busy(l);
    if (status < 0)
        fail(l->op, status);
    else if (l->stage.memory && l->is_in && pass_on(l))
        return; /* the copy may be gone already */
    go_on(l);
}

/* --- Routes ------------------------------------------------------------------------------------------------------------------- */

/* The first and the last byte of a box that is not empty. */
static bool is_page_locked(const pl_device *device, const parla_strided *box)
{
    const char *first = box->base, *last = first + box->item_bytes - 1;
    for (int k = 0; k < box->ndim; k++) {
        int64_t reach = (box->extent[k] - 1) * box->stride[k];
        *(reach < 0 ? &first : &last) += reach;
    }
    const parla_backend *backend = device->backend;
    return backend->is_page_locked && backend->is_page_locked(device->handle, first) &&
           backend->is_page_locked(device->handle, last);
}

static bool wants_staging(const copy_op *op, const pl_device *dst, const pl_device *src)
{
    if (op->n_bytes == 0)
        return false;
    if (!is_host(&op->dst) && !is_host(&op->src))
        return dst->backend != src->backend;
    const pl_device *device = is_host(&op->dst) ? src : dst;
    return device->traits.staging.limit_bytes > 0 && !is_page_locked(device, is_host(&op->dst) ? &op->dst.box : &op->src.box);
}

/* Never fails: what goes wrong, the copy ends with. */
static void start_staged(copy_op *op)
{
    pl_device *dst = &op->devices->list[op->dst.i_device], *src = &op->devices->list[op->src.i_device];
    bool is_src = is_host(&op->dst) || (!is_host(&op->src) && src->traits.staging.limit_bytes > 0);
    lane *first = &op->lanes[0];
    op->staging = &(is_src ? src : dst)->staging;
    op->cut = pl_cut_make(&op->dst.box, op->staging->bounds.most_bytes);
    first->stage.n_bytes = op->cut.piece_bytes;
    first->waits = true;
    int rc = pl_staging_take(op->staging, &first->stage, true);
    if (rc == PARLA_PENDING)
        return; /* the copy may be gone already */
    first->stage.status = rc;
    first->stage.next = NULL;
    go_on(first);
}

/* Of a copy that is not between two boxes of the host. */
static int start(copy_op *op)
{
    pl_device *dst = &op->devices->list[op->dst.i_device], *src = &op->devices->list[op->src.i_device];
    bool has_host = is_host(&op->dst) || is_host(&op->src);
    lane *l = &op->lanes[0];
    int rc = PARLA_E_UNSUPPORTED;
    if (!wants_staging(op, dst, src)) {
        l->begin_ns = pl_devices_now_ns(op->devices);
        rc = queue_leg(l, is_host(&op->dst) ? src : dst, &op->dst.box, dst->handle, &op->src.box, src->handle);
        if (rc != PARLA_E_UNSUPPORTED || has_host)
            return rc;
        op->is_ordered[0] = op->is_ordered[1] = false;
    }
    start_staged(op);
    return 0;
}

static copy_op *create(pl_devices *devices, pl_link *link, const parla_instance *dst, const parla_instance *src)
{
    copy_op *op = calloc(1, sizeof *op + MAX_LANES * sizeof op->lanes[0]);
    if (!op)
        return NULL;
    *op = (copy_op){
        .devices = devices, .link = link, .dst = *dst, .src = *src, .n_bytes = parla_strided_bytes(&dst->box), .n_open = 1};
    pthread_mutex_init(&op->lock, NULL);
    for (int i = 0; i < MAX_LANES; i++) {
        lane *l = &op->lanes[i];
        l->op = op;
        l->ended = (pl_watch_item){.function = leg_ended, .arg = l};
    }
    return op;
}

static int copy_on_host(pl_link *link, const parla_strided *dst, const parla_strided *src)
{
    uint64_t begin_ns = pl_now_ns();
    pl_strided_copy_checked(dst, src);
    pl_link_count(link, parla_strided_bytes(dst), pl_now_ns() - begin_ns);
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

int pl_copy_async_behind(pl_devices *devices, const parla_instance *dst, const parla_instance *src, const pl_copy_order *order,
                         void (*done)(void *arg, int status), void *arg)
{
    int rc = check(devices, dst, src);
    if (rc < 0)
        return rc;
    pl_link *link = &devices->links[src->i_device * devices->n + dst->i_device];
    if (dst->i_device == 0 && src->i_device == 0) {
        done(arg, copy_on_host(link, &dst->box, &src->box));
        return 0;
    }

    copy_op *op = create(devices, link, dst, src);
    if (!op)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a copy");
    op->order = order;
    op->done = done;
    op->arg = arg;
    flight_begin(devices);
    rc = start(op);
    if (rc < 0) {
        pthread_mutex_destroy(&op->lock);
        free(op);
        flight_end(devices);
    }
    return rc;
}

int pl_copy_async(pl_devices *devices, const parla_instance *dst, const parla_instance *src, void (*done)(void *arg, int status),
                  void *arg)
{
    static const pl_copy_order none;
    return pl_copy_async_behind(devices, dst, src, &none, done, arg);
}
