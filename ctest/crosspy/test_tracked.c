/* Versions of blocks and who has them, without runtime or messages. */
#include "tracked.h"

#include "random_layout.h"

#include <parla/data.h>
#include <stdlib.h>

static parla_data *new_data(void)
{
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    int64_t extent = 2;
    parla_data *data = NULL;
    T_OK(parla_strided_contiguous(&options.host, NULL, 8, 1, &extent));
    T_OK(parla_data_create(&data, &options));
    return data;
}

/* Six elements in blocks of two, one at each of three ranks; seen from `rank`. */
static cx_tracked *track(int rank, parla_data *own)
{
    const cx_place places[3] = {{0, PARLA_ARCH_CPU, 0}, {1, PARLA_ARCH_CPU, 0}, {2, PARLA_ARCH_CPU, 0}};
    int64_t shape = 6;
    cx_layout *layout = NULL;
    cx_tracked *array = NULL;
    parla_data *blocks[3] = {NULL, NULL, NULL};
    blocks[rank] = own;
    T_OK(cx_layout_split(&layout, 1, &shape, 0, 3, NULL, places));
    T_OK(cx_tracked_create(&array, layout, 8, blocks, rank));
    cx_layout_unref(layout);
    return array;
}

T_TEST(a_rank_has_a_version_once_it_was_noted)
{
    const int n_ranks[2] = {5, 300}; /* with a word for each block, and with a row of words */
    for (int i = 0; i < 2; i++) {
        parla_data *data = new_data();
        cx_tracked *array = track(1, data);
        bool had = true;
        int last = n_ranks[i] - 1;
        T_OK(cx_tracked_note_holder(array, 1, last, n_ranks[i], &had));
        T_FALSE(had);
        T_OK(cx_tracked_note_holder(array, 1, last, n_ranks[i], &had));
        T_TRUE(had);
        T_OK(cx_tracked_note_holder(array, 1, last - 1, n_ranks[i], &had));
        T_FALSE(had);
        cx_tracked_renew(array, 1, last - 1);
        T_OK(cx_tracked_note_holder(array, 1, last, n_ranks[i], &had));
        T_FALSE(had);
        T_OK(cx_tracked_note_holder(array, 1, last - 1, n_ranks[i], &had));
        T_TRUE(had);
        T_EQ(array->blocks[1].version, 1);
        cx_tracked_destroy(array);
        parla_data_unref(data);
    }
}

T_TEST(a_copy_lasts_until_another_rank_writes)
{
    parla_data *own = new_data(), *copy = NULL, *again = NULL;
    cx_tracked *array = track(0, own);
    bool is_new = false;
    T_OK(cx_tracked_copy(array, 2, &copy, &is_new));
    T_TRUE(is_new);
    T_EQ(parla_data_shape(copy)->extent[0], 2);
    T_OK(cx_tracked_copy(array, 2, &again, &is_new));
    T_FALSE(is_new);
    T_EQ_PTR(again, copy);
    cx_tracked_renew(array, 2, 0); /* written here, for its owner */
    T_OK(cx_tracked_copy(array, 2, &again, &is_new));
    T_FALSE(is_new);
    cx_tracked_renew(array, 2, 2);
    T_OK(cx_tracked_copy(array, 2, &again, &is_new));
    T_TRUE(is_new);
    cx_tracked_destroy(array);
    parla_data_unref(own);
}

T_TEST(blocks_of_this_rank_must_be_there)
{
    const cx_place here = {0, PARLA_ARCH_CPU, 0};
    int64_t shape = 4;
    parla_data *nothing = NULL;
    cx_tracked *array = NULL;
    cx_layout *layout = NULL;
    T_OK(cx_layout_split(&layout, 1, &shape, 0, 1, NULL, &here));
    T_EQ(cx_tracked_create(&array, layout, 8, &nothing, 0), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "block 0 belongs to this rank");
    T_OK(cx_tracked_create(&array, layout, 8, &nothing, 1));
    cx_tracked_destroy(array);
    cx_tracked_destroy(NULL);
    cx_layout_unref(layout);
}
