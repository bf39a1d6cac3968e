/* graph_run.h - runs one random graph (graph.h) in a runtime and checks what came out. */
#ifndef PARLA_TEST_GRAPH_RUN_H
#define PARLA_TEST_GRAPH_RUN_H

#include "graph.h"

/* Draws a graph, spawns it, waits for it, and checks it against the prediction; with is_cancelling, only against what holds anyhow. */
void graph_run(parla_runtime *rt, t_rng *rng, const graph_plan *plan);

/* The same, but destroys the runtime in the middle of it: every task ends once, all the same. */
void graph_run_and_cut_off(parla_runtime *rt, t_rng *rng, const graph_plan *plan);

#endif
