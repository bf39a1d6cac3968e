/* topology.h - the cores that this process may use, and how far apart they are. */
#ifndef PL_SCHED_TOPOLOGY_H
#define PL_SCHED_TOPOLOGY_H

#include <parla/common.h>
#include <sched.h>

/* A core: where it is in the machine. Numbers are the library's own, counted through the machine, so equal ones mean the same thing. */
typedef struct pl_core {
    int os_index; /* the operating system's number of its first hardware thread that may be used */
    int core, cache, numa, package;
} pl_core;

typedef struct pl_topology {
    pl_core *cores; /* that may be used, neighbours side by side */
    int n_cores;
    int n_usable;         /* how many of them the quota of CPU time feeds */
    bool is_this_machine; /* false: recorded or made up (HWLOC_XMLFILE, HWLOC_SYNTHETIC), nothing can be bound to it */
    cpu_set_t *mask;      /* of the thread that asked, for threads that are not bound to one core; NULL: unknown */
    size_t mask_bytes;
} pl_topology;

/* The cores in the calling thread's affinity mask: what a launcher, a control group or the program has left to it. Of a topology that is
 * not this machine's, all. The machine is explored once in a process.
 * Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_topology_load(pl_topology *out);
void pl_topology_free(pl_topology *topology);

/* How far apart: 0 the same core, 1 the same last-level cache, 2 the same NUMA node, 3 the same package, 4 else. */
enum { PL_MAX_DISTANCE = 4 };
int pl_core_distance(const pl_core *a, const pl_core *b);

/* From whom worker `i` of n steals first: writes the others, nearest first, those as near in order after i, so that neighbours do not all
 * begin with the same one. Worker k is on cores[k % n_cores]. out_end[d]: how many are at distance d or nearer. */
void pl_topology_steal_order(const pl_topology *topology, int i, int n, uint16_t *out, int out_end[PL_MAX_DISTANCE + 1]);

#endif
