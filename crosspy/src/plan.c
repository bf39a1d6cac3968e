/* plan.c - the overlaps of two layouts, one dimension at a time.
 *
 * Along a dimension where a destination range meets a source range, position t of the view is dst.start + t * dst.step there and
 * src.start + t * src.step here. A sweep over t cuts the range wherever either side enters another interval:
 *
 *     dst intervals   |----- 0 -----|------- 1 -------|-- 2 --|
 *     src intervals   |--- 0 ---|------- 1 ------|---- 2 -----|
 *     segments        |    a    | b |     c      | d |   e    |
 *
 * The transfers are all combinations of one segment per dimension of the destination. They are not stored: the i-th is worked out
 * from the segments, so a plan for 1000 x 1000 blocks holds a few thousand numbers. A dimension of the source that meets none of
 * the destination has one index (dropped or repeated) and adds the same box to every transfer.
 *
 * A plan is written by the thread that makes it and only read afterwards. No locks. */
#include "plan.h"

#include "breaks.h"
#include "hash.h"
#include "layout.h"

#include <parla/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Shapes ----------------------------------------------------------------------------------------------------------------- */

/* The extent of a view along a dimension of its layout, or a new one (-1). */
static int64_t extent_along(const cx_view *view, int axis) { return axis < 0 ? 1 : cx_range_count(view->box.range[axis]); }

/* "(3, 1)" */
static void format_shape(const cx_view *view, char *out, size_t capacity)
{
    int axes[CX_MAX_NDIM], n = cx_view_axes(view, axes);
    size_t length = (size_t)snprintf(out, capacity, "(");
    for (int i = 0; i < n && length < capacity; i++) {
        length +=
            (size_t)snprintf(out + length, capacity - length, "%s%lld", i ? ", " : "", (long long)extent_along(view, axes[i]));
    }
    if (length < capacity) {
        snprintf(out + length, capacity - length, n == 1 ? ",)" : ")");
    }
}

static int shapes_differ(const cx_view *dst, const cx_view *src)
{
    char a[200], b[200];
    format_shape(dst, a, sizeof a);
    format_shape(src, b, sizeof b);
    return parla_error_set(PARLA_E_INVALID, "a source of shape %s does not fit a destination of shape %s", b, a);
}

/* Fills plan->axes. */
static int match_axes(cx_plan *plan)
{
    const cx_view *dst = &plan->dst, *src = &plan->src;
    int dst_axes[CX_MAX_NDIM], src_axes[CX_MAX_NDIM];
    int n_dst = cx_view_axes(dst, dst_axes), n_src = cx_view_axes(src, src_axes);
    for (int k = 0; k < CX_MAX_NDIM; k++) {
        plan->axes[k] = -1;
    }
    for (int i = 1; i <= n_src; i++) { /* i-th from the end */
        int s = src_axes[n_src - i], d = i <= n_dst ? dst_axes[n_dst - i] : -1;
        int64_t count = extent_along(src, s);
        if (i <= n_dst && count == extent_along(dst, d)) {
            if (d >= 0) { /* a new dimension of the source is as one that it lacks */
                plan->axes[d] = s;
            }
        } else if (count != 1) {
            return shapes_differ(dst, src);
        }
    }
    return PARLA_OK;
}

/* --- Segments --------------------------------------------------------------------------------------------------------------- */

/* One dimension of a view while it is swept. */
typedef struct side {
    const cx_layout *layout;
    int axis;
    parla_range range;
} side;

/* The interval that holds position t of the range, the part of it in block coordinates for positions t … end-1, and that end. */
static int64_t side_at(const side *s, int64_t t, int64_t count, int64_t *out_base, int64_t *out_end)
{
    int64_t index = s->range.start + t * s->range.step;
    int64_t cell = cx_layout_find_part(s->layout, s->axis, index);
    parla_range part = cx_layout_part(s->layout, s->axis, cell);
    int64_t end = t + (part.stop - 1 - index) / s->range.step + 1;
    *out_base = index - part.start;
    *out_end = end < count ? end : count;
    return cell;
}

static parla_range local_range(const side *s, int64_t base, int64_t count)
{
    int64_t step = count == 1 ? 1 : s->range.step;
    return (parla_range){base, base + (count - 1) * step + 1, step};
}

/* Room for one more segment, or NULL. */
static cx_segment *add_segment(cx_segments *list)
{
    if ((list->count & (list->count + 1)) == 0) { /* 0, 1, 3, 7, …: the list holds one more than twice as many from now on */
        cx_segment *items = realloc(list->items, (size_t)(2 * list->count + 1) * sizeof *items);
        if (!items) {
            parla_error_set(PARLA_E_NOMEM, "no memory for %lld segments of a plan", (long long)list->count);
            return NULL;
        }
        list->items = items;
    }
    return &list->items[list->count++];
}

/* Cuts dimension `axis` of the destination where it or its source (NULL: none) enters another interval. */
static int sweep(cx_segments *out, const side *dst, const side *src)
{
    int64_t count = cx_range_count(dst->range);
    for (int64_t t = 0; t < count;) {
        int64_t dst_base, dst_end, src_base = 0, src_end = count, src_cell = 0;
        int64_t dst_cell = side_at(dst, t, count, &dst_base, &dst_end);
        if (src) {
            src_cell = side_at(src, t, count, &src_base, &src_end);
        }
        if (cx_is_broken(CX_BREAK_SEGMENT) && src_end < count) {
            src_end++;
        }
        int64_t end = dst_end < src_end ? dst_end : src_end;
        cx_segment *segment = add_segment(out);
        if (!segment) {
            return PARLA_E_NOMEM;
        }
        *segment = (cx_segment){.dst_cell = dst_cell, .src_cell = src_cell, .dst = local_range(dst, dst_base, end - t)};
        if (src) {
            segment->src = local_range(src, src_base, end - t);
        }
        t = end;
    }
    return PARLA_OK;
}

/* The source's dimensions that no dimension of the destination runs along: each has one index. */
static void fix_source_axes(cx_plan *plan)
{
    bool is_swept[CX_MAX_NDIM] = {false};
    for (int k = 0; k < plan->dst.box.ndim; k++) {
        if (plan->axes[k] >= 0) {
            is_swept[plan->axes[k]] = true;
        }
    }
    for (int s = 0; s < plan->src.box.ndim; s++) {
        if (is_swept[s] || cx_box_is_empty(&plan->src.box)) {
            continue;
        }
        int64_t base, end;
        side one = {plan->src.layout, s, plan->src.box.range[s]};
        plan->fixed_cell[s] = side_at(&one, 0, 1, &base, &end);
        plan->fixed[s] = (parla_range){base, base + 1, 1};
    }
}

static int make_segments(cx_plan *plan)
{
    plan->n_transfers = 1;
    for (int k = 0; k < plan->dst.box.ndim; k++) {
        int s = plan->axes[k];
        side dst = {plan->dst.layout, k, plan->dst.box.range[k]};
        side src = {plan->src.layout, s, s >= 0 ? plan->src.box.range[s] : (parla_range){0, 0, 1}};
        int err = sweep(&plan->segments[k], &dst, s >= 0 ? &src : NULL);
        if (err) {
            return err;
        }
        if (__builtin_mul_overflow(plan->n_transfers, plan->segments[k].count, &plan->n_transfers)) {
            return parla_error_set(PARLA_E_INVALID, "a plan of more than 2^63 transfers");
        }
    }
    fix_source_axes(plan);
    return PARLA_OK;
}

/* --- Life ------------------------------------------------------------------------------------------------------------------- */

static uint64_t view_hash(const cx_view *view)
{
    uint64_t hash = cx_hash_mix(cx_hash_mix(cx_layout_hash(view->layout), cx_box_hash(&view->box)), view->dropped);
    for (int i = 0; view->is_arranged && i < view->n_axes; i++) {
        hash = cx_hash_mix(hash, (uint64_t)(view->axes[i] + 2));
    }
    return hash;
}

uint64_t cx_plan_key(const cx_view *dst, const cx_view *src, size_t item_bytes)
{
    return cx_hash_mix(cx_hash_mix(view_hash(dst), view_hash(src)), item_bytes);
}

static cx_view own_view(const cx_view *view)
{
    cx_view out = *view;
    cx_layout_ref(view->layout);
    for (int k = 0; k < out.box.ndim; k++) {
        out.box.range[k] = cx_range_normal(out.box.range[k]);
    }
    return out;
}

int cx_plan_create(cx_plan **out, const cx_view *dst, const cx_view *src, size_t item_bytes)
{
    int err = cx_view_check(dst, "destination");
    err = err ? err : cx_view_check(src, "source");
    if (err) {
        return err;
    }
    cx_plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for a plan");
    }
    cx_count_init(&plan->count);
    plan->dst = own_view(dst);
    plan->src = own_view(src);
    plan->item_bytes = item_bytes;
    plan->key = cx_plan_key(dst, src, item_bytes);
    err = match_axes(plan);
    err = err ? err : make_segments(plan);
    if (err) {
        cx_plan_unref(plan);
        return err;
    }
    *out = plan;
    return PARLA_OK;
}

cx_plan *cx_plan_ref(const cx_plan *plan)
{
    cx_plan *counted = (cx_plan *)plan; /* the count is the one part that changes */
    cx_count_up(&counted->count);
    return counted;
}

void cx_plan_unref(cx_plan *plan)
{
    if (plan && cx_count_down(&plan->count)) {
        for (int k = 0; k < CX_MAX_NDIM; k++) {
            free(plan->segments[k].items);
        }
        cx_layout_unref((cx_layout *)plan->dst.layout);
        cx_layout_unref((cx_layout *)plan->src.layout);
        free(plan);
    }
}

/* --- Look ------------------------------------------------------------------------------------------------------------------- */

int64_t cx_plan_n_transfers(const cx_plan *plan) { return plan->n_transfers; }

const int *cx_plan_axes(const cx_plan *plan) { return plan->axes; }

size_t cx_plan_item_bytes(const cx_plan *plan) { return plan->item_bytes; }

const cx_view *cx_plan_dst(const cx_plan *plan) { return &plan->dst; }

const cx_view *cx_plan_src(const cx_plan *plan) { return &plan->src; }

static int64_t block_number(const cx_layout *layout, const int64_t *cells)
{
    int64_t i_block = 0;
    for (int k = 0; k < layout->ndim; k++) {
        i_block = i_block * layout->axis[k].n_parts + cells[k];
    }
    return i_block;
}

void cx_plan_transfer(const cx_plan *plan, int64_t i, cx_transfer *out)
{
    const cx_layout *dst = plan->dst.layout, *src = plan->src.layout;
    int64_t dst_cells[CX_MAX_NDIM], src_cells[CX_MAX_NDIM];
    memcpy(src_cells, plan->fixed_cell, sizeof src_cells);
    out->dst_box.ndim = dst->ndim;
    out->src_box.ndim = src->ndim;
    memcpy(out->src_box.range, plan->fixed, sizeof plan->fixed);
    for (int k = dst->ndim - 1; k >= 0; k--) {
        const cx_segment *segment = &plan->segments[k].items[i % plan->segments[k].count];
        i /= plan->segments[k].count;
        dst_cells[k] = segment->dst_cell;
        out->dst_box.range[k] = segment->dst;
        if (plan->axes[k] >= 0) {
            src_cells[plan->axes[k]] = segment->src_cell;
            out->src_box.range[plan->axes[k]] = segment->src;
        }
    }
    out->dst_block = block_number(dst, dst_cells);
    out->src_block = block_number(src, src_cells);
    out->dst_place = dst->places[cx_layout_owner_of(dst, out->dst_block)];
    out->src_place = src->places[cx_layout_owner_of(src, out->src_block)];
    out->n_items = cx_box_volume(&out->src_box);
}

int cx_plan_links(const cx_plan *plan, cx_link *out, size_t capacity, size_t *out_n)
{
    const cx_layout *dst = plan->dst.layout, *src = plan->src.layout;
    size_t n_pairs = dst->n_places * src->n_places, n = 0;
    cx_link *links = calloc(n_pairs, sizeof *links);
    size_t *order = malloc(n_pairs * sizeof *order);
    int err = links && order ? PARLA_OK : parla_error_set(PARLA_E_NOMEM, "no memory for %zu pairs of places", n_pairs);
    for (int64_t i = 0; !err && i < plan->n_transfers; i++) {
        cx_transfer transfer;
        cx_plan_transfer(plan, i, &transfer);
        size_t pair = cx_layout_owner_of(src, transfer.src_block) * dst->n_places + cx_layout_owner_of(dst, transfer.dst_block);
        if (links[pair].n_transfers == 0) {
            order[n++] = pair;
            links[pair].src = transfer.src_place;
            links[pair].dst = transfer.dst_place;
        }
        links[pair].n_transfers++;
        links[pair].n_bytes += transfer.n_items * (int64_t)plan->item_bytes;
    }
    if (!err) {
        for (size_t i = 0; i < n && i < capacity; i++) {
            out[i] = links[order[i]];
        }
        *out_n = n;
    }
    free(links);
    free(order);
    return err;
}
