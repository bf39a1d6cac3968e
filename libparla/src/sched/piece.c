/* piece.c - in which instances the regions of a task lie: pieces.
 *
 * A body works on each region in one instance that covers it. Regions of one array and member that meet share one, if any of them is
 * written: else the body would write one copy of an element and read another. So do a region and one inside it. What shares an instance is
 * a piece: a list of parts, led by one of them, which has the smallest box, of steps of 1, around them all. Pieces that meet may lie in
 * different instances; then only reading happens where they meet.
 *
 * A part that is covered coarsely (tile.h) reaches as far as its tiles.
 *
 * An instance that is there serves a piece that it covers, also if it is larger. If a task's pieces would not fit beside instances that are
 * larger than they, those are left to be evicted, and exact ones are made: so what was found to fit at the spawn (pl_array_bytes) does.
 *
 * Where arrays are small beside a device they are kept in one instance each: no region of them then is ever copied inside the device. This
 * goes by all arrays of a member together, so a task never needs more than a small share of a device beyond its regions. */
#include "base/break.h"
#include "sched/placed.h"

#include <string.h>

static pl_part *lead_of(pl_part *part)
{
    while (part->lead != part)
        part = part->lead;
    return part;
}

static bool contains(const pl_span *box, const pl_span *other, int ndim)
{
    for (int k = 0; box && k < ndim; k++)
        if (!other || other[k].start < box[k].start || pl_span_last(&other[k]) > pl_span_last(&box[k]))
            return false;
    return true;
}

static bool meet(const pl_part *a, const pl_part *b, int ndim) { return !a->box || !b->box || pl_spans_meet(a->box, b->box, ndim); }

static bool must_share(const pl_part *a, const pl_part *b, int ndim)
{
    bool is_written = (a->piece_mode | b->piece_mode) & PARLA_OUT;
    if (is_written && !pl_is_broken(PL_BREAK_PIECE) && meet(a, b, ndim))
        return true;
    return contains(a->box, b->box, ndim) || contains(b->box, a->box, ndim);
}

/* The piece of `into` takes in the one of `from`, which is no lead any more. */
static void take_in(pl_part *into, pl_part *from, int ndim)
{
    if (!from->box)
        into->box = NULL;
    for (int k = 0; into->box && k < ndim; k++)
        into->box[k] = pl_span_join(&into->box[k], &from->box[k]);
    into->piece_mode |= from->piece_mode;
    from->lead = into;
}

/* Makes a lead take in all pieces of its use that it has to share with. */
static void gather(pl_use *use, pl_part *lead)
{
    int ndim = use->data->shape.ndim;
    pl_part **at = &use->leads;
    while (*at) {
        pl_part *other = *at;
        if (other != lead && must_share(lead, other, ndim)) {
            *at = other->next_lead;
            take_in(lead, other, ndim);
        } else {
            at = &other->next_lead;
        }
    }
}

void pl_piece_add(pl_part *part)
{
    pl_use *use = part->use;
    part->lead = part;
    part->piece_mode = part->mode;
    part->next_lead = use->leads;
    use->leads = part;
    gather(use, part);
}

static void stretch(pl_part *part)
{
    pl_part *lead = lead_of(part);
    for (uint32_t i = 0; lead->box && i < part->n_marks; i++)
        pl_tile_stretch(&part->use->data->tiles, part->marks[i].tile, lead->box);
    gather(part->use, lead);
}

void pl_pieces_close(pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_accesses; i++)
        if (placed->parts[i].is_coarse)
            stretch(&placed->parts[i]);
    for (size_t i = 0; i < placed->n_accesses; i++)
        placed->parts[i].lead = lead_of(&placed->parts[i]);
}

/* --- Bytes -------------------------------------------------------------------------------------------------------------------- */

static bool is_of(const pl_use *use, size_t member) { return !use->is_in_place && use->member == member; }

bool pl_keeps_whole(const pl_placed *placed, size_t member, int i_device)
{
    size_t n = 0;
    for (size_t i = 0; i_device > 0 && i < placed->n_uses; i++)
        n += is_of(&placed->uses[i], member) ? placed->uses[i].data->n_bytes : 0;
    return i_device == 0 || n <= placed->rt->place.sites[i_device].whole_bytes;
}

size_t pl_array_bytes(const pl_placed *placed, size_t member, int i_device)
{
    size_t n = 0;
    bool is_whole = pl_keeps_whole(placed, member, i_device);
    for (size_t i = 0; i < placed->n_uses; i++) {
        const pl_use *use = &placed->uses[i];
        if (!is_of(use, member) || (i_device == 0 && use->data->host.is_given))
            continue;
        for (const pl_part *lead = is_whole ? NULL : use->leads; lead; lead = lead->next_lead)
            n += pl_box_bytes(use->data, lead->box);
        n += is_whole ? use->data->n_bytes : 0;
    }
    return n;
}

pl_instance *pl_piece_find(const pl_part *lead, int i_device, bool is_exact)
{
    const parla_data *data = lead->use->data;
    pl_instance *at = pl_data_find(lead->use->data, i_device, lead->box, lead->n_marks > 0 ? lead->marks[0].tile : NULL);
    if (!at || !is_exact || at->n_bytes == pl_box_bytes(data, lead->box))
        return at;
    for (at = pl_data_first(lead->use->data, i_device); at; at = at->next)
        if (at->n_bytes == pl_box_bytes(data, lead->box) && pl_instance_covers(at, lead->box))
            return at;
    return NULL;
}

/* What is there counts once, also if several pieces lie in it. */
static void count_present(pl_site *site, pl_instance *instance, pl_need *need)
{
    if (instance->seen_by == site->n_looks)
        return;
    instance->seen_by = site->n_looks;
    need->present_bytes += instance->n_bytes;
    need->idle_bytes += instance->is_listed ? instance->n_bytes : 0;
}

static void count_use(pl_site *site, const pl_use *use, bool is_whole, pl_need *need)
{
    bool any_missing = false;
    for (const pl_part *lead = use->leads; lead; lead = lead->next_lead) {
        pl_instance *instance = pl_piece_find(lead, site->store.device->index, need->is_exact);
        if (instance)
            count_present(site, instance, need);
        else if (!is_whole)
            need->missing_bytes += pl_box_bytes(use->data, lead->box);
        any_missing = any_missing || !instance;
    }
    if (is_whole && any_missing)
        need->missing_bytes += use->data->n_bytes;
}

static pl_need count_all(const pl_placed *placed, size_t member, pl_site *site, bool is_exact)
{
    pl_need need = {.is_exact = is_exact};
    bool is_whole = pl_keeps_whole(placed, member, site->store.device->index);
    site->n_looks++;
    for (size_t i = 0; i < placed->n_uses; i++)
        if (is_of(&placed->uses[i], member))
            count_use(site, &placed->uses[i], is_whole, &need);
    return need;
}

pl_need pl_need_of(const pl_placed *placed, size_t member, int i_device)
{
    pl_site *site = &placed->rt->place.sites[i_device];
    const pl_device *device = site->store.device;
    pl_need need = count_all(placed, member, site, false);
    size_t all = need.missing_bytes + need.present_bytes + pl_lease_bytes(device->lease) +
                 placed->members[placed->alternatives[placed->i_alternative].first + member].memory_bytes;
    if (i_device > 0 && all > device->traits.memory_bytes)
        need = count_all(placed, member, site, true);
    return need;
}
