/* graph.h - random task graphs and what must come out of them, for stress tests of the whole runtime.
 *
 * A graph is an array of nodes; a node depends on, suspends on and waits for nodes before it only, so it has no cycles. graph_draw makes
 * one from random numbers, graph_predict computes serially how each node must end and with which value. */
#ifndef PARLA_TEST_GRAPH_H
#define PARLA_TEST_GRAPH_H

#include "graph_arrays.h"
#include "test.h"

#include <parla/parla.h>
#include <stdatomic.h>

enum { GRAPH_MAX_DEPS = 6, GRAPH_MAX_AWAITED = 3, GRAPH_MAX_SPAWNERS = 3, GRAPH_MAX_WAITERS = 2, GRAPH_SIM_BYTES = 1024 };

/* What graphs to draw, and how to run them. */
typedef struct graph_plan {
    int n_nodes;
    int one_in_fails;  /* one in so many fails; 0: none */
    int one_in_placed; /* one in so many goes through the placed path: a priority, demands of one device or of two at once */
    int n_sims;        /* simulated devices that there are for these, each with GRAPH_SIM_BYTES */
    int n_spawners;    /* threads that spawn */
    int n_waiters;     /* threads that wait for tasks of the graph meanwhile */
    bool is_polling;   /* holds are released by a progress function, not by a thread; no cutting off then */
    bool is_cancelling;
    bool is_in_order; /* nodes have no names before they are spawned, so one thread spawns them in order */
    int n_arrays;     /* that nodes share, in the order of their spawns, so with is_in_order only */
} graph_plan;

typedef enum graph_kind {
    GRAPH_PLAIN,      /* returns */
    GRAPH_FAILS,      /* parla_fail */
    GRAPH_SUSPENDS,   /* suspends on `awaited`, twice */
    GRAPH_BLOCKS,     /* waits for `awaited` on its thread */
    GRAPH_HOLDS,      /* completes when a thread outside releases it */
    GRAPH_HOLD_FAILS, /* the same with a failure */
    GRAPH_FLAKY,      /* fails, and succeeds when it is repeated */
    GRAPH_N_KINDS
} graph_kind;

typedef struct graph_node {
    struct graph *graph;
    int index;
    graph_kind kind;
    int n_deps, deps[GRAPH_MAX_DEPS];
    int n_awaited, awaited[GRAPH_MAX_AWAITED];
    int priority;
    int n_members; /* devices that it needs at once; 0: none in particular */
    parla_demand members[2];
    int n_uses;
    graph_use uses[GRAPH_MAX_USES];

    /* What must come out. */
    int want_status;
    uint64_t want_value;

    /* What came out. */
    parla_task task;
    parla_task held; /* the same, known to its body */
    atomic_int n_starts, n_steps, n_ends;
    int status;
    uint64_t value; /* written by the body, read by nodes behind it */
} graph_node;

typedef struct graph {
    parla_runtime *rt;
    int n_nodes;
    graph_node *nodes;
    int n_arrays;
    graph_array arrays[GRAPH_MAX_ARRAYS];
    bool is_in_order;
    atomic_int n_known;                                           /* so many nodes have their task */
    void (*release_later)(struct graph *graph, graph_node *node); /* for GRAPH_HOLDS */
    void *ctx;
} graph;

void graph_draw(graph *g, t_rng *rng, const graph_plan *plan);
void graph_free(graph *g);

/* Makes a task for each node, to be spawned in any order, or none if they are spawned in order; and the arrays. */
void graph_create(graph *g, parla_runtime *rt);
/* Fills in want_status and want_value, and what the arrays hold in the end. */
void graph_predict(graph *g);
void graph_spawn(graph_node *node);
/* Drops the names, and the arrays. */
void graph_forget(graph *g);

/* The invariants that hold however tasks were cancelled: each ended once, ran at most once, and after its dependencies. */
void graph_check_order(graph *g);

/* The prediction came true to the bit. Looks at the arrays, too, so the runtime has to be there. */
void graph_check_values(graph *g);

#endif
