/* access.c - marks at tiles, and who waits for whom. The rules are in access.h. */
#include "data/access.h"

#include "base/break.h"
#include "base/compiler.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* --- Lists -------------------------------------------------------------------------------------------------------------------- */

void pl_uses_init(pl_uses *uses)
{
    uses->items = uses->own;
    uses->n = 0;
    uses->capacity = sizeof uses->own / sizeof uses->own[0];
}

void pl_uses_fini(pl_uses *uses)
{
    if (uses->items != uses->own)
        free(uses->items);
}

static int append(pl_uses *uses, pl_use *use)
{
    if (uses->n == uses->capacity) {
        size_t n_bytes = 2 * uses->capacity * sizeof(pl_use *);
        pl_use **items = uses->items == uses->own ? malloc(n_bytes) : realloc(uses->items, n_bytes);
        if (!items)
            return pl_error_set(PARLA_E_NOMEM, "no memory for the order of a task behind %zu others", uses->n);
        if (uses->items == uses->own)
            memcpy(items, uses->own, sizeof uses->own);
        uses->items = items;
        uses->capacity *= 2;
    }
    uses->items[uses->n++] = use;
    return 0;
}

/* --- Regions ------------------------------------------------------------------------------------------------------------------ */

static int grow_marks(pl_part *part)
{
    uint32_t capacity = part->capacity < 4 ? 4 : 2 * part->capacity;
    pl_mark *marks = part->marks == &part->own ? malloc(capacity * sizeof *marks) : realloc(part->marks, capacity * sizeof *marks);
    if (!marks)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the region of a task");
    if (part->marks == &part->own)
        marks[0] = part->own;
    part->marks = marks;
    part->capacity = capacity;
    return 0;
}

static int found(void *ctx, pl_tile *tile, bool is_coarse)
{
    pl_part *part = ctx;
    if (part->n_marks == part->capacity) {
        int rc = grow_marks(part);
        if (rc < 0)
            return rc;
    }
    pl_tile_hold(tile);
    part->marks[part->n_marks++] = (pl_mark){.use = part->order, .tile = tile};
    part->is_coarse = part->is_coarse || is_coarse;
    return 0;
}

int pl_part_cover(pl_tiles *tiles, pl_part *part, const pl_span *region)
{
    part->marks = &part->own;
    part->capacity = 1;
    part->n_marks = 0;
    int rc = pl_tiles_cover(tiles, region, found, part);
    if (rc < 0)
        pl_part_uncover(tiles, part);
    return rc;
}

void pl_part_uncover(pl_tiles *tiles, pl_part *part)
{
    for (uint32_t i = 0; i < part->n_marks; i++)
        pl_tile_release(tiles, part->marks[i].tile);
    part->n_marks = 0;
    if (part->marks != &part->own)
        free(part->marks);
    part->marks = &part->own;
}

pl_mark *pl_tile_writer(const pl_tile *tile)
{
    while (tile && !tile->writer)
        tile = tile->parent;
    return tile ? tile->writer : NULL;
}

/* --- Looking ------------------------------------------------------------------------------------------------------------------ */

static int wait_for(pl_use *use, const pl_mark *mark, pl_uses *before)
{
    pl_use *other = mark->use;
    if (other == use || other->seen_by == use->seq)
        return 0;
    other->seen_by = use->seq;
    return append(before, other);
}

static int wait_for_readers(pl_use *use, const pl_tile *tile, uint64_t since, pl_uses *before)
{
    int rc = 0;
    for (const pl_mark *mark = tile->readers; rc == 0 && mark; mark = mark->next)
        if (mark->use->seq > since && !pl_is_broken(PL_BREAK_READERS))
            rc = wait_for(use, mark, before);
    return rc;
}

/* The writer that covers the node, and, for one that comes after readers, the readers since that do. */
static int look_up(pl_use *use, const pl_tile *tile, bool is_last, pl_uses *before)
{
    int rc = 0;
    const pl_mark *writer = pl_tile_writer(tile);
    if (writer)
        rc = wait_for(use, writer, before);
    /* The readers above the node may be older or younger than its writer, which has waited for the older ones. */
    for (const pl_tile *at = tile; is_last && rc == 0 && at; at = at->parent)
        rc = wait_for_readers(use, at, writer ? writer->use->seq : 0, before);
    return rc;
}

static int look_down(pl_use *use, const pl_tile *top, bool is_last, pl_uses *before)
{
    int rc = 0;
    for (const pl_tile *at = pl_tile_walk(top, top); rc == 0 && at && !pl_is_broken(PL_BREAK_BELOW); at = pl_tile_walk(at, top)) {
        if (at->writer)
            rc = wait_for(use, at->writer, before);
        if (rc == 0 && is_last)
            rc = wait_for_readers(use, at, 0, before);
    }
    return rc;
}

static int depend_on(pl_use *use, const pl_mark *mark, pl_uses *content)
{
    pl_use *other = mark ? mark->use : use;
    if (other == use || other->content_by == use->seq)
        return 0;
    other->content_by = use->seq;
    return append(content, other);
}

static int look_at_mark(pl_use *use, const pl_part *part, pl_tile *tile, pl_uses *before, pl_uses *content)
{
    bool is_last = part->is_alone || (part->mode & PARLA_OUT);
    int rc = look_up(use, tile, is_last, before);
    if (rc == 0)
        rc = look_down(use, tile, is_last, before);
    if (!pl_part_reads(part))
        return rc;
    for (pl_tile *leaf = pl_tile_first(tile); rc == 0 && leaf; leaf = pl_tile_next(leaf, tile))
        rc = depend_on(use, pl_tile_writer(leaf), content);
    return rc;
}

int pl_order_look(pl_tiles *tiles, pl_use *use, pl_uses *before, pl_uses *content)
{
    int rc = 0;
    use->seq = ++tiles->n_entered;
    for (const pl_part *part = use->parts; part; part = part->next)
        for (uint32_t i = 0; rc == 0 && i < part->n_marks; i++)
            rc = look_at_mark(use, part, part->marks[i].tile, before, content);
    return rc;
}

/* --- Entering and leaving ----------------------------------------------------------------------------------------------------- */

static void list_reader(pl_mark *mark)
{
    mark->state = PL_MARK_READER;
    mark->prev = NULL;
    mark->next = mark->tile->readers;
    if (mark->next)
        mark->next->prev = mark;
    mark->tile->readers = mark;
}

static void unlist(pl_mark *mark)
{
    if (mark->state == PL_MARK_WRITER)
        mark->tile->writer = NULL;
    if (mark->state == PL_MARK_READER) {
        if (mark->prev)
            mark->prev->next = mark->next;
        else
            mark->tile->readers = mark->next;
        if (mark->next)
            mark->next->prev = mark->prev;
    }
    mark->state = PL_MARK_PAST;
}

static void overwrite(pl_tile *tile)
{
    if (tile->writer)
        unlist(tile->writer);
    while (tile->readers)
        unlist(tile->readers);
}

static void enter_mark(pl_mark *mark, bool writes)
{
    pl_tile *top = mark->tile;
    if (!writes) {
        list_reader(mark);
        return;
    }
    for (pl_tile *at = top; at; at = pl_tile_walk(at, top))
        overwrite(at);
    mark->state = PL_MARK_WRITER;
    top->writer = mark;
}

void pl_order_enter(pl_use *use, pl_use *const *before, size_t n, pl_wait *waits)
{
    for (size_t i = 0; i < n; i++) {
        waits[i] = (pl_wait){.follower = use, .before = before[i], .next = before[i]->followers};
        before[i]->followers = &waits[i];
    }
    use->n_before = (int)n;
    for (pl_part *part = use->parts; part; part = part->next)
        for (uint32_t i = 0; i < part->n_marks; i++)
            enter_mark(&part->marks[i], part->mode & PARLA_OUT);
}

void pl_order_leave(pl_tiles *tiles, pl_use *use, pl_use **out_free)
{
    PL_ASSERT(use->n_before == 0 && !use->has_left);
    for (pl_part *part = use->parts; part; part = part->next) {
        for (uint32_t i = 0; i < part->n_marks; i++)
            unlist(&part->marks[i]);
        pl_part_uncover(tiles, part);
    }
    use->has_left = true;
    for (pl_wait *wait = use->followers; wait; wait = wait->next) {
        pl_use *follower = wait->follower;
        wait->before = NULL;
        follower->n_launched -= wait->is_launched;
        if (--follower->n_before > follower->n_launched)
            continue;
        follower->next_left = *out_free;
        *out_free = follower;
    }
    use->followers = NULL;
}
