/* Layouts: owners against definitions, bytes per place against counting, equality and hash against comparing block by block. */
#include "random_layout.h"

/* Each element lies in the block that find names, and blocks tile the array. */
static void check_blocks(const cx_layout *layout, int ndim, const int64_t *shape)
{
    int64_t volume = 0;
    for (int64_t i = 0; i < cx_layout_n_blocks(layout); i++) {
        cx_block block;
        int64_t again;
        T_OK(cx_layout_block(layout, i, &block));
        T_EQ(block.index, i);
        T_OK(cx_layout_block_at(layout, block.coords, &again));
        T_EQ(again, i);
        volume += cx_box_volume(&block.box);
    }
    cx_box whole = cx_layout_box(layout);
    T_EQ(volume, cx_box_volume(&whole));
    if (volume == 0) {
        return;
    }
    int64_t index[CX_MAX_NDIM] = {0}, i_block;
    do {
        cx_block block;
        T_OK(cx_layout_find(layout, index, &i_block));
        T_OK(cx_layout_block(layout, i_block, &block));
        T_TRUE(cx_box_contains(&block.box, index));
    } while (next_index(ndim, shape, index));
}

static void check_places(const cx_layout *layout)
{
    int64_t sum = 0;
    for (size_t p = 0; p < cx_layout_n_places(layout); p++) {
        cx_place place = cx_layout_place(layout, p);
        int64_t items = 0;
        for (int64_t i = 0; i < cx_layout_n_blocks(layout); i++) {
            cx_block block;
            T_OK(cx_layout_block(layout, i, &block));
            items += cx_place_equal(block.place, place) ? cx_box_volume(&block.box) : 0;
        }
        T_EQ(cx_layout_place_items(layout, p), items);
        sum += items;
    }
    cx_box whole = cx_layout_box(layout);
    T_EQ(sum, cx_box_volume(&whole));
    for (int rank = 0; rank < 3; rank++) {
        int64_t next = cx_layout_next_of_rank(layout, rank, 0);
        for (int64_t i = 0; i < cx_layout_n_blocks(layout); i++) {
            cx_block block;
            T_OK(cx_layout_block(layout, i, &block));
            if (block.place.rank == rank) {
                T_EQ(next, i);
                next = cx_layout_next_of_rank(layout, rank, i + 1);
            }
        }
        T_EQ(next, -1);
    }
}

T_TEST(random_layouts_tile_their_array)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(1500); i++) {
        int64_t shape[CX_MAX_NDIM];
        int ndim = (int)t_below(&rng, 4);
        random_shape(&rng, ndim, 9, shape);
        cx_layout *layout = random_layout(&rng, ndim, shape);
        T_EQ(cx_layout_ndim(layout), ndim);
        check_blocks(layout, ndim, shape);
        check_places(layout);
        cx_layout_unref(layout);
    }
}

T_TEST(block_cyclic_is_scalapacks)
{
    /* INDXG2P of ScaLAPACK: the process of global index i (from 0) is (source + i / block) mod grid, in each dimension. */
    t_rng rng = {t_seed() + 1};
    for (uint64_t i = 0; i < t_scale(300); i++) {
        int64_t shape[2], block[2], grid[2], source[2];
        cx_place places[16];
        for (int k = 0; k < 2; k++) {
            shape[k] = random_between(&rng, 1, 30);
            block[k] = random_between(&rng, 1, 7);
            grid[k] = random_between(&rng, 1, 4);
            source[k] = random_between(&rng, 0, grid[k] - 1);
        }
        for (int p = 0; p < grid[0] * grid[1]; p++) {
            places[p] = (cx_place){p, PARLA_ARCH_CPU, 0};
        }
        cx_layout *layout = NULL;
        T_OK(cx_layout_block_cyclic(&layout, 2, shape, block, grid, source, places));
        int64_t index[2] = {0, 0}, i_block;
        do {
            cx_block one;
            T_OK(cx_layout_find(layout, index, &i_block));
            T_OK(cx_layout_block(layout, i_block, &one));
            int64_t row = (source[0] + index[0] / block[0]) % grid[0], column = (source[1] + index[1] / block[1]) % grid[1];
            T_EQ(one.place.rank, row * grid[1] + column);
        } while (next_index(2, shape, index));
        cx_layout_unref(layout);
    }
}

/* The definition: the same blocks at the same places. */
static bool same_blocks(const cx_layout *a, const cx_layout *b)
{
    if (cx_layout_ndim(a) != cx_layout_ndim(b) || cx_layout_n_blocks(a) != cx_layout_n_blocks(b)) {
        return false;
    }
    for (int64_t i = 0; i < cx_layout_n_blocks(a); i++) {
        cx_block x, y;
        T_OK(cx_layout_block(a, i, &x));
        T_OK(cx_layout_block(b, i, &y));
        for (int k = 0; k < x.box.ndim; k++) {
            if (x.box.range[k].start != y.box.range[k].start || x.box.range[k].stop != y.box.range[k].stop ||
                x.coords[k] != y.coords[k]) {
                return false;
            }
        }
        if (!cx_place_equal(x.place, y.place)) {
            return false;
        }
    }
    return true;
}

/* The same layout, written out block by block. */
static cx_layout *written_out(const cx_layout *layout)
{
    int64_t shape[CX_MAX_NDIM], n_parts[CX_MAX_NDIM], sizes[CX_MAX_NDIM][64];
    const int64_t *lists[CX_MAX_NDIM];
    cx_place places[4096];
    int ndim = cx_layout_ndim(layout);
    for (int k = 0; k < ndim; k++) {
        shape[k] = cx_layout_extent(layout, k);
        n_parts[k] = cx_layout_n_parts(layout, k);
        lists[k] = sizes[k];
        for (int64_t i = 0; i < n_parts[k]; i++) {
            parla_range part = cx_layout_part(layout, k, i);
            sizes[k][i] = part.stop - part.start;
        }
    }
    for (int64_t i = 0; i < cx_layout_n_blocks(layout); i++) {
        cx_block block;
        T_OK(cx_layout_block(layout, i, &block));
        places[i] = block.place;
    }
    cx_layout *out = NULL;
    T_OK(cx_layout_grid(&out, ndim, shape, n_parts, lists, NULL, places));
    return out;
}

T_TEST(equal_means_same_blocks_at_same_places)
{
    t_rng rng = {t_seed() + 2};
    int64_t n_equal = 0;
    for (uint64_t i = 0; i < t_scale(5000); i++) {
        int64_t shape[CX_MAX_NDIM];
        int ndim = (int)t_below(&rng, 3);
        random_shape(&rng, ndim, 4, shape);
        cx_layout *a = random_layout(&rng, ndim, shape), *b = random_layout(&rng, ndim, shape), *c = written_out(a);
        T_EQ(cx_layout_equal(a, b), same_blocks(a, b));
        n_equal += cx_layout_equal(a, b);
        T_TRUE(cx_layout_equal(a, c));
        T_EQ(cx_layout_hash(a), cx_layout_hash(c));
        cx_layout_unref(a);
        cx_layout_unref(b);
        cx_layout_unref(c);
    }
    T_GT(n_equal, 0);
}

T_TEST(huge_layouts_cost_nothing)
{
    int64_t shape[2] = {INT64_C(1) << 31, INT64_C(1) << 31}, block[2] = {2, 2}, grid[2] = {2, 3}, source[2] = {1, 2};
    cx_place places[6];
    for (int i = 0; i < 6; i++) {
        places[i] = (cx_place){i, PARLA_ARCH_GPU, 0};
    }
    cx_layout *layout = NULL;
    T_OK(cx_layout_block_cyclic(&layout, 2, shape, block, grid, source, places));
    T_EQ(cx_layout_n_blocks(layout), INT64_C(1) << 60);
    int64_t index[2] = {shape[0] - 1, shape[1] - 1}, i_block;
    T_OK(cx_layout_find(layout, index, &i_block));
    T_EQ(i_block, (INT64_C(1) << 60) - 1);
    cx_layout_unref(layout);
}

T_TEST(bad_layouts_are_refused)
{
    int64_t shape[2] = {4, 4}, parts[2] = {1, 1}, zero[2] = {0, 1}, source[2] = {1, 0}, index[2] = {0, 4}, out;
    cx_place place = {0, PARLA_ARCH_CPU, 0}, bad = {0, PARLA_ARCH_ANY, 0};
    cx_layout *layout = NULL;
    T_EQ(cx_layout_grid(&layout, 2, shape, parts, NULL, NULL, &bad), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "cpu or gpu");
    T_EQ(cx_layout_grid(&layout, 2, shape, parts, NULL, zero, &place), PARLA_E_INVALID);
    T_EQ(cx_layout_grid(&layout, 9, shape, parts, NULL, NULL, &place), PARLA_E_INVALID);
    T_EQ(cx_layout_block_cyclic(&layout, 2, shape, zero, parts, zero, &place), PARLA_E_INVALID);
    T_EQ(cx_layout_block_cyclic(&layout, 2, shape, parts, parts, source, &place), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "source 1");
    T_EQ_PTR(layout, NULL);
    T_OK(cx_layout_grid(&layout, 2, shape, parts, NULL, NULL, &place));
    cx_block block;
    T_EQ(cx_layout_block(layout, 1, &block), PARLA_E_INVALID);
    T_EQ(cx_layout_find(layout, index, &out), PARLA_E_INVALID);
    T_EQ(cx_layout_block_at(layout, index, &out), PARLA_E_INVALID);
    cx_layout_unref(layout);
    cx_layout_unref(NULL);
}
