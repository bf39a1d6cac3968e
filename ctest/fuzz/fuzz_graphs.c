/* fuzz_graphs.c - random graphs of tasks (stress/graph.h) under random schedules (conductor.h): the whole library, with everything that happens
 * between its threads decided by a seed, against the serial oracle. A seed that fails is printed; PARLA_TEST_SEED=N and the case one_seed
 * repeat it, and it goes into kept_seeds.txt. */
#include "conductor.h"
#include "graph_run.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t seed_of_scenario;

static void scenario(void)
{
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
    T_OK(parla_runtime_create(&rt, &options));
    plan.is_polling = t_below(&rng, 3) == 0;
    if (!plan.is_polling && t_below(&rng, 4) == 0) {
        graph_run_and_cut_off(rt, &rng, &plan);
        return;
    }
    graph_run(rt, &rng, &plan);
    if (t_below(&rng, 4) == 0)
        graph_run(rt, &rng, &plan);
    parla_runtime_destroy(rt);
}

static uint64_t run_seed(uint64_t seed)
{
    static char text[64];
    snprintf(text, sizeof text, "seed %llu", (unsigned long long)seed);
    t_phase(text);
    seed_of_scenario = seed;
    return cd_perturb(seed, scenario);
}

static void run_seeds(uint64_t first, uint64_t n)
{
    uint64_t n_switches = 0;
    for (uint64_t i = 0; i < n; i++)
        n_switches += run_seed(first + i);
    t_count(n, "schedule seeds");
    t_count(n_switches, "switches between threads");
}

/* Neighbouring seeds have nothing in common, so those of one run can follow each other. */
T_TEST_TIMEOUT(two_thousand_seeds, 240) { run_seeds(t_seed() * 100000, t_scale(2000)); }

T_TEST(kept_seeds)
{
    char line[256];
    uint64_t n = 0;
    FILE *file = fopen(KEPT_SEEDS, "r");
    T_TRUE(file != NULL);
    while (fgets(line, sizeof line, file))
        if (line[0] != '#') {
            run_seed(strtoull(line, NULL, 10));
            n++;
        }
    fclose(file);
    t_count(n, "kept schedule seeds");
}

T_TEST(one_seed) { run_seeds(t_seed(), 1); }
