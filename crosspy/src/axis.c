/* axis.c - one dimension of a layout: how it is cut into intervals, and which interval holds an index.
 *
 * Blocks of one size need no memory and are found by a division; all other cuts are a sorted list and found by bisection. */
#include "breaks.h"
#include "layout.h"

#include <parla/error.h>

#include <stdlib.h>
#include <string.h>

int cx_axis_regular(cx_axis *out, int k, int64_t extent, int64_t size)
{
    if (size < 1) {
        return parla_error_set(PARLA_E_INVALID, "dimension %d: blocks of %lld indices; a block has at least 1", k, (long long)size);
    }
    if (size >= extent) {
        *out = (cx_axis){.extent = extent, .n_parts = 1, .size = extent};
    } else {
        *out = (cx_axis){.extent = extent, .n_parts = (extent - 1) / size + 1, .size = size};
    }
    return PARLA_OK;
}

/* Length of part i of an even split: longer parts come first. */
static int64_t even_size(int64_t extent, int64_t n_parts, int64_t i) { return extent / n_parts + (i < extent % n_parts ? 1 : 0); }

static int check_sizes(int k, int64_t extent, int64_t n_parts, const int64_t *sizes)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n_parts; i++) {
        if (sizes[i] < 0) {
            return parla_error_set(PARLA_E_INVALID, "dimension %d: part %lld has the size %lld; sizes are not negative", k,
                                   (long long)i, (long long)sizes[i]);
        }
        if (__builtin_add_overflow(sum, sizes[i], &sum)) {
            return parla_error_set(PARLA_E_INVALID, "dimension %d: the sizes add up to more than 2^63", k);
        }
    }
    if (sum != extent) {
        return parla_error_set(PARLA_E_INVALID, "dimension %d: the sizes add up to %lld, but the array has %lld indices there", k,
                               (long long)sum, (long long)extent);
    }
    return PARLA_OK;
}

/* True if all parts have the first one's size but the last, which may be shorter but not empty. */
static bool is_regular(const int64_t *cuts, int64_t n_parts)
{
    int64_t size = cuts[1];
    for (int64_t i = 1; i < n_parts; i++) {
        int64_t length = cuts[i + 1] - cuts[i];
        if (length == 0 || length > size || (length < size && i < n_parts - 1)) {
            return false;
        }
    }
    return true;
}

int cx_axis_sizes(cx_axis *out, int k, int64_t extent, int64_t n_parts, const int64_t *sizes)
{
    if (n_parts < 1) {
        return parla_error_set(PARLA_E_INVALID, "dimension %d: %lld parts; there is at least 1", k, (long long)n_parts);
    }
    int err = sizes ? check_sizes(k, extent, n_parts, sizes) : PARLA_OK;
    if (err) {
        return err;
    }
    int64_t *cuts = (uint64_t)n_parts < SIZE_MAX / sizeof *cuts ? malloc(((size_t)n_parts + 1) * sizeof *cuts) : NULL;
    if (!cuts) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for %lld parts of dimension %d", (long long)n_parts, k);
    }
    cuts[0] = 0;
    for (int64_t i = 0; i < n_parts; i++) {
        cuts[i + 1] = cuts[i] + (sizes ? sizes[i] : even_size(extent, n_parts, i));
    }
    *out = (cx_axis){.extent = extent, .n_parts = n_parts, .cuts = cuts};
    if (is_regular(cuts, n_parts)) {
        out->size = cuts[1];
        out->cuts = NULL;
        free(cuts);
    }
    return PARLA_OK;
}

void cx_axis_fini(cx_axis *axis) { free(axis->cuts); }

bool cx_axis_equal(const cx_axis *a, const cx_axis *b)
{
    if (a->extent != b->extent || a->n_parts != b->n_parts || a->size != b->size || !a->cuts != !b->cuts) {
        return false;
    }
    return !a->cuts || memcmp(a->cuts, b->cuts, ((size_t)a->n_parts + 1) * sizeof *a->cuts) == 0;
}

int64_t cx_layout_n_parts(const cx_layout *layout, int axis) { return layout->axis[axis].n_parts; }

parla_range cx_layout_part(const cx_layout *layout, int axis, int64_t i)
{
    const cx_axis *a = &layout->axis[axis];
    if (a->cuts) {
        return (parla_range){a->cuts[i], a->cuts[i + 1], 1};
    }
    return (parla_range){i * a->size, i == a->n_parts - 1 ? a->extent : (i + 1) * a->size, 1};
}

int64_t cx_layout_find_part(const cx_layout *layout, int axis, int64_t index)
{
    const cx_axis *a = &layout->axis[axis];
    if (cx_is_broken(CX_BREAK_FIND) && index > 0) {
        index--;
    }
    if (!a->cuts) {
        return a->n_parts == 1 ? 0 : index / a->size;
    }
    int64_t low = 0, high = a->n_parts; /* cuts[low] <= index < cuts[high] */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (a->cuts[middle] <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}
