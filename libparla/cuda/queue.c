/* queue.c - queues are streams, taken from a list of the device's spare ones and put back there; so opening a runtime again costs nothing.
 * A stream whose work has failed is not used again. All streams are non-blocking: none waits for the legacy default stream, which
 * libraries in the same process may use. */
#include "objects.h"

#include "host.h"

#include <parla/error.h>

#include <stdlib.h>

static pl_cuda_queue *take_spare(pl_cuda_device *device)
{
    pthread_mutex_lock(&device->lock);
    pl_cuda_queue *queue = device->spare_queues;
    if (queue)
        device->spare_queues = queue->next;
    pthread_mutex_unlock(&device->lock);
    return queue;
}

static int create(pl_cuda_device *device, pl_cuda_queue **out)
{
    pl_cuda_queue *queue = malloc(sizeof *queue);
    if (!queue)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a queue");
    queue->device = device;
    queue->is_borrowed = false;
    int rc = pl_cuda_enter(device);
    if (rc == 0) {
        rc = pl_cuda_check(pl_cu.cuStreamCreate(&queue->stream, PL_CU_STREAM_NON_BLOCKING), "cuStreamCreate");
        pl_cuda_leave(device);
    }
    if (rc < 0)
        free(queue);
    else
        *out = queue;
    return rc;
}

int pl_cuda_queue_open(void *handle, void **out_queue)
{
    pl_cuda_device *device = handle;
    pl_cuda_queue *queue = take_spare(device);
    int rc = queue ? 0 : create(device, &queue);
    if (rc == 0)
        *out_queue = queue;
    return rc;
}

int pl_cuda_queue_over(void *handle, void *native, void **out_queue)
{
    pl_cuda_queue *queue = malloc(sizeof *queue);
    if (!queue)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a queue");
    *queue = (pl_cuda_queue){.device = handle, .stream = native, .is_borrowed = true};
    *out_queue = queue;
    return 0;
}

/* The context is current. */
static void destroy(pl_cuda_queue *queue)
{
    (void)pl_cu.cuStreamDestroy(queue->stream);
    free(queue);
}

static void put_spare(pl_cuda_queue *queue)
{
    pl_cuda_device *device = queue->device;
    pthread_mutex_lock(&device->lock);
    queue->next = device->spare_queues;
    device->spare_queues = queue;
    pthread_mutex_unlock(&device->lock);
}

void pl_cuda_queue_close(void *handle)
{
    pl_cuda_queue *queue = handle;
    const pl_cuda_device *device = queue->device;
    if (pl_cuda_is_broken(PL_CUDA_BREAK_LEAK))
        return;
    if (queue->is_borrowed || pl_cuda_enter(device) < 0) {
        free(queue);
        return;
    }
    if (pl_cu.cuStreamSynchronize(queue->stream) == PL_CU_SUCCESS)
        put_spare(queue);
    else
        destroy(queue);
    pl_cuda_leave(device);
}

void pl_cuda_queues_close(pl_cuda_device *device)
{
    pl_cuda_queue *queue;
    while ((queue = take_spare(device)) != NULL)
        destroy(queue);
}

int pl_cuda_queue_wait(void *handle, void *event)
{
    pl_cuda_queue *queue = handle;
    const pl_cuda_event *awaited = event;
    if (pl_cuda_is_broken(PL_CUDA_BREAK_WAIT))
        return 0;
    int rc = pl_cuda_enter(queue->device);
    if (rc < 0)
        return rc;
    rc = pl_cuda_check(pl_cu.cuStreamWaitEvent(queue->stream, awaited->event, 0), "cuStreamWaitEvent");
    pl_cuda_leave(queue->device);
    return rc;
}

void *pl_cuda_queue_native(void *handle) { return ((pl_cuda_queue *)handle)->stream; }
