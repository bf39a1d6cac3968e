/* aim.c - for which device queued tasks wait. The rules are in aim.h. */
#include "sched/aim.h"

#include "base/break.h"
#include "sched/ready.h"

#include <math.h>

/* So much more than its share of what is queued may a device have before that counts against it. Less of it spreads tasks away from what
 * they read, more of it leaves devices idle at the end. */
static const double slack = 0.25;

/* Decides between devices that cost the same: the one that has less before it. */
static const double tie = 1e-6;

/* Who has no choice needs none. */
static bool has_aim(const parla_runtime *rt, const pl_placed *placed)
{
    uint64_t devices = placed->bucket->devices;
    return (devices & (devices - 1)) != 0 && rt->place.policy->is_patient && !placed->is_resumed && !placed->is_transfer &&
           placed->n_alternatives == 1 && placed->alternatives[0].n == 1;
}

static void mark_content(const pl_placed *placed, int i_device)
{
    for (size_t i = 0; i < placed->n_accesses; i++) {
        const pl_part *part = &placed->parts[i];
        for (uint32_t k = 0; !part->use->is_in_place && k < part->n_marks; k++) {
            pl_tile *top = part->marks[k].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top))
                leaf->aimed |= UINT64_C(1) << i_device;
        }
    }
}

static double waiting_ns(const pl_site *site) { return site->backlog_ns + site->aimed_ns; }

void pl_aim(parla_runtime *rt, pl_placed *placed)
{
    placed->aim = -1;
    if (!has_aim(rt, placed))
        return;
    uint64_t devices = pl_devices_of(placed, 0);
    double total_ns = 0, least = INFINITY;
    int i_best = __builtin_ctzll(devices), n = __builtin_popcountll(devices);
    for (uint64_t left = devices; left; left &= left - 1)
        total_ns += waiting_ns(&rt->place.sites[__builtin_ctzll(left)]);
    for (uint64_t left = devices; left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        const pl_site *site = &rt->place.sites[i];
        double own_ns = pl_expectation_of(rt, placed, i).median_ns;
        double over_ns = waiting_ns(site) + own_ns - (total_ns + own_ns) / n * (1 + slack);
        double cost = pl_cost_of(rt, placed, 0, site, over_ns > 0 ? over_ns : 0, true) + waiting_ns(site) * tie;
        if (cost < least) {
            least = cost;
            i_best = i;
        }
    }
    pl_aim_at(rt, placed, i_best);
}

void pl_aim_at(parla_runtime *rt, pl_placed *placed, int i_device)
{
    if (placed->aim == i_device)
        return;
    pl_aim_drop(rt, placed);
    placed->aim = i_device;
    placed->aim_ns = pl_expectation_of(rt, placed, i_device).median_ns;
    rt->place.sites[i_device].aimed_ns += placed->aim_ns;
    rt->place.n_aiming++;
    mark_content(placed, i_device);
}

void pl_aim_drop(parla_runtime *rt, pl_placed *placed)
{
    if (placed->aim < 0 || pl_is_broken(PL_BREAK_AIM))
        return;
    rt->place.sites[placed->aim].aimed_ns -= placed->aim_ns;
    placed->aim = -1;
    if (--rt->place.n_aiming > 0)
        return;
    for (int i = 0; i < rt->place.devices.n; i++)
        rt->place.sites[i].aimed_ns = 0; /* sums are not exact */
}

void pl_aim_anew(parla_runtime *rt)
{
    for (pl_bucket *bucket = rt->place.buckets; bucket; bucket = bucket->next)
        for (pl_placed *placed = bucket->fresh.first; placed; placed = placed->next)
            pl_aim_drop(rt, placed);
    for (pl_bucket *bucket = rt->place.buckets; bucket; bucket = bucket->next)
        for (pl_placed *placed = bucket->fresh.first; placed; placed = placed->next)
            pl_aim(rt, placed);
}

void pl_aim_rewind(pl_place *place)
{
    for (int i = 0; i < place->devices.n; i++)
        place->sites[i].passed_ns = 0;
}

void pl_aim_pass(pl_place *place, const pl_placed *placed)
{
    if (placed->aim >= 0)
        place->sites[placed->aim].passed_ns += placed->aim_ns;
}

double pl_aim_ahead_ns(const pl_placed *placed, const pl_site *site)
{
    return placed->aim == site->store.device->index ? site->passed_ns : site->aimed_ns;
}
