/* flows.h - a stream of tasks over the ranks of ranks.h: one array of blocks, walked by each rank in turn on one thread. */
#ifndef FLOWS_H
#define FLOWS_H

#include "ranks.h"

#include <crosspy/crosspy.h>
#include <parla/error.h>

enum { MAX_BLOCKS = 6, BLOCK_ITEMS = 3 };

typedef struct flows {
    fake_hub hub;
    cx_flow *flow[MAX_RANKS];
    int n_blocks;
    int owner[MAX_BLOCKS];
    cx_layout *layout;
    cx_tracked *array[MAX_RANKS];
    parla_data *data[MAX_RANKS][MAX_BLOCKS];
} flows;

static inline void flows_open(flows *f, int n_ranks, int n_blocks, t_rng *rng)
{
    cx_place places[MAX_BLOCKS];
    int64_t shape = (int64_t)n_blocks * BLOCK_ITEMS, extent = BLOCK_ITEMS;
    fake_open(&f->hub, n_ranks);
    f->n_blocks = n_blocks;
    for (int i = 0; i < n_blocks; i++) {
        f->owner[i] = rng ? (int)t_below(rng, (uint64_t)n_ranks) : i % n_ranks;
        places[i] = (cx_place){f->owner[i], PARLA_ARCH_GPU, i % 2};
    }
    T_OK(cx_layout_split(&f->layout, 1, &shape, 0, n_blocks, NULL, places));
    for (int r = 0; r < n_ranks; r++) {
        for (int i = 0; i < n_blocks; i++) {
            parla_data_options options = PARLA_DATA_OPTIONS_INIT;
            T_OK(parla_strided_contiguous(&options.host, NULL, sizeof(uint64_t), 1, &extent));
            options.name = "block";
            f->data[r][i] = NULL;
            if (f->owner[i] == r) {
                T_OK(parla_data_create(&f->data[r][i], &options));
            }
        }
        T_OK(cx_flow_create(&f->flow[r], f->hub.rank[r].rt, &f->hub.rank[r].table));
        T_OK(cx_tracked_create(&f->array[r], f->layout, sizeof(uint64_t), f->data[r], r));
    }
}

static inline void flows_close(flows *f)
{
    fake_close(&f->hub);
    for (int r = 0; r < f->hub.n_ranks; r++) {
        cx_flow_destroy(f->flow[r]);
        cx_tracked_destroy(f->array[r]);
        for (int i = 0; i < f->n_blocks; i++) {
            parla_data_unref(f->data[r][i]);
        }
    }
    cx_layout_unref(f->layout);
}

/* A task of the stream: new content of what it writes, from what it reads. */
typedef struct step {
    int rank; /* or CX_OWNER */
    int n_uses;
    int block[3], mode[3];
    uint64_t add;
    int fails; /* with this code */
} step;

static inline uint64_t step_sum(const step *s, uint64_t sum, uint64_t item) { return sum * 3 + item + s->add; }

static int step_body(parla_context *context, void *arg)
{
    const step *s = arg;
    parla_instance at[3];
    if (s->fails) {
        return parla_fail(context, s->fails, "the body of step %d does not work", (int)s->add);
    }
    for (int u = 0; u < s->n_uses; u++) {
        int err = parla_context_instance(context, (size_t)u, &at[u]);
        if (err) {
            return err;
        }
    }
    for (int i = 0; i < BLOCK_ITEMS; i++) {
        uint64_t sum = 1;
        for (int u = 0; u < s->n_uses; u++) {
            sum = s->mode[u] & PARLA_IN ? step_sum(s, sum, ((uint64_t *)at[u].box.base)[i]) : sum;
        }
        for (int u = 0; u < s->n_uses; u++) {
            if (s->mode[u] & PARLA_OUT) {
                ((uint64_t *)at[u].box.base)[i] = sum + (uint64_t)u;
            }
        }
    }
    return 0;
}

/* Serially, on the whole array. */
static inline void step_apply(const step *s, uint64_t *whole)
{
    for (int i = 0; i < BLOCK_ITEMS; i++) {
        uint64_t sum = 1;
        for (int u = 0; u < s->n_uses; u++) {
            sum = s->mode[u] & PARLA_IN ? step_sum(s, sum, whole[s->block[u] * BLOCK_ITEMS + i]) : sum;
        }
        for (int u = 0; u < s->n_uses; u++) {
            if (s->mode[u] & PARLA_OUT) {
                whole[s->block[u] * BLOCK_ITEMS + i] = sum + (uint64_t)u;
            }
        }
    }
}

/* What rank r does with a step. `s` lives until its task has ended. out: the task, where it runs. */
static inline int flows_walk(flows *f, int r, step *s, parla_task *out)
{
    cx_use uses[3];
    parla_data *data[3];
    parla_access accesses[3];
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    int rank = -1;
    for (int u = 0; u < s->n_uses; u++) {
        uses[u] = (cx_use){f->array[r], s->block[u], s->mode[u]};
    }
    T_OK(cx_flow_begin(f->flow[r], s->rank, uses, (size_t)s->n_uses, &rank, data));
    if (rank != r) {
        return rank;
    }
    for (int u = 0; u < s->n_uses; u++) {
        accesses[u] = (parla_access){data[u], s->mode[u], 0, NULL};
    }
    options.body = step_body;
    options.arg = s;
    options.name = "step";
    options.accesses = accesses;
    options.n_accesses = (size_t)s->n_uses;
    T_OK(parla_task_spawn(f->hub.rank[r].rt, out, &options));
    T_OK(cx_flow_end(f->flow[r], uses, (size_t)s->n_uses));
    return rank;
}

/* All ranks walk a step. Returns where it runs. */
static inline int flows_spawn(flows *f, step *s, parla_task *out)
{
    parla_task scratch;
    int rank = -1;
    for (int r = 0; r < f->hub.n_ranks; r++) {
        rank = flows_walk(f, r, s, out ? out : &scratch);
    }
    return rank;
}

/* The content of all blocks, each as its owner has it. */
static inline void flows_read(flows *f, uint64_t *whole)
{
    for (int i = 0; i < f->n_blocks; i++) {
        int r = f->owner[i];
        parla_instance here;
        T_OK(parla_data_acquire(f->hub.rank[r].rt, f->data[r][i], PARLA_IN, PARLA_FOREVER, &here));
        for (int k = 0; k < BLOCK_ITEMS; k++) {
            whole[i * BLOCK_ITEMS + k] = ((uint64_t *)here.box.base)[k];
        }
        parla_data_release(f->data[r][i], PARLA_IN);
    }
}

/* Takes the failures that the test has provoked; returns how many. */
static inline int flows_take_failures(flows *f)
{
    int n = 0;
    for (int r = 0; r < f->hub.n_ranks; r++) {
        for (parla_failure *failure; parla_runtime_take_failure(f->hub.rank[r].rt, &failure) == PARLA_OK && failure; n++) {
            parla_failure_unref(failure);
        }
    }
    return n;
}

static inline cx_flow_info flows_info(flows *f, int r)
{
    cx_flow_info info = {.size = sizeof info};
    T_OK(cx_flow_query(f->flow[r], &info));
    return info;
}

#endif
