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
#include "sched/placed.h"
#include "task/failure.h"

#include <stdlib.h>

static size_t n_waits_of(const pl_placed *placed)
{
    size_t n = 0;
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].order_mode)
            n += pl_order_n_waits(&placed->uses[i].data->order, placed->uses[i].order_mode);
    return n;
}

static int check_content(const pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++) {
        const pl_use *use = &placed->uses[i];
        bool has_content = use->data->coherence.valid && !use->data->spoilt;
        if (!use->may_be_absent && !use->data->order.writer && !use->data->poison && !has_content)
            return pl_error_set(PARLA_E_STATE,
                                "%s is read, but it has no content: nothing was written to it, or the task that should have failed",
                                pl_data_label(use->data));
    }
    return 0;
}

/* The task whose content a use sees, if it has not ended well: NULL if there is none. */
static pl_placed *content_of(const pl_use *use)
{
    if (!(use->order_mode & PARLA_IN))
        return NULL;
    const pl_use *writer = pl_order_content(&use->data->order, use->order_mode);
    return writer ? writer->owner : use->data->poison;
}

/* They are in the order or poison, so somebody holds a reference on each. */
static void collect_content(pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_placed *content = placed->uses[i].order_mode ? content_of(&placed->uses[i]) : NULL;
        if (content)
            placed->content[placed->n_content++] = content->task;
    }
}

static void enter_all(pl_placed *placed, pl_todo *todo)
{
    size_t n_taken = 0;
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        if (!use->order_mode)
            continue;
        pl_order_enter(&use->data->order, use, placed->waits ? &placed->waits[n_taken] : NULL);
        n_taken += (size_t)use->n_before;
        placed->n_unmet += use->n_before > 0;
        pl_add_relaxed(&placed->refs_shared, 1);
        if (use->order_mode == PARLA_OUT)
            pl_order_cure(use->data, todo);
    }
}

int pl_order_task(parla_runtime *rt, pl_worker *self, pl_placed *placed, size_t n_deps, pl_todo *todo)
{
    int rc = check_content(placed);
    if (rc < 0)
        return rc;
    size_t n_waits = n_waits_of(placed);
    placed->waits = n_waits > 0 ? malloc(n_waits * sizeof placed->waits[0]) : NULL;
    if (n_waits > 0 && !placed->waits)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the order of a task behind %zu others", n_waits);
    collect_content(placed);
    rc = pl_task_reserve_edges(&rt->slabs, &self->cache, placed->task, n_deps + placed->n_content);
    if (rc < 0) {
        placed->n_content = 0;
        return rc;
    }
    for (size_t i = 0; i < placed->n_content; i++)
        pl_task_ref(placed->content[i]);
    enter_all(placed, todo);
    return 0;
}

void pl_order_forget_content(parla_runtime *rt, pl_worker *self, pl_placed *placed)
{
    size_t n = placed->n_content;
    placed->n_content = 0;
    for (size_t i = 0; i < n; i++)
        pl_unpin(rt, self, placed->content[i]);
}

void pl_order_cure(parla_data *data, pl_todo *todo)
{
    pl_placed *poison = data->poison;
    data->poison = NULL;
    if (!poison || --poison->n_poisoned > 0)
        return;
    poison->unpin_link = todo->unpin;
    todo->unpin = poison;
}

/* A task that is alone with the array but only reads it spoils nothing when it fails; when it is cancelled, what was before it
 * did. */
static void poison(pl_placed *placed, pl_use *use, parla_task_state how, pl_todo *todo)
{
    if (pl_is_broken(PL_BREAK_POISON) || use->data->order.writer != use || !(use->is_written || how == PARLA_TASK_CANCELLED))
        return;
    if (placed->n_poisoned++ == 0)
        pl_task_ref(placed->task);
    pl_order_cure(use->data, todo);
    use->data->poison = placed;
}

/* A use that nothing is before any more: either its task may go on, or it is a ghost that leaves in its turn. */
static void come_to_front(parla_runtime *rt, pl_use *use, pl_use **leaving)
{
    pl_placed *placed = use->owner;
    placed->n_unmet--;
    if (use->is_ghost) {
        use->next_left = *leaving;
        *leaving = use;
    } else if (placed->n_unmet == 0 && placed->stage == PL_STAGE_HELD_BACK) {
        pl_enqueue(rt, placed);
    }
}

/* The turn of a writer is over. */
static void note_spoilt(const pl_use *use)
{
    const pl_placed *placed = use->owner;
    if (pl_is_broken(PL_BREAK_POISON) || !use->is_written || (placed->is_void && !placed->failure))
        return;
    parla_failure_unref(use->data->spoilt);
    use->data->spoilt = placed->failure ? parla_failure_ref(placed->failure) : NULL;
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
        pl_order_leave(&use->data->order, use, &followers);
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
        if (how != PARLA_TASK_DONE)
            poison(placed, use, how, todo);
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
