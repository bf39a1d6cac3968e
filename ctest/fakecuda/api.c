/* api.c - the driver's functions, found through cuGetProcAddress. Each counts its call, checks its handles, and queues or does the rest. */
#include "state.h"

#include <stdio.h>
#include <string.h>

#define API static pl_cu_result

/* Takes the lock; returns from the function if the call is to fail. */
#define BEGIN()                                                                                                                    \
    pthread_mutex_lock(&fc_lock);                                                                                                  \
    int fault = fc_count_call(__func__);                                                                                           \
    if (fault)                                                                                                                     \
    return end(fault)

/* The same for what needs a current context whose work has not failed. */
#define BEGIN_IN_CONTEXT()                                                                                                         \
    BEGIN();                                                                                                                       \
    fc_context *context = fc_current();                                                                                            \
    if (!context || !context->head.is_alive)                                                                                       \
        return no_context(__func__);                                                                                               \
    if (context->lost)                                                                                                             \
    return end(context->lost)

static pl_cu_result end(pl_cu_result result)
{
    pthread_mutex_unlock(&fc_lock);
    return result;
}

/* In place of work that would do harm. */
static const fc_work nothing = {.kind = FC_FREE};

static pl_cu_result no_context(const char *function)
{
    fc_wrong("contexts: %s without a current context", function);
    return end(FC_INVALID_CONTEXT);
}

static void *object(const void *handle, fc_kind kind, const char *function) { return fc_check_object(handle, kind, function); }

/* --- Cards and contexts ------------------------------------------------------------------------------------------------------- */

API cuInit(unsigned flags)
{
    BEGIN();
    return end(flags ? FC_INVALID_VALUE : fc_n_cards() == 0 ? PL_CU_NO_DEVICE : PL_CU_SUCCESS);
}

API cuDriverGetVersion(int *out)
{
    BEGIN();
    *out = 12040;
    return end(PL_CU_SUCCESS);
}

static const struct {
    int code;
    const char *name, *text;
} errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};

static pl_cu_result find_error(pl_cu_result code, const char **name, const char **text)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].code == code) {
            *name = errors[i].name;
            *text = errors[i].text;
            return PL_CU_SUCCESS;
        }
    return FC_INVALID_VALUE;
}

API cuGetErrorName(pl_cu_result code, const char **out)
{
    const char *text;
    return find_error(code, out, &text);
}

API cuGetErrorString(pl_cu_result code, const char **out)
{
    const char *name;
    return find_error(code, &name, out);
}

API cuDeviceGetCount(int *out)
{
    BEGIN();
    *out = fc_n_cards();
    return end(PL_CU_SUCCESS);
}

API cuDeviceGet(pl_cu_device *out, int ordinal)
{
    BEGIN();
    *out = ordinal;
    return end(ordinal >= 0 && ordinal < fc_n_cards() ? PL_CU_SUCCESS : 101);
}

API cuDeviceGetName(char *out, int n_bytes, pl_cu_device device)
{
    BEGIN();
    snprintf(out, (size_t)n_bytes, "fake card %d", device);
    return end(PL_CU_SUCCESS);
}

API cuDeviceGetUuid(pl_cu_uuid *out, pl_cu_device device)
{
    BEGIN();
    memset(out->bytes, 0xfa, sizeof out->bytes);
    out->bytes[15] = (char)device;
    return end(PL_CU_SUCCESS);
}

API cuDeviceGetAttribute(int *out, int attribute, pl_cu_device device)
{
    (void)device;
    BEGIN();
    *out = attribute == PL_CU_ATTRIBUTE_MAX_PITCH ? INT32_MAX : 1;
    return end(PL_CU_SUCCESS);
}

API cuDevicePrimaryCtxRetain(pl_cu_context *out, pl_cu_device device)
{
    BEGIN();
    return end(fc_retain(device, (fc_context **)out));
}

API cuDevicePrimaryCtxRelease(pl_cu_device device)
{
    BEGIN();
    return end(fc_release(device));
}

API cuCtxPushCurrent(pl_cu_context context)
{
    BEGIN();
    if (!object(context, FC_CONTEXT, __func__))
        return end(FC_INVALID_CONTEXT);
    return end(fc_push_current((fc_context *)context));
}

API cuCtxPopCurrent(pl_cu_context *out)
{
    BEGIN();
    return end(fc_pop_current((fc_context **)out));
}

API cuCtxGetCurrent(pl_cu_context *out)
{
    BEGIN();
    *out = (pl_cu_context)fc_current();
    return end(PL_CU_SUCCESS);
}

API cuDeviceCanAccessPeer(int *out, pl_cu_device device, pl_cu_device peer)
{
    BEGIN();
    *out = device != peer;
    return end(PL_CU_SUCCESS);
}

API cuCtxEnablePeerAccess(pl_cu_context peer, unsigned flags)
{
    (void)flags;
    BEGIN_IN_CONTEXT();
    if (!object(peer, FC_CONTEXT, __func__) || (fc_context *)peer == context)
        return end(FC_INVALID_CONTEXT);
    return end(PL_CU_SUCCESS);
}

/* --- Memory ------------------------------------------------------------------------------------------------------------------- */

API cuMemGetInfo(size_t *out_free, size_t *out_total)
{
    BEGIN_IN_CONTEXT();
    *out_total = (size_t)4 << 30;
    *out_free = (size_t)4 << 30;
    return end(PL_CU_SUCCESS);
}

API cuPointerGetAttribute(void *out, int attribute, pl_cu_pointer memory)
{
    BEGIN();
    int card = fc_card_of((uintptr_t)memory);
    if (attribute == PL_CU_POINTER_MEMORY_TYPE && (card >= 0 || fc_is_page_locked((uintptr_t)memory))) {
        *(int *)out = card >= 0 ? PL_CU_MEMORY_DEVICE : PL_CU_MEMORY_HOST;
        return end(PL_CU_SUCCESS);
    }
    if (attribute != PL_CU_POINTER_ORDINAL || card < 0)
        return end(FC_INVALID_VALUE);
    *(int *)out = card;
    return end(PL_CU_SUCCESS);
}

API cuMemPoolCreate(pl_cu_pool *out, const pl_cu_pool_props *props)
{
    BEGIN();
    if (props->alloc_type != PL_CU_ALLOCATION_PINNED || props->location.type != PL_CU_LOCATION_DEVICE)
        return end(FC_INVALID_VALUE);
    fc_pool *pool = fc_new(FC_POOL, sizeof *pool, NULL);
    pool->card = props->location.id;
    *out = (pl_cu_pool)pool;
    return end(PL_CU_SUCCESS);
}

API cuMemPoolDestroy(pl_cu_pool handle)
{
    BEGIN();
    fc_pool *pool = object(handle, FC_POOL, __func__);
    if (!pool)
        return end(FC_INVALID_HANDLE);
    pool->head.is_alive = false;
    if (pool->n_allocated > 0)
        fc_wrong("memory: a pool is destroyed with %d allocations", pool->n_allocated);
    return end(PL_CU_SUCCESS);
}

API cuMemPoolSetAttribute(pl_cu_pool pool, int attribute, void *value)
{
    BEGIN();
    bool is_known = object(pool, FC_POOL, __func__) && attribute >= 1 && attribute <= 4 && value;
    return end(is_known ? PL_CU_SUCCESS : FC_INVALID_VALUE);
}

API cuMemPoolSetAccess(pl_cu_pool handle, const pl_cu_access *access, size_t n)
{
    BEGIN();
    fc_pool *pool = object(handle, FC_POOL, __func__);
    for (size_t i = 0; pool && i < n; i++) {
        if (access[i].location.type != PL_CU_LOCATION_DEVICE || access[i].location.id == pool->card)
            return end(FC_INVALID_VALUE);
        pool->is_reachable[access[i].location.id] = access[i].flags == PL_CU_ACCESS_READ_WRITE;
    }
    return end(pool ? PL_CU_SUCCESS : FC_INVALID_VALUE);
}

API cuMemPoolTrimTo(pl_cu_pool pool, size_t n_bytes_kept)
{
    (void)n_bytes_kept;
    BEGIN();
    return end(object(pool, FC_POOL, __func__) ? PL_CU_SUCCESS : FC_INVALID_VALUE);
}

API cuMemAllocFromPoolAsync(pl_cu_pointer *out, size_t n_bytes, pl_cu_pool pool_handle, pl_cu_stream stream_handle)
{
    BEGIN_IN_CONTEXT();
    fc_pool *pool = object(pool_handle, FC_POOL, __func__);
    fc_stream *stream = object(stream_handle, FC_STREAM, __func__);
    if (!pool || !stream || n_bytes == 0)
        return end(FC_INVALID_VALUE);
    void *memory = fc_alloc(stream, pool, n_bytes);
    *out = (uintptr_t)memory;
    return end(memory ? PL_CU_SUCCESS : PL_CU_OUT_OF_MEMORY);
}

API cuMemFreeAsync(pl_cu_pointer memory, pl_cu_stream handle)
{
    BEGIN();
    fc_stream *stream = object(handle, FC_STREAM, __func__);
    if (!stream)
        return end(FC_INVALID_HANDLE);
    if (!fc_free(stream, (uintptr_t)memory)) {
        fc_wrong("memory: cuMemFreeAsync of %p, which was not allocated", (void *)(uintptr_t)memory);
        return end(FC_INVALID_VALUE);
    }
    return end(stream->head.context->lost);
}

API cuMemHostAlloc(void **out, size_t n_bytes, unsigned flags)
{
    BEGIN_IN_CONTEXT();
    *out = flags == PL_CU_HOST_PORTABLE ? fc_host_alloc(n_bytes) : NULL;
    return end(*out ? PL_CU_SUCCESS : PL_CU_OUT_OF_MEMORY);
}

API cuMemFreeHost(void *memory)
{
    BEGIN();
    if (!fc_current())
        return no_context(__func__);
    return end(fc_host_free(memory) ? PL_CU_SUCCESS : FC_INVALID_VALUE);
}

/* --- Streams and events ------------------------------------------------------------------------------------------------------- */

API cuStreamCreate(pl_cu_stream *out, unsigned flags)
{
    BEGIN_IN_CONTEXT();
    if (flags != PL_CU_STREAM_NON_BLOCKING)
        return end(FC_INVALID_VALUE);
    return end(fc_stream_open(context, (fc_stream **)out));
}

API cuStreamDestroy(pl_cu_stream handle)
{
    BEGIN();
    fc_stream *stream = object(handle, FC_STREAM, __func__);
    if (!stream)
        return end(FC_INVALID_HANDLE);
    fc_stream_close(stream);
    return end(PL_CU_SUCCESS);
}

API cuStreamSynchronize(pl_cu_stream handle)
{
    BEGIN_IN_CONTEXT();
    fc_stream *stream = object(handle, FC_STREAM, __func__);
    if (!stream)
        return end(FC_INVALID_HANDLE);
    fc_drain(stream);
    return end(context->lost);
}

API cuStreamWaitEvent(pl_cu_stream stream_handle, pl_cu_event event_handle, unsigned flags)
{
    (void)flags;
    BEGIN_IN_CONTEXT();
    fc_stream *stream = object(stream_handle, FC_STREAM, __func__);
    fc_event *event = (fc_event *)event_handle; /* of any context */
    if (!stream || !event || event->head.kind != FC_EVENT || !event->head.is_alive)
        return end(FC_INVALID_HANDLE);
    if (event->mark)
        fc_wait(stream, event->mark);
    return end(PL_CU_SUCCESS);
}

API cuEventCreate(pl_cu_event *out, unsigned flags)
{
    BEGIN_IN_CONTEXT();
    if (!(flags & PL_CU_EVENT_DISABLE_TIMING))
        fc_wrong("events: an event with timing slows every recording down");
    *out = (pl_cu_event)fc_new(FC_EVENT, sizeof(fc_event), context);
    return end(PL_CU_SUCCESS);
}

API cuEventDestroy(pl_cu_event handle)
{
    BEGIN();
    fc_event *event = object(handle, FC_EVENT, __func__);
    if (!event)
        return end(FC_INVALID_HANDLE);
    event->head.is_alive = false;
    fc_unref_mark(event->mark);
    event->mark = NULL;
    return end(PL_CU_SUCCESS);
}

API cuEventRecord(pl_cu_event event_handle, pl_cu_stream stream_handle)
{
    BEGIN_IN_CONTEXT();
    fc_event *event = object(event_handle, FC_EVENT, __func__);
    fc_stream *stream = object(stream_handle, FC_STREAM, __func__);
    if (!event || !stream)
        return end(FC_INVALID_HANDLE);
    fc_unref_mark(event->mark);
    event->mark = fc_record(stream);
    return end(PL_CU_SUCCESS);
}

API cuEventQuery(pl_cu_event handle)
{
    BEGIN_IN_CONTEXT();
    fc_event *event = object(handle, FC_EVENT, __func__);
    if (!event)
        return end(FC_INVALID_HANDLE);
    if (event->mark && !event->mark->has_passed)
        return end(PL_CU_NOT_READY);
    if (event->mark)
        fc_merge(&fc_host, &event->mark->clock);
    return end(context->lost);
}

API cuEventSynchronize(pl_cu_event handle)
{
    BEGIN_IN_CONTEXT();
    fc_event *event = object(handle, FC_EVENT, __func__);
    if (!event)
        return end(FC_INVALID_HANDLE);
    fc_mark *mark = event->mark;
    if (!mark)
        return end(PL_CU_SUCCESS);
    mark->n_refs++;
    while (!mark->has_passed)
        pthread_cond_wait(&fc_changed, &fc_lock);
    fc_merge(&fc_host, &mark->clock);
    fc_unref_mark(mark);
    return end(context->lost);
}

/* --- Copies and fills --------------------------------------------------------------------------------------------------------- */

static fc_box run_of(uintptr_t base, size_t n_bytes) { return (fc_box){base, n_bytes, 1, 1, 0, 0}; }

/* Needs the lock, and gives it back. `card` -1: the copy reaches every card. */
static pl_cu_result queue_copy(const char *function, pl_cu_stream handle, fc_box dst, bool is_dst_device, fc_box src,
                               bool is_src_device, int card)
{
    fc_stream *stream = object(handle, FC_STREAM, function);
    if (!stream)
        return end(FC_INVALID_HANDLE);
    if ((!is_dst_device && !fc_is_page_locked(dst.base)) || (!is_src_device && !fc_is_page_locked(src.base)))
        fc_count_pageable();
    bool is_fine = fc_access(stream, &src, is_src_device, false, card, function);
    is_fine &= fc_access(stream, &dst, is_dst_device, true, card, function);
    fc_push(stream, is_fine ? &(fc_work){.kind = FC_COPY, .dst = dst, .src = src} : &nothing);
    return end(PL_CU_SUCCESS);
}

API cuMemcpyHtoDAsync(pl_cu_pointer dst, const void *src, size_t n, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    return queue_copy(__func__, stream, run_of((uintptr_t)dst, n), true, run_of((uintptr_t)src, n), false, context->card);
}

API cuMemcpyDtoHAsync(void *dst, pl_cu_pointer src, size_t n, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    return queue_copy(__func__, stream, run_of((uintptr_t)dst, n), false, run_of((uintptr_t)src, n), true, context->card);
}

API cuMemcpyDtoDAsync(pl_cu_pointer dst, pl_cu_pointer src, size_t n, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    return queue_copy(__func__, stream, run_of((uintptr_t)dst, n), true, run_of((uintptr_t)src, n), true, context->card);
}

API cuMemcpyPeerAsync(pl_cu_pointer dst, pl_cu_context dst_context, pl_cu_pointer src, pl_cu_context src_context, size_t n,
                      pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    if (!object(dst_context, FC_CONTEXT, __func__) || !object(src_context, FC_CONTEXT, __func__))
        return end(FC_INVALID_CONTEXT);
    return queue_copy(__func__, stream, run_of((uintptr_t)dst, n), true, run_of((uintptr_t)src, n), true, -1);
}

static uintptr_t base_of2(const pl_cu_side2 *s)
{
    return (s->memory_type == PL_CU_MEMORY_DEVICE ? (uintptr_t)s->device : (uintptr_t)s->host) + s->y * s->pitch_bytes + s->x_bytes;
}

API cuMemcpy2DAsync(const pl_cu_copy2 *c, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    if (c->height > 1 && (c->src.pitch_bytes < c->width_bytes || c->dst.pitch_bytes < c->width_bytes))
        return end(FC_INVALID_VALUE);
    fc_box dst = {base_of2(&c->dst), c->width_bytes, c->height, 1, c->dst.pitch_bytes, 0};
    fc_box src = {base_of2(&c->src), c->width_bytes, c->height, 1, c->src.pitch_bytes, 0};
    return queue_copy(__func__, stream, dst, c->dst.memory_type == PL_CU_MEMORY_DEVICE, src,
                      c->src.memory_type == PL_CU_MEMORY_DEVICE, context->card);
}

static fc_box box_of3(const pl_cu_side3 *s, const pl_cu_copy3 *c)
{
    size_t plane = s->pitch_bytes * s->height;
    uintptr_t base = s->memory_type == PL_CU_MEMORY_DEVICE ? (uintptr_t)s->device : (uintptr_t)s->host;
    return (fc_box){
        base + s->z * plane + s->y * s->pitch_bytes + s->x_bytes, c->width_bytes, c->height, c->depth, s->pitch_bytes, plane};
}

/* Needs the lock, and gives it back. */
static pl_cu_result copy3(const char *function, const pl_cu_copy3 *c, pl_cu_stream stream, int card)
{
    if (c->src.pitch_bytes < c->width_bytes || c->dst.pitch_bytes < c->width_bytes || c->src.lod || c->dst.lod ||
        (c->depth > 1 && (c->src.height < c->height || c->dst.height < c->height)))
        return end(FC_INVALID_VALUE);
    return queue_copy(function, stream, box_of3(&c->dst, c), c->dst.memory_type == PL_CU_MEMORY_DEVICE, box_of3(&c->src, c),
                      c->src.memory_type == PL_CU_MEMORY_DEVICE, card);
}

API cuMemcpy3DAsync(const pl_cu_copy3 *c, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    if (c->src.context || c->dst.context) /* these words are reserved here */
        return end(FC_INVALID_VALUE);
    return copy3(__func__, c, stream, context->card);
}

API cuMemcpy3DPeerAsync(const pl_cu_copy3 *c, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    if (!object(c->src.context, FC_CONTEXT, __func__) || !object(c->dst.context, FC_CONTEXT, __func__))
        return end(FC_INVALID_CONTEXT);
    return copy3(__func__, c, stream, -1);
}

/* Needs the lock, and gives it back. */
static pl_cu_result queue_fill(const char *function, pl_cu_stream handle, fc_box dst, unsigned char value, int card)
{
    fc_stream *stream = object(handle, FC_STREAM, function);
    if (!stream)
        return end(FC_INVALID_HANDLE);
    bool is_fine = fc_access(stream, &dst, true, true, card, function);
    fc_push(stream, is_fine ? &(fc_work){.kind = FC_FILL, .dst = dst, .value = value} : &nothing);
    return end(PL_CU_SUCCESS);
}

API cuMemsetD8Async(pl_cu_pointer dst, unsigned char value, size_t n, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    return queue_fill(__func__, stream, run_of((uintptr_t)dst, n), value, context->card);
}

API cuMemsetD2D8Async(pl_cu_pointer dst, size_t pitch, unsigned char value, size_t width, size_t height, pl_cu_stream stream)
{
    BEGIN_IN_CONTEXT();
    if (height > 1 && pitch < width)
        return end(FC_INVALID_VALUE);
    return queue_fill(__func__, stream, (fc_box){(uintptr_t)dst, width, height, 1, pitch, 0}, value, context->card);
}

/* --- Kernels ------------------------------------------------------------------------------------------------------------------ */

typedef struct function {
    fc_object head;
    const fc_kernel *kernel;
} function;

API cuModuleLoadData(void **out, const void *image)
{
    BEGIN_IN_CONTEXT();
    if (!image)
        return end(FC_INVALID_VALUE);
    *out = fc_new(FC_MODULE, sizeof(fc_object), context);
    return end(PL_CU_SUCCESS);
}

API cuModuleUnload(void *module)
{
    BEGIN_IN_CONTEXT();
    fc_object *found = object(module, FC_MODULE, __func__);
    if (found)
        found->is_alive = false;
    return end(found ? PL_CU_SUCCESS : FC_INVALID_HANDLE);
}

API cuModuleGetFunction(void **out, void *module, const char *name)
{
    BEGIN_IN_CONTEXT();
    const fc_kernel *kernel = fc_kernel_find(name);
    if (!object(module, FC_MODULE, __func__) || !kernel)
        return end(FC_NOT_FOUND);
    function *found = fc_new(FC_FUNCTION, sizeof *found, context);
    found->kernel = kernel;
    *out = found;
    return end(PL_CU_SUCCESS);
}

API cuLaunchKernel(void *handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared_bytes, pl_cu_stream stream_handle, void **arguments, void **extra)
{
    (void)shared_bytes;
    BEGIN_IN_CONTEXT();
    function *found = object(handle, FC_FUNCTION, __func__);
    fc_stream *stream = object(stream_handle, FC_STREAM, __func__);
    if (!found || !stream || extra || gx * gy * gz == 0 || bx * by * bz == 0 || bx * by * bz > 1024)
        return end(FC_INVALID_VALUE);
    fc_work work = {.kind = FC_KERNEL, .kernel = found->kernel->run};
    fc_box reads, writes;
    found->kernel->prepare(arguments, work.arguments, &reads, &writes);
    bool is_fine = fc_access(stream, &reads, true, false, context->card, found->kernel->name);
    is_fine &= fc_access(stream, &writes, true, true, context->card, found->kernel->name);
    fc_push(stream, is_fine ? &work : &nothing);
    return end(PL_CU_SUCCESS);
}

/* --- Looking functions up ----------------------------------------------------------------------------------------------------- */

typedef struct entry {
    const char *name;
    int version;
    void *function;
} entry;

__attribute__((visibility("default"))) pl_cu_result cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags,
                                                                        int *status);
pl_cu_result cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *status)
{
    static const entry entries[] = {
#define ENTRY(name, version, arguments) {#name, version, (void *)name},
        PL_CUDA_FUNCTIONS(ENTRY)
#undef ENTRY
            {"cuCtxGetCurrent", 4000, (void *)cuCtxGetCurrent},
        {"cuModuleLoadData", 2000, (void *)cuModuleLoadData},
        {"cuModuleUnload", 2000, (void *)cuModuleUnload},
        {"cuModuleGetFunction", 2000, (void *)cuModuleGetFunction},
        {"cuLaunchKernel", 4000, (void *)cuLaunchKernel},
    };
    (void)flags;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (strcmp(entries[i].name, name) == 0 && version >= entries[i].version) {
            *out = entries[i].function;
            *status = 0;
            return PL_CU_SUCCESS;
        }
    *out = NULL;
    *status = 1;
    return FC_NOT_FOUND;
}
