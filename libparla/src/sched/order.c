/* order.c - placed tasks before and after each other, because of the arrays that they share.
 *
 * Two kinds of order meet here. A task that reads what another wrote depends on it like on any task that it names: the spawn links
 * them, and a failure cancels it. A task that overwrites what others read, or wrote, only has to come later: it is held back by the
 * placed path (n_unmet) and does not mind how they ended. The order itself is kept for both kinds in data/access.c.
 *
 * A writer that fails or is cancelled leaves an array that nobody may read. If it is the last one in spawn order it stays, pinned,
 * as the array's poison: whoever reads then depends on it and is cancelled with its failure. A writer of the whole array cures
 * it.
 *
 * Poison goes by the order of spawns; `spoilt` by the order of turns. A writer of the whole array that turns out to write nothing
 * needs to know what it leaves behind: if that is spoilt, it has not cured it, and fails (hold.c). */
#include "base/break.h"
#include "base/error.h"
#include "sched/ahead.h"
#include "task/failure.h"

#include <stdlib.h>

/* --- Regions ------------------------------------------------------------------------------------------------------------------ */

static int cover(pl_part *part, const parla_access *access)
{
    pl_span spans[PARLA_MAX_NDIM];
    parla_data *data = part->order->data;
    bool is_whole = true;
    int rc = pl_data_check_region(data, access->region, &is_whole);
    for (int k = 0; rc == 0 && !is_whole && k < data->shape.ndim; k++)
        spans[k] = pl_span_of_range(&access->region[k]);
    return rc < 0 ? rc : pl_part_cover(&data->tiles, part, is_whole ? NULL : spans);
}

static void uncover_all(pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_accesses; i++)
        if (placed->parts[i].marks)
            pl_part_uncover(&placed->parts[i].order->data->tiles, &placed->parts[i]);
}

/* Coarse regions of a gang may meet although what was named does not. */
static int check_gang(const pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_accesses; i++)
        for (size_t k = 0; placed->parts[i].is_coarse && k < placed->n_accesses; k++) {
            const pl_part *a = &placed->parts[i], *b = &placed->parts[k];
            if (a->order == b->order && a->use->member != b->use->member && ((a->mode | b->mode) & PARLA_OUT))
                return pl_error_set(
                    PARLA_E_RESOURCES,
                    "the regions of %s need more than %d tiles: members of one task cannot write parts of it any more",
                    pl_data_label(a->order->data), PL_TILES_MAX);
        }
    return 0;
}

static int cover_all(pl_placed *placed, const parla_task_options *options)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < placed->n_accesses; i++)
        rc = cover(&placed->parts[i], &options->accesses[i]);
    for (size_t i = 0; i < placed->n_accesses; i++)
        if (placed->parts[i].is_coarse)
            placed->parts[i].order->order_mode |= PARLA_IN;
    if (rc == 0)
        pl_pieces_close(placed);
    return rc < 0 ? rc : check_gang(placed);
}

/* --- Content ------------------------------------------------------------------------------------------------------------------ */

/* What a part reads must have content or get it; elements that were never written may be among it. */
static bool can_be_read(const pl_part *part)
{
    bool any = part->may_be_absent || part->n_marks == 0;
    for (uint32_t i = 0; i < part->n_marks; i++) {
        pl_tile *top = part->marks[i].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
            bool is_to_come = pl_tile_writer(leaf) || leaf->poison;
            if (!is_to_come && (leaf->spoilt || leaf->is_lost) && !part->may_be_absent)
                return false;
            any = any || is_to_come || leaf->coherence.valid;
        }
    }
    return any;
}

static int check_content(const pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_accesses; i++)
        if (!can_be_read(&placed->parts[i]))
            return pl_error_set(PARLA_E_STATE,
                                "%s is read, but it has no content: nothing was written to it, or the task that should have failed",
                                pl_data_label(placed->parts[i].order->data));
    return 0;
}

/* The tasks whose content a part sees that have left the order, because they have failed. They are not many. */
static int add_poisons(pl_placed *placed, const pl_part *part, size_t *capacity)
{
    for (uint32_t i = 0; pl_part_reads(part) && i < part->n_marks; i++) {
        pl_tile *top = part->marks[i].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
            if (!leaf->poison || pl_tile_writer(leaf))
                continue;
            pl_placed *owner = leaf->poison->owner;
            size_t k = 0;
            while (k < placed->n_content && placed->content[k] != owner->task)
                k++;
            if (k < placed->n_content)
                continue;
            if (placed->n_content == *capacity) {
                size_t larger = 2 * *capacity + 4;
                pl_task **content = realloc(placed->content, larger * sizeof content[0]);
                if (!content)
                    return PARLA_E_NOMEM;
                placed->content = content;
                *capacity = larger;
            }
            placed->content[placed->n_content++] = owner->task;
        }
    }
    return 0;
}

/* All that the task depends on: they are in the order or poison, so somebody holds a reference on each. */
static int collect_content(pl_placed *placed, const pl_uses *writers)
{
    size_t capacity = writers->n;
    placed->content = capacity > 0 ? malloc(capacity * sizeof placed->content[0]) : NULL;
    int rc = capacity > 0 && !placed->content ? PARLA_E_NOMEM : 0;
    for (size_t i = 0; rc == 0 && i < writers->n; i++)
        placed->content[placed->n_content++] = ((pl_placed *)writers->items[i]->owner)->task;
    for (size_t i = 0; rc == 0 && i < placed->n_accesses; i++)
        rc = add_poisons(placed, &placed->parts[i], &capacity);
    if (rc < 0) {
        placed->n_content = 0;
        return pl_error_set(rc, "no memory for what a task depends on");
    }
    return 0;
}

/* --- Entering ----------------------------------------------------------------------------------------------------------------- */

/* Looks for all uses of the task; n_before of each is how many of `before` are its own. */
static int look_all(pl_placed *placed, pl_uses *before, pl_uses *writers)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        size_t n = before->n;
        if (use->order_mode)
            rc = pl_order_look(&use->data->tiles, use, before, writers);
        use->n_before = (int)(before->n - n);
    }
    return rc;
}

static void cure_part(const pl_part *part, pl_todo *todo)
{
    if (part->mode != PARLA_OUT || part->is_coarse)
        return;
    for (uint32_t i = 0; i < part->n_marks; i++) {
        pl_tile *top = part->marks[i].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            pl_order_cure(leaf, todo);
    }
}

static void enter_all(pl_placed *placed, const pl_uses *before, pl_todo *todo)
{
    size_t n_taken = 0;
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        size_t n = (size_t)use->n_before;
        if (!use->order_mode)
            continue;
        pl_order_enter(use, before->items + n_taken, n, placed->waits ? placed->waits + n_taken : NULL);
        n_taken += n;
        placed->n_unmet += n > 0;
        pl_add_relaxed(&placed->refs_shared, 1);
    }
    placed->n_waits = n_taken;
    pl_ahead_entered(placed);
    for (size_t i = 0; i < placed->n_accesses; i++)
        cure_part(&placed->parts[i], todo);
}

/* All that can fail of what follows the look. */
static int prepare(parla_runtime *rt, pl_worker *self, pl_placed *placed, size_t n_deps, size_t n_waits, const pl_uses *writers,
                   parla_task **out_deps)
{
    placed->waits = n_waits > 0 ? malloc(n_waits * sizeof placed->waits[0]) : NULL;
    if (n_waits > 0 && !placed->waits)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the order of a task behind %zu others", n_waits);
    int rc = collect_content(placed, writers);
    if (rc < 0)
        return rc;
    parla_task *deps = placed->n_content > 0 ? malloc(placed->n_content * sizeof *deps) : NULL;
    if (placed->n_content > 0 && !deps)
        rc = pl_error_set(PARLA_E_NOMEM, "no memory for what a task depends on");
    size_t n_edges = n_deps + placed->n_content;
    if (rc == 0 && n_edges > 0)
        rc = pl_task_reserve_edges(&rt->slabs, &self->cache, placed->task, n_edges);
    if (rc < 0) {
        placed->n_content = 0;
        free(deps);
        return rc;
    }
    *out_deps = deps;
    return 0;
}

int pl_order_task(parla_runtime *rt, pl_worker *self, pl_placed *placed, const parla_task_options *options, parla_task **out_deps,
                  pl_todo *todo)
{
    pl_uses before, writers;
    int rc = cover_all(placed, options);
    if (rc == 0)
        rc = check_content(placed);
    if (rc < 0) {
        uncover_all(placed);
        return rc;
    }
    pl_uses_init(&before);
    pl_uses_init(&writers);
    rc = look_all(placed, &before, &writers);
    if (rc == 0)
        rc = prepare(rt, self, placed, options->n_deps, before.n, &writers, out_deps);
    if (rc == 0) {
        for (size_t i = 0; i < placed->n_content; i++)
            pl_task_ref(placed->content[i]);
        enter_all(placed, &before, todo);
    } else {
        uncover_all(placed);
    }
    pl_uses_fini(&before);
    pl_uses_fini(&writers);
    return rc;
}

void pl_order_forget_content(parla_runtime *rt, pl_worker *self, pl_placed *placed)
{
    size_t n = placed->n_content;
    placed->n_content = 0;
    for (size_t i = 0; i < n; i++)
        pl_unpin(rt, self, placed->content[i]);
}

/* --- Failures ----------------------------------------------------------------------------------------------------------------- */

void pl_order_cure(pl_tile *leaf, pl_todo *todo)
{
    pl_poison *poison = leaf->poison;
    leaf->poison = NULL;
    if (!poison || --poison->n_tiles > 0)
        return;
    pl_placed *owner = poison->owner;
    owner->unpin_link = todo->unpin;
    todo->unpin = owner;
}

static void poison_leaf(pl_placed *placed, pl_tile *leaf, pl_todo *todo)
{
    placed->poison.owner = placed;
    if (placed->poison.n_tiles++ == 0)
        pl_task_ref(placed->task);
    pl_order_cure(leaf, todo);
    leaf->poison = &placed->poison;
}

/* What a later writer stands behind is that one's matter. */
static void poison_part(pl_placed *placed, pl_part *part, pl_todo *todo)
{
    if (pl_is_broken(PL_BREAK_POISON))
        return;
    for (uint32_t i = 0; i < part->n_marks; i++) {
        pl_mark *mark = &part->marks[i];
        pl_tile *top = mark->tile;
        if (mark->state != PL_MARK_WRITER)
            continue;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            if (pl_tile_writer(leaf) == mark)
                poison_leaf(placed, leaf, todo);
    }
}

parla_failure *pl_order_spoilt(const pl_part *part)
{
    for (uint32_t i = 0; i < part->n_marks; i++) {
        pl_tile *top = part->marks[i].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            if (leaf->spoilt)
                return leaf->spoilt;
    }
    return NULL;
}

/* --- Leaving ------------------------------------------------------------------------------------------------------------------ */

/* A use that nothing is before any more but, perhaps, what is launched: either its task may go on, or it is a ghost that leaves in its
 * turn. */
static void come_to_front(parla_runtime *rt, pl_use *use, pl_use **leaving)
{
    pl_placed *placed = use->owner;
    pl_ahead_count_soft(use);
    placed->n_unmet -= use->n_before == 0;
    if (!use->is_ghost) {
        pl_ahead_start(rt, placed);
    } else if (use->n_before == 0) {
        use->next_left = *leaving;
        *leaving = use;
    }
}

static void spoil_leaf(pl_tile *leaf, parla_failure *failure)
{
    if (leaf->spoilt == failure)
        return;
    parla_failure_unref(leaf->spoilt);
    leaf->spoilt = failure ? parla_failure_ref(failure) : NULL;
}

/* The turn of a writer is over. */
static void note_spoilt(const pl_use *use)
{
    const pl_placed *placed = use->owner;
    if (pl_is_broken(PL_BREAK_POISON) || !use->is_written || (placed->is_void && !placed->failure))
        return;
    for (const pl_part *part = use->parts; part; part = part->next)
        for (uint32_t i = 0; (part->mode & PARLA_OUT) && i < part->n_marks; i++) {
            pl_tile *top = part->marks[i].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
                spoil_leaf(leaf, placed->failure);
        }
}

/* `leaving`: uses to take out, by next_left. */
static void leave_all(parla_runtime *rt, pl_use *leaving)
{
    while (leaving) {
        pl_use *use = leaving;
        leaving = use->next_left;
        pl_use *followers = NULL;
        bool is_ghost = use->is_ghost;
        note_spoilt(use);
        pl_order_leave(&use->data->tiles, use, &followers);
        while (followers) {
            pl_use *follower = followers;
            followers = follower->next_left;
            come_to_front(rt, follower, &leaving);
        }
        if (is_ghost)
            pl_data_unref_shared(use->data); /* not the last: who was before it still holds one */
        pl_placed_unref(use->owner);
    }
}

/* Keeps why the task failed, for the arrays that it leaves in its turn. A copy: it is dropped under the lock, where nothing of the
 * user's may be released. */
static void keep_failure(pl_placed *placed)
{
    parla_failure *failure = pl_load_acquire(&pl_task_extra_or_null(placed->task)->failure_shared);
    const parla_failure *root = pl_failure_root(failure ? failure : pl_failure_of_memory());
    if (!placed->failure)
        placed->failure = pl_failure_create(root->code, root->task_name, NULL, "%s", root->message);
}

void pl_order_end(parla_runtime *rt, pl_placed *placed, parla_task_state how, pl_todo *todo)
{
    pl_use *leaving = NULL;
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        if (!use->order_mode)
            continue;
        for (pl_part *part = use->parts; part && how != PARLA_TASK_DONE; part = part->next)
            poison_part(placed, part, todo);
        if (how != PARLA_TASK_DONE && use->is_written)
            keep_failure(placed);
        use->is_ghost = use->n_before > 0;
        if (!use->is_ghost) {
            use->next_left = leaving;
            leaving = use;
        }
    }
    leave_all(rt, leaving);
}
