/* copy.c - copies and fills of strided boxes.
 *
 * The plan of base/strided.c reduces a copy to runs of bytes along few dimensions. What is left is cut into as few calls as the driver
 * allows: none but the run is a plain copy; one dimension with positive pitches is a copy of rows; two, whose outer stride is a whole
 * number of rows on both sides, are a copy of planes. Any dimension that does not fit (a source walked backwards or repeated, odd outer
 * strides, pitches beyond the card's limit) is walked here, with one call for each of its elements: a gather.
 *
 * Between two cards the calls that name both contexts are used; the driver goes directly where the cards reach each other. From host to
 * host nothing is copied: the core does that itself. */
#include "objects.h"

#include "base/strided.h"
#include "host.h"

#include <parla/error.h>

#include <stdint.h>
#include <string.h>

/* Where the bytes of one side are; device NULL: in host memory. */
typedef struct side {
    const pl_cuda_device *device;
    uintptr_t base;
    int64_t stride[PARLA_MAX_NDIM];
} side;

typedef struct job {
    const pl_cuda_queue *queue;
    side dst, src;
    int n; /* dimensions */
    int64_t extent[PARLA_MAX_NDIM];
    size_t run_bytes;
    bool is_peer; /* between two contexts */
} job;

static void *pointer(uintptr_t address) { return (void *)address; }

/* --- One call ----------------------------------------------------------------------------------------------------------------- */

static int copy_run(const job *j, uintptr_t dst, uintptr_t src)
{
    pl_cu_stream stream = j->queue->stream;
    if (j->is_peer)
        return pl_cuda_check(
            pl_cu.cuMemcpyPeerAsync(dst, j->dst.device->context, src, j->src.device->context, j->run_bytes, stream),
            "cuMemcpyPeerAsync");
    if (!j->src.device)
        return pl_cuda_check(pl_cu.cuMemcpyHtoDAsync(dst, pointer(src), j->run_bytes, stream), "cuMemcpyHtoDAsync");
    if (!j->dst.device)
        return pl_cuda_check(pl_cu.cuMemcpyDtoHAsync(pointer(dst), src, j->run_bytes, stream), "cuMemcpyDtoHAsync");
    return pl_cuda_check(pl_cu.cuMemcpyDtoDAsync(dst, src, j->run_bytes, stream), "cuMemcpyDtoDAsync");
}

static pl_cu_side2 side2(const side *s, uintptr_t base, int k)
{
    pl_cu_side2 out = {.pitch_bytes = (size_t)s->stride[k]};
    out.memory_type = s->device ? PL_CU_MEMORY_DEVICE : PL_CU_MEMORY_HOST;
    if (s->device)
        out.device = base;
    else
        out.host = pointer(base);
    return out;
}

/* Dimension k, the last one, as rows. */
static int copy_rows(const job *j, int k, uintptr_t dst, uintptr_t src)
{
    pl_cu_copy2 copy = {.src = side2(&j->src, src, k), .dst = side2(&j->dst, dst, k), .width_bytes = j->run_bytes};
    copy.height = (size_t)j->extent[k];
    return pl_cuda_check(pl_cu.cuMemcpy2DAsync(&copy, j->queue->stream), "cuMemcpy2DAsync");
}

static pl_cu_side3 side3(const job *j, const side *s, uintptr_t base, int k)
{
    bool has_planes = k < j->n - 1;
    pl_cu_side3 out = {.pitch_bytes = (size_t)s->stride[j->n - 1]};
    out.height = has_planes ? (size_t)(s->stride[k] / s->stride[k + 1]) : (size_t)j->extent[k];
    out.memory_type = s->device ? PL_CU_MEMORY_DEVICE : PL_CU_MEMORY_HOST;
    if (s->device)
        out.device = base;
    else
        out.host = pointer(base);
    out.context = j->is_peer && s->device ? s->device->context : NULL;
    return out;
}

/* Dimensions k and k + 1, the last two, as planes of rows; or k alone, the last one, as one plane. */
static int copy_planes(const job *j, int k, uintptr_t dst, uintptr_t src)
{
    pl_cu_copy3 copy = {.src = side3(j, &j->src, src, k), .dst = side3(j, &j->dst, dst, k), .width_bytes = j->run_bytes};
    copy.height = (size_t)j->extent[j->n - 1];
    copy.depth = k < j->n - 1 ? (size_t)j->extent[k] : 1;
    if (j->is_peer)
        return pl_cuda_check(pl_cu.cuMemcpy3DPeerAsync(&copy, j->queue->stream), "cuMemcpy3DPeerAsync");
    return pl_cuda_check(pl_cu.cuMemcpy3DAsync(&copy, j->queue->stream), "cuMemcpy3DAsync");
}

/* --- Cutting into calls ------------------------------------------------------------------------------------------------------- */

static bool has_rows(const job *j, const side *s)
{
    int64_t pitch = s->stride[j->n - 1];
    return pitch >= (int64_t)j->run_bytes && pitch <= (int64_t)j->queue->device->max_pitch_bytes;
}

static bool has_planes(const job *j, const side *s)
{
    int64_t pitch = s->stride[j->n - 1], plane = s->stride[j->n - 2];
    return has_rows(j, s) && plane % pitch == 0 && plane / pitch >= j->extent[j->n - 1];
}

static int copy_dims(const job *j, int k, uintptr_t dst, uintptr_t src)
{
    if (k == j->n)
        return copy_run(j, dst, src);
    if (k == j->n - 2 && has_planes(j, &j->dst) && has_planes(j, &j->src))
        return copy_planes(j, k, dst, src);
    if (k == j->n - 1 && has_rows(j, &j->dst) && has_rows(j, &j->src))
        return j->is_peer ? copy_planes(j, k, dst, src) : copy_rows(j, k, dst, src);
    int rc = 0;
    for (int64_t i = 0; i < j->extent[k] && rc == 0; i++)
        rc = copy_dims(j, k + 1, dst + (uintptr_t)(i * j->dst.stride[k]), src + (uintptr_t)(i * j->src.stride[k]));
    return rc;
}

static bool make_job(job *out, const pl_cuda_queue *queue, const parla_strided *dst, const parla_strided *src)
{
    pl_strided_plan plan;
    if (!pl_strided_plan_make(&plan, dst, src))
        return false;
    *out = (job){.queue = queue, .n = plan.n, .run_bytes = plan.run_bytes};
    out->dst.base = (uintptr_t)plan.dst;
    out->src.base = (uintptr_t)plan.src;
    memcpy(out->extent, plan.extent, sizeof out->extent);
    memcpy(out->dst.stride, plan.dst_stride, sizeof out->dst.stride);
    memcpy(out->src.stride, plan.src_stride, sizeof out->src.stride);
    return true;
}

int pl_cuda_copy(void *handle, void *dst_device, const parla_strided *dst, void *src_device, const parla_strided *src)
{
    pl_cuda_queue *queue = handle;
    job j;
    int rc = pl_strided_check(dst, src);
    if (rc < 0)
        return rc;
    const pl_cuda_device *to = pl_cuda_device_of(dst_device), *from = pl_cuda_device_of(src_device);
    if (!to && !from)
        return pl_error_set(PARLA_E_UNSUPPORTED, "a copy from host to host is not for a CUDA stream");
    if (!make_job(&j, queue, dst, src))
        return 0;
    j.dst.device = to;
    j.src.device = from;
    j.is_peer = to && from && to->context != from->context;
    rc = pl_cuda_enter(queue->device);
    if (rc < 0)
        return rc;
    rc = copy_dims(&j, 0, j.dst.base, j.src.base);
    pl_cuda_leave(queue->device);
    return rc;
}

/* --- Fills -------------------------------------------------------------------------------------------------------------------- */

static int fill_dims(const job *j, int k, uintptr_t dst, unsigned char value)
{
    pl_cu_stream stream = j->queue->stream;
    if (k == j->n)
        return pl_cuda_check(pl_cu.cuMemsetD8Async(dst, value, j->run_bytes, stream), "cuMemsetD8Async");
    if (k == j->n - 1 && has_rows(j, &j->dst))
        return pl_cuda_check(
            pl_cu.cuMemsetD2D8Async(dst, (size_t)j->dst.stride[k], value, j->run_bytes, (size_t)j->extent[k], stream),
            "cuMemsetD2D8Async");
    int rc = 0;
    for (int64_t i = 0; i < j->extent[k] && rc == 0; i++)
        rc = fill_dims(j, k + 1, dst + (uintptr_t)(i * j->dst.stride[k]), value);
    return rc;
}

int pl_cuda_fill(void *handle, const parla_strided *dst, unsigned char value)
{
    pl_cuda_queue *queue = handle;
    job j;
    int rc = pl_strided_check_written(dst);
    if (rc < 0 || !make_job(&j, queue, dst, dst))
        return rc;
    rc = pl_cuda_enter(queue->device);
    if (rc < 0)
        return rc;
    rc = fill_dims(&j, 0, j.dst.base, value);
    pl_cuda_leave(queue->device);
    return rc;
}
