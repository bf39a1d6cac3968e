/* view.c - which dimensions a view has, and the layout that it has as an array of its own.
 *
 * Each dimension of the view is walked interval by interval; those that hold none of its indices are skipped, so the cost is the
 * number of blocks of the result. The places are looked up in the layout that is viewed and written down block by block. */
#include "breaks.h"
#include "layout.h"

#include <parla/error.h>

#include <stdlib.h>

/* --- Dimensions -------------------------------------------------------------------------------------------------------------- */

static bool is_dropped(const cx_view *view, int k) { return view->dropped >> k & 1; }

int cx_view_axes(const cx_view *view, int *out)
{
    int n = 0;
    bool is_arranged = view->is_arranged && !cx_is_broken(CX_BREAK_AXES);
    for (int i = 0; is_arranged && i < view->n_axes; i++) {
        out[n++] = view->axes[i];
    }
    for (int k = 0; !is_arranged && k < view->box.ndim; k++) {
        if (!is_dropped(view, k)) {
            out[n++] = k;
        }
    }
    return n;
}

/* Each dimension that is not dropped is named once. */
static int check_axes(const cx_view *view, const char *which)
{
    uint32_t seen = view->dropped;
    if (view->n_axes < 0 || view->n_axes > CX_MAX_NDIM) {
        return parla_error_set(PARLA_E_INVALID, "%s: a view of %d dimensions; at most %d are possible", which, view->n_axes,
                               CX_MAX_NDIM);
    }
    for (int i = 0; i < view->n_axes; i++) {
        int k = view->axes[i];
        if (k < -1 || k >= view->box.ndim || (k >= 0 && (seen >> k & 1))) {
            return parla_error_set(PARLA_E_INVALID,
                                   "%s: axes[%d] is %d, which is no dimension of the layout, dropped, or named twice", which, i, k);
        }
        seen |= k >= 0 ? 1u << k : 0;
    }
    for (int k = 0; k < view->box.ndim; k++) {
        if (!(seen >> k & 1)) {
            return parla_error_set(PARLA_E_INVALID, "%s: dimension %d is neither dropped nor among the axes", which, k);
        }
    }
    return PARLA_OK;
}

int cx_view_check(const cx_view *view, const char *which)
{
    int64_t extent[CX_MAX_NDIM];
    for (int k = 0; k < view->layout->ndim; k++) {
        extent[k] = view->layout->axis[k].extent;
    }
    int err = cx_box_check(&view->box, view->layout->ndim, extent);
    for (int k = 0; !err && k < view->box.ndim; k++) {
        if (is_dropped(view, k) && cx_range_count(view->box.range[k]) != 1) {
            err = parla_error_set(PARLA_E_INVALID, "%s: dimension %d is dropped but does not have one index", which, k);
        }
    }
    return !err && view->is_arranged ? check_axes(view, which) : err;
}

/* --- Layout ------------------------------------------------------------------------------------------------------------------ */

/* The intervals of one dimension that the view touches. */
typedef struct walk {
    int64_t *cells; /* which ones */
    int64_t *sizes; /* how many indices of the view lie in each */
    int64_t count;
} walk;

static void walk_fini(walk *w)
{
    free(w->cells);
    free(w->sizes);
}

static int walk_axis(walk *out, const cx_layout *layout, int axis, parla_range range)
{
    int64_t count = cx_range_count(range), n_parts = cx_layout_n_parts(layout, axis);
    int64_t capacity = count < n_parts ? count : n_parts;
    capacity = capacity ? capacity : 1;
    *out = (walk){malloc((size_t)capacity * sizeof(int64_t)), malloc((size_t)capacity * sizeof(int64_t)), 0};
    if (!out->cells || !out->sizes) {
        walk_fini(out);
        return parla_error_set(PARLA_E_NOMEM, "no memory for the layout of a view");
    }
    for (int64_t t = 0; t < count;) {
        int64_t index = range.start + t * range.step;
        int64_t cell = cx_layout_find_part(layout, axis, index);
        int64_t end = t + (cx_layout_part(layout, axis, cell).stop - 1 - index) / range.step + 1;
        end = end < count ? end : count;
        out->cells[out->count] = cell;
        out->sizes[out->count++] = end - t;
        t = end;
    }
    if (count == 0) { /* an array without elements still has a block, and that lies somewhere */
        out->cells[0] = out->sizes[0] = 0;
        out->count = 1;
    }
    return PARLA_OK;
}

/* The places of all combinations of the walks' cells, in the order of the view's dimensions. */
static cx_place *places_of(const cx_view *view, const walk *walks)
{
    const cx_layout *layout = view->layout;
    int axes[CX_MAX_NDIM], n_axes = cx_view_axes(view, axes);
    int64_t n_blocks = 1;
    for (int k = 0; k < layout->ndim; k++) {
        n_blocks *= walks[k].count;
    }
    cx_place *places = malloc((size_t)n_blocks * sizeof *places);
    for (int64_t i = 0; places && i < n_blocks; i++) {
        int64_t coords[CX_MAX_NDIM], rest = i, i_block = 0;
        for (int k = 0; k < layout->ndim; k++) { /* a dropped dimension has one cell */
            coords[k] = walks[k].cells[0];
        }
        for (int d = n_axes - 1; d >= 0; d--) {
            if (axes[d] >= 0) {
                coords[axes[d]] = walks[axes[d]].cells[rest % walks[axes[d]].count];
                rest /= walks[axes[d]].count;
            }
        }
        for (int k = 0; k < layout->ndim; k++) {
            i_block = i_block * layout->axis[k].n_parts + coords[k];
        }
        places[i] = layout->places[cx_layout_owner_of(layout, i_block)];
    }
    if (!places) {
        parla_error_set(PARLA_E_NOMEM, "no memory for %lld blocks of a view", (long long)n_blocks);
    }
    return places;
}

/* A dropped dimension has one cell, so leaving it out changes neither the number nor the order of the blocks; nor does adding one. */
static int grid_of(cx_layout **out, const cx_view *view, const walk *walks, const cx_place *places)
{
    static const int64_t one = 1;
    int axes[CX_MAX_NDIM], ndim = cx_view_axes(view, axes);
    int64_t shape[CX_MAX_NDIM], n_parts[CX_MAX_NDIM];
    const int64_t *sizes[CX_MAX_NDIM];
    for (int d = 0; d < ndim; d++) {
        int k = axes[d];
        shape[d] = k < 0 ? 1 : cx_range_count(view->box.range[k]);
        n_parts[d] = k < 0 ? 1 : walks[k].count;
        sizes[d] = k < 0 ? &one : walks[k].sizes;
    }
    return cx_layout_grid(out, ndim, shape, n_parts, sizes, NULL, places);
}

int cx_layout_of_view(cx_layout **out, const cx_view *view)
{
    const cx_layout *layout = view->layout;
    int err = cx_view_check(view, "view");
    walk walks[CX_MAX_NDIM];
    int n_walks = 0;
    for (int k = 0; !err && k < layout->ndim; k++) {
        err = walk_axis(&walks[k], layout, k, view->box.range[k]);
        n_walks = err ? k : k + 1;
    }
    if (!err) {
        cx_place *places = places_of(view, walks);
        err = places ? grid_of(out, view, walks, places) : PARLA_E_NOMEM;
        free(places);
    }
    for (int k = 0; k < n_walks; k++) {
        walk_fini(&walks[k]);
    }
    return err;
}
