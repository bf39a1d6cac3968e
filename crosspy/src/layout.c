/* layout.c - making layouts, and asking them who owns what.
 *
 * Every layout has one form (layout.h in this folder): cuts per dimension and a table of places that repeats with a period. A
 * split and a grid are tables with the period of the whole grid, a block-cyclic layout is a small table; the source coordinates
 * of ScaLAPACK are turned into the table when it is made. So owners, blocks, bytes and plans need one piece of code.
 *
 * Places are kept once each, in order of first use, and blocks name them by number: then two layouts with the same blocks at the
 * same places have the same list of places, and comparing them is comparing small numbers.
 *
 * A layout is written by the thread that makes it and only read afterwards; the count in it is atomic. No locks. */
#include "layout.h"

#include "breaks.h"
#include "hash.h"

#include <parla/error.h>

#include <stdlib.h>
#include <string.h>

/* How many owners go into a layout's hash: enough to tell layouts apart in practice, whatever the number of blocks. */
#define HASHED_OWNERS 64

/* --- Coordinates ------------------------------------------------------------------------------------------------------------ */

void cx_layout_coords(const cx_layout *layout, int64_t i_block, int64_t *out)
{
    for (int k = layout->ndim - 1; k >= 0; k--) {
        out[k] = i_block % layout->axis[k].n_parts;
        i_block /= layout->axis[k].n_parts;
    }
}

uint32_t cx_layout_owner_of(const cx_layout *layout, int64_t i_block)
{
    int64_t coords[CX_MAX_NDIM], cell = 0;
    cx_layout_coords(layout, i_block, coords);
    for (int k = 0; k < layout->ndim; k++) {
        cell = cell * layout->period[k] + coords[k] % layout->period[k];
    }
    return layout->owner[cell];
}

/* --- The table of places ---------------------------------------------------------------------------------------------------- */

static uint64_t place_hash(cx_place place)
{
    return cx_hash_mix(cx_hash_mix(cx_hash_mix(0, (uint64_t)place.rank), (uint64_t)place.arch), (uint64_t)place.number);
}

/* The number of `place` in layout->places, where it is added if it is new. `slots` is an open-addressing table of n_slots (a
 * power of two) entries: number + 1, or 0. */
static uint32_t place_number(cx_layout *layout, uint32_t *slots, size_t n_slots, cx_place place)
{
    for (size_t i = place_hash(place) & (n_slots - 1);; i = (i + 1) & (n_slots - 1)) {
        if (slots[i] == 0) {
            layout->places[layout->n_places++] = place;
            slots[i] = (uint32_t)layout->n_places;
            return slots[i] - 1;
        }
        if (cx_place_equal(layout->places[slots[i] - 1], place)) {
            return slots[i] - 1;
        }
    }
}

static int check_place(cx_place place)
{
    if (place.rank < 0 || place.number < 0 || (place.arch != PARLA_ARCH_CPU && place.arch != PARLA_ARCH_GPU)) {
        return parla_error_set(PARLA_E_INVALID,
                               "a place is a rank from 0 on, cpu or gpu, and a number from 0 on; got rank %d, "
                               "architecture %d, number %d",
                               place.rank, (int)place.arch, place.number);
    }
    return PARLA_OK;
}

/* Which entry of the given table (with the given period and shift) belongs to cell `i` of the layout's own table. */
static int64_t given_cell(const cx_layout *layout, int64_t i, const int64_t *period, const int64_t *shift)
{
    int64_t coords[CX_MAX_NDIM], cell = 0;
    for (int k = layout->ndim - 1; k >= 0; k--) {
        coords[k] = i % layout->period[k];
        i /= layout->period[k];
    }
    for (int k = 0; k < layout->ndim; k++) {
        int64_t moved = shift && !cx_is_broken(CX_BREAK_OWNER) ? coords[k] + shift[k] : coords[k];
        cell = cell * period[k] + moved % period[k];
    }
    return cell;
}

static int fill_owners(cx_layout *layout, const int64_t *period, const int64_t *shift, const cx_place *places)
{
    size_t n_cells = (size_t)layout->n_cells, n_slots = 4;
    while (n_slots < 2 * n_cells) {
        n_slots *= 2;
    }
    layout->owner = malloc(n_cells * sizeof *layout->owner);
    layout->places = malloc(n_cells * sizeof *layout->places);
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    int err = layout->owner && layout->places && slots
                  ? PARLA_OK
                  : parla_error_set(PARLA_E_NOMEM, "no memory for %zu places of a layout", n_cells);
    for (size_t i = 0; !err && i < n_cells; i++) {
        cx_place place = places[given_cell(layout, (int64_t)i, period, shift)];
        err = check_place(place);
        if (!err) {
            layout->owner[i] = place_number(layout, slots, n_slots, place);
        }
    }
    free(slots);
    return err;
}

/* --- Make ------------------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const cx_layout *layout)
{
    uint64_t hash = cx_hash_mix(1, (uint64_t)layout->ndim);
    for (int k = 0; k < layout->ndim; k++) {
        const cx_axis *axis = &layout->axis[k];
        hash = cx_hash_mix(cx_hash_mix(cx_hash_mix(hash, (uint64_t)axis->extent), (uint64_t)axis->n_parts), (uint64_t)axis->size);
        hash = axis->cuts ? cx_hash_mix(hash, (uint64_t)axis->cuts[axis->n_parts / 2]) : hash;
    }
    for (size_t i = 0; i < layout->n_places; i++) {
        hash = cx_hash_mix(hash, place_hash(layout->places[i]));
    }
    int64_t stride = layout->n_blocks / HASHED_OWNERS + 1;
    for (int64_t i = 0; i < layout->n_blocks; i += stride) {
        hash = cx_hash_mix(hash, cx_layout_owner_of(layout, i));
    }
    return hash;
}

/* Sets period, n_blocks and n_cells. */
static int count_blocks(cx_layout *layout, const int64_t *period)
{
    layout->n_blocks = layout->n_cells = 1;
    for (int k = 0; k < layout->ndim; k++) {
        int64_t n_parts = layout->axis[k].n_parts;
        if (period[k] < 1) {
            return parla_error_set(PARLA_E_INVALID, "dimension %d: a grid of %lld places; there is at least 1", k,
                                   (long long)period[k]);
        }
        layout->period[k] = period[k] < n_parts ? period[k] : n_parts;
        layout->n_cells *= layout->period[k]; /* at most n_blocks */
        if (__builtin_mul_overflow(layout->n_blocks, n_parts, &layout->n_blocks)) {
            return parla_error_set(PARLA_E_INVALID, "a layout of more than 2^63 blocks");
        }
    }
    if (layout->n_cells >= UINT32_MAX) {
        return parla_error_set(PARLA_E_INVALID, "a layout names places for at most 2^32 - 2 blocks; these are %lld",
                               (long long)layout->n_cells);
    }
    return PARLA_OK;
}

int cx_layout_make(cx_layout **out, int ndim, cx_axis *axes, const int64_t *period, const int64_t *shift, const cx_place *places)
{
    cx_layout *layout = calloc(1, sizeof *layout);
    if (!layout) {
        for (int k = 0; k < ndim; k++) {
            cx_axis_fini(&axes[k]);
        }
        return parla_error_set(PARLA_E_NOMEM, "no memory for a layout");
    }
    cx_count_init(&layout->count);
    layout->ndim = ndim;
    memcpy(layout->axis, axes, (size_t)ndim * sizeof *axes);
    int err = count_blocks(layout, period);
    err = err ? err : fill_owners(layout, period, shift, places);
    if (err) {
        cx_layout_unref(layout);
        return err;
    }
    layout->hash = hash_of(layout);
    *out = layout;
    return PARLA_OK;
}

static int check_shape(int ndim, const int64_t *shape)
{
    cx_box whole;
    return cx_box_whole(&whole, ndim, shape);
}

int cx_layout_grid(cx_layout **out, int ndim, const int64_t *shape, const int64_t *n_parts, const int64_t *const *sizes,
                   const int64_t *period, const cx_place *places)
{
    cx_axis axes[CX_MAX_NDIM];
    int err = check_shape(ndim, shape);
    for (int k = 0; !err && k < ndim; k++) {
        err = cx_axis_sizes(&axes[k], k, shape[k], n_parts[k], sizes ? sizes[k] : NULL);
        for (int done = k - 1; err && done >= 0; done--) {
            cx_axis_fini(&axes[done]);
        }
    }
    return err ? err : cx_layout_make(out, ndim, axes, period ? period : n_parts, NULL, places);
}

int cx_layout_split(cx_layout **out, int ndim, const int64_t *shape, int axis, int64_t n_parts, const int64_t *sizes,
                    const cx_place *places)
{
    if (ndim < 1 || ndim > CX_MAX_NDIM || axis < 0 || axis >= ndim) {
        return parla_error_set(PARLA_E_INVALID, "an array of %d dimensions has no dimension %d to split (1 to %d dimensions)", ndim,
                               axis, CX_MAX_NDIM);
    }
    int64_t counts[CX_MAX_NDIM];
    const int64_t *lists[CX_MAX_NDIM];
    for (int k = 0; k < ndim; k++) {
        counts[k] = k == axis ? n_parts : 1;
        lists[k] = k == axis ? sizes : NULL;
    }
    return cx_layout_grid(out, ndim, shape, counts, lists, NULL, places);
}

int cx_layout_block_cyclic(cx_layout **out, int ndim, const int64_t *shape, const int64_t *block, const int64_t *grid,
                           const int64_t *source, const cx_place *places)
{
    cx_axis axes[CX_MAX_NDIM];
    int err = check_shape(ndim, shape);
    for (int k = 0; !err && k < ndim; k++) {
        if (grid[k] < 1 || source[k] < 0 || source[k] >= grid[k]) {
            return parla_error_set(PARLA_E_INVALID,
                                   "dimension %d: source %lld in a grid of %lld; a source is below the grid's extent", k,
                                   (long long)source[k], (long long)grid[k]);
        }
        err = cx_axis_regular(&axes[k], k, shape[k], block[k]); /* owns no memory */
    }
    return err ? err : cx_layout_make(out, ndim, axes, grid, source, places);
}

cx_layout *cx_layout_ref(const cx_layout *layout)
{
    cx_layout *counted = (cx_layout *)layout; /* the count is the one part that changes */
    cx_count_up(&counted->count);
    return counted;
}

void cx_layout_unref(cx_layout *layout)
{
    if (layout && cx_count_down(&layout->count)) {
        for (int k = 0; k < layout->ndim; k++) {
            cx_axis_fini(&layout->axis[k]);
        }
        free(layout->owner);
        free(layout->places);
        free(layout);
    }
}

/* --- Compare ---------------------------------------------------------------------------------------------------------------- */

static bool same_owners(const cx_layout *a, const cx_layout *b)
{
    if (memcmp(a->period, b->period, (size_t)a->ndim * sizeof *a->period) == 0) {
        return memcmp(a->owner, b->owner, (size_t)a->n_cells * sizeof *a->owner) == 0;
    }
    for (int64_t i = 0; i < a->n_blocks; i++) {
        if (cx_layout_owner_of(a, i) != cx_layout_owner_of(b, i)) {
            return false;
        }
    }
    return true;
}

bool cx_layout_equal(const cx_layout *a, const cx_layout *b)
{
    if (a == b) {
        return true;
    }
    if (a->hash != b->hash || a->ndim != b->ndim || a->n_places != b->n_places) {
        return false;
    }
    for (int k = 0; k < a->ndim; k++) {
        if (!cx_axis_equal(&a->axis[k], &b->axis[k])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_places; i++) {
        if (!cx_place_equal(a->places[i], b->places[i])) {
            return false;
        }
    }
    return same_owners(a, b);
}

uint64_t cx_layout_hash(const cx_layout *layout) { return layout->hash; }

/* --- Look ------------------------------------------------------------------------------------------------------------------- */

int cx_layout_ndim(const cx_layout *layout) { return layout->ndim; }

int64_t cx_layout_extent(const cx_layout *layout, int axis) { return layout->axis[axis].extent; }

cx_box cx_layout_box(const cx_layout *layout)
{
    cx_box box = {.ndim = layout->ndim};
    for (int k = 0; k < layout->ndim; k++) {
        box.range[k] = (parla_range){0, layout->axis[k].extent, 1};
    }
    return box;
}

int64_t cx_layout_n_blocks(const cx_layout *layout) { return layout->n_blocks; }

int cx_layout_block(const cx_layout *layout, int64_t i_block, cx_block *out)
{
    if (i_block < 0 || i_block >= layout->n_blocks) {
        return parla_error_set(PARLA_E_INVALID, "no block %lld; the layout has blocks 0 to %lld", (long long)i_block,
                               (long long)layout->n_blocks - 1);
    }
    out->index = i_block;
    cx_layout_coords(layout, i_block, out->coords);
    out->box.ndim = layout->ndim;
    for (int k = 0; k < layout->ndim; k++) {
        out->box.range[k] = cx_layout_part(layout, k, out->coords[k]);
    }
    out->place = layout->places[cx_layout_owner_of(layout, i_block)];
    return PARLA_OK;
}

int cx_layout_block_at(const cx_layout *layout, const int64_t *coords, int64_t *out)
{
    int64_t i_block = 0;
    for (int k = 0; k < layout->ndim; k++) {
        if (coords[k] < 0 || coords[k] >= layout->axis[k].n_parts) {
            return parla_error_set(PARLA_E_INVALID, "no block with coordinate %lld in dimension %d; there are 0 to %lld",
                                   (long long)coords[k], k, (long long)layout->axis[k].n_parts - 1);
        }
        i_block = i_block * layout->axis[k].n_parts + coords[k];
    }
    *out = i_block;
    return PARLA_OK;
}

int cx_layout_find(const cx_layout *layout, const int64_t *index, int64_t *out)
{
    int64_t i_block = 0;
    for (int k = 0; k < layout->ndim; k++) {
        if (index[k] < 0 || index[k] >= layout->axis[k].extent) {
            return parla_error_set(PARLA_E_INVALID, "index %lld lies outside dimension %d of %lld", (long long)index[k], k,
                                   (long long)layout->axis[k].extent);
        }
        i_block = i_block * layout->axis[k].n_parts + cx_layout_find_part(layout, k, index[k]);
    }
    *out = i_block;
    return PARLA_OK;
}

int64_t cx_layout_next_of_rank(const cx_layout *layout, int rank, int64_t from)
{
    for (int64_t i = from < 0 ? 0 : from; i < layout->n_blocks; i++) {
        if (layout->places[cx_layout_owner_of(layout, i)].rank == rank) {
            return i;
        }
    }
    return -1;
}

size_t cx_layout_n_places(const cx_layout *layout) { return layout->n_places; }

cx_place cx_layout_place(const cx_layout *layout, size_t i_place) { return layout->places[i_place]; }

/* How many indices of one dimension lie in parts whose coordinate is `residue` modulo the period. */
static int64_t indices_of(const cx_layout *layout, int axis, int64_t residue)
{
    int64_t sum = 0;
    for (int64_t i = residue; i < layout->axis[axis].n_parts; i += layout->period[axis]) {
        parla_range part = cx_layout_part(layout, axis, i);
        sum += part.stop - part.start;
    }
    return sum;
}

int64_t cx_layout_place_items(const cx_layout *layout, size_t i_place)
{
    int64_t sum = 0;
    for (int64_t cell = 0; cell < layout->n_cells; cell++) {
        if (layout->owner[cell] != i_place) {
            continue;
        }
        int64_t product = 1, rest = cell;
        for (int k = layout->ndim - 1; k >= 0; k--) {
            product *= indices_of(layout, k, rest % layout->period[k]);
            rest /= layout->period[k];
        }
        sum += product;
    }
    return sum;
}
