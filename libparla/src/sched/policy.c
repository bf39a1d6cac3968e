/* policy.c - the built-in policies.
 *
 *   locality      what is there already, the copies, and the time that the queue before it takes: the earliest start, in ns
 *   eager         the least loaded device
 *   round_robin   one after the other */
#include "sched/policy.h"

#include "base/error.h"

#include <string.h>

/* Stand in until something was measured: a task of 20 µs, a link of 10 GB/s with 10 µs to set up a copy. */
static const double guessed_task_ns = 20e3, guessed_bytes_per_s = 10e9, copy_latency_ns = 10e3;

static double locality_cost(const pl_candidate *c)
{
    double task_ns = c->mean_task_ns > 0 ? c->mean_task_ns : guessed_task_ns;
    double bytes_per_s = c->link_bytes_per_s > 0 ? c->link_bytes_per_s : guessed_bytes_per_s;
    double copy_ns = c->missing_bytes > 0 ? copy_latency_ns + (double)c->missing_bytes / bytes_per_s * 1e9 : 0;
    return copy_ns + task_ns * (double)c->n_holders / (double)c->width;
}

static double eager_cost(const pl_candidate *c) { return (double)c->n_holders / (double)c->width; }

static double round_robin_cost(const pl_candidate *c)
{
    unsigned n = (unsigned)c->n_devices;
    return (double)(((unsigned)c->i_device + n - c->turn % n) % n);
}

static const pl_policy policies[] = {
    {.name = "locality", .cost = locality_cost, .is_patient = true},
    {.name = "eager", .cost = eager_cost},
    {.name = "round_robin", .cost = round_robin_cost},
};

int pl_policy_find(const char *name, const pl_policy **out)
{
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (!name || strcmp(name, policies[i].name) == 0) {
            *out = &policies[i];
            return 0;
        }
    }
    return pl_error_set(PARLA_E_CONFIG, "there is no policy \"%s\"; there are locality, eager and round_robin", name);
}
