/* strided.c - copies and fills of strided N-d boxes in memory that this thread can address.
 *
 * A copy is planned, then run. The plan drops dimensions of one element, turns dimensions round so that dst is walked upwards, sorts them
 * by the stride in dst (outermost first), and merges neighbours that are contiguous in both boxes; what lies together at the end becomes
 * one run of bytes. The order of elements does not matter, since the boxes do not overlap. What is left of two dimensions is copied in
 * square blocks when dst and src disagree about which of them is the fast one, so that a transpose uses each cache line it fetches.
 *
 * Pure functions of their arguments: any thread, no locks. */
#include "base/strided.h"

#include "base/error.h"

#include <string.h>

/* Elements along one side of a block: 64 * 64 items of 8 bytes are 32 KiB on each side, which the second-level cache holds. */
#define BLOCK_ITEMS 64

typedef pl_strided_plan plan;

int parla_strided_contiguous(parla_strided *out, void *base, size_t item_bytes, int ndim, const int64_t *extent)
{
    if (ndim < 0 || ndim > PARLA_MAX_NDIM)
        return pl_error_set(PARLA_E_INVALID, "an array of %d dimensions was asked for; 0 to %d are possible", ndim, PARLA_MAX_NDIM);
    if (item_bytes > INT64_MAX)
        return pl_error_set(PARLA_E_INVALID, "an item size of %zu bytes is too large", item_bytes);

    parla_strided box = {.base = base, .item_bytes = item_bytes, .ndim = ndim};
    int64_t stride = (int64_t)item_bytes;
    for (int k = ndim - 1; k >= 0; k--) {
        if (extent[k] < 0)
            return pl_error_set(PARLA_E_INVALID, "extent %lld of dimension %d is negative", (long long)extent[k], k);
        box.extent[k] = extent[k];
        box.stride[k] = stride;
        /* An empty dimension counts as one element here, so that strides stay meaningful and products cannot wrap unseen. */
        if (__builtin_mul_overflow(stride, extent[k] > 0 ? extent[k] : 1, &stride))
            return pl_error_set(PARLA_E_INVALID, "an array of this shape has more than 2^63 bytes");
    }
    *out = box;
    return 0;
}

int64_t parla_strided_items(const parla_strided *box)
{
    int64_t n = 1;
    for (int k = 0; k < box->ndim; k++)
        n *= box->extent[k];
    return n;
}

size_t parla_strided_bytes(const parla_strided *box) { return (size_t)parla_strided_items(box) * box->item_bytes; }

int pl_strided_check_written(const parla_strided *box)
{
    if (box->ndim < 0 || box->ndim > PARLA_MAX_NDIM)
        return pl_error_set(PARLA_E_INVALID, "a box of %d dimensions; 0 to %d are possible", box->ndim, PARLA_MAX_NDIM);
    bool is_empty = false;
    for (int k = 0; k < box->ndim; k++) {
        if (box->extent[k] < 0)
            return pl_error_set(PARLA_E_INVALID, "extent %lld of dimension %d is negative", (long long)box->extent[k], k);
        is_empty |= box->extent[k] == 0;
    }
    for (int k = 0; !is_empty && k < box->ndim; k++) {
        if (box->stride[k] == 0 && box->extent[k] > 1)
            return pl_error_set(PARLA_E_INVALID,
                                "dimension %d of the destination has stride 0, so its %lld elements share their memory", k,
                                (long long)box->extent[k]);
    }
    return 0;
}

int pl_strided_check(const parla_strided *dst, const parla_strided *src)
{
    if (dst->ndim != src->ndim)
        return pl_error_set(PARLA_E_INVALID, "the destination has %d dimensions, the source %d", dst->ndim, src->ndim);
    if (dst->item_bytes != src->item_bytes)
        return pl_error_set(PARLA_E_INVALID, "items have %zu bytes in the destination and %zu in the source", dst->item_bytes,
                            src->item_bytes);
    int rc = pl_strided_check_written(dst);
    if (rc < 0)
        return rc;
    for (int k = 0; k < dst->ndim; k++)
        if (dst->extent[k] != src->extent[k])
            return pl_error_set(PARLA_E_INVALID, "dimension %d has %lld elements in the destination and %lld in the source", k,
                                (long long)dst->extent[k], (long long)src->extent[k]);
    return 0;
}

/* Appends dimension k of the boxes to the plan, keeping it sorted; those of equal stride in dst keep their order. */
static void plan_insert(plan *p, const parla_strided *dst, const parla_strided *src, int k)
{
    int64_t extent = dst->extent[k], dst_stride = dst->stride[k], src_stride = src->stride[k];
    if (dst_stride < 0) {
        p->dst += (extent - 1) * dst_stride;
        p->src += (extent - 1) * src_stride;
        dst_stride = -dst_stride;
        src_stride = -src_stride;
    }
    int i = p->n++;
    for (; i > 0 && p->dst_stride[i - 1] < dst_stride; i--) {
        p->extent[i] = p->extent[i - 1];
        p->dst_stride[i] = p->dst_stride[i - 1];
        p->src_stride[i] = p->src_stride[i - 1];
    }
    p->extent[i] = extent;
    p->dst_stride[i] = dst_stride;
    p->src_stride[i] = src_stride;
}

/* Merges each dimension with the one outside it where both boxes allow, then takes a contiguous innermost one into the run. */
static void plan_merge(plan *p)
{
    int n = 0; /* dimensions kept; [n - 1] is the one that k may be merged into */
    for (int k = 0; k < p->n; k++) {
        bool is_merged = n > 0 && p->dst_stride[n - 1] == p->extent[k] * p->dst_stride[k] &&
                         p->src_stride[n - 1] == p->extent[k] * p->src_stride[k];
        int64_t extent = is_merged ? p->extent[--n] * p->extent[k] : p->extent[k];
        p->extent[n] = extent;
        p->dst_stride[n] = p->dst_stride[k];
        p->src_stride[n] = p->src_stride[k];
        n++;
    }
    int64_t run = (int64_t)p->run_bytes;
    if (n > 0 && p->dst_stride[n - 1] == run && p->src_stride[n - 1] == run)
        run *= p->extent[--n];
    p->run_bytes = (size_t)run;
    p->n = n;
}

bool pl_strided_plan_make(pl_strided_plan *p, const parla_strided *dst, const parla_strided *src)
{
    *p = (plan){.run_bytes = dst->item_bytes, .dst = dst->base, .src = src->base};
    if (parla_strided_bytes(dst) == 0)
        return false;
    for (int k = 0; k < dst->ndim; k++)
        if (dst->extent[k] > 1)
            plan_insert(p, dst, src, k);
    plan_merge(p);
    return true;
}

/* Copies one row of runs. Inlined with a constant run size, each call becomes plain loads and stores. */
static inline __attribute__((always_inline)) void copy_row(char *dst, int64_t dst_stride, const char *src, int64_t src_stride,
                                                           int64_t n, size_t run_bytes)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(dst + i * dst_stride, src + i * src_stride, run_bytes);
}

static void copy_row_any(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t n, size_t run_bytes)
{
    switch (run_bytes) {
    case 1:
        copy_row(dst, dst_stride, src, src_stride, n, 1);
        break;
    case 2:
        copy_row(dst, dst_stride, src, src_stride, n, 2);
        break;
    case 4:
        copy_row(dst, dst_stride, src, src_stride, n, 4);
        break;
    case 8:
        copy_row(dst, dst_stride, src, src_stride, n, 8);
        break;
    case 16:
        copy_row(dst, dst_stride, src, src_stride, n, 16);
        break;
    default:
        copy_row(dst, dst_stride, src, src_stride, n, run_bytes);
        break;
    }
}

static inline int64_t min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t abs_i64(int64_t a) { return a < 0 ? -a : a; }

/* Copies the last two dimensions, k and k + 1, in blocks if the source walks them the other way round. */
static void copy_plane(const plan *p, int k, char *dst, const char *src)
{
    int64_t n0 = p->extent[k], n1 = p->extent[k + 1];
    int64_t d0 = p->dst_stride[k], d1 = p->dst_stride[k + 1], s0 = p->src_stride[k], s1 = p->src_stride[k + 1];
    bool is_transposed = s0 != 0 && abs_i64(s1) > abs_i64(s0);
    int64_t b0 = is_transposed ? BLOCK_ITEMS : n0, b1 = is_transposed ? BLOCK_ITEMS : n1;

    for (int64_t i = 0; i < n0; i += b0)
        for (int64_t j = 0; j < n1; j += b1)
            for (int64_t r = i; r < min_i64(i + b0, n0); r++)
                copy_row_any(dst + r * d0 + j * d1, d1, src + r * s0 + j * s1, s1, min_i64(b1, n1 - j), p->run_bytes);
}

static void copy_dims(const plan *p, int k, char *dst, const char *src)
{
    if (k == p->n)
        memcpy(dst, src, p->run_bytes);
    else if (k == p->n - 1)
        copy_row_any(dst, p->dst_stride[k], src, p->src_stride[k], p->extent[k], p->run_bytes);
    else if (k == p->n - 2)
        copy_plane(p, k, dst, src);
    else
        for (int64_t i = 0; i < p->extent[k]; i++)
            copy_dims(p, k + 1, dst + i * p->dst_stride[k], src + i * p->src_stride[k]);
}

void pl_strided_copy_checked(const parla_strided *dst, const parla_strided *src)
{
    plan p;
    if (pl_strided_plan_make(&p, dst, src))
        copy_dims(&p, 0, p.dst, p.src);
}

int parla_strided_copy(const parla_strided *dst, const parla_strided *src)
{
    int rc = pl_strided_check(dst, src);
    if (rc < 0)
        return rc;
    pl_strided_copy_checked(dst, src);
    return 0;
}

static void fill_dims(const plan *p, int k, char *dst, unsigned char value)
{
    if (k == p->n)
        memset(dst, value, p->run_bytes);
    else
        for (int64_t i = 0; i < p->extent[k]; i++)
            fill_dims(p, k + 1, dst + i * p->dst_stride[k], value);
}

void pl_strided_fill_checked(const parla_strided *dst, unsigned char value)
{
    plan p;
    if (pl_strided_plan_make(&p, dst, dst))
        fill_dims(&p, 0, p.dst, value);
}
