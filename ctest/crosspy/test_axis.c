/* How one dimension is cut, and which part holds an index. */
#include "random_layout.h"

static cx_layout *split(int64_t extent, int64_t n_parts, const int64_t *sizes)
{
    cx_place places[64];
    cx_layout *layout = NULL;
    for (int i = 0; i < 64; i++) {
        places[i] = (cx_place){0, PARLA_ARCH_GPU, i};
    }
    T_OK(cx_layout_split(&layout, 1, &extent, 0, n_parts, sizes, places));
    return layout;
}

/* The parts cover the extent in order, and every index is found in the part that holds it. */
static void check(const cx_layout *layout, int64_t extent, int64_t n_parts)
{
    T_EQ(cx_layout_n_parts(layout, 0), n_parts);
    int64_t next = 0;
    for (int64_t i = 0; i < n_parts; i++) {
        parla_range part = cx_layout_part(layout, 0, i);
        T_EQ(part.start, next);
        T_EQ(part.step, 1);
        for (int64_t x = part.start; x < part.stop; x++) {
            T_EQ(cx_layout_find_part(layout, 0, x), i);
        }
        next = part.stop;
    }
    T_EQ(next, extent);
}

T_TEST(even_parts_differ_by_one_at_most)
{
    for (int64_t extent = 0; extent < 40; extent++) {
        for (int64_t n_parts = 1; n_parts < 20; n_parts++) {
            cx_layout *layout = split(extent, n_parts, NULL);
            check(layout, extent, n_parts);
            int64_t before = INT64_MAX;
            for (int64_t i = 0; i < n_parts; i++) {
                parla_range part = cx_layout_part(layout, 0, i);
                T_LE(part.stop - part.start, before); /* longer ones first */
                T_GE(part.stop - part.start, extent / n_parts);
                T_LE(part.stop - part.start, (extent + n_parts - 1) / n_parts);
                before = part.stop - part.start;
            }
            cx_layout_unref(layout);
        }
    }
}

T_TEST(sizes_are_kept)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(2000); i++) {
        int64_t extent = random_between(&rng, 0, 50), n_parts = random_between(&rng, 1, 12), sizes[12];
        random_sizes(&rng, extent, n_parts, sizes);
        cx_layout *layout = split(extent, n_parts, sizes);
        check(layout, extent, n_parts);
        for (int64_t p = 0; p < n_parts; p++) {
            parla_range part = cx_layout_part(layout, 0, p);
            T_EQ(part.stop - part.start, sizes[p]);
        }
        cx_layout_unref(layout);
    }
}

T_TEST(blocks_of_one_size)
{
    int64_t grid = 3, source = 1;
    cx_place places[3] = {{0, PARLA_ARCH_CPU, 0}, {1, PARLA_ARCH_CPU, 0}, {2, PARLA_ARCH_CPU, 0}};
    for (int64_t extent = 0; extent < 30; extent++) {
        for (int64_t size = 1; size < 12; size++) {
            cx_layout *layout = NULL;
            T_OK(cx_layout_block_cyclic(&layout, 1, &extent, &size, &grid, &source, places));
            check(layout, extent, extent ? (extent + size - 1) / size : 1);
            cx_layout_unref(layout);
        }
    }
}

T_TEST(bad_cuts_are_refused)
{
    int64_t extent = 10, sizes[3] = {5, -1, 6}, short_sizes[3] = {5, 1, 1};
    cx_place place[3] = {{0, PARLA_ARCH_CPU, 0}, {0, PARLA_ARCH_CPU, 0}, {0, PARLA_ARCH_CPU, 0}};
    cx_layout *layout = NULL;
    T_EQ(cx_layout_split(&layout, 1, &extent, 0, 3, sizes, place), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "size -1");
    T_EQ(cx_layout_split(&layout, 1, &extent, 0, 3, short_sizes, place), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "add up to 7");
    T_EQ(cx_layout_split(&layout, 1, &extent, 0, 0, NULL, place), PARLA_E_INVALID);
    T_EQ(cx_layout_split(&layout, 1, &extent, 1, 3, NULL, place), PARLA_E_INVALID);
    T_EQ_PTR(layout, NULL);
}
