/* Boxes inside strided memory, as messages and immediate copies use them. Messages between arrays are tested by test_run.c. */
#include "message.h"

#include <test.h>

T_TEST(a_part_of_strided_memory)
{
    int32_t memory[4][6];
    parla_strided whole, target;
    int64_t extent[2] = {4, 6}, small[2] = {2, 3};
    int32_t got[2][3];
    for (int i = 0; i < 24; i++) {
        memory[i / 6][i % 6] = i;
    }
    T_OK(parla_strided_contiguous(&whole, memory, sizeof(int32_t), 2, extent));
    T_OK(parla_strided_contiguous(&target, got, sizeof(int32_t), 2, small));
    cx_box part = {2, {{1, 4, 2}, {0, 5, 2}}};
    parla_strided box = cx_strided_part(&whole, &part);
    T_OK(parla_strided_copy(&target, &box));
    const int32_t want[2][3] = {{6, 8, 10}, {18, 20, 22}};
    T_EQ_MEM(got, want, sizeof want);
}

T_TEST(a_source_is_stretched_along_other_dimensions)
{
    int32_t column[3] = {7, 8, 9}, got[3][2];
    parla_strided source, target;
    int64_t extent[3] = {1, 3, 1}, shape[2] = {3, 2};
    T_OK(parla_strided_contiguous(&source, column, sizeof(int32_t), 3, extent));
    T_OK(parla_strided_contiguous(&target, got, sizeof(int32_t), 2, shape));
    cx_box dst_box = {2, {{0, 3, 1}, {0, 2, 1}}};
    const int axes[2] = {1, -1};
    parla_strided box = cx_strided_stretch(&source, &dst_box, axes);
    T_OK(parla_strided_copy(&target, &box));
    const int32_t want[3][2] = {{7, 7}, {8, 8}, {9, 9}};
    T_EQ_MEM(got, want, sizeof want);
}
