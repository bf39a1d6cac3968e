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

int parla_native_locate(const char *kind, const void *memory, int *out_ordinal)
{
    const parla_backend *backend = parla_backend_find(kind);
    if (!backend)
        return PARLA_E_NO_DEVICE;
    if (!backend->locate)
        return pl_error_set(PARLA_E_UNSUPPORTED, "devices of kind %s cannot tell whose memory an address is", kind);
    return backend->locate(memory, out_ordinal);
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

/* The device that the stream is on. */
static int find_owner(const parla_context *context, const place *at, int i_device, const pl_device **out)
{
    const pl_devices *devices = &context->rt->place.devices;
    *out = i_device < 0 ? at->device : i_device < devices->n ? &devices->list[i_device] : NULL;
    if (!*out || (*out)->backend != at->device->backend)
        return pl_error_set(PARLA_E_INVALID, "a stream of device %d cannot be ordered with work on %s", i_device, at->device->name);
    return 0;
}

static int order(const parla_context *context, size_t member, int i_device, void *native, bool follows)
{
    place at;
    const pl_device *owner;
    void *stream;
    int rc = find_place(context, member, &at);
    if (rc < 0)
        return rc;
    const parla_backend *backend = at.device->backend;
    if (!at.queue || !backend->queue_over)
        return pl_error_set(PARLA_E_UNSUPPORTED, "%s has no streams that work of others could be ordered with", at.device->name);
    rc = find_owner(context, &at, i_device, &owner);
    if (rc == 0)
        rc = backend->queue_over(owner->handle, native, &stream);
    if (rc < 0)
        return rc;
    rc = follows ? put_behind(backend, stream, at.queue) : put_behind(backend, at.queue, stream);
    backend->queue_close(stream);
    return rc;
}

int parla_context_follow(parla_context *context, size_t member, int i_device, void *native)
{
    return order(context, member, i_device, native, true);
}

int parla_context_lead(parla_context *context, size_t member, int i_device, void *native)
{
    return order(context, member, i_device, native, false);
}

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
    void *dst_handle = NULL, *src_handle = NULL;
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
