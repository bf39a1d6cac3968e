/* graph_arrays.c - see graph_arrays.h. */
#include "graph_arrays.h"

#include <stdlib.h>

uint64_t graph_mix(uint64_t hash, uint64_t value)
{
    t_rng rng = {hash ^ (value + 0x9e3779b97f4a7c15u)};
    return t_next(&rng);
}

int graph_draw_uses(t_rng *rng, int n_arrays, graph_use *out)
{
    static const parla_range regions[] = {{0, GRAPH_ITEMS, 1}, {0, 2, 1}, {2, 5, 1}, {1, GRAPH_ITEMS, 2}};
    static const int modes[] = {PARLA_IN, PARLA_INOUT, PARLA_OUT};
    int first = (int)t_below(rng, (uint64_t)n_arrays), n = n_arrays > 1 ? 1 + (int)t_below(rng, GRAPH_MAX_USES) : 1;
    for (int k = 0; k < n; k++) {
        out[k] = (graph_use){.i_array = (first + k) % n_arrays, .mode = modes[t_below(rng, 3)], .region = regions[t_below(rng, 4)]};
    }
    return n;
}

void graph_arrays_create(graph_array *arrays, int n_arrays)
{
    for (int i = 0; i < n_arrays; i++) {
        graph_array *self = &arrays[i];
        uint64_t *memory = malloc(GRAPH_ARRAY_BYTES);
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        T_TRUE(memory != NULL);
        for (int k = 0; k < GRAPH_ITEMS; k++) {
            memory[k] = self->want[k] = graph_mix((uint64_t)i, (uint64_t)k);
            self->is_spoilt[k] = false;
        }
        options.name = "array";
        options.host = (parla_strided){.base = memory, .item_bytes = 8, .ndim = 1, .extent = {GRAPH_ITEMS}, .stride = {8}};
        options.release = free;
        options.ctx = memory;
        T_OK(parla_data_create(&self->data, &options));
    }
}

void graph_arrays_forget(graph_array *arrays, int n_arrays)
{
    for (int i = 0; i < n_arrays; i++) {
        parla_data_unref(arrays[i].data);
    }
}

bool graph_reads_spoilt(const graph_array *arrays, const graph_use *uses, int n_uses, uint64_t *value)
{
    bool is_spoilt = false;
    for (int k = 0; k < n_uses; k++) {
        const graph_array *self = &arrays[uses[k].i_array];
        for (int64_t i = uses[k].region.start; uses[k].mode != PARLA_OUT && i < uses[k].region.stop; i += uses[k].region.step) {
            is_spoilt = is_spoilt || self->is_spoilt[i];
            *value = graph_mix(*value, self->want[i]);
        }
    }
    return is_spoilt;
}

void graph_predict_writes(graph_array *arrays, const graph_use *uses, int n_uses, bool is_done, uint64_t value)
{
    for (int k = 0; k < n_uses; k++) {
        graph_array *self = &arrays[uses[k].i_array];
        for (int64_t i = uses[k].region.start; uses[k].mode != PARLA_IN && i < uses[k].region.stop; i += uses[k].region.step) {
            self->is_spoilt[i] = !is_done;
            self->want[i] = graph_mix(value, (uint64_t)i);
        }
    }
}

static uint64_t *item(const parla_instance *here, int64_t i)
{
    return (uint64_t *)((char *)here->box.base + i * here->box.stride[0]);
}

uint64_t graph_read(parla_context *context, const graph_use *uses, int n_uses, uint64_t value)
{
    for (int k = 0; k < n_uses; k++) {
        parla_instance here;
        T_OK(parla_context_instance(context, (size_t)k, &here));
        for (int64_t i = uses[k].region.start; uses[k].mode != PARLA_OUT && i < uses[k].region.stop; i += uses[k].region.step) {
            value = graph_mix(value, *item(&here, i));
        }
    }
    return value;
}

void graph_write(parla_context *context, const graph_use *uses, int n_uses, uint64_t value)
{
    for (int k = 0; k < n_uses; k++) {
        parla_instance here;
        T_OK(parla_context_instance(context, (size_t)k, &here));
        for (int64_t i = uses[k].region.start; uses[k].mode != PARLA_IN && i < uses[k].region.stop; i += uses[k].region.step) {
            *item(&here, i) = graph_mix(value, (uint64_t)i);
        }
    }
}

void graph_check_arrays(parla_runtime *rt, const graph_array *arrays, int n_arrays)
{
    for (int i = 0; i < n_arrays; i++) {
        for (int64_t k = 0; k < GRAPH_ITEMS; k++) {
            const parla_range one = {k, k + 1, 1};
            parla_instance here;
            if (arrays[i].is_spoilt[k]) {
                continue;
            }
            T_OK(parla_data_acquire_region(rt, arrays[i].data, &one, PARLA_IN, PARLA_FOREVER, &here));
            T_EQ(*item(&here, k), arrays[i].want[k]);
            parla_data_release_region(arrays[i].data, &one, PARLA_IN);
        }
    }
}
