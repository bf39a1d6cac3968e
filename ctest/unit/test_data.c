/* test_data.c - array objects: making, describing, regions, the end. */
#include "data/data.h"
#include "test.h"

#include <parla/error.h>

#include <sys/wait.h>
#include <unistd.h>

static void count_release(void *ctx) { ++*(int *)ctx; }

T_TEST(given_memory_is_the_content)
{
    double memory[6] = {0};
    int n_released = 0;
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.base = memory, .item_bytes = 8, .ndim = 2, .extent = {2, 3}, .stride = {8, 16}};
    options.release = count_release;
    options.ctx = &n_released;
    options.name = "x";
    T_OK(parla_data_create(&data, &options));
    T_EQ_STR(parla_data_name(data), "x");
    T_EQ_PTR(parla_data_shape(data)->base, memory);
    T_EQ(parla_data_shape(data)->stride[1], 16);
    T_EQ(data->n_bytes, 48);
    T_EQ(data->tiles.root.coherence.valid, 1);
    parla_data_ref(data);
    parla_data_unref(data);
    T_EQ(n_released, 0);
    parla_data_unref(data);
    T_EQ(n_released, 1);
    parla_data_unref(NULL);
}

T_TEST(without_memory_there_is_no_content)
{
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.item_bytes = 4, .ndim = 2, .extent = {5, 7}};
    T_OK(parla_data_create(&data, &options));
    T_EQ_STR(parla_data_name(data), "");
    T_EQ(parla_data_shape(data)->stride[0], 28);
    T_TRUE(parla_data_shape(data)->base == NULL);
    T_EQ(data->tiles.root.coherence.valid, 0);
    parla_data_info info = {.size = sizeof info};
    T_OK(parla_data_query(data, &info));
    T_EQ(info.n_bytes, 140);
    T_EQ(info.valid_mask, 0);
    T_EQ(info.i_owner, -1);
    parla_data_unref(data);
}

T_TEST(bad_shapes_are_refused)
{
    parla_data *data = NULL;
    double x;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.item_bytes = 8, .ndim = PARLA_MAX_NDIM + 1};
    T_EQ(parla_data_create(&data, &options), PARLA_E_INVALID);
    options.host = (parla_strided){.item_bytes = 8, .ndim = 1, .extent = {-1}};
    T_EQ(parla_data_create(&data, &options), PARLA_E_INVALID);
    options.host = (parla_strided){.base = &x, .item_bytes = 8, .ndim = 1, .extent = {4}, .stride = {0}};
    T_EQ(parla_data_create(&data, &options), PARLA_E_INVALID);
    options.size = 3;
    T_EQ(parla_data_create(&data, &options), PARLA_E_INVALID);
    T_TRUE(data == NULL);
}

T_TEST(regions)
{
    parla_data *data;
    bool is_whole;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.item_bytes = 8, .ndim = 2, .extent = {4, 6}};
    T_OK(parla_data_create(&data, &options));
    T_OK(pl_data_check_region(data, NULL, &is_whole));
    T_TRUE(is_whole);
    T_OK(pl_data_check_region(data, (parla_range[]){{0, 4, 1}, {0, 6, 1}}, &is_whole));
    T_TRUE(is_whole);
    T_OK(pl_data_check_region(data, (parla_range[]){{0, 4, 1}, {0, 6, 2}}, &is_whole));
    T_FALSE(is_whole);
    T_OK(pl_data_check_region(data, (parla_range[]){{2, 2, 1}, {0, 6, 1}}, &is_whole));
    T_FALSE(is_whole);
    T_EQ(pl_data_check_region(data, (parla_range[]){{0, 5, 1}, {0, 6, 1}}, &is_whole), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "dimension 0");
    T_EQ(pl_data_check_region(data, (parla_range[]){{0, 4, 1}, {0, 6, 0}}, &is_whole), PARLA_E_INVALID);
    T_EQ(pl_data_check_region(data, (parla_range[]){{-1, 4, 1}, {0, 6, 1}}, &is_whole), PARLA_E_INVALID);
    T_EQ(pl_data_check_region(data, (parla_range[]){{3, 2, 1}, {0, 6, 1}}, &is_whole), PARLA_E_INVALID);
    parla_data_unref(data);
}

T_TEST(the_box_of_a_region)
{
    int memory[4][6];
    parla_strided box;
    for (int i = 0; i < 24; i++)
        memory[i / 6][i % 6] = i;
    T_OK(parla_strided_contiguous(&box, memory, sizeof(int), 2, (int64_t[]){4, 6}));
    parla_strided part = pl_box_region(&box, (parla_range[]){{1, 4, 2}, {1, 6, 3}});
    T_EQ(part.extent[0], 2);
    T_EQ(part.extent[1], 2);
    int out[2][2];
    parla_strided to;
    T_OK(parla_strided_contiguous(&to, out, sizeof(int), 2, (int64_t[]){2, 2}));
    T_OK(parla_strided_copy(&to, &part));
    T_EQ_MEM(out, ((int[2][2]){{7, 10}, {19, 22}}), sizeof out);
    part = pl_box_region(&box, NULL);
    T_EQ_MEM(&part, &box, sizeof box);
}

T_TEST(a_reference_of_what_is_gone)
{
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.item_bytes = 8};
    T_OK(parla_data_create(&data, &options));
    T_TRUE(pl_data_ref_if_alive(data));
    T_FALSE(pl_data_unref_last(data));
    T_TRUE(pl_data_unref_last(data));
    T_FALSE(pl_data_ref_if_alive(data));
    pl_data_destroy(data);
}

/* A child of a fork that another thread of the parent's was inside of the library at. */
T_TEST(a_forked_child_is_not_locked_out)
{
    pl_attachment_lock();
    pid_t child = fork();
    if (child == 0) {
        parla_data_info info = {.size = sizeof info};
        parla_data *data;
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        options.host = (parla_strided){.item_bytes = 4, .ndim = 1, .extent = {5}};
        T_OK(parla_data_create(&data, &options));
        T_OK(parla_data_query(data, &info));
        parla_data_unref(data);
        _exit(0);
    }
    pl_attachment_unlock();
    int status;
    T_EQ(waitpid(child, &status, 0), child);
    T_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
