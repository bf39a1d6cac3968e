/* test_graphs.c - random graphs of tasks against a serial oracle: spawned out of order, by several threads and by tasks, with failures,
 * suspended and blocked bodies, holds released from outside, placed tasks, and cancellation from outside. Uses the public interface only. */
#include "graph_run.h"

enum { N_WORKERS = 3, MAX_NODES = 300 };

static parla_runtime *open_runtime(int n_workers, const char *devices)
{
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt;
    options.n_workers = n_workers;
    options.devices = devices;
    T_OK(parla_runtime_create(&rt, &options));
    return rt;
}

static void run_graphs(uint64_t stream, graph_plan plan, const char *devices)
{
    t_rng rng = {t_seed() + stream};
    parla_runtime *rt = open_runtime(N_WORKERS, devices);
    plan.n_spawners = 3;
    plan.n_sims = devices ? 2 : 0;
    for (uint64_t i = 0; i < t_scale(300); i++) {
        plan.n_nodes = 1 + (int)t_below(&rng, MAX_NODES);
        graph_run(rt, &rng, &plan);
    }
    parla_runtime_info info = {.size = sizeof(info)};
    T_OK(parla_runtime_query(rt, &info));
    T_EQ(info.n_spawned, info.n_ended);
    parla_runtime_destroy(rt);
}

T_TEST_TIMEOUT(graphs_that_succeed, 120) { run_graphs(1, (graph_plan){0}, NULL); }
T_TEST_TIMEOUT(graphs_with_failures, 120) { run_graphs(2, (graph_plan){.one_in_fails = 30}, NULL); }
T_TEST_TIMEOUT(graphs_with_cancellation, 120) { run_graphs(3, (graph_plan){.one_in_fails = 60, .is_cancelling = true}, NULL); }
T_TEST_TIMEOUT(graphs_without_names, 120) { run_graphs(6, (graph_plan){.one_in_fails = 30, .is_in_order = true}, NULL); }
T_TEST_TIMEOUT(graphs_without_names_with_cancellation, 120)
{
    run_graphs(7, (graph_plan){.one_in_fails = 60, .is_cancelling = true, .is_in_order = true, .n_waiters = 2}, NULL);
}
T_TEST_TIMEOUT(graphs_with_placed_tasks, 120)
{
    run_graphs(5, (graph_plan){.one_in_fails = 60, .one_in_placed = 3}, "sim:2,mem=1KiB");
}

T_TEST_TIMEOUT(graphs_in_modelled_time, 120)
{
    run_graphs(6, (graph_plan){.one_in_fails = 60, .one_in_placed = 3}, "sim:2,mem=1KiB,time=virtual");
}

T_TEST_TIMEOUT(graphs_with_arrays, 120)
{
    run_graphs(8, (graph_plan){.one_in_fails = 60, .one_in_placed = 3, .is_in_order = true, .n_arrays = 3}, "sim:2,mem=1KiB");
}

/* Runtimes come and go while tasks are left over: those are cancelled and told. */
T_TEST_TIMEOUT(graphs_cut_off_by_destroy, 120)
{
    t_rng rng = {t_seed() + 4};
    for (uint64_t i = 0; i < t_scale(200); i++) {
        graph_plan plan = {.n_nodes = 1 + (int)t_below(&rng, MAX_NODES), .one_in_fails = 50};
        t_phase("a runtime with unfinished tasks");
        graph_run_and_cut_off(open_runtime(1 + (int)t_below(&rng, N_WORKERS), NULL), &rng, &plan);
    }
}
