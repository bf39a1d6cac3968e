/* test_cut.c - pieces of boxes: each element is in exactly one, and none is too large. */
#include "base/cut.h"
#include "base/strided.h"
#include "random_box.h"
#include "test.h"

/* Copies piece by piece through a buffer of the piece's size. */
static void check(t_rng *rng, size_t most_bytes)
{
    parla_strided shape = random_shape(rng, 6);
    random_box from = random_layout(rng, &shape, true), to = random_layout(rng, &shape, false);
    pl_cut cut = pl_cut_make(&shape, most_bytes);
    size_t least = most_bytes > shape.item_bytes ? most_bytes : shape.item_bytes, n_bytes = 0;
    char *buffer = malloc(least + 1);
    T_TRUE(cut.piece_bytes <= least);
    for (int64_t i = 0; i < cut.n_pieces; i++) {
        parla_strided src = pl_cut_piece(&cut, &from.box, i), dst = pl_cut_piece(&cut, &to.box, i), between;
        T_OK(parla_strided_contiguous(&between, buffer, src.item_bytes, src.ndim, src.extent));
        T_TRUE(parla_strided_bytes(&src) <= cut.piece_bytes && parla_strided_items(&src) > 0);
        n_bytes += parla_strided_bytes(&src);
        pl_strided_copy_checked(&between, &src);
        pl_strided_copy_checked(&dst, &between);
    }
    T_EQ(n_bytes, parla_strided_bytes(&shape));
    check_same(&to.box, &from.box);
    free(buffer);
    free(from.memory);
    free(to.memory);
}

T_TEST(random_boxes)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = t_scale(3000); i > 0; i--)
        check(&rng, 1 + t_below(&rng, 300));
}

T_TEST(pieces_are_as_large_as_may_be)
{
    parla_strided box;
    static char memory[4096];
    T_OK(parla_strided_contiguous(&box, memory, 4, 2, (int64_t[]){32, 32}));
    T_EQ(pl_cut_make(&box, 4096).n_pieces, 1);
    T_EQ(pl_cut_make(&box, 4095).n_pieces, 2);
    T_EQ(pl_cut_make(&box, 1000).n_pieces, 5);
    T_EQ(pl_cut_make(&box, 127).n_pieces, 64);
    T_EQ(pl_cut_make(&box, 1).n_pieces, 1024);
    T_EQ(pl_cut_make(&box, 1).piece_bytes, 4);
}

T_TEST(nothing_and_one_element)
{
    parla_strided none = {.item_bytes = 8, .ndim = 2, .extent = {5, 0}}, one = {.item_bytes = 8};
    T_EQ(pl_cut_make(&none, 100).n_pieces, 0);
    T_EQ(pl_cut_make(&one, 100).n_pieces, 1);
    T_EQ(pl_cut_make(&one, 100).piece_bytes, 8);
}
