/* policy.h - the policies by name; what they are is in <parla/policy.h>. */
#ifndef PL_SCHED_POLICY_H
#define PL_SCHED_POLICY_H

#include <parla/policy.h>

/* The policy with a name; NULL is "locality". The table stays good. Errors: PARLA_E_CONFIG, whose detail names all. */
PARLA_MUST_USE int pl_policy_find(const char *name, const parla_policy **out);

#endif
