/* Plans against assignment element by element, with NumPy's rules for shapes; and that no pair of blocks is looked at in vain. */
#include "assignment.h"

#include <stdlib.h>

/* The global index of element `local` of a box in block coordinates. */
static void global_index(const cx_layout *layout, int64_t i_block, const cx_box *box, const int64_t *local, int64_t *out)
{
    cx_block block;
    T_OK(cx_layout_block(layout, i_block, &block));
    for (int k = 0; k < box->ndim; k++) {
        int64_t x = box->range[k].start + local[k] * box->range[k].step;
        T_GE(x, 0);
        out[k] = block.box.range[k].start + x;
        T_LT(out[k], block.box.range[k].stop);
    }
}

/* Carries out one transfer on positions; each element may be written once. */
static void apply(const cx_plan *plan, const cx_transfer *t, int64_t *got)
{
    const cx_layout *dst = cx_plan_dst(plan)->layout, *src = cx_plan_src(plan)->layout;
    const int *axes = cx_plan_axes(plan);
    int64_t extent[CX_MAX_NDIM], local[CX_MAX_NDIM] = {0};
    for (int k = 0; k < t->dst_box.ndim; k++) {
        extent[k] = cx_range_count(t->dst_box.range[k]);
        T_GT(extent[k], 0);
    }
    do {
        int64_t from_local[CX_MAX_NDIM] = {0}, to[CX_MAX_NDIM], from[CX_MAX_NDIM];
        for (int k = 0; k < t->dst_box.ndim; k++) {
            if (axes[k] >= 0) {
                T_EQ(cx_range_count(t->src_box.range[axes[k]]), extent[k]);
                from_local[axes[k]] = local[k];
            }
        }
        global_index(dst, t->dst_block, &t->dst_box, local, to);
        global_index(src, t->src_block, &t->src_box, from_local, from);
        T_EQ(got[position(dst, to)], -1);
        got[position(dst, to)] = position(src, from);
    } while (next_index(t->dst_box.ndim, extent, local));
}

/* Every transfer joins another pair of blocks, at the right places. */
static void check_pairs(const cx_plan *plan)
{
    const cx_layout *dst = cx_plan_dst(plan)->layout, *src = cx_plan_src(plan)->layout;
    int64_t n_src = cx_layout_n_blocks(src);
    bool *seen = calloc((size_t)(cx_layout_n_blocks(dst) * n_src), sizeof *seen);
    for (int64_t i = 0; i < cx_plan_n_transfers(plan); i++) {
        cx_transfer t;
        cx_block to, from;
        cx_plan_transfer(plan, i, &t);
        T_FALSE(seen[t.dst_block * n_src + t.src_block]);
        seen[t.dst_block * n_src + t.src_block] = true;
        T_OK(cx_layout_block(dst, t.dst_block, &to));
        T_OK(cx_layout_block(src, t.src_block, &from));
        T_TRUE(cx_place_equal(to.place, t.dst_place));
        T_TRUE(cx_place_equal(from.place, t.src_place));
        T_EQ(t.n_items, cx_box_volume(&t.src_box));
    }
    free(seen);
}

/* The links hold all transfers' bytes, each pair of places once. */
static void check_links(const cx_plan *plan)
{
    int64_t want_bytes = 0, n_transfers = 0, n_bytes = 0;
    for (int64_t i = 0; i < cx_plan_n_transfers(plan); i++) {
        cx_transfer t;
        cx_plan_transfer(plan, i, &t);
        want_bytes += t.n_items * (int64_t)cx_plan_item_bytes(plan);
    }
    cx_link links[256];
    size_t n;
    T_OK(cx_plan_links(plan, links, 256, &n));
    for (size_t i = 0; i < n; i++) {
        n_transfers += links[i].n_transfers;
        n_bytes += links[i].n_bytes;
        for (size_t j = 0; j < i; j++) {
            T_FALSE(cx_place_equal(links[i].src, links[j].src) && cx_place_equal(links[i].dst, links[j].dst));
        }
    }
    T_EQ(n_transfers, cx_plan_n_transfers(plan));
    T_EQ(n_bytes, want_bytes);
}

static void check_plan(const cx_view *dst, const cx_view *src)
{
    cx_plan *plan = NULL;
    T_OK(cx_plan_create(&plan, dst, src, 8));
    int64_t volume = volume_of(dst->layout);
    int64_t *want = unset(volume), *got = unset(volume);
    assign_naively(dst, src, want);
    for (int64_t i = 0; i < cx_plan_n_transfers(plan); i++) {
        cx_transfer t;
        cx_plan_transfer(plan, i, &t);
        apply(plan, &t, got);
    }
    T_EQ_MEM(got, want, (size_t)volume * sizeof *got);
    check_pairs(plan);
    check_links(plan);
    free(want);
    free(got);
    cx_plan_unref(plan);
}

T_TEST(plans_do_what_assignment_means)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(6000); i++) {
        int64_t shape[CX_MAX_NDIM];
        int ndim = (int)t_below(&rng, 4);
        random_shape(&rng, ndim, 12, shape);
        cx_layout *layout = random_layout(&rng, ndim, shape);
        cx_view dst = random_view(&rng, layout), src = matching_source(&rng, &dst, random_place);
        check_plan(&dst, &src);
        cx_layout_unref(layout);
        cx_layout_unref((cx_layout *)src.layout);
    }
}

T_TEST(eight_dimensions)
{
    t_rng rng = {t_seed() + 1};
    for (uint64_t i = 0; i < t_scale(50); i++) {
        int64_t shape[CX_MAX_NDIM];
        random_shape(&rng, 8, 3, shape);
        cx_layout *a = random_layout(&rng, 8, shape), *b = random_layout(&rng, 8, shape);
        cx_view dst = {.layout = a, .box = cx_layout_box(a)}, src = {.layout = b, .box = cx_layout_box(b)};
        cx_plan *plan = NULL;
        T_OK(cx_plan_create(&plan, &dst, &src, 1));
        int64_t volume = volume_of(a), *got = unset(volume);
        for (int64_t n = 0; n < cx_plan_n_transfers(plan); n++) {
            cx_transfer t;
            cx_plan_transfer(plan, n, &t);
            apply(plan, &t, got);
        }
        for (int64_t at = 0; at < volume; at++) {
            T_EQ(got[at], at);
        }
        free(got);
        cx_plan_unref(plan);
        cx_layout_unref(a);
        cx_layout_unref(b);
    }
}

T_TEST(leading_ones_of_a_source_are_left_out)
{
    int64_t row[1] = {4}, sheet[3] = {1, 1, 4}, ones[3] = {1, 1, 2};
    cx_place places[2] = {{0, PARLA_ARCH_CPU, 0}, {0, PARLA_ARCH_GPU, 0}};
    cx_layout *a = NULL, *b = NULL;
    int64_t halves[1] = {2};
    T_OK(cx_layout_grid(&a, 1, row, halves, NULL, NULL, places));
    T_OK(cx_layout_grid(&b, 3, sheet, ones, NULL, NULL, places));
    cx_view dst = {.layout = a, .box = cx_layout_box(a)}, src = {.layout = b, .box = cx_layout_box(b)};
    cx_plan *plan = NULL;
    T_OK(cx_plan_create(&plan, &dst, &src, 4));
    T_EQ(cx_plan_n_transfers(plan), 2);
    T_EQ(cx_plan_axes(plan)[0], 2);
    cx_plan_unref(plan);
    cx_layout_unref(a);
    cx_layout_unref(b);
}

/* A million blocks on either side: the plan costs their overlaps per dimension. */
T_TEST_TIMEOUT(planning_costs_the_overlaps, 30)
{
    int64_t shape[2] = {12000, 12000}, block[2] = {12, 12}, other[2] = {18, 18}, grid[2] = {2, 2}, source[2] = {0, 0};
    cx_place places[4] = {{0, PARLA_ARCH_GPU, 0}, {0, PARLA_ARCH_GPU, 1}, {0, PARLA_ARCH_GPU, 2}, {0, PARLA_ARCH_GPU, 3}};
    cx_layout *a = NULL, *b = NULL;
    T_OK(cx_layout_block_cyclic(&a, 2, shape, block, grid, source, places));
    T_OK(cx_layout_block_cyclic(&b, 2, shape, other, grid, source, places));
    cx_view dst = {.layout = a, .box = cx_layout_box(a)}, src = {.layout = b, .box = cx_layout_box(b)};
    cx_plan *plan = NULL;
    T_OK(cx_plan_create(&plan, &dst, &src, 8));
    /* Borders at multiples of 12 or 18: in each period of 36 there are 0, 12, 18, 24, so 4 segments. */
    int64_t per_axis = (12000 / 36) * 4 + (12000 % 36 > 0) + (12000 % 36 > 12);
    T_EQ(cx_plan_n_transfers(plan), per_axis * per_axis);
    cx_plan_unref(plan);
    /* A view of few blocks does not pay for the others. */
    dst.box.range[0] = (parla_range){0, 12, 1};
    dst.box.range[1] = (parla_range){0, 12000, 6000};
    src.box = dst.box;
    T_OK(cx_plan_create(&plan, &dst, &src, 8));
    T_EQ(cx_plan_n_transfers(plan), 2);
    cx_plan_unref(plan);
    cx_layout_unref(a);
    cx_layout_unref(b);
}

T_TEST(shapes_that_do_not_fit_are_refused)
{
    int64_t a_shape[2] = {4, 6}, b_shape[1] = {5}, one[2] = {1, 1};
    cx_place place = {0, PARLA_ARCH_CPU, 0};
    cx_layout *a = NULL, *b = NULL;
    cx_plan *plan = NULL;
    T_OK(cx_layout_grid(&a, 2, a_shape, one, NULL, NULL, &place));
    T_OK(cx_layout_grid(&b, 1, b_shape, one, NULL, NULL, &place));
    cx_view dst = {.layout = a, .box = cx_layout_box(a)}, src = {.layout = b, .box = cx_layout_box(b)};
    T_EQ(cx_plan_create(&plan, &dst, &src, 8), PARLA_E_INVALID);
    T_EQ_STR(parla_error_detail(), "a source of shape (5,) does not fit a destination of shape (4, 6)");
    T_EQ(cx_plan_create(&plan, &src, &dst, 8), PARLA_E_INVALID);
    dst.box.range[1].stop = 7;
    T_EQ(cx_plan_create(&plan, &dst, &src, 8), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "lies outside 0 to 6");
    dst = (cx_view){.layout = a, .box = cx_layout_box(a), .dropped = 1u};
    T_EQ(cx_plan_create(&plan, &dst, &src, 8), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "dropped");
    T_EQ_PTR(plan, NULL);
    cx_plan_unref(NULL);
    cx_layout_unref(a);
    cx_layout_unref(b);
}
