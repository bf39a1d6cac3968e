/* device.c - logical devices on cards.
 *
 * Open devices stand in one list for the process: copies ask it whether a handle is one of ours, and a device that opens lets all others
 * read and write its memory where the cards can reach each other. Two logical devices on one card share its primary context, which the
 * driver counts. The list's lock is outer to no other of ours; the driver is called with it held only to set up access. */
#include "objects.h"

#include "host.h"

#include <parla/error.h>
#include <parla/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPEN 512
#define N_QUEUES 4
/* Of what is free when a device opens: the driver, cuBLAS and CuPy want some, too. */
#define USABLE_SHARE 0.9

/* Of a few pieces on their way, some are packed or unpacked while others are on the link. */
static const parla_staging staging = {PL_CUDA_LEAST_PINNED_BYTES, (size_t)1 << 20, (size_t)64 << 20};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pl_cuda_device *open_devices[MAX_OPEN]; /* under list_lock */

int pl_cuda_enter(const pl_cuda_device *device)
{
    if (pl_cuda_is_broken(PL_CUDA_BREAK_CONTEXT))
        return 0;
    return pl_cuda_check(pl_cu.cuCtxPushCurrent(device->context), "cuCtxPushCurrent");
}

void pl_cuda_leave(const pl_cuda_device *device)
{
    pl_cu_context popped;
    (void)device;
    if (!pl_cuda_is_broken(PL_CUDA_BREAK_CONTEXT))
        (void)pl_cu.cuCtxPopCurrent(&popped);
}

/* --- The list ----------------------------------------------------------------------------------------------------------------- */

pl_cuda_device *pl_cuda_device_of(void *handle)
{
    pl_cuda_device *found = NULL;
    if (!handle)
        return NULL;
    pthread_mutex_lock(&list_lock);
    for (int i = 0; i < MAX_OPEN && !found; i++)
        if (open_devices[i] == handle)
            found = handle;
    pthread_mutex_unlock(&list_lock);
    return found;
}

/* Lets `from` reach the memory of `to`, if its card can. Copies go another way if not, so a failure is a line of the log. */
static void allow(const pl_cuda_device *from, const pl_cuda_device *to)
{
    int can = 0;
    if (from->card == to->card || pl_cu.cuDeviceCanAccessPeer(&can, from->card, to->card) != PL_CU_SUCCESS || !can)
        return;
    pl_cu_access access = {.location = {PL_CU_LOCATION_DEVICE, from->card}, .flags = PL_CU_ACCESS_READ_WRITE};
    int rc = pl_cuda_check(pl_cu.cuMemPoolSetAccess(to->pool, &access, 1), "cuMemPoolSetAccess");
    if (rc == 0 && pl_cuda_enter(from) == 0) {
        pl_cu_result result = pl_cu.cuCtxEnablePeerAccess(to->context, 0);
        if (result != PL_CU_PEER_ACCESS_ENABLED)
            rc = pl_cuda_check(result, "cuCtxEnablePeerAccess");
        pl_cuda_leave(from);
    }
    if (rc < 0)
        pl_cuda_log(PARLA_LOG_WARN, "cuda:%d does not reach the memory of cuda:%d directly: %s", from->ordinal, to->ordinal,
                    "copies between them go through the driver's own buffers");
}

static int enlist(pl_cuda_device *device)
{
    int i_free = -1;
    pthread_mutex_lock(&list_lock);
    for (int i = 0; i < MAX_OPEN; i++) {
        if (!open_devices[i]) {
            i_free = i_free < 0 ? i : i_free;
            continue;
        }
        allow(device, open_devices[i]);
        allow(open_devices[i], device);
    }
    if (i_free >= 0)
        open_devices[i_free] = device;
    pthread_mutex_unlock(&list_lock);
    return i_free >= 0 ? 0 : pl_error_set(PARLA_E_RESOURCES, "no more than %d CUDA devices can be open at once", MAX_OPEN);
}

static void delist(const pl_cuda_device *device)
{
    pthread_mutex_lock(&list_lock);
    for (int i = 0; i < MAX_OPEN; i++)
        if (open_devices[i] == device)
            open_devices[i] = NULL;
    pthread_mutex_unlock(&list_lock);
}

/* --- Open and close ----------------------------------------------------------------------------------------------------------- */

static int attribute(const pl_cuda_device *device, int which, int *out)
{
    return pl_cuda_check(pl_cu.cuDeviceGetAttribute(out, which, device->card), "cuDeviceGetAttribute");
}

static int check_abilities(pl_cuda_device *device)
{
    int has_pools = 0, is_unified = 0, pitch = 0;
    int rc = attribute(device, PL_CU_ATTRIBUTE_MEMORY_POOLS, &has_pools);
    if (rc == 0)
        rc = attribute(device, PL_CU_ATTRIBUTE_UNIFIED_ADDRESSING, &is_unified);
    if (rc == 0)
        rc = attribute(device, PL_CU_ATTRIBUTE_MAX_PITCH, &pitch);
    if (rc == 0 && (!has_pools || !is_unified))
        rc = pl_error_set(PARLA_E_DEVICE, "cuda:%d has no %s, which this library needs", device->ordinal,
                          has_pools ? "unified addresses" : "stream-ordered memory pools");
    device->max_pitch_bytes = pitch > 0 ? (size_t)pitch : 0;
    return rc;
}

static void write_uuid(const pl_cuda_device *device, char *out, size_t n_bytes)
{
    pl_cu_uuid uuid;
    out[0] = '\0';
    if (pl_cu.cuDeviceGetUuid(&uuid, device->card) != PL_CU_SUCCESS)
        return;
    const unsigned char *b = (const unsigned char *)uuid.bytes;
    snprintf(out, n_bytes, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
             b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* The limit that was asked for, or a share of what is free. The context is current. */
static int find_limit(pl_cuda_device *device, const parla_device_spec *spec)
{
    size_t free_bytes = 0, total_bytes = 0;
    int rc = pl_cuda_check(pl_cu.cuMemGetInfo(&free_bytes, &total_bytes), "cuMemGetInfo");
    int n_sharing = spec->n_sharing > 0 ? spec->n_sharing : 1;
    device->limit_bytes =
        spec->memory_bytes > 0 ? spec->memory_bytes : (size_t)((double)free_bytes * USABLE_SHARE) / (size_t)n_sharing;
    if (rc == 0 && device->limit_bytes > total_bytes)
        rc = pl_error_set(PARLA_E_CONFIG, "cuda:%d has %zu bytes of memory; mem= asks for %zu", device->ordinal, total_bytes,
                          device->limit_bytes);
    return rc;
}

/* The context is current. On error nothing is left. */
static int open_inside(pl_cuda_device *device, const parla_device_spec *spec)
{
    int rc = find_limit(device, spec);
    if (rc == 0)
        rc = pl_cuda_memory_open(device);
    if (rc == 0) {
        rc = enlist(device);
        if (rc < 0)
            pl_cuda_memory_close(device);
    }
    return rc;
}

static int open_card(pl_cuda_device *device, const parla_device_spec *spec)
{
    int rc = pl_cuda_check(pl_cu.cuDeviceGet(&device->card, device->ordinal), "cuDeviceGet");
    if (rc == 0)
        rc = check_abilities(device);
    if (rc == 0)
        rc = pl_cuda_check(pl_cu.cuDevicePrimaryCtxRetain(&device->context, device->card), "cuDevicePrimaryCtxRetain");
    if (rc < 0)
        return rc;
    rc = pl_cuda_enter(device);
    if (rc == 0) {
        rc = open_inside(device, spec);
        pl_cuda_leave(device);
    }
    if (rc < 0)
        (void)pl_cu.cuDevicePrimaryCtxRelease(device->card);
    return rc;
}

int pl_cuda_open(void **out_device, const parla_device_spec *spec, parla_device_traits *out_traits)
{
    pl_cuda_device *device = calloc(1, sizeof *device);
    if (!device)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a CUDA device");
    device->ordinal = spec->ordinal;
    pthread_mutex_init(&device->lock, NULL);
    int rc = open_card(device, spec);
    if (rc < 0) {
        pthread_mutex_destroy(&device->lock);
        free(device);
        return rc;
    }
    *out_traits = (parla_device_traits){
        .arch = PARLA_ARCH_GPU, .memory_bytes = device->limit_bytes, .n_queues = N_QUEUES, .staging = staging};
    if (pl_cu.cuDeviceGetName(out_traits->name, (int)sizeof out_traits->name, device->card) != PL_CU_SUCCESS)
        strcpy(out_traits->name, "CUDA device");
    write_uuid(device, out_traits->uuid, sizeof out_traits->uuid);
    *out_device = device;
    return 0;
}

void pl_cuda_close(void *handle)
{
    pl_cuda_device *device = handle;
    if (device->used_bytes > 0)
        pl_cuda_log(PARLA_LOG_WARN, "cuda:%d is closed with %zu bytes still allocated", device->ordinal, device->used_bytes);
    delist(device);
    if (pl_cuda_enter(device) == 0) {
        pl_cuda_queues_close(device);
        pl_cuda_events_close(device);
        pl_cuda_memory_close(device);
        pl_cuda_leave(device);
    }
    (void)pl_cu.cuDevicePrimaryCtxRelease(device->card);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

/* --- Bodies ------------------------------------------------------------------------------------------------------------------- */

int pl_cuda_body_begin(void *handle, const char *task_name)
{
    int rc = pl_cuda_enter(handle);
    if (rc == 0 && pl_cu.range_push)
        pl_cu.range_push(task_name);
    return rc;
}

void pl_cuda_body_end(void *handle)
{
    if (pl_cu.range_pop)
        pl_cu.range_pop();
    pl_cuda_leave(handle);
}
