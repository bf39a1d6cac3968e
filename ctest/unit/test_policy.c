/* test_policy.c - what the built-in policies prefer. */
#include "sched/policy.h"
#include "test.h"

#include <parla/error.h>

static double cost(const char *name, pl_candidate candidate)
{
    const pl_policy *policy;
    T_OK(pl_policy_find(name, &policy));
    return policy->cost(&candidate);
}

static const pl_candidate idle = {.i_device = 1, .n_devices = 3, .width = 1};

T_TEST(names)
{
    const pl_policy *policy;
    T_OK(pl_policy_find(NULL, &policy));
    T_EQ_STR(policy->name, "locality");
    T_TRUE(policy->is_patient);
    T_EQ(pl_policy_find("fastest", &policy), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "\"fastest\"");
    T_HAS_STR(parla_error_detail(), "round_robin");
}

T_TEST(locality_weighs_copies_against_the_queue)
{
    pl_candidate far = idle, busy = idle;
    far.missing_bytes = 1 << 20;
    far.link_bytes_per_s = 1e9; /* about 1 ms */
    busy.n_holders = 1;
    busy.mean_task_ns = 1e5;
    T_TRUE(cost("locality", idle) < cost("locality", busy));
    T_TRUE(cost("locality", busy) < cost("locality", far));
    busy.mean_task_ns = 1e7;
    T_TRUE(cost("locality", far) < cost("locality", busy));
}

T_TEST(locality_knows_how_wide_a_device_is)
{
    pl_candidate narrow = idle, wide = idle;
    narrow.n_holders = wide.n_holders = 4;
    wide.width = 8;
    T_TRUE(cost("locality", wide) < cost("locality", narrow));
}

T_TEST(eager_takes_the_least_loaded)
{
    pl_candidate loaded = idle;
    loaded.n_holders = 2;
    T_TRUE(cost("eager", idle) < cost("eager", loaded));
}

T_TEST(round_robin_goes_around)
{
    for (unsigned turn = 0; turn < 9; turn++)
        for (int i = 0; i < 3; i++) {
            pl_candidate candidate = {.i_device = i, .n_devices = 3, .width = 1, .turn = turn};
            T_EQ(cost("round_robin", candidate) == 0, (unsigned)i == turn % 3);
        }
}
