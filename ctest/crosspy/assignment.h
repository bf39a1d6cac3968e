/* assignment.h - what dst[...] = src means for two views, element by element: the oracle for plans and for running them. */
#ifndef ASSIGNMENT_H
#define ASSIGNMENT_H

#include "random_layout.h"

#include <stdlib.h>
#include <string.h>

/* The same view of a layout with its dimensions in another order. */
static inline cx_view reordered(t_rng *rng, const cx_view *view, int64_t *shape)
{
    int at[CX_MAX_NDIM], axes[CX_MAX_NDIM], n = kept_axes(view, axes);
    int64_t before[CX_MAX_NDIM];
    cx_view out = {.box = {.ndim = view->box.ndim}, .is_arranged = true, .n_axes = (int8_t)n};
    shuffled(rng, view->box.ndim, at);
    memcpy(before, shape, sizeof before);
    for (int k = 0; k < view->box.ndim; k++) {
        out.box.range[at[k]] = view->box.range[k];
        out.dropped |= (view->dropped >> k & 1) << at[k];
        shape[at[k]] = before[k];
    }
    for (int i = 0; i < n; i++) {
        out.axes[i] = (int8_t)at[axes[i]];
    }
    return out;
}

/* A layout and a view whose shape stretches to that of `dst`: extents are kept or 1, leading dimensions are missing or 1. */
static inline cx_view matching_source(t_rng *rng, const cx_view *dst, cx_place (*place)(t_rng *rng))
{
    int axes[CX_MAX_NDIM], n = kept_axes(dst, axes), n_src = (int)random_between(rng, 0, n), extra = 0;
    cx_view view = {.box = {.ndim = 0}};
    int64_t shape[CX_MAX_NDIM] = {0};
    if (t_below(rng, 2)) {
        n_src = n;
    }
    for (int i = n - n_src; i < n; i++) {
        int k = view.box.ndim++;
        int64_t count = t_below(rng, 5) ? extent_along(dst, axes[i]) : 1;
        int64_t start = random_between(rng, 0, 3), step = random_between(rng, 1, 3);
        view.box.range[k] = (parla_range){start, count ? start + (count - 1) * step + 1 : start, step};
        shape[k] = view.box.range[k].stop + random_between(rng, 0, 4);
        if (t_below(rng, 4) == 0 && extra < 2) { /* a dimension that is indexed by a number */
            extra++;
            k = view.box.ndim++;
            shape[k] = random_between(rng, 1, 6);
            int64_t at = random_between(rng, 0, shape[k] - 1);
            view.box.range[k] = (parla_range){at, at + 1, 1};
            view.dropped |= 1u << k;
        }
    }
    if (t_below(rng, 2)) {
        view = reordered(rng, &view, shape);
    }
    view.layout = random_layout_at(rng, view.box.ndim, shape, place);
    return view;
}

/* Position of an element in C order. */
static inline int64_t position(const cx_layout *layout, const int64_t *index)
{
    int64_t at = 0;
    for (int k = 0; k < cx_layout_ndim(layout); k++) {
        at = at * cx_layout_extent(layout, k) + index[k];
    }
    return at;
}

static inline int64_t volume_of(const cx_layout *layout)
{
    cx_box whole = cx_layout_box(layout);
    return cx_box_volume(&whole);
}

/* What dst[...] = src reads for each element written: want[position] = position in the source, -1 elsewhere. */
static inline void assign_naively(const cx_view *dst, const cx_view *src, int64_t *want)
{
    int dst_axes[CX_MAX_NDIM], src_axes[CX_MAX_NDIM], n_dst = kept_axes(dst, dst_axes), n_src = kept_axes(src, src_axes);
    int64_t extent[CX_MAX_NDIM], index[CX_MAX_NDIM] = {0};
    for (int i = 0; i < n_dst; i++) {
        extent[i] = extent_along(dst, dst_axes[i]);
        if (extent[i] == 0) {
            return;
        }
    }
    do {
        int64_t to[CX_MAX_NDIM], from[CX_MAX_NDIM];
        for (int k = 0; k < dst->box.ndim; k++) {
            to[k] = dst->box.range[k].start;
        }
        for (int k = 0; k < src->box.ndim; k++) {
            from[k] = src->box.range[k].start;
        }
        for (int i = 0; i < n_dst; i++) {
            if (dst_axes[i] >= 0) {
                to[dst_axes[i]] += index[i] * dst->box.range[dst_axes[i]].step;
            }
            int s = i - (n_dst - n_src);
            if (s >= 0 && extent_along(src, src_axes[s]) > 1) {
                from[src_axes[s]] += index[i] * src->box.range[src_axes[s]].step;
            }
        }
        want[position(dst->layout, to)] = position(src->layout, from);
    } while (next_index(n_dst, extent, index));
}

/* n times -1; the caller frees it. */
static inline int64_t *unset(int64_t n)
{
    int64_t *out = malloc((size_t)(n + 1) * sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        out[i] = -1;
    }
    return out;
}

#endif
