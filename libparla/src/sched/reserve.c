/* reserve.c - taking what a task needs of its devices, all or nothing: memory for its arrays and for itself, a share of the device,
 * pins.
 *
 *   1. pin the copies that are there already, so that making room cannot take them
 *   2. make room on each device: drop copies whose content is elsewhere; if that is not enough, start to write others back and stop
 *   here
 *   3. allocate the copies that are missing
 *   4. count the reservation
 *
 * A backend may refuse memory that the accounts say is free. Then one more copy is evicted and it is asked again. */
#include "base/error.h"
#include "base/text.h"
#include "sched/placed.h"
#include "task/failure.h"

static pl_instance *instance_of(const pl_placed *placed, const pl_use *use)
{
    return pl_data_instance(use->data, placed->devices[use->member]);
}

static pl_store *store_of(parla_runtime *rt, int i_device) { return &rt->place.sites[i_device].store; }

static pl_member *member_of(const pl_placed *placed, int k)
{
    return &placed->members[placed->alternatives[placed->i_alternative].first + (size_t)k];
}

/* --- Making room -------------------------------------------------------------------------------------------------------------- */

void pl_evict(parla_runtime *rt, pl_instance *victim)
{
    pl_tile *root = &victim->data->tiles.root;
    uint64_t device = UINT64_C(1) << victim->i_device;
    rt->place.receipt.n_evictions++;
    rt->place.receipt.n_evicted_bytes += pl_instance_bytes(victim);
    for (pl_tile *leaf = pl_tile_first(root); leaf; leaf = pl_tile_next(leaf, root))
        leaf->evicted |= leaf->coherence.valid & device;
    pl_data_forget_copy(victim->data, victim->i_device);
    pl_instance_free(store_of(rt, victim->i_device), victim);
}

static bool has_host_memory(parla_runtime *rt, parla_data *data)
{
    return data->host.memory ||
           (pl_free_bytes(&rt->place.devices.list[0]) >= data->n_bytes && pl_instance_alloc(store_of(rt, 0), &data->host) == 0);
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
    victim->n_leaving =
        has_host_memory(rt, victim->data) ? pl_fetch_sole(rt, victim->data, 0, victim->i_device, true, &is_all, todo) : 0;
    if (victim->n_leaving == 0)
        return false;
    victim->has_stayed = !is_all;
    site->leaving_bytes += victim->data->n_bytes;
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

/* Pins the copies that have memory. */
static void pin_present(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        if (use->is_in_place || !instance_of(placed, use)->memory)
            continue;
        use->i_device = (int16_t)placed->devices[use->member];
        pl_instance_pin(store_of(rt, use->i_device), instance_of(placed, use));
    }
}

static void unpin_all(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        if (use->i_device < 0)
            continue;
        pl_instance_unpin(store_of(rt, use->i_device), pl_data_instance(use->data, use->i_device));
        use->i_device = -1;
    }
}

static int alloc_evicting(parla_runtime *rt, pl_store *store, pl_instance *instance)
{
    int rc = pl_instance_alloc(store, instance);
    pl_instance *victim = rc < 0 ? pl_store_victim(store, true) : NULL;
    if (!victim)
        return rc;
    pl_evict(rt, victim);
    return pl_instance_alloc(store, instance);
}

/* Returns the device that refused, or -1. */
static int alloc_missing(parla_runtime *rt, pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        if (use->is_in_place || use->i_device >= 0)
            continue;
        int i_device = placed->devices[use->member];
        if (alloc_evicting(rt, store_of(rt, i_device), instance_of(placed, use)) < 0)
            return i_device;
        use->i_device = (int16_t)i_device;
        pl_instance_pin(store_of(rt, i_device), instance_of(placed, use));
    }
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
    pin_present(rt, placed);
    for (int k = 0; k < placed->n_devices; k++) {
        int i = placed->devices[k];
        size_t need = member_of(placed, k)->memory_bytes + pl_missing_bytes(placed, (size_t)k, i);
        if (!make_room(rt, &rt->place.sites[i], need, todo) && refusing < 0)
            refusing = i;
    }
    if (refusing < 0)
        refusing = alloc_missing(rt, placed);
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
        site->store.device->free_vcus += member_of(placed, k)->vcus;
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

/* The largest copies on a device, largest first. */
static void name_holders(parla_runtime *rt, int i_device, char *out, size_t n_bytes)
{
    const parla_data *largest[N_HOLDERS_NAMED] = {NULL};
    for (parla_data *data = rt->place.attached; data; data = data->next_attached) {
        const pl_instance *instance = pl_data_instance(data, i_device);
        if (!instance->memory || instance->is_given)
            continue;
        const parla_data *at = data;
        for (int k = 0; k < N_HOLDERS_NAMED; k++)
            if (at && (!largest[k] || largest[k]->n_bytes < at->n_bytes)) {
                const parla_data *moved = largest[k];
                largest[k] = at;
                at = moved;
            }
    }
    size_t n = pl_text_format(out, n_bytes, "%s", largest[0] ? "; the largest: " : "");
    for (int k = 0; k < N_HOLDERS_NAMED && largest[k] && n + 16 < n_bytes; k++)
        n += pl_text_format(out + n, n_bytes - n, "%s%s (%zu)", k > 0 ? ", " : "", pl_data_label(largest[k]), largest[k]->n_bytes);
}

parla_failure *pl_hopeless_failure(parla_runtime *rt, pl_placed *placed, int i_device)
{
    const pl_device *device = &rt->place.devices.list[i_device];
    size_t need = 0;
    char holders[512];
    for (size_t k = 0; k < placed->alternatives[placed->i_alternative].n; k++) {
        size_t n = member_of(placed, (int)k)->memory_bytes + pl_missing_bytes(placed, k, i_device);
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
