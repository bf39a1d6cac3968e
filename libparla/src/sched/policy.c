/* policy.c - the built-in policies, and the registry of a program's own, one for the process.
 *
 *   locality      backlog + copies + the task's own time, with the spread of its runs on top: the completion, in ns, that it can count on
 *   eager         tasks per place to run
 *   round_robin   how far the device is from the one whose turn it is
 *
 * A hint weighs as much as one task: locality reckons another run of the task's own length to a device that is not preferred, eager one more
 * task, round_robin one more round.
 *
 * Policies are only ever added, and a table is constant, so a pointer that was found stays good without a lock. One mutex guards the list
 * itself; nothing is called while it is held. */
#include "sched/policy.h"

#include "base/error.h"
#include "base/lock.h"
#include "base/text.h"
#include "device/links.h"

#include <string.h>

enum { MAX_POLICIES = 32 };

static bool is_second_choice(const parla_candidate *c) { return c->has_hint && !c->is_preferred; }

static double locality_cost(void *ctx, const parla_candidate *c)
{
    (void)ctx;
    double bytes_per_s = c->link_bytes_per_s > 0 ? c->link_bytes_per_s : PL_LINK_GUESSED_BYTES_PER_S;
    double latency_ns = c->link_latency_ns > 0 ? c->link_latency_ns : PL_LINK_GUESSED_LATENCY_NS;
    double copy_ns = c->missing_bytes > 0 ? latency_ns + (double)c->missing_bytes / bytes_per_s * 1e9 : 0;
    double own_ns = c->expected_ns + c->spread_ns;
    return c->backlog_ns + copy_ns + own_ns + (is_second_choice(c) ? own_ns : 0);
}

static double eager_cost(void *ctx, const parla_candidate *c)
{
    (void)ctx;
    return (double)(c->n_holders + is_second_choice(c)) / (double)c->width;
}

static double round_robin_cost(void *ctx, const parla_candidate *c)
{
    (void)ctx;
    unsigned n = (unsigned)c->n_devices;
    return (double)(((unsigned)c->i_device + n - c->turn % n) % n + (is_second_choice(c) ? n : 0));
}

static const parla_policy locality = {.size = sizeof(parla_policy), .name = "locality", .cost = locality_cost, .is_patient = true};
static const parla_policy eager = {.size = sizeof(parla_policy), .name = "eager", .cost = eager_cost};
static const parla_policy round_robin = {.size = sizeof(parla_policy), .name = "round_robin", .cost = round_robin_cost};

static pl_lock lock = PL_LOCK_INIT(NULL);
static const parla_policy *policies[MAX_POLICIES] = {&locality, &eager, &round_robin};
static int n_policies = 3;

static const parla_policy *find_locked(const char *name)
{
    for (int i = 0; i < n_policies; i++)
        if (strcmp(policies[i]->name, name) == 0)
            return policies[i];
    return NULL;
}

static int unknown_locked(const char *name)
{
    char names[512];
    size_t n = 0;
    for (int i = 0; i < n_policies && n + 8 < sizeof names; i++)
        n += pl_text_format(names + n, sizeof names - n, "%s%s",
                            i == 0                ? ""
                            : i == n_policies - 1 ? " and "
                                                  : ", ",
                            policies[i]->name);
    return pl_error_set(PARLA_E_CONFIG, "there is no policy \"%s\"; there are %s", name, names);
}

int pl_policy_find(const char *name, const parla_policy **out)
{
    pl_lock_take(&lock);
    const parla_policy *found = find_locked(name ? name : "locality");
    int rc = found ? 0 : unknown_locked(name);
    pl_lock_give(&lock);
    if (found)
        *out = found;
    return rc;
}

static bool is_word(const char *name)
{
    return name && name[0] && strlen(name) < 32 && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int add_locked(const parla_policy *policy)
{
    if (find_locked(policy->name))
        return pl_error_set(PARLA_E_STATE, "a policy \"%s\" exists already", policy->name);
    if (n_policies == MAX_POLICIES)
        return pl_error_set(PARLA_E_STATE, "no more than %d policies can be registered", MAX_POLICIES);
    policies[n_policies++] = policy;
    return 0;
}

int parla_policy_register(const parla_policy *policy)
{
    if (!policy || policy->size != sizeof *policy)
        return pl_error_set(PARLA_E_INVALID, "parla_policy.size is %zu, expected %zu", policy ? policy->size : 0, sizeof *policy);
    if (!is_word(policy->name))
        return pl_error_set(PARLA_E_INVALID,
                            "the policy's name is \"%s\"; it must be a word of at most 31 lower-case letters, digits and _",
                            policy->name ? policy->name : "");
    if (!policy->cost)
        return pl_error_set(PARLA_E_INVALID, "policy \"%s\" has no cost function", policy->name);
    pl_lock_take(&lock);
    int rc = add_locked(policy);
    pl_lock_give(&lock);
    return rc;
}

const char *parla_verdict_text(parla_verdict verdict)
{
    static const char *const texts[] = {"chosen",
                                        "fits, but another one costs less",
                                        "busy",
                                        "not enough memory free now",
                                        "its share is not free now",
                                        "kept for a task that has waited too long",
                                        "cannot be met there",
                                        "a resumed task stays where it was"};
    return (unsigned)verdict < sizeof texts / sizeof texts[0] ? texts[verdict] : "?";
}
