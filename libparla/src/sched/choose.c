/* choose.c - which alternative and which devices a task gets: what fits, then what the policy finds cheapest.
 *
 * A patient policy may prefer a device that has no turn free to one that has: the task then waits, for a device that is busy will
 * have a turn again. It never waits for memory or shares while another device fits. Guarded by rt->place.lock. */
#include "sched/assign.h"
#include "sched/placed.h"
#include "sched/policy.h"

#include <math.h>
#include <string.h>

static const double vcu_tolerance = 1e-9;

/* Bytes of the arrays of a member that lie unpinned on a device: they stay when room is made for the task. */
static size_t own_idle_bytes(const pl_placed *placed, size_t member, int i_device)
{
    size_t n = 0;
    for (size_t i = 0; i < placed->n_uses; i++) {
        const pl_use *use = &placed->uses[i];
        if (!use->is_in_place && use->member == member && pl_data_instance(use->data, i_device)->is_listed)
            n += use->data->n_bytes;
    }
    return n;
}

static pl_fit fit_of(const pl_site *site, const pl_placed *placed, size_t k, uint64_t open)
{
    const pl_alternative *alternative = &placed->alternatives[placed->i_alternative];
    const pl_member *member = &placed->members[alternative->first + k];
    const pl_device *device = site->store.device;
    size_t free_bytes = pl_free_bytes(device);
    size_t need = member->memory_bytes + pl_missing_bytes(placed, k, device->index);
    bool has_room = need <= free_bytes || need - free_bytes <= site->store.idle_bytes - own_idle_bytes(placed, k, device->index);
    bool has_share = member->vcus <= device->free_vcus + vcu_tolerance;
    if (!has_room || !has_share)
        return pl_site_is_used(site) ? PL_NO_ROOM : PL_HOPELESS;
    if (!(open >> device->index & 1))
        return PL_NO_ROOM;                            /* kept for a task that has waited too long */
    bool needs_turn = k == 0 && !placed->is_transfer; /* the body runs on member 0 */
    return !needs_turn || site->n_handed < site->max_handed ? PL_FITS : PL_NO_TURN;
}

/* Bytes for each second of all links to a device together. */
static double measured_speed(const pl_devices *devices, int i_device)
{
    double n_bytes = 0, busy_ns = 0;
    for (int i = 0; i < devices->n; i++) {
        const pl_link *link = &devices->links[i * devices->n + i_device];
        n_bytes += (double)pl_load_relaxed(&link->n_bytes);
        busy_ns += (double)pl_load_relaxed(&link->busy_ns);
    }
    return busy_ns > 0 ? n_bytes / busy_ns * 1e9 : 0;
}

/* Bytes that have to be copied to a device for a member. */
static size_t bytes_to_move(const pl_placed *placed, size_t member, int i_device)
{
    size_t n = 0;
    for (size_t i = 0; i < placed->n_accesses; i++) {
        const pl_part *part = &placed->parts[i];
        if (part->use->is_in_place || part->use->member != member || !pl_needs_content(placed, part))
            continue;
        for (uint32_t k = 0; k < part->n_marks; k++) {
            pl_tile *top = part->marks[k].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
                if (leaf->coherence.valid && !pl_coherence_is_valid(leaf->coherence, i_device))
                    n += pl_data_tile_bytes(part->use->data, leaf);
        }
    }
    return n;
}

static double cost_of(parla_runtime *rt, const pl_placed *placed, size_t k, const pl_site *site)
{
    pl_device *device = site->store.device;
    uint64_t n_tasks = pl_load_relaxed(&device->n_tasks);
    pl_candidate candidate = {
        .i_device = device->index,
        .n_devices = rt->place.devices.n,
        .n_holders = site->n_holders,
        .width = pl_device_runs_bodies(device) ? device->n_queues : rt->n_workers,
        .mean_task_ns = n_tasks > 0 ? (double)pl_load_relaxed(&device->busy_ns) / (double)n_tasks : 0,
        .missing_bytes = bytes_to_move(placed, k, device->index),
        .link_bytes_per_s = measured_speed(&rt->place.devices, device->index),
        .turn = rt->place.turn,
    };
    return rt->place.policy->cost(&candidate);
}

/* Where most of the region of access 0 is: the task goes there. */
static uint64_t followed_device(const pl_placed *placed)
{
    size_t n_bytes[PL_MAX_DEVICES] = {0};
    const pl_part *part = &placed->parts[0];
    int most = 0;
    for (uint32_t k = 0; k < part->n_marks; k++) {
        pl_tile *top = part->marks[k].tile;
        for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
            for (uint64_t left = leaf->coherence.valid; left; left &= left - 1)
                n_bytes[__builtin_ctzll(left)] += pl_data_tile_bytes(part->use->data, leaf);
    }
    for (int i = 1; i < placed->rt->place.devices.n; i++)
        if (n_bytes[i] > n_bytes[most])
            most = i;
    return UINT64_C(1) << most;
}

static uint64_t devices_of(const pl_placed *placed, size_t k, uint64_t excluded)
{
    if (placed->is_resumed)
        return (UINT64_C(1) << placed->devices[k]) & ~excluded;
    uint64_t devices = placed->members[placed->alternatives[placed->i_alternative].first + k].devices & ~excluded;
    return placed->follows ? devices & followed_device(placed) : devices;
}

/* The answer for the alternative i_alternative. */
typedef struct offer {
    pl_fit fit;
    double cost;
    int devices[PL_ASSIGN_MAX];
} offer;

static offer single_offer(parla_runtime *rt, const pl_placed *placed, uint64_t open, uint64_t excluded)
{
    offer best = {.fit = PL_HOPELESS, .cost = INFINITY};
    for (uint64_t left = devices_of(placed, 0, excluded); left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        const pl_site *site = &rt->place.sites[i];
        pl_fit fit = fit_of(site, placed, 0, open);
        bool is_candidate = fit == PL_FITS || (fit == PL_NO_TURN && rt->place.policy->is_patient);
        bool best_is_candidate = best.cost < INFINITY;
        if (!is_candidate) {
            if (!best_is_candidate && fit < best.fit)
                best.fit = fit;
            continue;
        }
        double cost = cost_of(rt, placed, 0, site);
        if (cost < best.cost) {
            best.fit = fit;
            best.cost = cost;
            best.devices[0] = i;
        }
    }
    return best;
}

static offer gang_offer(parla_runtime *rt, const pl_placed *placed, uint64_t open, uint64_t excluded)
{
    offer result = {.fit = PL_HOPELESS, .cost = INFINITY};
    size_t n = placed->alternatives[placed->i_alternative].n;
    uint64_t candidates[PL_ASSIGN_MAX] = {0};
    double cost[PL_ASSIGN_MAX * PL_ASSIGN_MAX];
    bool is_hopeless = false;
    memset(cost, 0, n * PL_ASSIGN_MAX * sizeof cost[0]);
    for (size_t k = 0; k < n; k++) {
        bool some = false;
        for (uint64_t left = devices_of(placed, k, excluded); left; left &= left - 1) {
            int i = __builtin_ctzll(left);
            pl_fit fit = fit_of(&rt->place.sites[i], placed, k, open);
            some = some || fit != PL_HOPELESS;
            if (fit != PL_FITS)
                continue;
            candidates[k] |= UINT64_C(1) << i;
            cost[k * PL_ASSIGN_MAX + (size_t)i] = cost_of(rt, placed, k, &rt->place.sites[i]);
        }
        is_hopeless = is_hopeless || !some;
    }
    if (!pl_assign(candidates, cost, n, result.devices)) {
        result.fit = is_hopeless ? PL_HOPELESS : PL_NO_ROOM; /* a gang without a turn ages as one without room does */
        return result;
    }
    result.fit = PL_FITS;
    result.cost = 0;
    for (size_t k = 0; k < n; k++)
        result.cost += cost[k * PL_ASSIGN_MAX + (size_t)result.devices[k]];
    return result;
}

pl_fit pl_choose(parla_runtime *rt, pl_placed *placed, uint64_t open, uint64_t excluded)
{
    offer best = {.fit = PL_HOPELESS, .cost = INFINITY};
    size_t i_best = placed->i_alternative;
    size_t begin = placed->is_resumed ? i_best : 0, end = placed->is_resumed ? i_best + 1 : placed->n_alternatives;
    for (size_t i = begin; i < end; i++) {
        placed->i_alternative = i;
        offer now =
            placed->alternatives[i].n == 1 ? single_offer(rt, placed, open, excluded) : gang_offer(rt, placed, open, excluded);
        if (now.cost < best.cost || (best.cost == INFINITY && now.fit < best.fit)) {
            best = now;
            i_best = i;
        }
    }
    placed->i_alternative = i_best;
    if (best.fit != PL_FITS)
        return best.fit;
    placed->n_devices = (int)placed->alternatives[i_best].n;
    for (int k = 0; k < placed->n_devices; k++)
        placed->devices[k] = best.devices[k];
    return PL_FITS;
}
