/* test_span.c - what two sets of evenly spaced indices have in common, against looking at each index. */
#include "data/span.h"
#include "test.h"

static bool has(const pl_span *span, int64_t x)
{
    return span->n > 0 && x >= span->start && (x - span->start) % span->step == 0 && (x - span->start) / span->step < span->n;
}

static void check_meet(const pl_span *a, const pl_span *b, int64_t end)
{
    pl_span both = pl_span_meet(a, b);
    int64_t n = 0;
    for (int64_t x = 0; x < end; x++) {
        T_EQ(has(&both, x), has(a, x) && has(b, x));
        n += has(&both, x);
    }
    T_EQ(both.n, n);
    T_GE(both.step, 1);
}

T_TEST(all_small_spans)
{
    enum { END = 14 };
    static pl_span spans[1200];
    int n_spans = 0;
    for (int64_t start = 0; start < END; start += 2)
        for (int64_t step = 1; step <= 6; step++)
            for (int64_t n = 0; n == 0 || start + (n - 1) * step < END; n++)
                spans[n_spans++] = (pl_span){start, n, step};
    T_LE(n_spans, 1200);
    for (int i = 0; i < n_spans; i++)
        for (int k = 0; k < n_spans; k++)
            check_meet(&spans[i], &spans[k], END);
}

T_TEST(random_spans)
{
    t_rng rng = {t_seed()};
    for (int i = 0; i < 3000; i++) {
        pl_span s[2];
        for (int k = 0; k < 2; k++) {
            s[k].start = (int64_t)t_below(&rng, 100);
            s[k].step = 1 + (int64_t)t_below(&rng, 40);
            s[k].n = (int64_t)t_below(&rng, (uint64_t)((400 - s[k].start) / s[k].step + 1));
        }
        check_meet(&s[0], &s[1], 420);
    }
}

/* Products of steps and indices that need more than 64 bits. */
T_TEST(large_indices)
{
    const int64_t big = INT64_C(1) << 60;
    const pl_span a = {1, 3, big}, b = {1, 2, big + 1}, c = {1 + big, 5, 7}, whole = {0, INT64_MAX, 1};
    pl_span both = pl_span_meet(&a, &b);
    T_TRUE(both.n == 1 && both.start == 1);
    both = pl_span_meet(&a, &c);
    T_TRUE(both.n == 1 && both.start == 1 + big);
    both = pl_span_meet(&a, &whole);
    T_TRUE(both.n == 3 && both.start == 1 && both.step == big);
    T_EQ(pl_span_meet(&(pl_span){0, 3, big}, &(pl_span){1, 3, big}).n, 0);
}

T_TEST(ranges)
{
    pl_span span = pl_span_of_range(&(parla_range){2, 11, 3});
    T_TRUE(span.start == 2 && span.n == 3 && span.step == 3);
    T_EQ(pl_span_last(&span), 8);
    T_EQ(pl_span_of_range(&(parla_range){5, 5, 1}).n, 0);
    span = pl_span_of_range(&(parla_range){5, 6, 9});
    T_TRUE(span.n == 1 && span.step == 1);
}

T_TEST(boxes_meet_if_all_their_spans_do)
{
    const pl_span a[2] = {{0, 4, 1}, {0, 5, 2}}, b[2] = {{3, 4, 1}, {1, 5, 2}}, c[2] = {{3, 4, 1}, {8, 5, 1}};
    T_FALSE(pl_spans_meet(a, b, 2));
    T_TRUE(pl_spans_meet(a, b, 1));
    T_TRUE(pl_spans_meet(a, c, 2));
}
