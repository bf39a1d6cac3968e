/* fuzz_window.c - a thread beyond the window takes no body that waits for what it spawns next: the body would lie on top of it for ever, and
 * be told that it is stuck, or not even that. */
#include "conductor.h"
#include "seeds.h"
#include "test.h"

#include <parla/parla.h>

static uint64_t seed_of_scenario;

static int do_nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

/* There are fewer than the spare threads. */
static int wait_for_name(parla_context *context, void *arg)
{
    T_OK(parla_task_wait(parla_context_runtime(context), arg, 1, PARLA_FOREVER));
    return 0;
}

static void spawn_named(parla_runtime *rt, parla_task name)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.task = name;
    options.body = do_nothing;
    T_OK(parla_task_spawn(rt, NULL, &options));
}

static void scenario(void)
{
    t_rng rng = {seed_of_scenario};
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1 + (int)t_below(&rng, 2);
    options.window = 1 + (int64_t)t_below(&rng, 2);
    T_OK(parla_runtime_create(&rt, &options));
    for (uint64_t n = 1 + t_below(&rng, 3); n > 0; n--) {
        parla_task name;
        T_OK(parla_task_create(rt, &name, "next"));
        for (uint64_t k = 1 + t_below(&rng, 4); k > 0; k--)
            T_OK(parla_spawn(rt, NULL, wait_for_name, &name, NULL, 0));
        spawn_named(rt, name);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        parla_task_unref(name);
    }
    parla_runtime_destroy(rt);
}

static void run_seed(uint64_t seed, t_run *out)
{
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, scenario);
    out->trace = cd_trace();
}

static const t_seeds windows = {"nobody_is_buried_under_who_waits_for_it", run_seed, cd_prepare};

T_TEST_TIMEOUT(nobody_is_buried_under_who_waits_for_it, 120) { t_each_seed(&windows, t_seed() * 100000, t_scale(500)); }

T_TEST_TIMEOUT(kept_seeds, 120) { t_kept_seeds(&windows); }
