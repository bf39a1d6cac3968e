/* test_strided.c - shapes, copies and fills of strided boxes, against a naive copy. */
#include "base/strided.h"
#include "random_box.h"
#include "test.h"

#include <parla/error.h>

T_TEST(contiguous_makes_c_order)
{
    int64_t extent[] = {2, 3, 4};
    parla_strided box;
    T_OK(parla_strided_contiguous(&box, NULL, 8, 3, extent));
    T_EQ(box.stride[0], 96);
    T_EQ(box.stride[1], 32);
    T_EQ(box.stride[2], 8);
    T_EQ(parla_strided_items(&box), 24);
    T_EQ(parla_strided_bytes(&box), 192);
    T_OK(parla_strided_contiguous(&box, NULL, 5, 0, NULL));
    T_EQ(parla_strided_items(&box), 1);
    T_EQ(parla_strided_bytes(&box), 5);
}

T_TEST(contiguous_refuses_bad_shapes)
{
    int64_t negative[] = {2, -1}, huge[] = {INT64_C(1) << 40, INT64_C(1) << 20}, empty[] = {0, 7};
    parla_strided box = {.ndim = 77};
    T_EQ(parla_strided_contiguous(&box, NULL, 8, 2, negative), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "-1");
    T_EQ(parla_strided_contiguous(&box, NULL, 16, 2, huge), PARLA_E_INVALID);
    T_EQ(parla_strided_contiguous(&box, NULL, 8, PARLA_MAX_NDIM + 1, huge), PARLA_E_INVALID);
    T_EQ(parla_strided_contiguous(&box, NULL, 8, -1, huge), PARLA_E_INVALID);
    T_EQ(parla_strided_contiguous(&box, NULL, SIZE_MAX, 0, NULL), PARLA_E_INVALID);
    T_EQ(box.ndim, 77); /* untouched by failures */
    T_OK(parla_strided_contiguous(&box, NULL, 8, 2, empty));
    T_EQ(parla_strided_bytes(&box), 0);
}

/* Copies into one of two equal destinations, naively into the other: all bytes agree, those between the elements included. */
static void check_copy(t_rng *rng, const parla_strided *shape)
{
    random_box src = random_layout(rng, shape, true), dst = random_layout(rng, shape, false);
    unsigned char *expected = malloc(dst.n_bytes);
    T_TRUE(expected != NULL);
    memcpy(expected, dst.memory, dst.n_bytes);
    parla_strided naive = dst.box;
    naive.base = expected + ((unsigned char *)dst.box.base - dst.memory);
    naive_copy(&naive, &src.box);
    T_OK(parla_strided_copy(&dst.box, &src.box));
    T_EQ_MEM(dst.memory, expected, dst.n_bytes);
    free(expected);
    free(src.memory);
    free(dst.memory);
}

T_TEST(copy_of_random_boxes)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = t_scale(4000); i > 0; i--) {
        parla_strided shape = random_shape(&rng, 2 + t_below(&rng, 8));
        check_copy(&rng, &shape);
    }
}

/* More than one block along both sides, whichever dimension is the fast one. */
T_TEST(copy_of_large_planes)
{
    t_rng rng = {t_seed() + 1};
    for (uint64_t i = t_scale(30); i > 0; i--) {
        parla_strided shape = {
            .item_bytes = 8, .ndim = 2, .extent = {100 + (int64_t)t_below(&rng, 80), 60 + (int64_t)t_below(&rng, 90)}};
        check_copy(&rng, &shape);
    }
}

T_TEST(copy_refuses_unequal_boxes)
{
    char a[64], b[64];
    int64_t two_by_three[] = {2, 3}, six[] = {6}, three_by_two[] = {3, 2};
    parla_strided dst, src;
    T_OK(parla_strided_contiguous(&dst, a, 4, 2, two_by_three));
    T_OK(parla_strided_contiguous(&src, b, 4, 1, six));
    T_EQ(parla_strided_copy(&dst, &src), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "2 dimensions");
    T_OK(parla_strided_contiguous(&src, b, 8, 2, two_by_three));
    T_EQ(parla_strided_copy(&dst, &src), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "8 in the source");
    T_OK(parla_strided_contiguous(&src, b, 4, 2, three_by_two));
    T_EQ(parla_strided_copy(&dst, &src), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "dimension 0");
}

T_TEST(copy_refuses_a_destination_that_overlaps_itself)
{
    char a[64], b[64];
    parla_strided dst = {.base = a, .item_bytes = 4, .ndim = 1, .extent = {3}, .stride = {0}};
    parla_strided src = {.base = b, .item_bytes = 4, .ndim = 1, .extent = {3}, .stride = {4}};
    T_EQ(parla_strided_copy(&dst, &src), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "stride 0");
    dst.extent[0] = src.extent[0] = 1;
    T_OK(parla_strided_copy(&dst, &src));
}

T_TEST(copy_of_nothing_touches_nothing)
{
    parla_strided box = {.base = NULL, .item_bytes = 4, .ndim = 2, .extent = {0, 5}, .stride = {20, 4}};
    T_OK(parla_strided_copy(&box, &box));
}

T_TEST(fill_sets_the_elements_only)
{
    t_rng rng = {t_seed() + 2};
    for (uint64_t i = t_scale(500); i > 0; i--) {
        parla_strided shape = random_shape(&rng, 5);
        random_box dst = random_layout(&rng, &shape, false);
        unsigned char *expected = malloc(dst.n_bytes);
        T_TRUE(expected != NULL);
        memcpy(expected, dst.memory, dst.n_bytes);
        parla_strided naive = dst.box;
        naive.base = expected + ((unsigned char *)dst.box.base - dst.memory);
        for (int64_t k = parla_strided_items(&naive) - 1; k >= 0; k--)
            memset(element(&naive, k), 0x5A, naive.item_bytes);
        T_OK(pl_strided_check_written(&dst.box));
        pl_strided_fill_checked(&dst.box, 0x5A);
        T_EQ_MEM(dst.memory, expected, dst.n_bytes);
        free(expected);
        free(dst.memory);
    }
}

T_TEST(an_empty_destination_may_have_any_strides)
{
    char a[64], b[64];
    parla_strided dst = {.base = a, .item_bytes = 4, .ndim = 2, .extent = {0, 3}, .stride = {0, 0}};
    parla_strided src = {.base = b, .item_bytes = 4, .ndim = 2, .extent = {0, 3}, .stride = {12, 4}};
    T_OK(parla_strided_copy(&dst, &src));
}
