/* api_native.c - the public functions of native.h about order and copies; blocks are in sched/block.c. */
#include "base/error.h"
#include "sched/runtime.h"

#include <parla/native.h>

/* --- Where -------------------------------------------------------------------------------------------------------------------- */

typedef struct place {
    pl_device *device;
    void *queue; /* NULL: the body runs in its turn, and what it does is done */
} place;

static int find_place(const parla_context *context, size_t member, place *out)
{
    int i_device = parla_context_device(context, member), i_queue = pl_place_queue_of(context->task);
    if (i_device < 0)
        return i_device;
    pl_device *device = &context->rt->place.devices.list[i_device];
    bool has_queue = i_queue >= 0 && device->n_queues > 0 && !pl_device_runs_bodies(device);
    *out = (place){device, has_queue ? device->queues[i_queue % device->n_queues] : NULL};
    return 0;
}

/* --- Order -------------------------------------------------------------------------------------------------------------------- */

/* What is queued in `later` from now on waits for what is in `earlier`. */
static int put_behind(const parla_backend *backend, void *earlier, void *later)
{
    void *event;
    int rc = backend->event_record(earlier, &event);
    if (rc < 0)
        return rc;
    rc = backend->queue_wait(later, event);
    backend->event_free(event);
    return rc;
}

static int order(const parla_context *context, size_t member, void *native, bool follows)
{
    place at;
    void *stream;
    int rc = find_place(context, member, &at);
    if (rc < 0)
        return rc;
    const parla_backend *backend = at.device->backend;
    if (!at.queue || !backend->queue_over)
        return pl_error_set(PARLA_E_UNSUPPORTED, "%s has no streams that work of others could be ordered with", at.device->name);
    rc = backend->queue_over(at.device->handle, native, &stream);
    if (rc < 0)
        return rc;
    rc = follows ? put_behind(backend, stream, at.queue) : put_behind(backend, at.queue, stream);
    backend->queue_close(stream);
    return rc;
}

int parla_context_follow(parla_context *context, size_t member, void *native) { return order(context, member, native, true); }
int parla_context_lead(parla_context *context, size_t member, void *native) { return order(context, member, native, false); }

int parla_context_drain(parla_context *context, size_t member)
{
    place at;
    void *event;
    int rc = find_place(context, member, &at);
    if (rc < 0 || !at.queue)
        return rc;
    rc = at.device->backend->event_record(at.queue, &event);
    if (rc < 0)
        return rc;
    rc = at.device->backend->event_wait(event);
    at.device->backend->event_free(event);
    return rc;
}

/* --- Copies ------------------------------------------------------------------------------------------------------------------- */

static int handle_of(const parla_context *context, int i_device, void **out)
{
    const pl_devices *devices = &context->rt->place.devices;
    if (i_device < 0 || i_device >= devices->n)
        return pl_error_set(PARLA_E_INVALID, "a copy names device %d; the runtime has %d", i_device, devices->n);
    *out = i_device == 0 ? NULL : devices->list[i_device].handle;
    return 0;
}

int parla_context_copy(parla_context *context, size_t member, const parla_strided *dst, int i_dst, const parla_strided *src,
                       int i_src)
{
    place at;
    void *dst_handle, *src_handle;
    int rc = find_place(context, member, &at);
    if (rc == 0)
        rc = handle_of(context, i_dst, &dst_handle);
    if (rc == 0)
        rc = handle_of(context, i_src, &src_handle);
    if (rc < 0)
        return rc;
    if (!at.queue)
        return parla_strided_copy(dst, src);
    return at.device->backend->copy(at.queue, dst_handle, dst, src_handle, src);
}
