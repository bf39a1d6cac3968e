/* random_layout.h - random shapes, layouts and views for the tests of this folder, small enough to be checked element by element.
 * */
#ifndef RANDOM_LAYOUT_H
#define RANDOM_LAYOUT_H

#include <crosspy/crosspy.h>
#include <parla/error.h>
#include <test.h>

static inline int64_t random_between(t_rng *rng, int64_t low, int64_t high)
{
    return low + (int64_t)t_below(rng, (uint64_t)(high - low + 1));
}

static inline cx_place random_place(t_rng *rng)
{
    return (cx_place){(int)t_below(rng, 2), t_below(rng, 2) ? PARLA_ARCH_GPU : PARLA_ARCH_CPU, (int)t_below(rng, 3)};
}

/* Sizes that add up to `extent`; some are 0. */
static inline void random_sizes(t_rng *rng, int64_t extent, int64_t n_parts, int64_t *out)
{
    for (int64_t i = 0; i < n_parts; i++) {
        out[i] = i == n_parts - 1 ? extent : random_between(rng, 0, extent);
        extent -= out[i];
    }
}

#define RANDOM_MAX_PARTS 5

/* A layout of this shape with places drawn by `place`: a grid with free sizes, or block-cyclic. */
static inline cx_layout *random_layout_at(t_rng *rng, int ndim, const int64_t *shape, cx_place (*place)(t_rng *rng))
{
    cx_layout *layout = NULL;
    cx_place places[4096];
    int64_t n_parts[CX_MAX_NDIM], sizes[CX_MAX_NDIM][RANDOM_MAX_PARTS], source[CX_MAX_NDIM], block[CX_MAX_NDIM];
    const int64_t *lists[CX_MAX_NDIM];
    int64_t max_parts = ndim <= 4 ? RANDOM_MAX_PARTS : 2;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        places[i] = place(rng);
    }
    for (int k = 0; k < ndim; k++) {
        n_parts[k] = random_between(rng, 1, max_parts);
        random_sizes(rng, shape[k], n_parts[k], sizes[k]);
        lists[k] = t_below(rng, 3) ? sizes[k] : NULL;
        source[k] = random_between(rng, 0, n_parts[k] - 1);
        block[k] = random_between(rng, 1, 4);
    }
    if (t_below(rng, 2)) {
        T_OK(cx_layout_grid(&layout, ndim, shape, n_parts, lists, NULL, places));
    } else {
        T_OK(cx_layout_block_cyclic(&layout, ndim, shape, block, n_parts, source, places));
    }
    return layout;
}

static inline cx_layout *random_layout(t_rng *rng, int ndim, const int64_t *shape)
{
    return random_layout_at(rng, ndim, shape, random_place);
}

static inline void random_shape(t_rng *rng, int ndim, int64_t max_extent, int64_t *out)
{
    for (int k = 0; k < ndim; k++) {
        out[k] = t_below(rng, 12) ? random_between(rng, 1, max_extent) : 0;
    }
}

/* The dimensions that a view has as it is written down, -1 for new ones; returns how many. */
static inline int kept_axes(const cx_view *view, int *out)
{
    int n = 0;
    for (int k = 0; !view->is_arranged && k < view->box.ndim; k++) {
        if (!(view->dropped >> k & 1)) {
            out[n++] = k;
        }
    }
    for (int i = 0; view->is_arranged && i < view->n_axes; i++) {
        out[n++] = view->axes[i];
    }
    return n;
}

static inline int64_t extent_along(const cx_view *view, int axis) { return axis < 0 ? 1 : cx_range_count(view->box.range[axis]); }

/* A permutation of 0 … n-1. */
static inline void shuffled(t_rng *rng, int n, int *out)
{
    for (int i = 0; i < n; i++) {
        int j = (int)t_below(rng, (uint64_t)i + 1);
        out[i] = out[j];
        out[j] = i;
    }
}

/* Puts the view's dimensions into any order, with new ones between them. */
static inline void arrange(t_rng *rng, cx_view *view)
{
    int axes[CX_MAX_NDIM], order[CX_MAX_NDIM], n = kept_axes(view, axes);
    shuffled(rng, n, order);
    view->is_arranged = true;
    view->n_axes = 0;
    for (int i = 0; i <= n; i++) {
        if (t_below(rng, 4) == 0 && view->n_axes < CX_MAX_NDIM - n) {
            view->axes[view->n_axes++] = -1;
        }
        if (i < n) {
            view->axes[view->n_axes++] = (int8_t)axes[order[i]];
        }
    }
}

/* A view of the layout with some dimensions dropped, and half of the time others in another order. */
static inline cx_view random_view(t_rng *rng, const cx_layout *layout)
{
    cx_view view = {.layout = layout, .box = {.ndim = cx_layout_ndim(layout)}};
    for (int k = 0; k < view.box.ndim; k++) {
        int64_t extent = cx_layout_extent(layout, k);
        if (extent > 0 && t_below(rng, 4) == 0) {
            int64_t i = random_between(rng, 0, extent - 1);
            view.box.range[k] = (parla_range){i, i + 1, 1};
            view.dropped |= 1u << k;
        } else {
            int64_t a = random_between(rng, 0, extent), b = random_between(rng, 0, extent);
            view.box.range[k] = (parla_range){a < b ? a : b, a < b ? b : a, random_between(rng, 1, 4)};
        }
    }
    if (t_below(rng, 2)) {
        arrange(rng, &view);
    }
    return view;
}

/* Goes to the next index of a box of these extents in C order; false after the last one. */
static inline bool next_index(int ndim, const int64_t *extent, int64_t *index)
{
    for (int k = ndim - 1; k >= 0; k--) {
        if (++index[k] < extent[k]) {
            return true;
        }
        index[k] = 0;
    }
    return false;
}

#endif
