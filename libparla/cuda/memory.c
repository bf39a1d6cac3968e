/* memory.c - memory of a device from a pool of its own, and page-locked memory of the host.
 *
 * Memory of the first kind (pl_cuda_alloc) is for all queues: it is taken and given back in the order of a stream in which nothing else
 * is queued, so waiting for that stream takes no longer than the driver's bookkeeping; whoever gives it back knows that no work uses it.
 * Memory of the second kind (pl_cuda_queue_alloc) belongs to the order of one queue: the pool hands a block on only when the work that was
 * queued before it was given back is done. The pool may follow events between streams but does not insert waits of its own, and keeps what
 * it has from the driver until the device is closed.
 *
 * The limit is ours, since several devices may sit on one card: every block counts with its exact size.
 *
 * Page-locking is slow (it takes milliseconds), so blocks that are given back are kept, up to KEPT_BYTES, in sizes that are powers of 2. */
#include "objects.h"

#include "host.h"

#include <parla/error.h>
#include <parla/log.h>

#include <stdint.h>

#define KEPT_BYTES ((size_t)256 << 20)

/* The beginning of a block that is kept. */
struct pl_cuda_pinned {
    size_t capacity_bytes;
    struct pl_cuda_pinned *next;
};

/* --- The pool ----------------------------------------------------------------------------------------------------------------- */

static int open_pool(pl_cuda_device *device)
{
    pl_cu_pool_props props = {.alloc_type = PL_CU_ALLOCATION_PINNED, .location = {PL_CU_LOCATION_DEVICE, device->card}};
    int rc = pl_cuda_check(pl_cu.cuMemPoolCreate(&device->pool, &props), "cuMemPoolCreate");
    if (rc < 0)
        return rc;
    uint64_t kept_bytes = UINT64_MAX;
    int inserts_waits = 0;
    rc = pl_cuda_check(pl_cu.cuMemPoolSetAttribute(device->pool, PL_CU_POOL_RELEASE_THRESHOLD, &kept_bytes),
                       "cuMemPoolSetAttribute");
    if (rc == 0)
        rc = pl_cuda_check(pl_cu.cuMemPoolSetAttribute(device->pool, PL_CU_POOL_REUSE_INTERNAL, &inserts_waits),
                           "cuMemPoolSetAttribute");
    if (rc < 0)
        (void)pl_cu.cuMemPoolDestroy(device->pool);
    return rc;
}

int pl_cuda_memory_open(pl_cuda_device *device)
{
    int rc = open_pool(device);
    if (rc < 0)
        return rc;
    rc = pl_cuda_check(pl_cu.cuStreamCreate(&device->memory_stream, PL_CU_STREAM_NON_BLOCKING), "cuStreamCreate");
    if (rc < 0)
        (void)pl_cu.cuMemPoolDestroy(device->pool);
    return rc;
}

void pl_cuda_memory_close(pl_cuda_device *device)
{
    while (device->spare_pinned) {
        pl_cuda_pinned *pinned = device->spare_pinned;
        device->spare_pinned = pinned->next;
        (void)pl_cu.cuMemFreeHost(pinned);
    }
    (void)pl_cu.cuStreamSynchronize(device->memory_stream);
    (void)pl_cu.cuStreamDestroy(device->memory_stream);
    (void)pl_cu.cuMemPoolDestroy(device->pool);
}

/* --- The limit ---------------------------------------------------------------------------------------------------------------- */

static int take_share(pl_cuda_device *device, size_t n_bytes)
{
    pthread_mutex_lock(&device->lock);
    size_t left_bytes = device->limit_bytes - device->used_bytes;
    if (n_bytes <= left_bytes)
        device->used_bytes += n_bytes;
    pthread_mutex_unlock(&device->lock);
    if (n_bytes <= left_bytes)
        return 0;
    return pl_error_set(PARLA_E_DEVICE_MEMORY, "cuda:%d has %zu of its %zu bytes left; %zu were asked for", device->ordinal,
                        left_bytes, device->limit_bytes, n_bytes);
}

static void give_share(pl_cuda_device *device, size_t n_bytes)
{
    pthread_mutex_lock(&device->lock);
    device->used_bytes -= n_bytes;
    pthread_mutex_unlock(&device->lock);
}

/* --- Memory of the device ----------------------------------------------------------------------------------------------------- */

/* The context is current. */
static int take(const pl_cuda_device *device, pl_cu_stream stream, bool waits, void **out, size_t n_bytes)
{
    pl_cu_pointer memory = 0;
    int rc = pl_cuda_check(pl_cu.cuMemAllocFromPoolAsync(&memory, n_bytes > 0 ? n_bytes : 1, device->pool, stream),
                           "cuMemAllocFromPoolAsync");
    if (rc == 0 && waits)
        rc = pl_cuda_check(pl_cu.cuStreamSynchronize(stream), "cuStreamSynchronize");
    if (rc == 0)
        *out = (void *)(uintptr_t)memory;
    return rc;
}

static int take_counted(pl_cuda_device *device, pl_cu_stream stream, bool waits, void **out, size_t n_bytes)
{
    int rc = take_share(device, n_bytes);
    if (rc < 0)
        return rc;
    rc = pl_cuda_enter(device);
    if (rc == 0) {
        rc = take(device, stream, waits, out, n_bytes);
        pl_cuda_leave(device);
    }
    if (rc < 0)
        give_share(device, n_bytes);
    return rc;
}

static void give(pl_cuda_device *device, pl_cu_stream stream, void *memory, size_t n_bytes)
{
    if (pl_cuda_enter(device) == 0) {
        if (pl_cuda_check(pl_cu.cuMemFreeAsync((pl_cu_pointer)(uintptr_t)memory, stream), "cuMemFreeAsync") < 0)
            pl_cuda_log(PARLA_LOG_DEBUG, "cuda:%d: memory could not be given back to a failed device", device->ordinal);
        pl_cuda_leave(device);
    }
    give_share(device, n_bytes);
}

int pl_cuda_alloc(void *handle, void **out, size_t n_bytes)
{
    pl_cuda_device *device = handle;
    return take_counted(device, device->memory_stream, true, out, n_bytes);
}

void pl_cuda_free(void *handle, void *memory, size_t n_bytes)
{
    pl_cuda_device *device = handle;
    give(device, device->memory_stream, memory, n_bytes);
}

int pl_cuda_queue_alloc(void *handle, void **out, size_t n_bytes)
{
    pl_cuda_queue *queue = handle;
    return take_counted(queue->device, queue->stream, false, out, n_bytes);
}

void pl_cuda_queue_free(void *handle, void *memory, size_t n_bytes)
{
    pl_cuda_queue *queue = handle;
    bool is_early = pl_cuda_is_broken(PL_CUDA_BREAK_REUSE);
    give(queue->device, is_early ? queue->device->memory_stream : queue->stream, memory, n_bytes);
}

int pl_cuda_locate(const void *memory, int *out_ordinal)
{
    pl_cu_result result = pl_cu.cuPointerGetAttribute(out_ordinal, PL_CU_POINTER_ORDINAL, (pl_cu_pointer)(uintptr_t)memory);
    if (result == PL_CU_INVALID_VALUE || (result == PL_CU_SUCCESS && *out_ordinal < 0))
        return pl_error_set(PARLA_E_INVALID, "%p is memory of no CUDA device", memory);
    return pl_cuda_check(result, "cuPointerGetAttribute");
}

/* --- Memory of the host ------------------------------------------------------------------------------------------------------- */

static size_t pinned_capacity(size_t n_bytes)
{
    size_t capacity_bytes = PL_CUDA_LEAST_PINNED_BYTES;
    while (capacity_bytes < n_bytes && capacity_bytes <= SIZE_MAX / 2)
        capacity_bytes *= 2;
    return capacity_bytes;
}

static pl_cuda_pinned *take_spare(pl_cuda_device *device, size_t capacity_bytes)
{
    pthread_mutex_lock(&device->lock);
    pl_cuda_pinned **at = &device->spare_pinned;
    while (*at && (*at)->capacity_bytes != capacity_bytes)
        at = &(*at)->next;
    pl_cuda_pinned *pinned = *at;
    if (pinned) {
        *at = pinned->next;
        device->spare_pinned_bytes -= capacity_bytes;
    }
    pthread_mutex_unlock(&device->lock);
    return pinned;
}

/* True if it was kept. */
static bool put_spare(pl_cuda_device *device, pl_cuda_pinned *pinned, size_t capacity_bytes)
{
    pthread_mutex_lock(&device->lock);
    bool is_kept = capacity_bytes <= KEPT_BYTES - device->spare_pinned_bytes;
    if (is_kept) {
        *pinned = (pl_cuda_pinned){capacity_bytes, device->spare_pinned};
        device->spare_pinned = pinned;
        device->spare_pinned_bytes += capacity_bytes;
    }
    pthread_mutex_unlock(&device->lock);
    return is_kept;
}

static int take_new(pl_cuda_device *device, size_t capacity_bytes, void **out)
{
    int rc = pl_cuda_enter(device);
    if (rc == 0) {
        rc = pl_cuda_check(pl_cu.cuMemHostAlloc(out, capacity_bytes, PL_CU_HOST_PORTABLE), "cuMemHostAlloc");
        pl_cuda_leave(device);
    }
    return rc == PARLA_E_DEVICE_MEMORY ? PARLA_E_NOMEM : rc; /* it is the host's */
}

int pl_cuda_host_alloc(void *handle, void **out, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX / 2)
        return pl_error_set(PARLA_E_NOMEM, "the host has no %zu bytes", n_bytes);
    size_t capacity_bytes = pinned_capacity(n_bytes);
    void *memory = take_spare(handle, capacity_bytes);
    int rc = memory ? 0 : take_new(handle, capacity_bytes, &memory);
    if (rc == 0)
        *out = memory;
    return rc;
}

void pl_cuda_host_free(void *handle, void *memory, size_t n_bytes)
{
    pl_cuda_device *device = handle;
    if (put_spare(device, memory, pinned_capacity(n_bytes)))
        return;
    if (pl_cuda_enter(device) == 0) {
        (void)pl_cu.cuMemFreeHost(memory);
        pl_cuda_leave(device);
    }
}

/* The driver knows no other memory of the host than what was page-locked by it. */
bool pl_cuda_is_page_locked(void *handle, const void *memory)
{
    int type = 0;
    (void)handle;
    return pl_cu.cuPointerGetAttribute(&type, PL_CU_POINTER_MEMORY_TYPE, (pl_cu_pointer)(uintptr_t)memory) == PL_CU_SUCCESS;
}
