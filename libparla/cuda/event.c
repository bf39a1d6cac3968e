/* event.c - events from a list of the device's spare ones, without timing: recording one costs a fraction of a microsecond.
 *
 * A wait of a stream for an event holds what was recorded when it was asked for, so an event may be freed, and recorded anew by another
 * owner, while streams still wait for its first use. A thread that waits for one sleeps in the driver instead of spinning. */
#include "objects.h"

#include "host.h"

#include <parla/error.h>

#include <stdlib.h>

static pl_cuda_event *take_spare(pl_cuda_device *device)
{
    pthread_mutex_lock(&device->lock);
    pl_cuda_event *event = device->spare_events;
    if (event)
        device->spare_events = event->next;
    pthread_mutex_unlock(&device->lock);
    return event;
}

/* The context is current. */
static int create(pl_cuda_device *device, pl_cuda_event **out)
{
    pl_cuda_event *event = malloc(sizeof *event);
    if (!event)
        return pl_error_set(PARLA_E_NOMEM, "no memory for an event");
    event->device = device;
    int rc =
        pl_cuda_check(pl_cu.cuEventCreate(&event->event, PL_CU_EVENT_DISABLE_TIMING | PL_CU_EVENT_BLOCKING_SYNC), "cuEventCreate");
    if (rc < 0)
        free(event);
    else
        *out = event;
    return rc;
}

static int record(pl_cuda_queue *queue, pl_cuda_event **out)
{
    pl_cuda_event *event = take_spare(queue->device);
    int rc = event ? 0 : create(queue->device, &event);
    if (rc < 0)
        return rc;
    rc = pl_cuda_check(pl_cu.cuEventRecord(event->event, queue->stream), "cuEventRecord");
    if (rc < 0)
        pl_cuda_event_free(event);
    else
        *out = event;
    return rc;
}

int pl_cuda_event_record(void *handle, void **out_event)
{
    pl_cuda_queue *queue = handle;
    pl_cuda_event *event = NULL;
    int rc = pl_cuda_enter(queue->device);
    if (rc < 0)
        return rc;
    rc = record(queue, &event);
    pl_cuda_leave(queue->device);
    if (rc == 0)
        *out_event = event;
    return rc;
}

int pl_cuda_event_query(void *handle)
{
    pl_cuda_event *event = handle;
    int rc = pl_cuda_enter(event->device);
    if (rc < 0)
        return rc;
    pl_cu_result result = pl_cu.cuEventQuery(event->event);
    pl_cuda_leave(event->device);
    return result == PL_CU_NOT_READY ? PARLA_PENDING : pl_cuda_check(result, "device work that was waited for");
}

int pl_cuda_event_wait(void *handle)
{
    pl_cuda_event *event = handle;
    int rc = pl_cuda_enter(event->device);
    if (rc < 0)
        return rc;
    rc = pl_cuda_check(pl_cu.cuEventSynchronize(event->event), "device work that was waited for");
    pl_cuda_leave(event->device);
    return rc;
}

void pl_cuda_event_free(void *handle)
{
    pl_cuda_event *event = handle;
    pl_cuda_device *device = event->device;
    pthread_mutex_lock(&device->lock);
    event->next = device->spare_events;
    device->spare_events = event;
    pthread_mutex_unlock(&device->lock);
}

void pl_cuda_events_close(pl_cuda_device *device)
{
    pl_cuda_event *event;
    while ((event = take_spare(device)) != NULL) {
        (void)pl_cu.cuEventDestroy(event->event);
        free(event);
    }
}
