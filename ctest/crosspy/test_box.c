/* Ranges and boxes against sets of numbers written out. */
#include "random_layout.h"

#define LIMIT 64

static parla_range random_range(t_rng *rng)
{
    return (parla_range){random_between(rng, 0, LIMIT - 1), random_between(rng, 0, LIMIT), random_between(rng, 1, 9)};
}

/* out[x]: the range names x. */
static int64_t mark(parla_range range, bool *out)
{
    int64_t n = 0;
    memset(out, 0, LIMIT);
    for (int64_t x = range.start; x < range.stop; x += range.step) {
        out[x] = true;
        n++;
    }
    return n;
}

static void check_normal(parla_range range)
{
    parla_range normal = cx_range_normal(range);
    T_EQ(range.start, normal.start);
    T_EQ(range.stop, normal.stop);
    T_EQ(range.step, normal.step);
}

T_TEST(count_and_normal_form)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(20000); i++) {
        parla_range range = random_range(&rng);
        bool a[LIMIT], b[LIMIT];
        T_EQ(cx_range_count(range), mark(range, a));
        parla_range normal = cx_range_normal(range);
        T_EQ(cx_range_count(range), mark(normal, b));
        T_EQ_MEM(a, b, LIMIT);
        check_normal(normal);
        if (normal.stop > normal.start) {
            T_TRUE(b[normal.stop - 1]);
        }
    }
}

T_TEST(intersection_of_ranges)
{
    t_rng rng = {t_seed() + 1};
    for (uint64_t i = 0; i < t_scale(50000); i++) {
        parla_range a = random_range(&rng), b = random_range(&rng);
        bool in_a[LIMIT], in_b[LIMIT], in_both[LIMIT];
        mark(a, in_a);
        mark(b, in_b);
        parla_range both = cx_range_intersect(a, b);
        check_normal(both);
        mark(both, in_both);
        for (int x = 0; x < LIMIT; x++) {
            T_EQ(in_both[x], in_a[x] && in_b[x]);
        }
    }
}

T_TEST(intersection_with_huge_steps)
{
    int64_t big = INT64_C(1) << 61;
    parla_range a = {0, INT64_MAX, big - 1}, b = {0, INT64_MAX, big - 3};
    T_EQ(cx_range_count(cx_range_intersect(a, b)), 1); /* only 0: the next common number is beyond 2^63 */
    parla_range c = {1, INT64_MAX, big - 1};
    T_EQ(cx_range_count(cx_range_intersect(a, c)), 0);
    T_EQ(cx_range_count((parla_range){0, INT64_MAX, 1}), INT64_MAX);
}

T_TEST(compose_and_locate_are_inverse)
{
    t_rng rng = {t_seed() + 2};
    for (uint64_t i = 0; i < t_scale(20000); i++) {
        parla_range range = random_range(&rng);
        int64_t count = cx_range_count(range);
        int64_t begin = random_between(&rng, 0, count), end = random_between(&rng, 0, count);
        parla_range positions = cx_range_normal((parla_range){begin, end, random_between(&rng, 1, 4)});
        parla_range part = cx_range_compose(range, positions);
        T_EQ(cx_range_count(part), cx_range_count(positions));
        int64_t x = part.start;
        for (int64_t p = positions.start; p < positions.stop; p += positions.step) {
            T_EQ(x, range.start + p * range.step);
            x += part.step;
        }
        parla_range back = cx_range_locate(range, part);
        T_EQ(back.start, positions.start);
        T_EQ(back.stop, positions.stop);
        T_EQ(back.step, positions.step);
    }
}

static cx_box random_box(t_rng *rng, int ndim, int64_t extent)
{
    cx_box box = {.ndim = ndim};
    for (int k = 0; k < ndim; k++) {
        box.range[k] = (parla_range){random_between(rng, 0, extent), random_between(rng, 0, extent), random_between(rng, 1, 3)};
    }
    return box;
}

T_TEST(boxes_hold_what_their_ranges_name)
{
    t_rng rng = {t_seed() + 3};
    const int64_t extent[3] = {6, 6, 6};
    for (uint64_t i = 0; i < t_scale(1000); i++) {
        int ndim = (int)t_below(&rng, 4);
        cx_box a = random_box(&rng, ndim, 6), b = random_box(&rng, ndim, 6), both = cx_box_intersect(&a, &b);
        const int64_t offset[3] = {5, -2, 40};
        cx_box moved = cx_box_translate(&a, offset);
        int64_t index[3] = {0}, n_a = 0, n_both = 0;
        do {
            int64_t moved_index[3] = {index[0] + 5, index[1] - 2, index[2] + 40};
            bool in_a = cx_box_contains(&a, index), in_b = cx_box_contains(&b, index);
            T_EQ(cx_box_contains(&both, index), in_a && in_b);
            T_EQ(cx_box_contains(&moved, moved_index), in_a);
            n_a += in_a;
            n_both += in_a && in_b;
        } while (next_index(ndim, extent, index));
        T_EQ(cx_box_volume(&a), n_a);
        T_EQ(cx_box_volume(&both), n_both);
        T_EQ(cx_box_is_empty(&a), n_a == 0);
        cx_box whole = cx_box_locate(&a, &a), again = cx_box_compose(&a, &whole);
        T_TRUE(cx_box_equal(&again, &a));
        T_EQ(cx_box_hash(&again), cx_box_hash(&a));
    }
}

T_TEST(bad_boxes_are_refused)
{
    cx_box box;
    int64_t negative[2] = {3, -1}, huge[3] = {INT64_C(1) << 40, INT64_C(1) << 40, 1}, extent[1] = {10};
    T_EQ(cx_box_whole(&box, 2, negative), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "dimension 1");
    T_EQ(cx_box_whole(&box, 3, huge), PARLA_E_INVALID);
    T_EQ(cx_box_whole(&box, 9, negative), PARLA_E_INVALID);
    T_OK(cx_box_whole(&box, 1, extent));
    T_OK(cx_box_check(&box, 1, extent));
    box.range[0] = (parla_range){8, 13, 4}; /* 8 and 12 */
    T_EQ(cx_box_check(&box, 1, extent), PARLA_E_INVALID);
    box.range[0] = (parla_range){8, 12, 4}; /* 8 alone */
    T_OK(cx_box_check(&box, 1, extent));
    box.range[0].step = 0;
    T_EQ(cx_box_check(&box, 1, extent), PARLA_E_INVALID);
    T_EQ(cx_box_check(&box, 2, extent), PARLA_E_INVALID);
}
