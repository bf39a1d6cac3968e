/* fuzz_graphs.c - random graphs of tasks (stress/graph.h) under random schedules (conductor.h): the whole library, with everything that happens
 * between its threads decided by a seed, against the serial oracle. */
#include "conductor.h"
#include "graph_run.h"
#include "seeds.h"

static uint64_t seed_of_scenario;

/* Policies of a program's own that follow no reason: they may make a placement slow, but never wrong. */
static t_rng whim;

static double cost(void *ctx, const parla_candidate *candidate)
{
    (void)ctx;
    T_LT(candidate->i_device, candidate->n_devices);
    return (double)t_below(&whim, 4);
}

static const parla_policy whims = {.size = sizeof whims, .name = "whims", .cost = cost};
static const parla_policy patient_whims = {.size = sizeof patient_whims, .name = "patient_whims", .cost = cost, .is_patient = true};

static void prepare(void)
{
    cd_prepare();
    T_OK(parla_policy_register(&whims));
    T_OK(parla_policy_register(&patient_whims));
}

static void scenario(void)
{
    static const char *const policies[] = {NULL, NULL, "eager", "round_robin", "whims", "patient_whims"};
    static const char *const devices[] = {NULL, "sim:1,mem=1KiB", "sim:2,mem=1KiB"};
    t_rng rng = {seed_of_scenario};
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt;
    graph_plan plan = {.n_nodes = 1 + (int)t_below(&rng, 24),
                       .one_in_fails = t_below(&rng, 2) ? 8 : 0,
                       .n_sims = (int)t_below(&rng, 5) - 2,
                       .n_spawners = 1 + (int)t_below(&rng, GRAPH_MAX_SPAWNERS),
                       .n_waiters = (int)t_below(&rng, GRAPH_MAX_WAITERS + 1),
                       .is_cancelling = t_below(&rng, 3) == 0};
    plan.n_sims = plan.n_sims < 0 ? 0 : plan.n_sims;
    plan.one_in_placed = t_below(&rng, 3) ? 3 : 0;
    options.n_workers = 1 + (int)t_below(&rng, 3);
    options.devices = devices[plan.n_sims];
    options.policy = policies[t_below(&rng, 6)];
    options.window = t_below(&rng, 3) ? 0 : 1 + (int64_t)t_below(&rng, 8);
    whim.state = t_next(&rng);
    T_OK(parla_runtime_create(&rt, &options));
    plan.is_polling = t_below(&rng, 3) == 0;
    plan.is_in_order = t_below(&rng, 2);
    plan.n_arrays = plan.is_in_order ? (int)t_below(&rng, GRAPH_MAX_ARRAYS + 1) : 0;
    if (!plan.is_polling && t_below(&rng, 4) == 0) {
        graph_run_and_cut_off(rt, &rng, &plan);
        return;
    }
    graph_run(rt, &rng, &plan);
    if (t_below(&rng, 4) == 0)
        graph_run(rt, &rng, &plan);
    parla_runtime_destroy(rt);
}

/* More switches than twenty times what the longest of thousands of programs takes: threads that wake each other for nothing. */
enum { MOST_STEPS = 200000 };

static void run_seed(uint64_t seed, t_run *out)
{
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, scenario);
    out->trace = cd_trace();
    T_LT(out->n_steps, MOST_STEPS);
}

static const t_seeds graphs = {"two_thousand_seeds", run_seed, prepare};

/* Neighbouring seeds have nothing in common, so those of one run can follow each other. */
static uint64_t first_seed(void) { return t_seed() * 100000; }

T_TEST_TIMEOUT(two_thousand_seeds, 240) { t_each_seed(&graphs, first_seed(), t_scale(2000)); }

T_TEST_TIMEOUT(kept_seeds, 120) { t_kept_seeds(&graphs); }

T_TEST_TIMEOUT(a_seed_alone_does_the_same, 120)
{
    uint64_t n = t_scale(100);
    for (uint64_t i = 0; i < n; i++)
        t_check_alone(&graphs, first_seed() + 20 * i);
    t_count(n, "seeds repeated alone");
}
