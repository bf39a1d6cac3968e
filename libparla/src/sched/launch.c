/* launch.c - see the header.
 *
 *   body returns -> event behind its work in each of its queues -> flight at the end of the queue's lane, a hold on the task
 *   progress     -> oldest flight of each lane: passed? -> out of the lane, with all behind it if the newest has passed, too -> release holds
 *
 * A worker that has just launched reminds of the progress function, so an idle worker looks every 50 us while anything flies, and busy ones
 * between two bodies. The lock guards the lanes; it is a leaf, and held neither while a backend is asked nor while a hold is released:
 * flights are taken out of a lane by the progress function alone, which one thread at a time runs. */
#include "sched/launch.h"

#include "base/break.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "sched/ahead.h"

#include <parla/event.h>
#include <parla/poll.h>

#include <stdlib.h>

#define RETRY_NS UINT64_C(1000000)
#define WORDS_BYTES 512

/* So many flights of one queue are followed before they are done; what then comes waits, so that neither events nor the driver's own queues
 * grow without end. */
enum { MAX_AHEAD = 1000 };

typedef struct lane {
    void *queue;
    pl_flight *first, **last;
    int n;
} lane;

struct pl_launches {
    parla_runtime *rt;
    parla_poll *poll;
    pthread_mutex_t lock;
    int n_lanes;
    lane lanes[];
};

/* --- Open and close ----------------------------------------------------------------------------------------------------------- */

static int poll_lanes(void *ctx);

static int count_lanes(const pl_devices *devices)
{
    int n = 0;
    for (int i = 1; i < devices->n; i++)
        n += pl_device_is_filled(&devices->list[i]) ? devices->list[i].n_queues : 0;
    return n;
}

int pl_launches_open(parla_runtime *rt)
{
    const pl_devices *devices = &rt->place.devices;
    int n = count_lanes(devices);
    if (n == 0)
        return 0;
    pl_launches *launches = calloc(1, sizeof *launches + (size_t)n * sizeof launches->lanes[0]);
    if (!launches)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the queues of the devices");
    launches->rt = rt;
    pthread_mutex_init(&launches->lock, NULL);
    for (int i = 1; i < devices->n; i++)
        for (int k = 0; pl_device_is_filled(&devices->list[i]) && k < devices->list[i].n_queues; k++)
            launches->lanes[launches->n_lanes++].queue = devices->list[i].queues[k];
    for (int i = 0; i < n; i++)
        launches->lanes[i].last = &launches->lanes[i].first;
    int rc = parla_poll_add(rt, &launches->poll, poll_lanes, launches);
    if (rc < 0) {
        pthread_mutex_destroy(&launches->lock);
        free(launches);
        return rc;
    }
    rt->place.launches = launches;
    return 0;
}

void pl_launches_close(parla_runtime *rt)
{
    pl_launches *launches = rt->place.launches;
    if (!launches)
        return;
    parla_poll_remove(launches->poll);
    pthread_mutex_destroy(&launches->lock);
    free(launches);
    rt->place.launches = NULL;
}

/* --- Flights ------------------------------------------------------------------------------------------------------------------ */

void pl_flight_unref(pl_flight *flight)
{
    if (pl_sub_acq_rel(&flight->refs_shared, 1) != 1)
        return;
    flight->device->backend->event_free(flight->event);
    free(flight);
}

/* An event behind the work that the body has queued. It waits for host memory, for without the event nobody knows when the work is done. */
static int record(pl_flight *flight)
{
    int rc;
    while ((rc = flight->device->backend->event_record(flight->queue, &flight->event)) == PARLA_E_NOMEM)
        pl_sleep_until(pl_now_ns() + RETRY_NS);
    return rc;
}

static int create(parla_context *context, pl_device *device, int i_queue, pl_flight **out)
{
    pl_flight *flight;
    while (!(flight = calloc(1, sizeof *flight)))
        pl_sleep_until(pl_now_ns() + RETRY_NS);
    atomic_init(&flight->refs_shared, 1);
    flight->task = context->task;
    flight->device = device;
    flight->queue = device->queues[i_queue % device->n_queues];
    flight->begin_ns = pl_now_ns();
    int rc = record(flight);
    if (rc < 0)
        free(flight);
    else
        *out = flight;
    return rc;
}

/* Returns how many fly in that queue. */
static int take_off(pl_launches *launches, pl_flight *flight)
{
    lane *at = launches->lanes;
    while (at->queue != flight->queue)
        at++;
    pthread_mutex_lock(&launches->lock);
    *at->last = flight;
    at->last = &flight->next;
    int n = ++at->n;
    pthread_mutex_unlock(&launches->lock);
    return n;
}

/* The flights of a lane that have passed, oldest first, are taken out of it: from its first to *last. */
static pl_flight *take_out(pl_launches *launches, lane *at, pl_flight *last, int n)
{
    pthread_mutex_lock(&launches->lock);
    pl_flight *first = at->first;
    at->first = last->next;
    at->n -= n;
    if (!at->first)
        at->last = &at->first;
    pthread_mutex_unlock(&launches->lock);
    last->next = NULL;
    return first;
}

static void land(parla_runtime *rt, pl_flight *flight, int status)
{
    char words[WORDS_BYTES] = "";
    uint64_t flown_ns = pl_now_ns() - flight->begin_ns;
    if (status < 0)
        pl_text_format(words, sizeof words, "on %s: %s", flight->device->name,
                       *parla_error_detail() ? parla_error_detail() : parla_error_text(status));
    pl_add_relaxed(&flight->device->busy_ns, flown_ns);
    pl_worker *self = pl_place_self(rt);
    pl_busy_begin(self);
    pl_release_hold(rt, self, flight->task, status, words);
    pl_busy_end(rt, self);
    pl_flight_unref(flight);
}

static int query(const pl_flight *flight)
{
    pl_error_clear();
    return flight->device->backend->event_query(flight->event);
}

/* The oldest and the newest flight of a lane; how many there are. */
static int ends_of(pl_launches *launches, const lane *at, pl_flight **out_oldest, pl_flight **out_newest)
{
    pthread_mutex_lock(&launches->lock);
    int n = at->n;
    if (n > 0) {
        *out_oldest = at->first;
        *out_newest = PL_CONTAINER(at->last, pl_flight, next);
    }
    pthread_mutex_unlock(&launches->lock);
    return n;
}

/* Lands what has passed in one lane; returns how many. Work of a queue is done in order: where the newest has passed without a failure all
 * have, and one question is enough. */
static int poll_lane(pl_launches *launches, lane *at)
{
    int n_landed = 0, n;
    pl_flight *oldest, *newest;
    while ((n = ends_of(launches, at, &oldest, &newest)) > 0) {
        int status = query(oldest);
        if (status == PARLA_PENDING)
            return n_landed;
        bool are_all = status == 0 && n > 1 && query(newest) == 0;
        pl_flight *flight = are_all ? take_out(launches, at, newest, n) : take_out(launches, at, oldest, 1);
        while (flight) {
            pl_flight *next = flight->next;
            land(launches->rt, flight, status);
            flight = next;
            n_landed++;
        }
    }
    return n_landed;
}

static bool is_used(pl_launches *launches, const lane *at)
{
    pthread_mutex_lock(&launches->lock);
    bool is_used = at->n > 0;
    pthread_mutex_unlock(&launches->lock);
    return is_used;
}

/* A progress function: negative when nothing flies. */
static int poll_lanes(void *ctx)
{
    pl_launches *launches = ctx;
    int n_landed = 0;
    bool is_flying = false;
    for (int i = 0; i < launches->n_lanes; i++) {
        n_landed += poll_lane(launches, &launches->lanes[i]);
        is_flying |= is_used(launches, &launches->lanes[i]);
    }
    return is_flying || n_landed > 0 ? n_landed : -1;
}

/* --- Around the body ---------------------------------------------------------------------------------------------------------- */

static pl_device *device_at(const parla_context *context, int k)
{
    const pl_placed *placed = pl_placed_of(context->task);
    return &context->rt->place.devices.list[placed->devices[k]];
}

bool pl_launch_is_needed(const parla_runtime *rt, const pl_task *task)
{
    if (!rt->place.launches || !(task->flags & PL_FLAG_PLACED))
        return false;
    const pl_placed *placed = pl_placed_of((pl_task *)task);
    if (placed->is_transfer || placed->i_queue < 0)
        return false;
    return pl_device_is_filled(&rt->place.devices.list[placed->devices[0]]);
}

int pl_launch_begin(parla_context *context)
{
    const pl_device *device = device_at(context, 0);
    int rc = pl_ahead_begin(context);
    if (rc < 0 || !device->backend->body_begin)
        return rc;
    return device->backend->body_begin(device->handle, context->task->name ? context->task->name : "task");
}

/* What a body left in the queues of its devices. */
typedef struct left_behind {
    pl_flight *flights; /* by sibling; a reference each */
    bool is_deep;       /* behind too many others */
} left_behind;

/* Waits for the body's work on its thread. */
static int settle(pl_flight *flight)
{
    int rc = flight->device->backend->event_wait(flight->event);
    pl_flight_unref(flight);
    return rc;
}

/* As parla_hold, of a placed task, which has room for it. */
static void fly(parla_context *context, pl_flight *flight, left_behind *out)
{
    pl_extra *extra = pl_task_extra_or_null(context->task);
    pl_outside_add(context->rt);
    pl_add_acq_rel(&extra->holds_shared, 1 + (pl_load_relaxed(&extra->holds_shared) == 0));
    pl_add_relaxed(&flight->refs_shared, 1);
    flight->sibling = out->flights;
    out->flights = flight;
    out->is_deep |= take_off(context->rt->place.launches, flight) > MAX_AHEAD;
}

static int end_on(parla_context *context, pl_device *device, bool waits, left_behind *out)
{
    pl_flight *flight = NULL;
    if (!pl_device_is_filled(device))
        return 0;
    int rc = create(context, device, pl_placed_of(context->task)->i_queue, &flight);
    if (rc < 0)
        return rc;
    if (waits)
        return settle(flight);
    fly(context, flight, out);
    return 0;
}

static bool may_be_followed(const pl_placed *placed, const left_behind *left)
{
    const pl_flight *flight = left->flights;
    bool is_held = placed->is_held && !pl_is_broken(PL_BREAK_AHEAD_HELD);
    if (!flight || left->is_deep || placed->keeps_back || is_held)
        return false;
    int n = 1;
    for (; flight->sibling; flight = flight->sibling, n++)
        if (flight->sibling->device->backend != flight->device->backend)
            return false;
    return n == placed->n_devices;
}

int pl_launch_end(parla_context *context, int result)
{
    const pl_placed *placed = pl_placed_of(context->task);
    bool waits = result == PARLA_SUSPENDED;
    left_behind left = {NULL, false};
    for (int k = 0; k < placed->n_devices; k++) {
        int rc = end_on(context, device_at(context, k), waits, &left);
        if (rc < 0 && result >= 0)
            result = parla_fail(context, rc, "the work of its body on %s: %s", device_at(context, k)->name, parla_error_detail());
    }
    const pl_device *device = device_at(context, 0);
    if (device->backend->body_end)
        device->backend->body_end(device->handle);
    if (result == 0 && may_be_followed(placed, &left)) {
        pl_ahead_launched(context, left.flights);
        left.flights = NULL;
    }
    while (left.flights) {
        pl_flight *flight = left.flights;
        left.flights = flight->sibling;
        pl_flight_unref(flight);
    }
    pl_poll_remind(context->rt);
    return result;
}
