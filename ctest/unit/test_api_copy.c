/* test_api_copy.c - copies of boxes: exactly those bytes, by any axes, to where they are asked for. */
#include "placed_fixture.h"

static parla_data *make_matrix(int *memory, int64_t rows, int64_t columns)
{
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.name = "matrix";
    options.host = (parla_strided){.base = memory,
                                   .item_bytes = sizeof(int),
                                   .ndim = 2,
                                   .extent = {rows, columns},
                                   .stride = {columns * (int64_t)sizeof(int), sizeof(int)}};
    T_OK(parla_data_create(&data, &options));
    return data;
}

static int wait_for(parla_runtime *rt, parla_task task) { return parla_task_wait(rt, &task, 1, PARLA_FOREVER); }

static void read_back(parla_runtime *rt, parla_data *data)
{
    parla_instance here;
    T_OK(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here));
    parla_data_release(data, PARLA_IN);
}

T_TEST(exactly_the_box_crosses_the_link)
{
    int a[6][8], b[6][8] = {{0}};
    parla_task task;
    parla_link_info link = {.size = sizeof link};
    for (int i = 0; i < 48; i++)
        a[i / 8][i % 8] = i;
    parla_runtime *rt = start("sim:2");
    parla_data *src = make_matrix(&a[0][0], 6, 8), *dst = make_matrix(&b[0][0], 6, 8);
    parla_range from[2] = {{1, 6, 2}, {2, 6, 1}}, to[2] = {{0, 3, 1}, {1, 8, 2}};
    T_OK(parla_data_copy(rt, &task, dst, NULL, src, NULL, 1)); /* now both are whole on a device or the host */
    T_OK(wait_for(rt, task));
    T_EQ(info_of(dst).i_owner, 1);
    T_OK(parla_data_copy(rt, &task, dst, to, src, from, 1));
    T_OK(wait_for(rt, task));
    T_OK(parla_link_query(rt, 0, 1, &link));
    T_EQ(link.n_bytes, (48 + 12) * sizeof(int));
    read_back(rt, dst);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 8; k++) {
            bool is_inside = i < 3 && k % 2 == 1;
            T_EQ(b[i][k], is_inside ? a[1 + 2 * i][2 + k / 2] : a[i][k]);
        }
    parla_data_unref(src);
    parla_data_unref(dst);
    parla_runtime_destroy(rt);
}

T_TEST(to_where_the_destination_is)
{
    int a[2][2] = {{1, 2}, {3, 4}}, b[2][2] = {{0}};
    parla_task task;
    parla_runtime *rt = start("sim:2");
    parla_data *src = make_matrix(&a[0][0], 2, 2), *dst = make_matrix(&b[0][0], 2, 2), *fresh = make_matrix(NULL, 2, 2);
    T_OK(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(1), dst, PARLA_INOUT)));
    T_OK(parla_data_copy(rt, &task, dst, NULL, src, NULL, -1));
    T_OK(wait_for(rt, task));
    T_EQ(info_of(dst).i_owner, 2);
    T_OK(parla_data_copy(rt, &task, fresh, NULL, dst, NULL, -1));
    T_OK(wait_for(rt, task));
    T_EQ(info_of(fresh).i_owner, 0);
    T_EQ(info_of(dst).i_owner, 2);
    parla_data_unref(src);
    parla_data_unref(dst);
    parla_data_unref(fresh);
    parla_runtime_destroy(rt);
}

T_TEST(axes_turn_and_repeat)
{
    int a[3][1] = {{1}, {2}, {3}}, b[2][3] = {{0}};
    parla_task task;
    parla_runtime *rt = start("sim:1");
    parla_data *src = make_matrix(&a[0][0], 3, 1), *dst = make_matrix(&b[0][0], 2, 3);
    T_OK(parla_data_copy_axes(rt, &task, dst, NULL, src, NULL, (int[]){-1, 0}, 1));
    T_OK(wait_for(rt, task));
    read_back(rt, dst);
    T_EQ_MEM(b, ((int[2][3]){{1, 2, 3}, {1, 2, 3}}), sizeof b);
    T_EQ(parla_data_copy_axes(rt, &task, dst, NULL, src, NULL, (int[]){0, 0}, 1), PARLA_E_INVALID);
    T_EQ(parla_data_copy_axes(rt, &task, dst, NULL, src, NULL, (int[]){-1, 2}, 1), PARLA_E_INVALID);
    T_EQ(parla_data_copy_axes(rt, &task, dst, NULL, src, NULL, (int[]){-1, 1}, 1), PARLA_E_INVALID);
    T_EQ(parla_data_copy_axes(rt, &task, dst, NULL, src, NULL, (int[]){-1, -1}, 1), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "named nowhere");
    parla_data_unref(src);
    parla_data_unref(dst);
    parla_runtime_destroy(rt);
}

T_TEST(within_one_array)
{
    int a[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    parla_task task;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_matrix(&a[0][0], 2, 4);
    parla_range odd[2] = {{0, 2, 1}, {1, 4, 2}}, even[2] = {{0, 2, 1}, {0, 4, 2}}, tail[2] = {{0, 2, 1}, {2, 4, 1}};
    T_OK(parla_data_copy(rt, &task, data, odd, data, even, 1));
    T_OK(wait_for(rt, task));
    read_back(rt, data);
    T_EQ_MEM(a, ((int[2][4]){{1, 1, 3, 3}, {5, 5, 7, 7}}), sizeof a);
    T_EQ(parla_data_copy(rt, &task, data, odd, data, tail, 1), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "overlap");
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(shapes_that_differ_are_refused)
{
    int a[2][2] = {{0}}, b[3][2] = {{0}};
    unsigned char c[2] = {0};
    parla_task task;
    parla_runtime *rt = start("sim:1");
    parla_data *small = make_matrix(&a[0][0], 2, 2), *large = make_matrix(&b[0][0], 3, 2), *flat = make_array("flat", c, 2);
    T_EQ(parla_data_copy(rt, &task, large, NULL, small, NULL, -1), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "3 elements");
    T_EQ(parla_data_copy(rt, &task, flat, NULL, small, NULL, -1), PARLA_E_INVALID);
    T_EQ(parla_data_copy_axes(rt, &task, flat, NULL, small, (parla_range[]){{0, 2, 1}, {0, 1, 1}}, (int[]){0}, -1),
         PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "items");
    T_EQ(parla_data_copy(rt, &task, small, NULL, large, (parla_range[]){{0, 4, 1}, {0, 2, 1}}, -1), PARLA_E_INVALID);
    T_EQ(parla_data_copy(rt, &task, small, NULL, small, NULL, 2), PARLA_E_NO_DEVICE);
    parla_data_unref(small);
    parla_data_unref(large);
    parla_data_unref(flat);
    parla_runtime_destroy(rt);
}

T_TEST(a_failed_copy_fails_its_task)
{
    int a[2][2] = {{1, 2}, {3, 4}}, b[2][2] = {{0}};
    parla_task task;
    parla_runtime *rt = start("sim:1,lat=20ms");
    parla_data *src = make_matrix(&a[0][0], 2, 2), *dst = make_matrix(&b[0][0], 2, 2);
    T_OK(parla_sim_inject(rt, 1, 0, 1));
    T_OK(parla_data_copy(rt, &task, dst, NULL, src, NULL, 1));
    T_OK(parla_task_ref(task));
    T_EQ(finish(rt, task), PARLA_E_DEVICE);
    T_OK(parla_data_copy(rt, &task, dst, NULL, src, NULL, 1));
    T_OK(wait_for(rt, task));
    read_back(rt, dst);
    T_EQ_MEM(a, b, sizeof a);
    parla_data_unref(src);
    parla_data_unref(dst);
    parla_runtime_destroy(rt);
}
