/* test_policy.c - what the built-in policies prefer. */
#include "sched/policy.h"
#include "test.h"

#include <parla/error.h>

static double cost(const char *name, parla_candidate candidate)
{
    const parla_policy *policy;
    T_OK(pl_policy_find(name, &policy));
    return policy->cost(policy->ctx, &candidate);
}

static const parla_candidate idle = {.i_device = 1, .n_devices = 3, .width = 1, .expected_ns = 1e5};

T_TEST(names)
{
    const parla_policy *policy;
    T_OK(pl_policy_find(NULL, &policy));
    T_EQ_STR(policy->name, "locality");
    T_TRUE(policy->is_patient);
    T_EQ(pl_policy_find("fastest", &policy), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "\"fastest\"");
    T_HAS_STR(parla_error_detail(), "round_robin");
}

T_TEST(locality_weighs_copies_against_the_queue)
{
    parla_candidate far = idle, busy = idle;
    far.missing_bytes = 1 << 20;
    far.link_bytes_per_s = 1e9; /* about 1 ms */
    busy.backlog_ns = 1e5;
    T_TRUE(cost("locality", idle) < cost("locality", busy));
    T_TRUE(cost("locality", busy) < cost("locality", far));
    busy.backlog_ns = 1e7;
    T_TRUE(cost("locality", far) < cost("locality", busy));
}

T_TEST(locality_takes_the_device_that_is_done_first)
{
    parla_candidate fast = idle, slow = idle, unsteady = idle;
    fast.backlog_ns = 3e5;
    slow.expected_ns = 5e5;
    T_TRUE(cost("locality", fast) < cost("locality", slow));
    unsteady.spread_ns = 5e4;
    T_TRUE(cost("locality", idle) < cost("locality", unsteady));
}

T_TEST(a_hint_weighs_as_much_as_one_task)
{
    static const char *const names[] = {"locality", "eager", "round_robin"};
    for (int i = 0; i < 3; i++) {
        parla_candidate preferred = idle, other = idle;
        preferred.has_hint = other.has_hint = preferred.is_preferred = true;
        T_TRUE(cost(names[i], preferred) < cost(names[i], other));
        T_TRUE(cost(names[i], preferred) == cost(names[i], idle));
        preferred.backlog_ns = 2e5;
        preferred.n_holders = 2;
        preferred.i_device = 2; /* one further on */
        T_EQ(cost(names[i], preferred) > cost(names[i], other), i < 2);
    }
}

T_TEST(eager_takes_the_least_loaded)
{
    parla_candidate loaded = idle;
    loaded.n_holders = 2;
    T_TRUE(cost("eager", idle) < cost("eager", loaded));
}

T_TEST(round_robin_goes_around)
{
    for (unsigned turn = 0; turn < 9; turn++)
        for (int i = 0; i < 3; i++) {
            parla_candidate candidate = {.i_device = i, .n_devices = 3, .width = 1, .turn = turn};
            T_EQ(cost("round_robin", candidate) == 0, (unsigned)i == turn % 3);
        }
}

static double least_number(void *ctx, const parla_candidate *candidate) { return (double)candidate->i_device * *(double *)ctx; }

T_TEST(a_program_brings_its_own)
{
    static double sign = -1;
    static const parla_policy own = {.size = sizeof own, .name = "highest", .ctx = &sign, .cost = least_number};
    parla_policy wrong = own;
    const parla_policy *found;
    T_EQ(pl_policy_find("highest", &found), PARLA_E_CONFIG);
    T_OK(parla_policy_register(&own));
    T_OK(pl_policy_find("highest", &found));
    T_EQ_PTR(found, &own);
    T_EQ(parla_policy_register(&own), PARLA_E_STATE);
    T_EQ(pl_policy_find("lowest", &found), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "locality, eager, round_robin and highest");
    wrong.name = "Two words";
    T_EQ(parla_policy_register(&wrong), PARLA_E_INVALID);
    wrong = (parla_policy){.size = sizeof wrong, .name = "empty"};
    T_EQ(parla_policy_register(&wrong), PARLA_E_INVALID);
    wrong.size = 3;
    T_EQ(parla_policy_register(&wrong), PARLA_E_INVALID);
    T_EQ(parla_policy_register(NULL), PARLA_E_INVALID);
}

T_TEST(every_verdict_has_words)
{
    for (int v = 0; v <= PARLA_VERDICT_FIXED; v++)
        T_NE(parla_verdict_text((parla_verdict)v)[0], '?');
    T_EQ_STR(parla_verdict_text((parla_verdict)(PARLA_VERDICT_FIXED + 1)), "?");
}
