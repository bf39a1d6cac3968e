/* reserve.c - taking what a task needs of its devices, all or nothing: memory for its arrays and for itself, a share of the device,
 * pins.
 *
 *   1. pin the instances of its pieces that are there already, so that making room cannot take them
 *   2. make room on each device: drop instances whose content is elsewhere; if that is not enough, start to write others back and stop
 *   here
 *   3. make the instances that are missing
 *   4. count the reservation
 *
 * A backend may refuse memory that the accounts say is free. Then one more instance is evicted and it is asked again. */
#include "base/break.h"
#include "base/error.h"
#include "base/text.h"
#include "sched/placed.h"
#include "task/failure.h"

static pl_store *store_of(parla_runtime *rt, int i_device) { return &rt->place.sites[i_device].store; }

static pl_member *member_of(const pl_placed *placed, int k)
{
    return &placed->members[placed->alternatives[placed->i_alternative].first + (size_t)k];
}

/* --- Making room -------------------------------------------------------------------------------------------------------------- */

void pl_evict(parla_runtime *rt, pl_instance *victim)
{
    rt->place.receipt.n_evictions++;
    rt->place.receipt.n_evicted_bytes += victim->n_bytes;
    pl_data_forget(victim->data, victim, true);
    pl_instance_free(store_of(rt, victim->i_device), victim);
}

static bool has_host_memory(parla_runtime *rt, parla_data *data)
{
    pl_instance *host;
    return data->host.memory || (pl_free_bytes(&rt->place.devices.list[0]) >= data->n_bytes &&
                                 pl_instance_create(store_of(rt, 0), data, NULL, &host) == 0);
}

/* Starts to write a copy back to the host; or drops it if the array's last reference has gone: who dropped that waits for our lock,
 * and nobody will ever ask for the content. */
static bool write_back(parla_runtime *rt, pl_instance *victim, pl_todo *todo)
{
    pl_site *site = &rt->place.sites[victim->i_device];
    if (!pl_data_is_alive(victim->data)) {
        pl_evict(rt, victim);
        return true;
    }
    bool is_all;
    victim->n_leaving = has_host_memory(rt, victim->data) ? pl_fetch_sole(rt, victim, &is_all, todo) : 0;
    if (victim->n_leaving == 0)
        return false;
    victim->has_stayed = !is_all;
    site->leaving_bytes += victim->n_bytes;
    return true;
}

static void write_back_some(parla_runtime *rt, pl_site *site, size_t need, pl_todo *todo)
{
    pl_instance *victim;
    while (need > pl_free_bytes(site->store.device) + site->leaving_bytes &&
           (victim = pl_store_victim(&site->store, false)) != NULL)
        if (!write_back(rt, victim, todo))
            victim->is_kept = true;
}

/* True if `need` bytes are free now. */
static bool make_room(parla_runtime *rt, pl_site *site, size_t need, pl_todo *todo)
{
    pl_instance *victim;
    pl_device *device = site->store.device;
    while (need > pl_free_bytes(device) && (victim = pl_store_victim(&site->store, true)) != NULL)
        pl_evict(rt, victim);
    if (need <= pl_free_bytes(device))
        return true;
    if (device->index != 0)
        write_back_some(rt, site, need, todo);
    return need <= pl_free_bytes(device); /* copies of arrays that are just going were dropped at once */
}

/* --- Steps that can be undone ------------------------------------------------------------------------------------------------- */

static void pin(parla_runtime *rt, pl_part *lead, pl_instance *instance)
{
    lead->instance = instance;
    pl_instance_pin(store_of(rt, instance->i_device), instance);
}

/* Pins the instances that are there. */
static void pin_present(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        for (pl_part *lead = placed->uses[i].leads; lead && !placed->uses[i].is_in_place; lead = lead->next_lead) {
            int member = placed->uses[i].member;
            pl_instance *instance = pl_piece_find(lead, placed->devices[member], member_of(placed, member)->is_exact);
            if (instance)
                pin(rt, lead, instance);
        }
}

static void unpin_all(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        for (pl_part *lead = placed->uses[i].leads; lead; lead = lead->next_lead) {
            if (lead->instance)
                pl_instance_unpin(store_of(rt, lead->instance->i_device), lead->instance);
            lead->instance = NULL;
        }
}

static int create_evicting(parla_runtime *rt, pl_store *store, parla_data *data, const pl_span *box, pl_instance **out)
{
    int rc = pl_instance_create(store, data, box, out);
    pl_instance *victim = rc < 0 ? pl_store_victim(store, true) : NULL;
    if (!victim)
        return rc;
    pl_evict(rt, victim);
    return pl_instance_create(store, data, box, out);
}

/* An instance for a piece, unless one was made for another that covers it. */
static int create_missing(parla_runtime *rt, const pl_placed *placed, pl_part *lead)
{
    const pl_use *use = lead->use;
    int i_device = placed->devices[use->member], rc = 0;
    pl_instance *instance = pl_piece_find(lead, i_device, member_of(placed, use->member)->is_exact);
    if (!instance)
        rc = create_evicting(rt, store_of(rt, i_device), use->data,
                             pl_keeps_whole(placed, use->member, i_device) ? NULL : lead->box, &instance);
    if (rc == 0)
        pin(rt, lead, instance);
    return rc;
}

/* Returns the device that refused, or -1. */
static int create_all_missing(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        for (pl_part *lead = placed->uses[i].leads; lead && !placed->uses[i].is_in_place; lead = lead->next_lead)
            if (!lead->instance && create_missing(rt, placed, lead) < 0)
                return placed->devices[placed->uses[i].member];
    return -1;
}

/* --- The whole ---------------------------------------------------------------------------------------------------------------- */

/* What a refusal of memory means: somebody will give some back, or nobody can. */
static pl_fit refused(parla_runtime *rt, pl_placed *placed, int i_device, bool grows, int *out_device)
{
    unpin_all(rt, placed);
    *out_device = i_device;
    pl_site *site = &rt->place.sites[i_device];
    if (grows || pl_site_is_used(site))
        return PL_NO_ROOM;
    for (pl_instance *kept = site->store.oldest; kept; kept = kept->newer)
        kept->is_kept = false; /* the next task may try again */
    return PL_HOPELESS;
}

static void count_reservation(parla_runtime *rt, pl_placed *placed)
{
    for (int k = 0; k < placed->n_devices; k++) {
        pl_site *site = &rt->place.sites[placed->devices[k]];
        site->n_holders++;
        site->backlog_ns += placed->expected_ns;
        site->store.device->free_vcus -= member_of(placed, k)->vcus;
        site->store.device->reserved_bytes += member_of(placed, k)->memory_bytes;
    }
    pl_store_relaxed(&placed->task->i_device_shared, (uint16_t)placed->devices[0]);
    placed->has_resources = true;
}

pl_fit pl_reserve(parla_runtime *rt, pl_placed *placed, int *out_device, pl_todo *todo)
{
    int refusing = -1;
    bool grows = false; /* blocks are on their way back: asked before what is free */
    for (int k = 0; k < placed->n_devices; k++)
        grows |= pl_lease_is_going(rt->place.devices.list[placed->devices[k]].lease);
    size_t missing_bytes[PL_MAX_DEVICES];
    for (int k = 0; k < placed->n_devices; k++) {
        pl_need need = pl_need_of(placed, (size_t)k, placed->devices[k]);
        member_of(placed, k)->is_exact = need.is_exact;
        missing_bytes[k] = need.missing_bytes;
    }
    pin_present(rt, placed);
    for (int k = 0; k < placed->n_devices; k++) {
        int i = placed->devices[k];
        size_t need = member_of(placed, k)->memory_bytes + missing_bytes[k];
        if (!make_room(rt, &rt->place.sites[i], need, todo) && refusing < 0)
            refusing = i;
    }
    if (refusing < 0)
        refusing = create_all_missing(rt, placed);
    if (refusing >= 0)
        return refused(rt, placed, refusing, grows, out_device);
    count_reservation(rt, placed);
    return PL_FITS;
}

void pl_unreserve(parla_runtime *rt, pl_placed *placed)
{
    if (!placed->has_resources)
        return;
    unpin_all(rt, placed);
    for (int k = 0; k < placed->n_devices; k++) {
        pl_site *site = &rt->place.sites[placed->devices[k]];
        site->n_holders--;
        site->backlog_ns -= placed->expected_ns;
        site->store.device->free_vcus += member_of(placed, k)->vcus * (pl_is_broken(PL_BREAK_RETURN) ? 2 : 1);
        site->store.device->reserved_bytes -= member_of(placed, k)->memory_bytes - member_of(placed, k)->drawn_bytes;
        member_of(placed, k)->drawn_bytes = 0;
        if (site->n_holders == 0) { /* sums are not exact */
            site->store.device->free_vcus = 1;
            site->backlog_ns = 0;
        }
    }
    placed->has_resources = false;
}

/* --- Words -------------------------------------------------------------------------------------------------------------------- */

enum { N_HOLDERS_NAMED = 3 };

static size_t held_bytes(parla_data *data, int i_device)
{
    size_t n = 0;
    for (const pl_instance *at = pl_data_first(data, i_device); at; at = at->next)
        n += at->is_given ? 0 : at->n_bytes;
    return n;
}

/* The arrays that take most on a device, and where they were made. */
static void name_holders(parla_runtime *rt, int i_device, char *out, size_t n_bytes)
{
    const parla_data *largest[N_HOLDERS_NAMED] = {NULL};
    size_t held[N_HOLDERS_NAMED] = {0};
    for (parla_data *data = rt->place.attached; data; data = data->next_attached) {
        const parla_data *at = data;
        size_t at_bytes = held_bytes(data, i_device);
        for (int k = 0; k < N_HOLDERS_NAMED; k++)
            if (at_bytes > held[k]) {
                const parla_data *moved = largest[k];
                size_t moved_bytes = held[k];
                largest[k] = at;
                held[k] = at_bytes;
                at = moved;
                at_bytes = moved_bytes;
            }
    }
    size_t n = pl_text_format(out, n_bytes, "%s", largest[0] ? "; the largest: " : "");
    for (int k = 0; k < N_HOLDERS_NAMED && largest[k] && n + 16 < n_bytes; k++)
        n += pl_text_format(out + n, n_bytes - n, "%s%s (%zu%s%s)", k > 0 ? ", " : "", pl_data_label(largest[k]), held[k],
                            largest[k]->source ? ", made at " : "", largest[k]->source ? largest[k]->source : "");
}

parla_failure *pl_hopeless_failure(parla_runtime *rt, pl_placed *placed, int i_device)
{
    const pl_device *device = &rt->place.devices.list[i_device];
    size_t need = 0;
    char holders[512];
    for (size_t k = 0; k < placed->alternatives[placed->i_alternative].n; k++) {
        size_t n = member_of(placed, (int)k)->memory_bytes + pl_need_of(placed, k, i_device).missing_bytes;
        if (member_of(placed, (int)k)->devices >> i_device & 1 && n > need)
            need = n;
    }
    name_holders(rt, i_device, holders, sizeof holders);
    return pl_failure_create(
        PARLA_E_DEVICE_MEMORY, placed->task->name, NULL,
        "%s needs %zu bytes more on %s, which has %zu, of which arrays take %zu, blocks of bodies %zu and running tasks %zu%s; nothing "
        "there can make room",
        pl_placed_label(placed), need, device->name, device->traits.memory_bytes, device->used_bytes, pl_lease_bytes(device->lease),
        device->reserved_bytes, holders);
}
