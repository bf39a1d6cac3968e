/* graph_arrays.h - arrays that the nodes of a random graph (graph.h) share, and the serial oracle of what they hold: nodes use them in the
 * order in which they are spawned, one that fails spoils what it was to write, who would read that is cancelled. */
#ifndef PARLA_TEST_GRAPH_ARRAYS_H
#define PARLA_TEST_GRAPH_ARRAYS_H

#include "test.h"

#include <parla/parla.h>

enum { GRAPH_MAX_ARRAYS = 3, GRAPH_MAX_USES = 2, GRAPH_ITEMS = 6, GRAPH_ARRAY_BYTES = GRAPH_ITEMS * 8 };

/* A region of an array that a node uses. */
typedef struct graph_use {
    int i_array, mode;
    parla_range region;
} graph_use;

typedef struct graph_array {
    parla_data *data;
    uint64_t want[GRAPH_ITEMS];
    bool is_spoilt[GRAPH_ITEMS];
} graph_array;

/* Regions of different arrays; returns how many. */
int graph_draw_uses(t_rng *rng, int n_arrays, graph_use *out);

/* Gives the arrays their first content, in the oracle and in fact. */
void graph_arrays_create(graph_array *arrays, int n_arrays);
void graph_arrays_forget(graph_array *arrays, int n_arrays);

/* For the oracle: is anything spoilt that the uses read? If not, what they read is mixed into *value. */
bool graph_reads_spoilt(const graph_array *arrays, const graph_use *uses, int n_uses, uint64_t *value);
/* … and what a node with this value leaves behind, or one that was not done. */
void graph_predict_writes(graph_array *arrays, const graph_use *uses, int n_uses, bool is_done, uint64_t value);

/* The same in a body. */
uint64_t graph_read(parla_context *context, const graph_use *uses, int n_uses, uint64_t value);
void graph_write(parla_context *context, const graph_use *uses, int n_uses, uint64_t value);

/* Reads, on the host, what is not spoilt, and compares. */
void graph_check_arrays(parla_runtime *rt, const graph_array *arrays, int n_arrays);

/* For values that change with all that they are made from. */
uint64_t graph_mix(uint64_t hash, uint64_t value);

#endif
