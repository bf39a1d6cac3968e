/* policy.h - how to choose among the devices that could take a task: a small table of functions for each policy.
 *
 * A policy sees one candidate at a time and answers with a cost; the least one is taken, the first among equals. Pure functions. */
#ifndef PL_SCHED_POLICY_H
#define PL_SCHED_POLICY_H

#include <parla/common.h>

/* One device that could take a task. */
typedef struct pl_candidate {
    int i_device;
    int n_devices;           /* in the runtime */
    int n_holders;           /* tasks that have it already, or have been promised to it */
    int width;               /* how many of them run at once: workers or queues */
    double mean_task_ns;     /* how long a task took there so far; 0: none ran yet */
    size_t missing_bytes;    /* to be copied there first */
    double link_bytes_per_s; /* as measured on the links to it; 0: nothing was copied yet */
    unsigned turn;           /* the device whose turn it is */
} pl_candidate;

typedef struct pl_policy {
    const char *name;
    double (*cost)(const pl_candidate *candidate);
    bool is_patient; /* waits for a busy device that costs less than a free one */
} pl_policy;

/* The policy with a name; NULL is "locality". Errors: PARLA_E_CONFIG, whose detail names all. */
PARLA_MUST_USE int pl_policy_find(const char *name, const pl_policy **out);

#endif
