/* topology.c - asks hwloc what the machine looks like; the one source that knows hwloc.
 *
 * The machine is explored once in a process, at the first runtime's start, and kept as a plain list of hardware threads: exploring takes
 * milliseconds. What the process may use can change, so each start asks for its affinity mask anew and picks from the list.
 *
 * Where hwloc cannot tell, each hardware thread counts as a core, all as far apart. */
#include "sched/topology.h"

#include "base/error.h"
#include "base/lock.h"
#include "sched/quota.h"

#include <hwloc.h>
#include <parla/error.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MASK_CPUS = 1 << 16 };

/* The machine: its hardware threads, those of a core side by side. */
static struct {
    pl_lock lock;
    pl_core *threads; /* never freed */
    int n_threads;
    bool is_this;
} machine = {.lock = PL_LOCK_INIT(NULL)};

/* --- Exploring ------------------------------------------------------------------------------------------------------------------ */

/* The number of the object around `thread`, or of the whole machine if there is none. */
static int around(hwloc_topology_t topology, hwloc_obj_t thread, hwloc_obj_type_t type)
{
    hwloc_obj_t object = hwloc_get_ancestor_obj_by_type(topology, type, thread);
    return object ? (int)object->logical_index : 0;
}

/* The memory that is the thread's alone, as far as any is: the node with the fewest threads. */
static int numa_of(hwloc_topology_t topology, hwloc_obj_t thread)
{
    int nearest = 0, least = 0;
    hwloc_obj_t node = NULL;
    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != NULL) {
        int n_threads = hwloc_bitmap_weight(node->cpuset);
        if (!hwloc_bitmap_isset(node->cpuset, thread->os_index) || (least > 0 && n_threads >= least))
            continue;
        nearest = (int)node->logical_index;
        least = n_threads;
    }
    return nearest;
}

static int explore(hwloc_topology_t topology)
{
    int n = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    machine.threads = n > 0 ? calloc((size_t)n, sizeof *machine.threads) : NULL;
    if (!machine.threads)
        return n > 0 ? PARLA_E_NOMEM : 0;
    for (int i = 0; i < n; i++) {
        hwloc_obj_t thread = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, (unsigned)i);
        machine.threads[i] = (pl_core){.os_index = (int)thread->os_index,
                                       .core = around(topology, thread, HWLOC_OBJ_CORE),
                                       .cache = around(topology, thread, HWLOC_OBJ_L3CACHE),
                                       .numa = numa_of(topology, thread),
                                       .package = around(topology, thread, HWLOC_OBJ_PACKAGE)};
        if (!hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, thread))
            machine.threads[i].core = i;
        if (!hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_L3CACHE, thread))
            machine.threads[i].cache = machine.threads[i].numa; /* cores without a common cache: those of a node */
    }
    machine.n_threads = n;
    machine.is_this = hwloc_topology_is_thissystem(topology);
    return 0;
}

static int load_machine(void)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology))
        return 0;
    /* Devices, caches within cores and the like are not looked for; what the process may not use is, for its mask may grow again. */
    hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_L3CACHE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE); /* memory may hang there */
    int rc = hwloc_topology_load(topology) ? 0 : explore(topology);
    hwloc_topology_destroy(topology);
    return rc;
}

/* --- What may be used ----------------------------------------------------------------------------------------------------------- */

/* The calling thread's mask, malloc'ed; NULL: unknown. */
static cpu_set_t *own_mask(size_t *out_bytes)
{
    for (size_t n = CPU_SETSIZE; n <= MAX_MASK_CPUS; n *= 2) {
        cpu_set_t *mask = CPU_ALLOC(n);
        *out_bytes = CPU_ALLOC_SIZE(n);
        if (mask && sched_getaffinity(0, *out_bytes, mask) == 0)
            return mask;
        CPU_FREE(mask);
    }
    return NULL;
}

static bool may_use(const cpu_set_t *mask, size_t n_bytes, int cpu)
{
    return !mask || ((size_t)cpu < 8 * n_bytes && CPU_ISSET_S((size_t)cpu, n_bytes, mask));
}

/* One core for each that has a thread in the mask, in the machine's order. */
static void pick_cores(pl_topology *out, const cpu_set_t *mask, size_t n_bytes)
{
    for (int i = 0; i < machine.n_threads; i++) {
        const pl_core *thread = &machine.threads[i];
        bool is_further_thread = out->n_cores > 0 && out->cores[out->n_cores - 1].core == thread->core;
        if (may_use(mask, n_bytes, thread->os_index) && !is_further_thread)
            out->cores[out->n_cores++] = *thread;
    }
}

/* Cores that hwloc does not know, for example because their part of /sys is hidden. */
static int pick_from_mask(pl_topology *out, const cpu_set_t *mask, size_t n_bytes)
{
    int n = mask ? CPU_COUNT_S(n_bytes, mask) : 1;
    pl_core *cores = realloc(out->cores, (size_t)n * sizeof *cores);
    if (!cores)
        return PARLA_E_NOMEM;
    out->cores = cores;
    for (int cpu = 0; out->n_cores < n; cpu++)
        if (may_use(mask, n_bytes, cpu)) {
            out->cores[out->n_cores] = (pl_core){.os_index = cpu, .core = out->n_cores};
            out->n_cores++;
        }
    return 0;
}

static int pick(pl_topology *out)
{
    size_t n_bytes = 0;
    cpu_set_t *mask = out->is_this_machine ? own_mask(&n_bytes) : NULL;
    int rc = 0;
    out->cores = calloc((size_t)machine.n_threads + 1, sizeof *out->cores);
    if (!out->cores)
        rc = PARLA_E_NOMEM;
    else
        pick_cores(out, mask, n_bytes);
    if (rc == 0 && out->n_cores == 0)
        rc = pick_from_mask(out, mask, n_bytes);
    out->mask = mask;
    out->mask_bytes = n_bytes;
    return rc;
}

int pl_topology_load(pl_topology *out)
{
    pl_topology topology = {0};
    pl_lock_take(&machine.lock);
    int rc = machine.threads ? 0 : load_machine();
    topology.is_this_machine = machine.is_this || !machine.threads;
    if (rc == 0)
        rc = pick(&topology);
    pl_lock_give(&machine.lock);
    if (rc < 0) {
        pl_topology_free(&topology);
        return pl_error_set(rc, "no memory for the cores of this machine");
    }
    int quota = topology.is_this_machine ? pl_quota_cores("") : 0;
    topology.n_usable = quota > 0 && quota < topology.n_cores ? quota : topology.n_cores;
    *out = topology;
    return 0;
}

void pl_topology_free(pl_topology *topology)
{
    free(topology->cores);
    CPU_FREE(topology->mask);
    *topology = (pl_topology){0};
}

/* --- Distances ------------------------------------------------------------------------------------------------------------------ */

int pl_core_distance(const pl_core *a, const pl_core *b)
{
    if (a->core == b->core)
        return 0;
    if (a->numa == b->numa)
        return a->cache == b->cache ? 1 : 2;
    return a->package == b->package ? 3 : 4;
}

void pl_topology_steal_order(const pl_topology *topology, int i, int n, uint16_t *out, int out_end[PL_MAX_DISTANCE + 1])
{
    const pl_core *own = &topology->cores[i % topology->n_cores];
    int n_found = 0;
    for (int distance = 0; distance <= PL_MAX_DISTANCE; distance++) {
        for (int step = 1; step < n; step++) {
            int k = (i + step) % n;
            if (pl_core_distance(own, &topology->cores[k % topology->n_cores]) == distance)
                out[n_found++] = (uint16_t)k;
        }
        out_end[distance] = n_found;
    }
}
