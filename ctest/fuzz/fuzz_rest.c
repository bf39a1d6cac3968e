/* fuzz_rest.c - who waits is not told that it waits in vain while somebody still works (sched/wait.c): small programs, so that many schedules
 * of the few steps that matter are seen. */
#include "conductor.h"
#include "test.h"

#include <parla/parla.h>

static uint64_t seed_of_scenario;

static int do_nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

/* Waits on its thread for a task of its own. */
static int wait_for_one(parla_context *context, void *arg)
{
    parla_task task;
    T_OK(parla_spawn(parla_context_runtime(context), &task, do_nothing, arg, NULL, 0));
    T_OK(parla_task_wait(parla_context_runtime(context), &task, 1, PARLA_FOREVER));
    return 0;
}

static void scenario(void)
{
    t_rng rng = {seed_of_scenario};
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1 + (int)t_below(&rng, 2);
    T_OK(parla_runtime_create(&rt, &options));
    for (int round = 0; round < 4; round++) {
        parla_task task = PARLA_TASK_NONE;
        for (uint64_t n = 1 + t_below(&rng, 3); n > 0; n--)
            T_OK(parla_spawn(rt, &task, t_below(&rng, 3) ? do_nothing : wait_for_one, NULL, &task, t_below(&rng, 2)));
        if (t_below(&rng, 2))
            T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    }
    parla_runtime_destroy(rt);
}

T_TEST_TIMEOUT(nobody_waits_in_vain, 120)
{
    uint64_t n = t_scale(3000);
    for (uint64_t i = 0; i < n; i++) {
        seed_of_scenario = t_seed() * 100000 + i;
        cd_perturb(seed_of_scenario, scenario);
    }
    t_count(n, "schedule seeds");
}
