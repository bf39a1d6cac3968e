/* fetch.c - content to where tasks work on it, tile by tile.
 *
 * Of what a task needs at a copy, exactly the tiles are fetched that are neither current there nor on their way. Tiles of one node that
 * are in the same state go in one copy of the node's box. A task then waits until nothing is on its way to a tile that it reads, and until
 * no tile that it writes is on its way to anywhere: no movement may read what it writes, nor arrive after it. Uses that wait stand in a
 * list of their array, and look again whenever a movement of the array has ended.
 *
 * An access in place works on some device that has all of its region. If none has, the rest is brought to the one that has most of it.
 *
 * All of this is guarded by rt->place.lock. */
#include "base/text.h"
#include "sched/placed.h"
#include "task/failure.h"

static void link_bytes_to(const pl_devices *devices, int i_device, uint64_t *out)
{
    for (int i = 0; i < devices->n; i++)
        out[i] = pl_load_relaxed(&devices->links[i * devices->n + i_device].n_bytes);
}

static void cannot_fetch(pl_placed *placed, int code, const char *why)
{
    if (!placed->failure)
        placed->failure = pl_failure_create(code, placed->task->name, NULL, "%s", why);
}

/* Where a part is worked on, or -1. */
static int device_of(const pl_placed *placed, const pl_part *part)
{
    return part->use->is_in_place ? part->use->i_device : placed->devices[part->use->member];
}

static bool is_uniform(pl_tile *top)
{
    const pl_coherence first = pl_tile_first(top)->coherence;
    for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
        if (leaf->coherence.valid != first.valid || leaf->coherence.arriving != first.arriving)
            return false;
    return true;
}

/* Calls visit(ctx, node) for the largest nodes under `top` whose leaves are all in the same state. */
static void visit_uniform(pl_tile *top, void (*visit)(void *ctx, pl_tile *node), void *ctx)
{
    if (is_uniform(top)) {
        visit(ctx, top);
        return;
    }
    for (int i = 0; i < top->n_children; i++)
        visit_uniform(top->children[i], visit, ctx);
}

/* --- Starting movements ------------------------------------------------------------------------------------------------------- */

typedef struct fetching {
    parla_runtime *rt;
    pl_placed *placed;
    parla_data *data;
    int i_device;
    uint64_t link_bytes[PL_MAX_DEVICES];
    pl_todo *todo;
    bool any_content;
} fetching;

static void fetch_node(void *ctx, pl_tile *node)
{
    fetching *f = ctx;
    pl_coherence now = pl_tile_first(node)->coherence;
    f->any_content = f->any_content || now.valid;
    if (pl_coherence_is_arriving(now, f->i_device))
        return;
    pl_coherence_step step = pl_coherence_plan(now, f->i_device, PARLA_IN, f->link_bytes);
    if (step.source < 0)
        return;
    pl_instance *to = pl_data_instance(f->data, f->i_device), *from = pl_data_instance(f->data, step.source);
    if (!pl_move_create(f->rt, node, to, from, f->todo))
        cannot_fetch(f->placed, PARLA_E_NOMEM, "no memory to move its arrays");
}

static void fetch(parla_runtime *rt, pl_placed *placed, pl_part *part, pl_todo *todo)
{
    fetching f = {.rt = rt, .placed = placed, .data = part->use->data, .i_device = device_of(placed, part), .todo = todo};
    if (f.i_device < 0)
        return;
    link_bytes_to(&rt->place.devices, f.i_device, f.link_bytes);
    for (uint32_t i = 0; i < part->n_marks; i++)
        visit_uniform(part->marks[i].tile, fetch_node, &f);
    if (f.any_content || part->may_be_absent || part->n_marks == 0)
        return;
    char why[256];
    pl_text_format(why, sizeof why,
                   "%s is read, but it has no content: nothing was written to it, or the task that should have failed",
                   pl_data_label(f.data));
    cannot_fetch(placed, PARLA_E_STATE, why);
}

/* --- Accesses in place -------------------------------------------------------------------------------------------------------- */

/* Over all parts of a use: the devices that have all of its content, and which has most. 0: there is no content. */
static uint64_t find_holders(const pl_placed *placed, const pl_use *use, int n_devices, int *out_most)
{
    uint64_t all = ~UINT64_C(0), any = 0;
    size_t n_bytes[PL_MAX_DEVICES] = {0};
    for (size_t i = 0; i < placed->n_accesses; i++)
        for (uint32_t k = 0; placed->parts[i].use == use && k < placed->parts[i].n_marks; k++) {
            pl_tile *top = placed->parts[i].marks[k].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
                uint64_t valid = leaf->coherence.valid;
                any |= valid;
                all &= valid ? valid : all;
                for (uint64_t left = valid; left; left &= left - 1)
                    n_bytes[__builtin_ctzll(left)] += pl_data_tile_bytes(use->data, leaf);
            }
        }
    int most = any ? __builtin_ctzll(any) : -1;
    for (int i = 0; i < n_devices; i++)
        if ((any >> i & 1) && n_bytes[i] > n_bytes[most])
            most = i;
    *out_most = most;
    return any ? all : 0;
}

/* Pins the copy that an access in place works on: on the task's device if all is there. Without content there is none, which
 * parla_context_source tells. */
static void find_in_place(parla_runtime *rt, pl_placed *placed, pl_use *use)
{
    int most, i = placed->devices[use->member];
    uint64_t holders = find_holders(placed, use, rt->place.devices.n, &most);
    if (most < 0)
        return;
    if (!(holders >> i & 1))
        i = holders ? __builtin_ctzll(holders) : most;
    use->i_device = (int16_t)i;
    pl_instance_pin(&rt->place.sites[i].store, pl_data_instance(use->data, i));
}

/* --- Waiting ------------------------------------------------------------------------------------------------------------------ */

static bool is_part_settled(const pl_placed *placed, const pl_part *part)
{
    int i = device_of(placed, part);
    if (i < 0 || part->use->is_untouched)
        return true;
    for (uint32_t k = 0; k < part->n_marks; k++) {
        pl_tile *top = part->marks[k].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            if (part->mode & PARLA_OUT ? !pl_coherence_is_settled(leaf->coherence) : pl_coherence_is_arriving(leaf->coherence, i))
                return false;
    }
    return true;
}

/* Of an ordering use. */
static bool is_use_settled(const pl_use *use)
{
    for (const pl_part *part = use->parts; part; part = part->next)
        if (!is_part_settled(use->owner, part))
            return false;
    return true;
}

bool pl_is_settled(pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        if (!use->order_mode || is_use_settled(use))
            continue;
        use->next_waiting = use->data->waiting;
        use->data->waiting = use;
        placed->n_moving++;
    }
    return placed->n_moving == 0;
}

void pl_fetch_all(parla_runtime *rt, pl_placed *placed, pl_todo *todo)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].is_in_place && !placed->uses[i].is_untouched)
            find_in_place(rt, placed, &placed->uses[i]);
    for (size_t i = 0; i < placed->n_accesses; i++) {
        pl_part *part = &placed->parts[i];
        if (!part->use->is_untouched && pl_needs_content(placed, part))
            fetch(rt, placed, part, todo);
    }
    (void)pl_is_settled(placed);
}

void pl_fetch_ended(parla_runtime *rt, parla_data *data, pl_todo *todo)
{
    pl_use *list = data->waiting;
    data->waiting = NULL;
    while (list) {
        pl_use *use = list;
        pl_placed *placed = use->owner;
        list = use->next_waiting;
        if (!is_use_settled(use)) {
            use->next_waiting = data->waiting;
            data->waiting = use;
        } else if (--placed->n_moving == 0) {
            pl_launch(rt, placed, todo);
        }
    }
}

/* Is there content that the part needs at its device, that is not there, and not on its way? */
static bool is_missing(const pl_placed *placed, const pl_part *part, int i_device)
{
    if (part->use->is_untouched || device_of(placed, part) != i_device || !pl_needs_content(placed, part))
        return false;
    for (uint32_t k = 0; k < part->n_marks; k++) {
        pl_tile *top = part->marks[k].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            if (leaf->coherence.valid && !((leaf->coherence.valid | leaf->coherence.arriving) >> i_device & 1))
                return true;
    }
    return false;
}

void pl_fetch_failed(parla_data *data, int i_device, void (*fail)(void *ctx, pl_placed *placed), void *ctx)
{
    for (const pl_use *use = data->waiting; use; use = use->next_waiting)
        for (const pl_part *part = use->parts; part; part = part->next)
            if (is_missing(use->owner, part, i_device))
                fail(ctx, use->owner);
}

/* --- Launch ------------------------------------------------------------------------------------------------------------------- */

static void write_leaf(parla_runtime *rt, parla_data *data, pl_tile *leaf, int i_device)
{
    pl_coherence_step step = pl_coherence_plan(leaf->coherence, i_device, PARLA_OUT, NULL);
    pl_data_set_coherence(data, leaf, step.after);
    leaf->is_lost = false;
    leaf->evicted = 0;
    for (uint64_t left = step.stale; left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        if (pl_data_instance(data, i)->current_bytes == 0)
            pl_instance_demote(&rt->place.sites[i].store, pl_data_instance(data, i));
    }
}

void pl_begin_uses(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_accesses; i++) {
        pl_part *part = &placed->parts[i];
        int i_device = device_of(placed, part);
        if (!(part->mode & PARLA_OUT) || placed->is_void || part->use->is_untouched || i_device < 0)
            continue;
        for (uint32_t k = 0; k < part->n_marks; k++) {
            pl_tile *top = part->marks[k].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
                write_leaf(rt, part->use->data, leaf, i_device);
            pl_tile_tidy(&part->use->data->tiles, top);
        }
    }
}

/* --- Writing back ------------------------------------------------------------------------------------------------------------- */

typedef struct leaving {
    fetching f; /* to where */
    int i_from;
    bool makes_room, is_all;
    int n;
} leaving;

static void leave_node(void *ctx, pl_tile *node)
{
    leaving *l = ctx;
    if (pl_coherence_owner(pl_tile_first(node)->coherence) != l->i_from)
        return;
    pl_move *move = pl_move_create(l->f.rt, node, pl_data_instance(l->f.data, l->f.i_device),
                                   pl_data_instance(l->f.data, l->i_from), l->f.todo);
    if (!move) {
        l->is_all = false;
        return;
    }
    move->makes_room = l->makes_room;
    l->n++;
}

int pl_fetch_sole(parla_runtime *rt, parla_data *data, int i_to, int i_from, bool makes_room, bool *out_all, pl_todo *todo)
{
    leaving l = {
        .f = {.rt = rt, .data = data, .i_device = i_to, .todo = todo}, .i_from = i_from, .makes_room = makes_room, .is_all = true};
    visit_uniform(&data->tiles.root, leave_node, &l);
    *out_all = l.is_all;
    return l.n;
}
