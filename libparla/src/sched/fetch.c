/* fetch.c - content to where tasks work on it, tile by tile.
 *
 * Of what a task needs in an instance, exactly the tiles are fetched that are neither current there nor on their way. Tiles of one node that
 * have the same homes go in one copy of the node's box. What is on the device, in another instance, is copied inside it; what is on its
 * way to another instance there is waited for first: so each tile crosses a link once for all readers on a device. A task then waits until
 * nothing that it reads is on its way, and until no tile that it writes is on its way to anywhere: no movement may read what it writes, nor
 * arrive after it. Uses that wait stand in a
 * list of their array, and look again whenever a movement of the array has ended.
 *
 * An access in place works in some instance that has all of its region. If none has, the rest is brought to the one that has most of it and
 * covers the region, or to the host.
 *
 * All of this is guarded by rt->place.lock. */
#include "base/text.h"
#include "device/links.h"
#include "sched/ahead.h"
#include "task/failure.h"

enum { N_CANDIDATES = 16 };

static void cannot_fetch(pl_placed *placed, int code, const char *why)
{
    if (!placed->failure)
        placed->failure = pl_failure_create(code, placed->task->name, NULL, "%s", why);
}

static bool is_uniform(pl_tile *top)
{
    const pl_homes *first = &pl_tile_first(top)->homes;
    for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
        if (!pl_homes_are_equal(&leaf->homes, first))
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
    pl_instance *to;
    pl_todo *todo;
    bool any_content;
} fetching;

/* When a copy of a tile from each device that has it would be over: by the link, and by what that device sends elsewhere already. */
static void costs_of(const fetching *f, const pl_tile *leaf, uint64_t *out)
{
    const pl_place *place = &f->rt->place;
    for (uint64_t left = leaf->coherence.valid; left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        size_t n_bytes = pl_data_tile_bytes(f->to->data, leaf) + place->sites[i].sent_bytes;
        out[i] = pl_is_broken(PL_BREAK_SOURCE) ? 1 : pl_links_time_ns(&place->devices, i, f->to->i_device, n_bytes);
    }
}

/* Content that is on the device already is copied inside it. */
static pl_instance *source_of(const fetching *f, const pl_tile *leaf)
{
    pl_instance *here = pl_homes_current_on(&leaf->homes, f->to->i_device);
    if (here)
        return pl_is_broken(PL_BREAK_WITHIN) ? NULL : here;
    uint64_t costs[PL_MAX_DEVICES];
    costs_of(f, leaf, costs);
    pl_coherence_step step = pl_coherence_plan(leaf->coherence, f->to->i_device, PARLA_IN, costs);
    return step.source < 0 ? NULL : pl_homes_current_on(&leaf->homes, step.source);
}

/* What arrives in another instance of the device is not fetched over the link a second time: it is copied when it is there. */
static void fetch_node(void *ctx, pl_tile *node)
{
    fetching *f = ctx;
    const pl_tile *leaf = pl_tile_first(node);
    f->any_content = f->any_content || leaf->coherence.valid;
    if (pl_homes_find(&leaf->homes, f->to) || pl_coherence_is_arriving(leaf->coherence, f->to->i_device))
        return;
    pl_instance *from = source_of(f, leaf);
    if (!from)
        return;
    pl_followed followed;
    pl_move *move = pl_ahead_order(f->placed, &followed) ? pl_move_create(f->rt, node, f->to, from, f->todo) : NULL;
    if (move) {
        move->followed = followed;
        return;
    }
    pl_ahead_forget(&followed);
    cannot_fetch(f->placed, PARLA_E_NOMEM, "no memory to move its arrays");
}

static void fetch(parla_runtime *rt, pl_placed *placed, pl_part *part, pl_todo *todo)
{
    fetching f = {.rt = rt, .placed = placed, .to = pl_part_instance(part), .todo = todo};
    if (!f.to)
        return;
    for (uint32_t i = 0; i < part->n_marks; i++)
        visit_uniform(part->marks[i].tile, fetch_node, &f);
    if (f.any_content || part->may_be_absent || part->n_marks == 0)
        return;
    char why[256];
    pl_text_format(why, sizeof why,
                   "%s is read, but it has no content: nothing was written to it, or the task that should have failed",
                   pl_data_label(part->use->data));
    cannot_fetch(placed, PARLA_E_STATE, why);
}

/* --- Accesses in place -------------------------------------------------------------------------------------------------------- */

/* Instances in which a piece can lie, and how much of its content is current there. */
typedef struct candidates {
    pl_instance *list[N_CANDIDATES];
    size_t n_bytes[N_CANDIDATES], n_content_bytes;
    int n;
} candidates;

static void count_leaf(candidates *c, const pl_part *lead, const pl_tile *leaf)
{
    size_t n_bytes = pl_data_tile_bytes(lead->use->data, leaf);
    const pl_home *list = pl_homes_list(&leaf->homes);
    c->n_content_bytes += leaf->coherence.valid ? n_bytes : 0;
    for (uint32_t i = 0; i < leaf->homes.n; i++) {
        int k = 0;
        if (list[i].is_arriving || !pl_instance_covers(list[i].instance, lead->box))
            continue;
        while (k < c->n && c->list[k] != list[i].instance)
            k++;
        if (k == N_CANDIDATES)
            continue;
        if (k == c->n)
            c->list[c->n++] = list[i].instance;
        c->n_bytes[k] += n_bytes;
    }
}

static void find_candidates(const pl_placed *placed, const pl_part *lead, candidates *out)
{
    *out = (candidates){.n = 0};
    for (size_t i = 0; i < placed->n_accesses; i++)
        for (uint32_t k = 0; placed->parts[i].lead == lead && k < placed->parts[i].n_marks; k++) {
            pl_tile *top = placed->parts[i].marks[k].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
                count_leaf(out, lead, leaf);
        }
}

/* Is candidate a better than b? All of the content, and then on the task's device, comes before more content and lower devices. */
static bool is_better(const candidates *c, int a, int b, int i_device)
{
    bool all_a = c->n_bytes[a] == c->n_content_bytes, all_b = c->n_bytes[b] == c->n_content_bytes;
    if (all_a != all_b)
        return all_a;
    if (all_a && (c->list[a]->i_device == i_device) != (c->list[b]->i_device == i_device))
        return c->list[a]->i_device == i_device;
    if (c->n_bytes[a] != c->n_bytes[b])
        return c->n_bytes[a] > c->n_bytes[b];
    return c->list[a]->i_device < c->list[b]->i_device;
}

static pl_instance *best_of(const candidates *c, int i_device)
{
    int best = 0;
    for (int k = 1; k < c->n; k++)
        if (is_better(c, k, best, i_device))
            best = k;
    return c->n > 0 ? c->list[best] : NULL;
}

/* The host can hold any piece. */
static pl_instance *host_of(parla_runtime *rt, pl_placed *placed, parla_data *data)
{
    pl_instance *host = data->host.memory ? &data->host : NULL;
    if (!host && pl_instance_create(&rt->place.sites[0].store, data, NULL, &host) < 0)
        cannot_fetch(placed, PARLA_E_DEVICE_MEMORY, "the host has no memory to bring the parts of its array together");
    return host;
}

/* Pins the instance that an access in place works in. Without content there is none, which parla_context_source tells. */
static void find_in_place(parla_runtime *rt, pl_placed *placed, pl_part *lead)
{
    candidates c;
    find_candidates(placed, lead, &c);
    if (c.n_content_bytes == 0)
        return;
    pl_instance *best = best_of(&c, placed->devices[lead->use->member]);
    if (!best)
        best = host_of(rt, placed, lead->use->data);
    if (!best)
        return;
    lead->instance = best;
    pl_instance_pin(&rt->place.sites[best->i_device].store, best);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------------------ */

/* Is there content, which is not in an instance yet? */
static bool is_absent(const pl_tile *leaf, const pl_instance *instance)
{
    if (pl_is_broken(PL_BREAK_WITHIN) && pl_coherence_is_valid(leaf->coherence, instance->i_device))
        return false;
    return leaf->coherence.valid && !pl_homes_is_current(&leaf->homes, instance);
}

static bool is_part_settled(const pl_placed *placed, const pl_part *part)
{
    const pl_instance *here = pl_part_instance(part);
    if (!here || part->use->is_untouched)
        return true;
    bool needs = pl_needs_content(placed, part) && !placed->failure;
    for (uint32_t k = 0; k < part->n_marks; k++) {
        pl_tile *top = part->marks[k].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            if ((part->mode & PARLA_OUT ? !pl_coherence_is_settled(leaf->coherence) : pl_homes_is_arriving(&leaf->homes, here)) ||
                (needs && is_absent(leaf, here)))
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

static void fetch_part(parla_runtime *rt, pl_placed *placed, pl_part *part, pl_todo *todo)
{
    if (!part->use->is_untouched && pl_needs_content(placed, part))
        fetch(rt, placed, part, todo);
}

/* What has arrived on the device for somebody else may be copied now. */
static void fetch_more(parla_runtime *rt, const pl_use *use, pl_todo *todo)
{
    pl_placed *placed = use->owner;
    for (pl_part *part = use->parts; part && !placed->failure; part = part->next)
        fetch_part(rt, placed, part, todo);
}

void pl_fetch_all(parla_runtime *rt, pl_placed *placed, pl_todo *todo)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        for (pl_part *lead = placed->uses[i].leads; lead; lead = lead->next_lead)
            if (lead->use->is_in_place && !lead->use->is_untouched)
                find_in_place(rt, placed, lead);
    for (size_t i = 0; i < placed->n_accesses; i++)
        fetch_part(rt, placed, &placed->parts[i], todo);
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
        if (!is_use_settled(use))
            fetch_more(rt, use, todo);
        if (!is_use_settled(use)) {
            use->next_waiting = data->waiting;
            data->waiting = use;
        } else if (--placed->n_moving == 0) {
            pl_launch(rt, placed, todo);
        }
    }
}

/* Is there content that the part needs in an instance, that is not there, and not on its way to the device? */
static bool is_missing(const pl_placed *placed, const pl_part *part, const pl_instance *to)
{
    if (part->use->is_untouched || pl_part_instance(part) != to || !pl_needs_content(placed, part))
        return false;
    for (uint32_t k = 0; k < part->n_marks; k++) {
        pl_tile *top = part->marks[k].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            if (is_absent(leaf, to) && !pl_coherence_is_arriving(leaf->coherence, to->i_device))
                return true;
    }
    return false;
}

void pl_fetch_failed(const pl_instance *to, void (*fail)(void *ctx, pl_placed *placed), void *ctx)
{
    for (const pl_use *use = to->data->waiting; use; use = use->next_waiting)
        for (const pl_part *part = use->parts; part; part = part->next)
            if (is_missing(use->owner, part, to))
                fail(ctx, use->owner);
}

/* --- Launch ------------------------------------------------------------------------------------------------------------------- */

/* Instances in which nothing will be current any more are the next victims. */
static void demote_stale(parla_runtime *rt, const pl_tile *leaf, const pl_instance *written)
{
    const pl_home *list = pl_homes_list(&leaf->homes);
    size_t n_bytes = pl_data_tile_bytes(written->data, leaf);
    for (uint32_t i = 0; i < leaf->homes.n; i++) {
        pl_instance *stale = list[i].instance;
        if (stale != written && stale->current_bytes == n_bytes)
            pl_instance_demote(&rt->place.sites[stale->i_device].store, stale);
    }
}

static void write_leaf(parla_runtime *rt, pl_tile *leaf, pl_instance *to)
{
    demote_stale(rt, leaf, to);
    pl_data_written(to->data, leaf, to);
    leaf->is_lost = false;
    leaf->evicted = 0;
    leaf->aimed = 0;
}

void pl_begin_uses(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_accesses; i++) {
        pl_part *part = &placed->parts[i];
        pl_instance *to = pl_part_instance(part);
        if (!(part->mode & PARLA_OUT) || placed->is_void || part->use->is_untouched || !to)
            continue;
        for (uint32_t k = 0; k < part->n_marks; k++) {
            pl_tile *top = part->marks[k].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
                write_leaf(rt, leaf, to);
            pl_tile_tidy(&part->use->data->tiles, top);
        }
    }
}

/* --- Writing back ------------------------------------------------------------------------------------------------------------- */

typedef struct leaving {
    parla_runtime *rt;
    pl_instance *from;
    pl_todo *todo;
    bool is_all;
    int n;
} leaving;

static void leave_node(void *ctx, pl_tile *node)
{
    leaving *l = ctx;
    if (pl_homes_sole(&pl_tile_first(node)->homes) != l->from)
        return;
    pl_move *move = pl_move_create(l->rt, node, &l->from->data->host, l->from, l->todo);
    if (!move) {
        l->is_all = false;
        return;
    }
    move->makes_room = true;
    l->n++;
}

int pl_fetch_sole(parla_runtime *rt, pl_instance *from, bool *out_all, pl_todo *todo)
{
    leaving l = {.rt = rt, .from = from, .todo = todo, .is_all = true};
    visit_uniform(&from->data->tiles.root, leave_node, &l);
    *out_all = l.is_all;
    return l.n;
}
