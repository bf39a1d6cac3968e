/* tile.c - splitting, covering and putting together. The structure is described in tile.h.
 *
 * A leaf is split along one axis after the other, each time going on with the piece that the region hits: first the interval from the
 * region's first element to its last is cut out, then, if the region takes every m-th element of that, the interval is combed into m
 * tiles. Pieces of a leaf that nobody holds go into the list of its parent, if that is cut along the same axis: so a sweep of blocks
 * along an axis gives one node with a sorted list, not a deep tree. A leaf that is held becomes an inner node.
 *
 * Putting together reverses this: neighbours in a list that are equal are merged, a comb is dissolved when all of it is equal, and a
 * node with one child becomes a leaf. */
#include "data/tile.h"

#include "base/break.h"
#include "base/compiler.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

void pl_tiles_init(pl_tiles *tiles, int ndim, const int64_t *extent)
{
    *tiles = (pl_tiles){.ndim = ndim, .n_leaves = 1};
    tiles->root.n_items = 1;
    for (int k = 0; k < ndim; k++) {
        tiles->extent[k] = extent[k];
        tiles->root.n_items *= extent[k];
    }
}

static void free_tile(pl_tile *tile)
{
    parla_failure_unref(tile->spoilt);
    pl_homes_clear(&tile->homes);
    free(tile->children);
    free(tile);
}

static void free_children(pl_tile *tile)
{
    for (int i = 0; i < tile->n_children; i++) {
        free_children(tile->children[i]);
        free_tile(tile->children[i]);
    }
}

void pl_tiles_fini(pl_tiles *tiles)
{
    free_children(&tiles->root);
    free(tiles->root.children);
    pl_homes_clear(&tiles->root.homes);
    parla_failure_unref(tiles->root.spoilt);
}

/* --- Walking ------------------------------------------------------------------------------------------------------------------ */

pl_tile *pl_tile_walk(const pl_tile *at, const pl_tile *top)
{
    if (at->children)
        return at->children[0];
    while (at != top) {
        const pl_tile *parent = at->parent;
        if (at->i_child + 1 < parent->n_children)
            return parent->children[at->i_child + 1];
        at = parent;
    }
    return NULL;
}

pl_tile *pl_tile_first(pl_tile *top)
{
    while (top->children)
        top = top->children[0];
    return top;
}

void pl_tile_box(const pl_tiles *tiles, const pl_tile *tile, pl_span *out)
{
    unsigned known = 0;
    for (; tile->parent; tile = tile->parent) {
        int axis = tile->parent->axis;
        if (!(known >> axis & 1))
            out[axis] = tile->span;
        known |= 1u << axis;
    }
    for (int k = 0; k < tiles->ndim; k++)
        if (!(known >> k & 1))
            out[k] = (pl_span){0, tiles->extent[k], 1};
}

void pl_tile_stretch(const pl_tiles *tiles, const pl_tile *tile, pl_span *box)
{
    pl_span spans[PARLA_MAX_NDIM];
    pl_tile_box(tiles, tile, spans);
    for (int k = 0; k < tiles->ndim; k++)
        box[k] = pl_span_join(&box[k], &spans[k]);
}

/* --- Content ------------------------------------------------------------------------------------------------------------------ */

/* There is room for its homes. */
static void give_content(pl_tile *to, const pl_tile *from)
{
    to->coherence = from->coherence;
    pl_homes_copy(&to->homes, &from->homes);
    to->poison = from->poison;
    to->is_lost = from->is_lost;
    to->evicted = from->evicted;
    to->aimed = from->aimed;
    to->spoilt = from->spoilt ? parla_failure_ref(from->spoilt) : NULL;
    if (to->poison)
        to->poison->n_tiles++;
}

static void drop_content(pl_tile *tile)
{
    if (tile->poison)
        tile->poison->n_tiles--;
    parla_failure_unref(tile->spoilt);
    tile->poison = NULL;
    tile->spoilt = NULL;
    tile->is_lost = false;
    tile->evicted = 0;
    tile->coherence = (pl_coherence){0};
    pl_homes_clear(&tile->homes);
}

/* The same, and the other loses it: takes no memory. */
static void take_content(pl_tile *to, pl_tile *from)
{
    pl_homes homes = from->homes;
    from->homes = (pl_homes){0};
    give_content(to, from);
    to->homes = homes;
}

static bool has_equal_content(const pl_tile *a, const pl_tile *b)
{
    bool is_here =
        a->coherence.valid == b->coherence.valid && (pl_is_broken(PL_BREAK_PLACE) || pl_homes_are_equal(&a->homes, &b->homes));
    return (is_here || pl_is_broken(PL_BREAK_JOIN)) && a->coherence.arriving == b->coherence.arriving && a->poison == b->poison &&
           a->spoilt == b->spoilt && a->is_lost == b->is_lost && a->evicted == b->evicted;
}

/* --- Splitting ---------------------------------------------------------------------------------------------------------------- */

static void renumber(pl_tile *parent, int from)
{
    for (int i = from; i < parent->n_children; i++)
        parent->children[i]->i_child = i;
}

/* Makes room for more children. */
static int grow(pl_tile *parent, int n_more)
{
    int need = parent->n_children + n_more;
    if (need <= parent->capacity)
        return 0;
    int capacity = need > 2 * parent->capacity ? need : 2 * parent->capacity;
    pl_tile **children = realloc(parent->children, (size_t)capacity * sizeof children[0]);
    if (!children)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the tiles of an array");
    parent->children = children;
    parent->capacity = capacity;
    return 0;
}

/* A tile under `parent`, in no list yet, with the content of the leaf that it is a piece of. */
static pl_tile *piece_of(const pl_tile *leaf, pl_tile *parent, int64_t n_along, pl_span span)
{
    pl_tile *tile = calloc(1, sizeof *tile);
    if (!tile || pl_homes_reserve_copy(&tile->homes, &leaf->homes) < 0) {
        free(tile);
        return NULL;
    }
    tile->parent = parent;
    tile->span = span;
    tile->n_items = leaf->n_items / n_along * span.n;
    return tile;
}

static int no_memory(pl_tile **pieces, int n)
{
    for (int i = 0; i < n; i++)
        free_tile(pieces[i]);
    return pl_error_set(PARLA_E_NOMEM, "no memory for the tiles of an array");
}

/* Turns a leaf into an inner node over pieces, which take over its content. */
static int become_inner(pl_tiles *tiles, pl_tile *leaf, int axis, int64_t period, int64_t n_along, const pl_span *spans, int n)
{
    pl_tile **children = malloc((size_t)n * sizeof children[0]);
    if (!children)
        return no_memory(NULL, 0);
    for (int i = 0; i < n; i++) {
        children[i] = piece_of(leaf, leaf, n_along, spans[i]);
        if (!children[i]) {
            int rc = no_memory(children, i);
            free(children);
            return rc;
        }
    }
    for (int i = 0; i < n; i++) {
        give_content(children[i], leaf);
        children[i]->i_child = i;
    }
    drop_content(leaf);
    leaf->children = children;
    leaf->n_children = leaf->capacity = n;
    leaf->axis = axis;
    leaf->period = period;
    tiles->n_leaves += n - 1;
    return 0;
}

/* Puts the pieces of a leaf into the list where it stands; the leaf itself becomes the piece `i_kept`. */
static int replace_in_list(pl_tiles *tiles, pl_tile *leaf, int64_t n_along, const pl_span *spans, int n, int i_kept)
{
    pl_tile *parent = leaf->parent, *pieces[3];
    int at = leaf->i_child, rc = grow(parent, n - 1), n_made = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        pieces[i] = i == i_kept ? leaf : piece_of(leaf, parent, n_along, spans[i]);
        if (!pieces[i])
            rc = PARLA_E_NOMEM;
        n_made += rc == 0;
    }
    if (rc < 0) {
        for (int i = 0; i < n_made; i++)
            if (pieces[i] != leaf)
                free_tile(pieces[i]);
        return no_memory(NULL, 0);
    }
    for (int i = 0; i < n; i++)
        if (pieces[i] != leaf)
            give_content(pieces[i], leaf);
    leaf->n_items = leaf->n_items / n_along * spans[i_kept].n;
    leaf->span = spans[i_kept];
    memmove(&parent->children[at + n], &parent->children[at + 1],
            (size_t)(parent->n_children - at - 1) * sizeof parent->children[0]);
    memcpy(&parent->children[at], pieces, (size_t)n * sizeof pieces[0]);
    parent->n_children += n - 1;
    renumber(parent, at);
    tiles->n_leaves += n - 1;
    return 0;
}

static pl_span sub_span(const pl_span *whole, int64_t first, int64_t n, int64_t stride)
{
    return (pl_span){whole->start + first * whole->step, n, whole->step * stride};
}

/* Cuts the positions [first, first + n) out of a leaf whose box along the axis is *box. *tile becomes that piece, *box its span. */
static int cut(pl_tiles *tiles, pl_tile **tile, int axis, pl_span *box, int64_t first, int64_t n)
{
    pl_tile *leaf = *tile;
    pl_span spans[3];
    int n_spans = 0, i_hit;
    if (first > 0)
        spans[n_spans++] = sub_span(box, 0, first, 1);
    i_hit = n_spans;
    spans[n_spans++] = sub_span(box, first, n, 1);
    if (first + n < box->n)
        spans[n_spans++] = sub_span(box, first + n, box->n - first - n, 1);
    bool is_in_list = leaf->parent && leaf->n_holds == 0 && leaf->parent->axis == axis && leaf->parent->period == 1;
    int rc = is_in_list ? replace_in_list(tiles, leaf, box->n, spans, n_spans, i_hit)
                        : become_inner(tiles, leaf, axis, 1, box->n, spans, n_spans);
    if (rc < 0)
        return rc;
    if (!is_in_list)
        *tile = leaf->children[i_hit];
    *box = spans[i_hit];
    return 0;
}

/* Splits a leaf into `period` tiles of every period-th element; *tile becomes the first, *box its span. */
static int comb(pl_tiles *tiles, pl_tile **tile, int axis, pl_span *box, int64_t period)
{
    pl_tile *leaf = *tile;
    pl_span *spans = malloc((size_t)period * sizeof spans[0]);
    if (!spans)
        return no_memory(NULL, 0);
    for (int64_t i = 0; i < period; i++)
        spans[i] = sub_span(box, i, (box->n - i - 1) / period + 1, period);
    int rc = become_inner(tiles, leaf, axis, period, box->n, spans, (int)period);
    if (rc == 0) {
        *tile = leaf->children[0];
        *box = spans[0];
    }
    free(spans);
    return rc;
}

/* --- Covering ----------------------------------------------------------------------------------------------------------------- */

/* On the way down: the node's box, and the part of it that the region takes, which is not empty. */
typedef struct covering {
    pl_tiles *tiles;
    pl_span box[PARLA_MAX_NDIM], hit[PARLA_MAX_NDIM];
    int (*found)(void *ctx, pl_tile *tile, bool is_coarse);
    void *ctx;
    int depth;
} covering;

static bool has_room(const covering *c, int64_t n_more)
{
    return n_more <= PL_TILES_MAX - c->tiles->n_leaves && c->depth < PL_TILES_MAX_DEPTH;
}

/* Splits a leaf until the region covers the piece along one axis; *is_coarse if there was no room for that. */
static int split_axis(covering *c, pl_tile **tile, int axis, bool *is_coarse)
{
    pl_span *box = &c->box[axis], *hit = &c->hit[axis];
    int64_t first = (hit->start - box->start) / box->step, last = (pl_span_last(hit) - box->start) / box->step;
    int64_t n = last - first + 1;
    if (n < box->n) {
        if (!has_room(c, 2)) {
            *is_coarse = true;
            return 0;
        }
        int rc = cut(c->tiles, tile, axis, box, first, n);
        if (rc < 0)
            return rc;
    }
    if (hit->n == n)
        return 0;
    int64_t period = hit->step / box->step;
    *is_coarse = !has_room(c, period - 1);
    return *is_coarse ? 0 : comb(c->tiles, tile, axis, box, period);
}

static int cover_leaf(covering *c, pl_tile *leaf)
{
    pl_span box[PARLA_MAX_NDIM];
    bool is_coarse = false;
    int rc = 0;
    memcpy(box, c->box, sizeof box);
    for (int k = 0; rc == 0 && !is_coarse && k < c->tiles->ndim; k++)
        if (c->hit[k].n < c->box[k].n)
            rc = split_axis(c, &leaf, k, &is_coarse);
    memcpy(c->box, box, sizeof box);
    return rc < 0 ? rc : c->found(c->ctx, leaf, is_coarse);
}

/* The first child of a list that reaches to `index` or beyond; n_children if none does. */
static int find_child(const pl_tile *node, int64_t index)
{
    int low = 0, high = node->n_children;
    while (low < high) {
        int middle = (low + high) / 2;
        if (pl_span_last(&node->children[middle]->span) < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int cover(covering *c, pl_tile *node);

static int cover_child(covering *c, pl_tile *node, pl_tile *child)
{
    int axis = node->axis;
    pl_span box = c->box[axis], hit = c->hit[axis];
    c->box[axis] = child->span;
    c->hit[axis] = pl_span_meet(&hit, &child->span);
    c->depth++;
    int rc = c->hit[axis].n > 0 ? cover(c, child) : 0;
    c->depth--;
    c->box[axis] = box;
    c->hit[axis] = hit;
    return rc;
}

/* A child may be replaced by several meanwhile; those behind it are found by where it ended. */
static int cover_list(covering *c, pl_tile *node)
{
    int64_t at = c->hit[node->axis].start, last = pl_span_last(&c->hit[node->axis]);
    int rc = 0;
    while (rc == 0 && at <= last) {
        int i = find_child(node, at);
        if (i == node->n_children)
            break;
        pl_tile *child = node->children[i];
        at = pl_span_last(&child->span) + 1;
        rc = cover_child(c, node, child);
    }
    return rc;
}

static int cover(covering *c, pl_tile *node)
{
    bool is_inside = true;
    for (int k = 0; is_inside && k < c->tiles->ndim; k++)
        is_inside = c->hit[k].n == c->box[k].n;
    if (is_inside)
        return c->found(c->ctx, node, false);
    if (pl_tile_is_leaf(node))
        return cover_leaf(c, node);
    if (node->period == 1)
        return cover_list(c, node);
    int rc = 0;
    for (int i = 0; rc == 0 && i < node->n_children; i++)
        rc = cover_child(c, node, node->children[i]);
    return rc;
}

int pl_tiles_cover(pl_tiles *tiles, const pl_span *region, int (*found)(void *ctx, pl_tile *tile, bool is_coarse), void *ctx)
{
    if (!region)
        return found(ctx, &tiles->root, false);
    covering c = {.tiles = tiles, .found = found, .ctx = ctx};
    for (int k = 0; k < tiles->ndim; k++) {
        c.box[k] = (pl_span){0, tiles->extent[k], 1};
        c.hit[k] = region[k];
        if (region[k].n == 0)
            return 0;
    }
    return cover(&c, &tiles->root);
}

/* --- Putting together --------------------------------------------------------------------------------------------------------- */

static bool is_free(const pl_tile *tile) { return pl_tile_is_leaf(tile) && tile->n_holds == 0; }

static bool are_equal(const pl_tile *a, const pl_tile *b) { return is_free(a) && is_free(b) && has_equal_content(a, b); }

static void remove_child(pl_tiles *tiles, pl_tile *parent, int i)
{
    pl_tile *child = parent->children[i];
    memmove(&parent->children[i], &parent->children[i + 1], (size_t)(parent->n_children - i - 1) * sizeof parent->children[0]);
    parent->n_children--;
    renumber(parent, i);
    drop_content(child);
    free_tile(child);
    tiles->n_leaves--;
}

static void join_neighbours(pl_tiles *tiles, pl_tile *tile)
{
    pl_tile *parent = tile->parent;
    while (tile->i_child + 1 < parent->n_children && are_equal(tile, parent->children[tile->i_child + 1])) {
        const pl_tile *after = parent->children[tile->i_child + 1];
        tile->span.n += after->span.n;
        tile->n_items += after->n_items;
        remove_child(tiles, parent, tile->i_child + 1);
    }
    while (tile->i_child > 0 && are_equal(tile, parent->children[tile->i_child - 1])) {
        const pl_tile *before = parent->children[tile->i_child - 1];
        tile->span.start = before->span.start;
        tile->span.n += before->span.n;
        tile->n_items += before->n_items;
        remove_child(tiles, parent, tile->i_child - 1);
    }
}

static bool is_all_equal(const pl_tile *parent)
{
    for (int i = 1; i < parent->n_children; i++)
        if (!are_equal(parent->children[0], parent->children[i]))
            return false;
    return true;
}

/* All children are equal and free. */
static void become_leaf(pl_tiles *tiles, pl_tile *parent)
{
    take_content(parent, parent->children[0]);
    for (int i = 0; i < parent->n_children; i++) {
        drop_content(parent->children[i]);
        free_tile(parent->children[i]);
    }
    tiles->n_leaves -= parent->n_children - 1;
    free(parent->children);
    parent->children = NULL;
    parent->n_children = parent->capacity = 0;
}

/* Joins a leaf with what is equal around it; returns the leaf that it is part of then. */
static pl_tile *join(pl_tiles *tiles, pl_tile *tile)
{
    while (tile->parent && is_free(tile)) {
        pl_tile *parent = tile->parent;
        if (parent->period == 1)
            join_neighbours(tiles, tile);
        if (parent->period == 1 ? parent->n_children > 1 : !is_all_equal(parent))
            break;
        become_leaf(tiles, parent);
        tile = parent;
    }
    return tile;
}

void pl_tile_tidy(pl_tiles *tiles, pl_tile *top)
{
    PL_ASSERT(top->n_holds > 0);
    if (pl_tile_is_leaf(top))
        return;
    for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
        leaf = join(tiles, leaf);
}

void pl_tile_release(pl_tiles *tiles, pl_tile *tile)
{
    pl_tile_tidy(tiles, tile);
    tile->n_holds--;
    if (is_free(tile))
        (void)join(tiles, tile);
}
