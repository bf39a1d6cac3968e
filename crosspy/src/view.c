/* view.c - the layout that a view has as an array of its own.
 *
 * Each dimension of the view is walked interval by interval; those that hold none of its indices are skipped, so the cost is the
 * number of blocks of the result. The places are looked up in the layout that is viewed and written down block by block. */
#include "layout.h"

#include <parla/error.h>

#include <stdlib.h>

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

/* The places of all combinations of the walks' cells. */
static cx_place *places_of(const cx_layout *layout, const walk *walks)
{
    int64_t n_blocks = 1;
    for (int k = 0; k < layout->ndim; k++) {
        n_blocks *= walks[k].count;
    }
    cx_place *places = malloc((size_t)n_blocks * sizeof *places);
    for (int64_t i = 0; places && i < n_blocks; i++) {
        int64_t coords[CX_MAX_NDIM], rest = i, i_block = 0;
        for (int k = layout->ndim - 1; k >= 0; k--) {
            coords[k] = walks[k].cells[rest % walks[k].count];
            rest /= walks[k].count;
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

/* A dropped dimension has one cell, so leaving it out changes neither the number nor the order of the blocks. */
static int grid_of(cx_layout **out, const cx_view *view, const walk *walks, const cx_place *places)
{
    int ndim = 0;
    int64_t shape[CX_MAX_NDIM], n_parts[CX_MAX_NDIM];
    const int64_t *sizes[CX_MAX_NDIM];
    for (int k = 0; k < view->box.ndim; k++) {
        if (view->dropped >> k & 1) {
            continue;
        }
        shape[ndim] = cx_range_count(view->box.range[k]);
        n_parts[ndim] = walks[k].count;
        sizes[ndim++] = walks[k].sizes;
    }
    return cx_layout_grid(out, ndim, shape, n_parts, sizes, NULL, places);
}

int cx_layout_of_view(cx_layout **out, const cx_view *view)
{
    const cx_layout *layout = view->layout;
    int64_t extent[CX_MAX_NDIM];
    for (int k = 0; k < layout->ndim; k++) {
        extent[k] = layout->axis[k].extent;
    }
    int err = cx_box_check(&view->box, layout->ndim, extent);
    walk walks[CX_MAX_NDIM];
    int n_walks = 0;
    for (int k = 0; !err && k < layout->ndim; k++) {
        err = walk_axis(&walks[k], layout, k, view->box.range[k]);
        n_walks = err ? k : k + 1;
    }
    if (!err) {
        cx_place *places = places_of(layout, walks);
        err = places ? grid_of(out, view, walks, places) : PARLA_E_NOMEM;
        free(places);
    }
    for (int k = 0; k < n_walks; k++) {
        walk_fini(&walks[k]);
    }
    return err;
}
