/* assign.h - distinct devices for the members of a gang: a bipartite matching. Pure functions. */
#ifndef PL_SCHED_ASSIGN_H
#define PL_SCHED_ASSIGN_H

#include <parla/common.h>

enum { PL_ASSIGN_MAX = 64 };

/* Gives each of n members (at most PL_ASSIGN_MAX) a device of its own out of candidates[member], and tells whether that is
 * possible. Each takes, in turn, the device with the least cost[member * PL_ASSIGN_MAX + i_device] that leaves one for those before
 * it; without costs, the first. `out` is set only on success. */
bool pl_assign(const uint64_t *candidates, const double *cost, size_t n, int *out);

#endif
