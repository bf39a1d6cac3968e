/* span.c - intersections of arithmetic progressions.
 *
 * x is in both a and b if x = a.start + i * a.step = b.start + j * b.step. With g = gcd(a.step, b.step) there is a solution only if g
 * divides b.start - a.start; the solutions are then evenly spaced by lcm(a.step, b.step), from the i that the inverse of a.step / g modulo
 * b.step / g gives. Products are taken in 128 bits, since steps may be as large as an index. */
#include "data/span.h"

typedef __int128 wide;

static const pl_span nothing = {0, 0, 1};

pl_span pl_span_of_range(const parla_range *range)
{
    int64_t length = range->stop - range->start;
    int64_t n = length <= 0 ? 0 : (length - 1) / range->step + 1;
    return (pl_span){range->start, n, n > 1 ? range->step : 1};
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* x with a * x = 1 modulo m, for coprime a and m. */
static int64_t inverse(int64_t a, int64_t m)
{
    wide x0 = 0, x1 = 1;
    int64_t r0 = m, r1 = a % m;
    while (r1 > 1) {
        int64_t q = r0 / r1, rest = r0 % r1;
        wide x2 = x0 - q * x1;
        r0 = r1;
        r1 = rest;
        x0 = x1;
        x1 = x2;
    }
    return m == 1 ? 0 : (int64_t)((x1 % m + m) % m);
}

static bool has(const pl_span *span, int64_t x)
{
    return x >= span->start && (x - span->start) % span->step == 0 && (x - span->start) / span->step < span->n;
}

/* Both have several elements. */
static pl_span meet_of_many(const pl_span *a, const pl_span *b)
{
    int64_t g = gcd(a->step, b->step), difference = b->start - a->start;
    if (difference % g != 0)
        return nothing;
    int64_t m = b->step / g;
    int64_t i = (int64_t)((wide)((difference / g % m + m) % m) * inverse(a->step / g, m) % m);
    wide step = (wide)(a->step / g) * b->step, x = a->start + (wide)a->step * i;
    int64_t low = a->start > b->start ? a->start : b->start;
    int64_t last_a = pl_span_last(a), last_b = pl_span_last(b), high = last_a < last_b ? last_a : last_b;
    if (x < low)
        x += (low - x + step - 1) / step * step;
    if (x > high)
        return nothing;
    int64_t n = (int64_t)((high - x) / step) + 1;
    return (pl_span){(int64_t)x, n, n > 1 ? (int64_t)step : 1};
}

pl_span pl_span_meet(const pl_span *a, const pl_span *b)
{
    if (a->n == 0 || b->n == 0)
        return nothing;
    if (a->n == 1)
        return has(b, a->start) ? (pl_span){a->start, 1, 1} : nothing;
    if (b->n == 1)
        return has(a, b->start) ? (pl_span){b->start, 1, 1} : nothing;
    if (a->step > 1 || b->step > 1)
        return meet_of_many(a, b);
    int64_t low = a->start > b->start ? a->start : b->start;
    int64_t end_a = a->start + a->n, end_b = b->start + b->n, end = end_a < end_b ? end_a : end_b;
    return low < end ? (pl_span){low, end - low, 1} : nothing;
}

pl_span pl_span_join(const pl_span *a, const pl_span *b)
{
    if (a->n == 0 || b->n == 0) {
        const pl_span *other = a->n == 0 ? b : a;
        return (pl_span){other->start, other->n == 0 ? 0 : pl_span_last(other) - other->start + 1, 1};
    }
    int64_t low = a->start < b->start ? a->start : b->start;
    int64_t last_a = pl_span_last(a), last_b = pl_span_last(b);
    return (pl_span){low, (last_a > last_b ? last_a : last_b) - low + 1, 1};
}

bool pl_spans_meet(const pl_span *a, const pl_span *b, int ndim)
{
    for (int k = 0; k < ndim; k++)
        if (pl_span_meet(&a[k], &b[k]).n == 0)
            return false;
    return true;
}
