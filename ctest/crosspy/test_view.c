/* The layout of a view: every element of the view lies where it lay. */
#include "random_layout.h"

static void check_view(const cx_view *view)
{
    cx_layout *layout = NULL;
    T_OK(cx_layout_of_view(&layout, view));
    int64_t extent[CX_MAX_NDIM], index[CX_MAX_NDIM] = {0};
    int axis[CX_MAX_NDIM], ndim = kept_axes(view, axis);
    for (int k = 0; k < ndim; k++) {
        extent[k] = extent_along(view, axis[k]);
    }
    T_EQ(cx_layout_ndim(layout), ndim);
    int64_t volume = 1;
    for (int k = 0; k < ndim; k++) {
        T_EQ(cx_layout_extent(layout, k), extent[k]);
        volume *= extent[k];
    }
    for (int k = 0; k < ndim && volume; k++) {
        for (int64_t i = 0; i < cx_layout_n_parts(layout, k); i++) {
            parla_range part = cx_layout_part(layout, k, i);
            T_LT(part.start, part.stop); /* no block without elements */
        }
    }
    bool is_first = true;
    while (volume && (is_first || next_index(ndim, extent, index))) {
        int64_t global[CX_MAX_NDIM], i_here, i_there;
        cx_block here, there;
        is_first = false;
        for (int k = 0; k < view->box.ndim; k++) {
            global[k] = view->box.range[k].start;
        }
        for (int k = 0; k < ndim; k++) {
            if (axis[k] >= 0) {
                global[axis[k]] += index[k] * view->box.range[axis[k]].step;
            }
        }
        T_OK(cx_layout_find(layout, index, &i_here));
        T_OK(cx_layout_find(view->layout, global, &i_there));
        T_OK(cx_layout_block(layout, i_here, &here));
        T_OK(cx_layout_block(view->layout, i_there, &there));
        T_TRUE(cx_place_equal(here.place, there.place));
    }
    cx_layout_unref(layout);
}

T_TEST(elements_stay_where_they_are)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(3000); i++) {
        int64_t shape[CX_MAX_NDIM];
        int ndim = (int)t_below(&rng, 4);
        random_shape(&rng, ndim, 12, shape);
        cx_layout *layout = random_layout(&rng, ndim, shape);
        cx_view view = random_view(&rng, layout);
        check_view(&view);
        cx_layout_unref(layout);
    }
}

T_TEST(dimensions_that_are_not_there_are_refused)
{
    int64_t shape[2] = {4, 6}, one[2] = {1, 1};
    cx_place place = {0, PARLA_ARCH_CPU, 0};
    cx_layout *layout = NULL, *made = NULL;
    T_OK(cx_layout_grid(&layout, 2, shape, one, NULL, NULL, &place));
    cx_view view = {.layout = layout, .box = cx_layout_box(layout), .is_arranged = true, .n_axes = 2, .axes = {1, 1}};
    T_EQ(cx_layout_of_view(&made, &view), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "axes[1] is 1");
    view.n_axes = 1;
    T_EQ(cx_layout_of_view(&made, &view), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "dimension 0 is neither dropped nor among the axes");
    view.axes[0] = 2;
    T_EQ(cx_layout_of_view(&made, &view), PARLA_E_INVALID);
    view.n_axes = 9;
    T_EQ(cx_layout_of_view(&made, &view), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "at most 8");
    T_EQ_PTR(made, NULL);
    cx_layout_unref(layout);
}

T_TEST(the_view_of_all_is_the_layout)
{
    t_rng rng = {t_seed() + 1};
    for (uint64_t i = 0; i < t_scale(500); i++) {
        int64_t shape[2] = {random_between(&rng, 1, 9), random_between(&rng, 1, 9)}, block[2] = {2, 3}, grid[2] = {2, 2},
                source[2] = {0, 1};
        cx_place places[4] = {random_place(&rng), random_place(&rng), random_place(&rng), random_place(&rng)};
        cx_layout *layout = NULL, *same = NULL;
        T_OK(cx_layout_block_cyclic(&layout, 2, shape, block, grid, source, places));
        cx_view all = {.layout = layout, .box = cx_layout_box(layout)};
        T_OK(cx_layout_of_view(&same, &all));
        T_TRUE(cx_layout_equal(layout, same));
        cx_layout_unref(layout);
        cx_layout_unref(same);
    }
}

T_TEST(a_view_outside_is_refused)
{
    int64_t extent = 5;
    cx_place place = {0, PARLA_ARCH_CPU, 0};
    cx_layout *layout = NULL, *out = NULL;
    T_OK(cx_layout_split(&layout, 1, &extent, 0, 1, NULL, &place));
    cx_view view = {.layout = layout, .box = {1, {{2, 6, 1}}}};
    T_EQ(cx_layout_of_view(&out, &view), PARLA_E_INVALID);
    T_EQ_PTR(out, NULL);
    cx_layout_unref(layout);
}
