/* quota.h - how much CPU time the control groups of this process grant it, as a number of cores. */
#ifndef PL_SCHED_QUOTA_H
#define PL_SCHED_QUOTA_H

#include <parla/common.h>

/* The least quota of the process's group and the groups around it, rounded up to whole cores; 0: no quota, or none that can be read.
 * Reads proc/self/cgroup and sys/fs/cgroup below `root`, which is "" but in tests. */
int pl_quota_cores(const char *root);

#endif
