/* box.c - ranges with steps and boxes made of them.
 *
 * Two stepped ranges meet where x = a mod s and x = b mod t at once (the Chinese remainder theorem): every lcm(s, t), or never if
 * the steps' common divisor does not divide b - a. Products of steps can exceed 64 bits, so that arithmetic is done in 128.
 *
 * No state and no allocation; any thread may call everything. */
#include <crosspy/box.h>
#include <parla/error.h>

#include "breaks.h"
#include "hash.h"

__extension__ typedef __int128 wide;

static const parla_range nothing = {0, 0, 1};

/* The normal form of `count` numbers from `start` on; the last one fits into 64 bits. */
static parla_range range_of(int64_t start, int64_t count, int64_t step)
{
    if (count <= 0) {
        return nothing;
    }
    return (parla_range){start, start + (count - 1) * step + 1, count == 1 ? 1 : step};
}

int64_t cx_range_count(parla_range range)
{
    if (range.stop <= range.start) {
        return 0;
    }
    return (int64_t)(((wide)range.stop - range.start - 1) / range.step) + 1;
}

parla_range cx_range_normal(parla_range range) { return range_of(range.start, cx_range_count(range), range.step); }

/* Sets *x so that a * x = gcd(a, b) mod b; returns the gcd. a, b >= 1. */
static int64_t common_divisor(int64_t a, int64_t b, int64_t *x)
{
    int64_t r0 = a, r1 = b, x0 = 1, x1 = 0;
    while (r1 != 0) {
        int64_t q = r0 / r1, r2 = r0 - q * r1, x2 = x0 - q * x1;
        r0 = r1, r1 = r2;
        x0 = x1, x1 = x2;
    }
    *x = x0;
    return r0;
}

parla_range cx_range_intersect(parla_range a, parla_range b)
{
    a = cx_range_normal(a);
    b = cx_range_normal(b);
    int64_t inverse;
    int64_t divisor = common_divisor(a.step, b.step, &inverse);
    wide distance = (wide)b.start - a.start;
    if (distance % divisor != 0) {
        return nothing;
    }
    wide period = b.step / divisor, n_steps = distance / divisor % period * inverse % period;
    if (n_steps < 0) {
        n_steps += period;
    }
    wide step = period * a.step, start = a.start + n_steps * a.step; /* the first common number that is not below a.start */
    wide begin = a.start > b.start ? a.start : b.start, stop = a.stop < b.stop ? a.stop : b.stop;
    if (start < begin) {
        start += (begin - start + step - 1) / step * step;
    }
    if (cx_is_broken(CX_BREAK_INTERSECT)) {
        stop--;
    }
    if (start >= stop) {
        return nothing;
    }
    wide count = (stop - 1 - start) / step + 1;
    return range_of((int64_t)start, (int64_t)count, count == 1 ? 1 : (int64_t)step);
}

parla_range cx_range_compose(parla_range range, parla_range positions)
{
    int64_t count = cx_range_count(positions);
    if (count == 0) {
        return nothing;
    }
    return range_of(range.start + positions.start * range.step, count, count == 1 ? 1 : positions.step * range.step);
}

parla_range cx_range_locate(parla_range range, parla_range part)
{
    int64_t step = cx_is_broken(CX_BREAK_LOCATE) ? 1 : range.step;
    int64_t count = cx_range_count(part);
    if (count == 0) {
        return nothing;
    }
    return range_of((part.start - range.start) / step, count, count == 1 ? 1 : part.step / step);
}

int cx_box_whole(cx_box *out, int ndim, const int64_t *extent)
{
    if (ndim < 0 || ndim > CX_MAX_NDIM) {
        return parla_error_set(PARLA_E_INVALID, "an array has 0 to %d dimensions, not %d", CX_MAX_NDIM, ndim);
    }
    int64_t volume = 1;
    for (int k = 0; k < ndim; k++) {
        if (extent[k] < 0) {
            return parla_error_set(PARLA_E_INVALID, "dimension %d has the extent %lld; extents are not negative", k,
                                   (long long)extent[k]);
        }
        if (__builtin_mul_overflow(volume, extent[k] ? extent[k] : 1, &volume)) {
            return parla_error_set(PARLA_E_INVALID, "an array has fewer than 2^63 elements; these extents make more");
        }
    }
    *out = (cx_box){.ndim = ndim};
    for (int k = 0; k < ndim; k++) {
        out->range[k] = range_of(0, extent[k], 1);
    }
    return PARLA_OK;
}

int cx_box_check(const cx_box *box, int ndim, const int64_t *extent)
{
    if (box->ndim != ndim) {
        return parla_error_set(PARLA_E_INVALID, "a box of %d dimensions does not fit an array of %d", box->ndim, ndim);
    }
    for (int k = 0; k < ndim; k++) {
        parla_range range = box->range[k];
        if (range.step < 1) {
            return parla_error_set(PARLA_E_INVALID, "dimension %d has the step %lld; steps are at least 1", k,
                                   (long long)range.step);
        }
        parla_range normal = cx_range_normal(range);
        if (normal.start < 0 || normal.stop > extent[k]) {
            return parla_error_set(PARLA_E_INVALID, "dimension %d: %lld to %lld lies outside 0 to %lld", k, (long long)normal.start,
                                   (long long)normal.stop, (long long)extent[k]);
        }
    }
    return PARLA_OK;
}

int64_t cx_box_volume(const cx_box *box)
{
    int64_t volume = 1;
    for (int k = 0; k < box->ndim; k++) {
        volume *= cx_range_count(box->range[k]);
    }
    return volume;
}

bool cx_box_is_empty(const cx_box *box)
{
    for (int k = 0; k < box->ndim; k++) {
        if (box->range[k].stop <= box->range[k].start) {
            return true;
        }
    }
    return false;
}

static bool range_equal(parla_range a, parla_range b)
{
    a = cx_range_normal(a);
    b = cx_range_normal(b);
    return a.start == b.start && a.stop == b.stop && a.step == b.step;
}

bool cx_box_equal(const cx_box *a, const cx_box *b)
{
    if (a->ndim != b->ndim) {
        return false;
    }
    if (cx_box_is_empty(a) || cx_box_is_empty(b)) {
        return cx_box_is_empty(a) && cx_box_is_empty(b);
    }
    for (int k = 0; k < a->ndim; k++) {
        if (!range_equal(a->range[k], b->range[k])) {
            return false;
        }
    }
    return true;
}

uint64_t cx_box_hash(const cx_box *box)
{
    uint64_t hash = cx_hash_mix(0, (uint64_t)box->ndim);
    if (cx_box_is_empty(box)) {
        return hash;
    }
    for (int k = 0; k < box->ndim; k++) {
        parla_range range = cx_range_normal(box->range[k]);
        hash = cx_hash_mix(hash, (uint64_t)range.start);
        hash = cx_hash_mix(hash, (uint64_t)range.stop);
        hash = cx_hash_mix(hash, (uint64_t)range.step);
    }
    return hash;
}

bool cx_box_contains(const cx_box *box, const int64_t *index)
{
    for (int k = 0; k < box->ndim; k++) {
        parla_range range = box->range[k];
        if (index[k] < range.start || index[k] >= range.stop || (index[k] - range.start) % range.step != 0) {
            return false;
        }
    }
    return true;
}

cx_box cx_box_intersect(const cx_box *a, const cx_box *b)
{
    cx_box out = {.ndim = a->ndim};
    for (int k = 0; k < a->ndim; k++) {
        out.range[k] = cx_range_intersect(a->range[k], b->range[k]);
    }
    return out;
}

cx_box cx_box_translate(const cx_box *box, const int64_t *offset)
{
    cx_box out = {.ndim = box->ndim};
    for (int k = 0; k < box->ndim; k++) {
        parla_range range = box->range[k];
        out.range[k] = cx_range_normal((parla_range){range.start + offset[k], range.stop + offset[k], range.step});
    }
    return out;
}

cx_box cx_box_compose(const cx_box *view, const cx_box *part)
{
    cx_box out = {.ndim = view->ndim};
    for (int k = 0; k < view->ndim; k++) {
        out.range[k] = cx_range_compose(view->range[k], part->range[k]);
    }
    return out;
}

cx_box cx_box_locate(const cx_box *view, const cx_box *part)
{
    cx_box out = {.ndim = view->ndim};
    for (int k = 0; k < view->ndim; k++) {
        out.range[k] = cx_range_locate(view->range[k], part->range[k]);
    }
    return out;
}
