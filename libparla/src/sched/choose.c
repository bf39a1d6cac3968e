/* choose.c - which alternative and which devices a task gets: what fits, then what the policy finds cheapest.
 *
 * A patient policy may prefer a device that has no turn free to one that has: the task then waits, for a device that is busy will
 * have a turn again (aim.c). It never waits for memory or shares while another device fits. Guarded by rt->place.lock. */
#include "device/links.h"
#include "sched/aim.h"
#include "sched/assign.h"
#include "sched/policy.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double vcu_tolerance = 1e-9;

/* Stands in for the time of a task until one has run. */
static const double guessed_task_ns = 20e3;

/* --- What fits ---------------------------------------------------------------------------------------------------------------- */

typedef struct finding {
    pl_fit fit;
    parla_verdict verdict;
} finding;

static finding fit_of(const pl_site *site, const pl_placed *placed, size_t k, uint64_t open)
{
    const pl_alternative *alternative = &placed->alternatives[placed->i_alternative];
    const pl_member *member = &placed->members[alternative->first + k];
    const pl_device *device = site->store.device;
    bool grows = pl_site_is_used(site) || pl_lease_is_going(device->lease); /* asked before what is free */
    size_t free_bytes = pl_free_bytes(device);
    pl_need of_arrays = pl_need_of(placed, k, device->index);
    size_t need = member->memory_bytes + of_arrays.missing_bytes;
    bool has_room = need <= free_bytes || need - free_bytes <= site->store.idle_bytes - of_arrays.idle_bytes;
    bool has_share = member->vcus <= device->free_vcus + vcu_tolerance;
    if ((!has_room || !has_share) && !grows)
        return (finding){PL_HOPELESS, PARLA_VERDICT_HOPELESS};
    if (!has_room || !has_share)
        return (finding){PL_NO_ROOM, has_room ? PARLA_VERDICT_NO_SHARE : PARLA_VERDICT_NO_MEMORY};
    if (!(open >> device->index & 1))
        return (finding){PL_NO_ROOM, PARLA_VERDICT_KEPT};
    bool needs_turn = k == 0 && !placed->is_transfer; /* the body runs on member 0 */
    if (needs_turn && site->n_handed >= site->max_handed)
        return (finding){PL_NO_TURN, PARLA_VERDICT_BUSY};
    if (needs_turn && site->n_handed >= site->n_at_once && need > free_bytes)
        return (finding){PL_NOT_AHEAD, PARLA_VERDICT_NO_MEMORY}; /* nothing is evicted for what could still wait */
    return (finding){PL_FITS, PARLA_VERDICT_COSTS_MORE};         /* until it is chosen */
}

/* --- What it costs ------------------------------------------------------------------------------------------------------------ */

/* Bytes that have to be copied to a device for a member. What is on its way there is not; nor, with_aims, what queued tasks want there. */
static size_t bytes_to_move(const pl_placed *placed, size_t member, int i_device, bool with_aims)
{
    size_t n = 0;
    for (size_t i = 0; i < placed->n_accesses; i++) {
        const pl_part *part = &placed->parts[i];
        if (part->use->is_in_place || part->use->member != member || !pl_needs_content(placed, part))
            continue;
        for (uint32_t k = 0; k < part->n_marks; k++) {
            pl_tile *top = part->marks[k].tile;
            for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
                uint64_t holders = leaf->coherence.valid | leaf->coherence.arriving | (with_aims ? leaf->aimed : 0);
                if (leaf->coherence.valid && !(holders >> i_device & 1))
                    n += pl_data_tile_bytes(part->use->data, leaf);
            }
        }
    }
    return n;
}

static double mean_task_ns(pl_device *device)
{
    uint64_t n_tasks = pl_load_relaxed(&device->n_tasks);
    return n_tasks > 0 ? (double)pl_load_relaxed(&device->busy_ns) / (double)n_tasks : guessed_task_ns;
}

/* Without a run of the kernel there, what it took elsewhere at best: then the queues and the copies decide, and the device is tried once
 * others are busy. Without a run anywhere, what tasks take there on average. */
pl_expectation pl_expectation_of(parla_runtime *rt, const pl_placed *placed, int i_device)
{
    pl_expectation here = pl_history_find(&rt->place.history, placed->kernel, i_device, placed->n_bytes);
    if (here.n_runs > 0)
        return here;
    for (int i = 0; i < rt->place.devices.n; i++) {
        pl_expectation there = pl_history_find(&rt->place.history, placed->kernel, i, placed->n_bytes);
        if (there.n_runs > 0 && (here.median_ns == 0 || there.median_ns < here.median_ns))
            here.median_ns = there.median_ns;
    }
    if (here.median_ns == 0)
        here.median_ns = mean_task_ns(&rt->place.devices.list[i_device]);
    return here;
}

double pl_cost_of(parla_runtime *rt, const pl_placed *placed, size_t k, const pl_site *site, double backlog_ns, bool with_aims)
{
    pl_device *device = site->store.device;
    pl_expectation expected = pl_expectation_of(rt, placed, device->index);
    pl_link_speed speed = pl_links_speed_to(&rt->place.devices, device->index);
    int width = pl_device_runs_bodies(device) ? device->n_queues : rt->n_workers;
    parla_candidate candidate = {
        .i_device = device->index,
        .n_devices = rt->place.devices.n,
        .n_holders = site->n_holders,
        .width = width,
        .backlog_ns = backlog_ns / width,
        .expected_ns = expected.median_ns,
        .spread_ns = expected.deviation_ns,
        .n_runs = expected.n_runs,
        .missing_bytes = bytes_to_move(placed, k, device->index, with_aims),
        .link_bytes_per_s = speed.bytes_per_s,
        .link_latency_ns = speed.latency_ns,
        .has_hint = placed->prefer != 0,
        .is_preferred = placed->prefer >> device->index & 1,
        .turn = rt->place.turn,
    };
    double cost = rt->place.policy->cost(rt->place.policy->ctx, &candidate);
    return cost < DBL_MAX ? cost : DBL_MAX; /* also what is no number: a policy cannot keep a task from running */
}

/* --- Candidates --------------------------------------------------------------------------------------------------------------- */

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

/* The devices that member k may have. */
uint64_t pl_devices_of(const pl_placed *placed, size_t k)
{
    if (placed->is_resumed)
        return UINT64_C(1) << placed->devices[k];
    uint64_t devices = placed->members[placed->alternatives[placed->i_alternative].first + k].devices;
    uint64_t followed = placed->follows ? devices & followed_device(placed) : 0;
    return followed ? followed : devices; /* where most of the region is, all of it may have no room */
}

/* What is asked of each candidate, besides the task. */
typedef struct question {
    uint64_t open, excluded, asked;
} question;

/* Looks at a device for member k, and keeps what was found for parla_task_explain. The policy is asked only where the answer counts. */
static pl_fit judge(parla_runtime *rt, pl_placed *placed, size_t k, int i_device, const question *q, bool busy_counts,
                    double *out_cost)
{
    const pl_site *site = &rt->place.sites[i_device];
    finding found = {PL_HOPELESS, PARLA_VERDICT_HOPELESS};
    if (!(q->excluded >> i_device & 1))
        found = fit_of(site, placed, k, q->open);
    pl_judged *judged = &placed->judged[placed->n_judged++];
    *judged = (pl_judged){.i_alternative = (uint16_t)placed->i_alternative,
                          .member = (uint8_t)k,
                          .i_device = (uint8_t)i_device,
                          .verdict = (uint8_t)found.verdict};
    if (found.fit == PL_FITS || ((found.fit == PL_NO_TURN || found.fit == PL_NOT_AHEAD) && busy_counts)) {
        *out_cost = pl_cost_of(rt, placed, k, site, site->backlog_ns + pl_aim_ahead_ns(placed, site), false);
        judged->was_asked = true;
        judged->cost = (float)*out_cost;
    }
    return found.fit;
}

/* The answer for the alternative i_alternative. */
typedef struct offer {
    pl_fit fit;
    double cost;
    int devices[PL_ASSIGN_MAX];
} offer;

static offer single_offer(parla_runtime *rt, pl_placed *placed, const question *q)
{
    offer best = {.fit = PL_HOPELESS, .cost = INFINITY};
    for (uint64_t left = pl_devices_of(placed, 0); left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        double cost = INFINITY;
        pl_fit fit = judge(rt, placed, 0, i, q, rt->place.policy->is_patient, &cost);
        if (!(q->asked >> i & 1))
            continue; /* looked at for parla_task_explain only */
        if (cost < best.cost) {
            best.fit = fit;
            best.cost = cost;
            best.devices[0] = i;
        } else if (best.cost == INFINITY && fit < best.fit) {
            best.fit = fit;
        }
    }
    return best;
}

static offer gang_offer(parla_runtime *rt, pl_placed *placed, const question *q)
{
    offer result = {.fit = PL_HOPELESS, .cost = INFINITY};
    size_t n = placed->alternatives[placed->i_alternative].n;
    uint64_t candidates[PL_ASSIGN_MAX] = {0};
    double cost[PL_ASSIGN_MAX * PL_ASSIGN_MAX];
    bool is_hopeless = false;
    memset(cost, 0, n * PL_ASSIGN_MAX * sizeof cost[0]);
    for (size_t k = 0; k < n; k++) {
        bool some = false;
        for (uint64_t left = pl_devices_of(placed, k); left; left &= left - 1) {
            int i = __builtin_ctzll(left);
            pl_fit fit = judge(rt, placed, k, i, q, false, &cost[k * PL_ASSIGN_MAX + (size_t)i]);
            some = some || fit != PL_HOPELESS;
            if (fit == PL_FITS)
                candidates[k] |= UINT64_C(1) << i;
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

static void take(parla_runtime *rt, pl_placed *placed, const offer *best)
{
    placed->n_devices = (int)placed->alternatives[placed->i_alternative].n;
    for (int k = 0; k < placed->n_devices; k++)
        placed->devices[k] = best->devices[k];
    pl_expectation expected = pl_expectation_of(rt, placed, placed->devices[0]);
    placed->expected_ns = expected.median_ns + expected.deviation_ns;
    for (size_t i = 0; i < placed->n_judged; i++) {
        pl_judged *judged = &placed->judged[i];
        if (judged->i_alternative == placed->i_alternative && judged->i_device == placed->devices[judged->member])
            judged->verdict = placed->is_resumed ? PARLA_VERDICT_FIXED : PARLA_VERDICT_CHOSEN;
    }
}

pl_fit pl_choose(parla_runtime *rt, pl_placed *placed, uint64_t open, uint64_t excluded, uint64_t asked)
{
    const question q = {open, excluded, asked};
    offer best = {.fit = PL_HOPELESS, .cost = INFINITY};
    size_t i_best = placed->i_alternative;
    size_t begin = placed->is_resumed ? i_best : 0, end = placed->is_resumed ? i_best + 1 : placed->n_alternatives;
    placed->n_judged = 0;
    for (size_t i = begin; i < end; i++) {
        placed->i_alternative = i;
        offer now = placed->alternatives[i].n == 1 ? single_offer(rt, placed, &q) : gang_offer(rt, placed, &q);
        if (now.cost < best.cost || (best.cost == INFINITY && now.fit < best.fit)) {
            best = now;
            i_best = i;
        }
    }
    placed->i_alternative = i_best;
    if (best.fit == PL_FITS)
        take(rt, placed, &best);
    else if (best.cost < INFINITY && placed->aim >= 0)
        pl_aim_at(rt, placed, best.devices[0]); /* where it waits for a turn */
    return best.fit;
}
