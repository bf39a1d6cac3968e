/* random_box.h - random strided boxes in memory of their own, and the naive copy that others are compared with. */
#ifndef PARLA_TEST_RANDOM_BOX_H
#define PARLA_TEST_RANDOM_BOX_H

#include "test.h"

#include <parla/strided.h>

#include <stdlib.h>

typedef struct random_box {
    parla_strided box;
    unsigned char *memory; /* all of it, gaps included */
    size_t n_bytes;
} random_box;

/* Random extents: up to `most` elements along each of up to PARLA_MAX_NDIM dimensions, seldom 0, at most 4096 in all. */
static inline parla_strided random_shape(t_rng *rng, uint64_t most)
{
    static const size_t items[] = {1, 2, 3, 4, 8, 16, 24};
    parla_strided shape = {.item_bytes = items[t_below(rng, 7)], .ndim = (int)t_below(rng, PARLA_MAX_NDIM + 1)};
    int64_t n = 1;
    for (int k = 0; k < shape.ndim; k++) {
        shape.extent[k] = t_below(rng, 40) == 0 ? 0 : 1 + (int64_t)t_below(rng, most);
        if (n * shape.extent[k] > 4096)
            shape.extent[k] = 1;
        n *= shape.extent[k] > 0 ? shape.extent[k] : 1;
    }
    return shape;
}

/* Lays a shape out in new memory of random bytes: dimensions in random order, often with gaps, some walked backwards, and, if
 * may_repeat, some of stride 0. */
static inline random_box random_layout(t_rng *rng, const parla_strided *shape, bool may_repeat)
{
    random_box r = {.box = *shape};
    int order[PARLA_MAX_NDIM];
    for (int k = 0; k < shape->ndim; k++) {
        int i = (int)t_below(rng, (uint64_t)k + 1);
        order[k] = order[i];
        order[i] = k;
    }
    bool is_plain = t_below(rng, 3) == 0; /* the order that merges best */
    int64_t stride = (int64_t)shape->item_bytes, offset = 0;
    for (int i = 0; i < shape->ndim; i++) {
        int k = is_plain ? shape->ndim - 1 - i : order[i];
        int64_t extent = shape->extent[k] > 0 ? shape->extent[k] : 1;
        if (may_repeat && t_below(rng, 8) == 0) {
            r.box.stride[k] = 0;
            continue;
        }
        stride += t_below(rng, 3) == 0 ? (int64_t)t_below(rng, 2 * shape->item_bytes) : 0;
        bool is_backwards = t_below(rng, 4) == 0;
        r.box.stride[k] = is_backwards ? -stride : stride;
        offset += is_backwards ? (extent - 1) * stride : 0;
        stride *= extent;
    }
    r.n_bytes = (size_t)stride;
    r.memory = malloc(r.n_bytes);
    T_TRUE(r.memory != NULL);
    for (size_t i = 0; i < r.n_bytes; i++)
        r.memory[i] = (unsigned char)t_next(rng);
    r.box.base = r.memory + offset;
    return r;
}

/* Element number i in C order. */
static inline char *element(const parla_strided *box, int64_t i)
{
    char *at = box->base;
    for (int k = box->ndim - 1; k >= 0; k--) {
        at += i % box->extent[k] * box->stride[k];
        i /= box->extent[k];
    }
    return at;
}

static inline void naive_copy(const parla_strided *dst, const parla_strided *src)
{
    int64_t n = parla_strided_items(src);
    for (int64_t i = 0; i < n; i++)
        memcpy(element(dst, i), element(src, i), dst->item_bytes);
}

/* Element by element the same bytes. */
static inline void check_same(const parla_strided *a, const parla_strided *b)
{
    int64_t n = parla_strided_items(a);
    for (int64_t i = 0; i < n; i++)
        T_EQ_MEM(element(a, i), element(b, i), a->item_bytes);
}

#endif
