/* test_cuda_copy.c - strided copies take one call of the driver where it has one that fits. What they move is for the conformance suite. */
#include "cuda_fixture.h"

typedef struct counts {
    uint64_t n_runs, n_rows, n_planes;
} counts;

static counts count(const card *c)
{
    return (counts){c->fake->n_calls("cuMemcpyHtoDAsync"), c->fake->n_calls("cuMemcpy2DAsync"),
                    c->fake->n_calls("cuMemcpy3DAsync")};
}

/* Copies a box of floats with these strides on the host, in elements, to contiguous memory; expects that many calls. */
static void check(int ndim, const int64_t *extent, const int64_t *stride, uint64_t n_runs, uint64_t n_rows, uint64_t n_planes)
{
    static float host[4096];
    card c = card_open(0);
    parla_strided dst, src = {.base = &host[2048], .item_bytes = 4, .ndim = ndim};
    void *memory;
    T_OK(c.b->alloc(c.device, &memory, sizeof host));
    T_OK(parla_strided_contiguous(&dst, memory, 4, ndim, extent));
    for (int k = 0; k < ndim; k++) {
        src.extent[k] = extent[k];
        src.stride[k] = 4 * stride[k];
    }
    counts before = count(&c);
    T_OK(c.b->copy(c.queue, c.device, &dst, NULL, &src));
    counts after = count(&c);
    T_EQ(after.n_runs - before.n_runs, n_runs);
    T_EQ(after.n_rows - before.n_rows, n_rows);
    T_EQ(after.n_planes - before.n_planes, n_planes);
    T_EQ(finish(&c), 0);
    c.b->free(c.device, memory, sizeof host);
    card_close(&c);
}

#define LIST(...) ((const int64_t[]){__VA_ARGS__})

T_TEST(a_contiguous_box_is_one_run) { check(3, LIST(4, 5, 6), LIST(30, 6, 1), 1, 0, 0); }
T_TEST(rows_with_gaps_are_one_call) { check(2, LIST(10, 6), LIST(17, 1), 0, 1, 0); }
T_TEST(a_column_is_one_call) { check(1, LIST(50), LIST(7), 0, 1, 0); }
T_TEST(a_block_of_a_cube_is_one_call) { check(3, LIST(4, 5, 6), LIST(100, 10, 1), 0, 0, 1); }
T_TEST(four_dimensions_are_a_gather_of_blocks) { check(4, LIST(3, 4, 2, 2), LIST(400, 50, 10, 1), 0, 0, 3); }
T_TEST(what_is_walked_backwards_is_a_gather) { check(2, LIST(3, 5), LIST(10, -1), 15, 0, 0); }
T_TEST(rows_in_reverse_are_a_gather_of_runs) { check(2, LIST(3, 5), LIST(-10, 1), 3, 0, 0); }
T_TEST(a_repeated_source_is_a_gather) { check(2, LIST(3, 5), LIST(0, 1), 3, 0, 0); }
T_TEST(an_empty_box_is_no_call) { check(2, LIST(0, 5), LIST(5, 1), 0, 0, 0); }

T_TEST(from_host_to_host_is_not_for_it)
{
    card c = card_open(0);
    char a[8] = {0}, b[8];
    parla_strided src = bytes_at(a, 8), dst = bytes_at(b, 8);
    T_EQ(c.b->copy(c.queue, NULL, &dst, NULL, &src), PARLA_E_UNSUPPORTED);
    card_close(&c);
}

T_TEST(a_gather_stops_at_the_call_that_fails)
{
    card c = card_open(0);
    static char host[64];
    void *memory;
    T_OK(c.b->alloc(c.device, &memory, 8));
    parla_strided dst = bytes_at(memory, 8), src = bytes_at(&host[32], 8);
    src.stride[0] = -4;
    uint64_t before = c.fake->n_calls("cuMemcpyHtoDAsync");
    c.fake->fail_call("cuMemcpyHtoDAsync", 3, 1);
    T_EQ(c.b->copy(c.queue, c.device, &dst, NULL, &src), PARLA_E_DEVICE);
    T_EQ(c.fake->n_calls("cuMemcpyHtoDAsync") - before, 3);
    T_EQ(finish(&c), 0);
    c.b->free(c.device, memory, 8);
    card_close(&c);
}
