/* test_launcher.c - what launchers say of ranks. */
#include "base/launcher.h"

#include "test.h"

#include <stdlib.h>

static const char *const pairs[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                       {"PMI_RANK", "PMI_SIZE"},
                                       {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
                                       {"FLUX_TASK_RANK", "FLUX_JOB_SIZE"},
                                       {"SLURM_PROCID", "SLURM_NTASKS"}};

#define N_PAIRS (sizeof pairs / sizeof *pairs)

static void clear(void)
{
    for (size_t i = 0; i < N_PAIRS; i++) {
        unsetenv(pairs[i][0]);
        unsetenv(pairs[i][1]);
    }
}

static void check(int rank, int n_ranks)
{
    pl_launcher launcher = pl_launcher_read();
    T_EQ(launcher.rank, rank);
    T_EQ(launcher.n_ranks, n_ranks);
}

T_TEST(without_a_launcher_there_is_one_rank)
{
    clear();
    check(0, 1);
}

T_TEST(each_launcher_is_understood)
{
    for (size_t i = 0; i < N_PAIRS; i++) {
        clear();
        setenv(pairs[i][0], "11", 1);
        setenv(pairs[i][1], "128", 1);
        check(11, 128);
    }
}

T_TEST(mpirun_goes_before_the_batch_step_around_it)
{
    clear();
    setenv("SLURM_PROCID", "0", 1);
    setenv("SLURM_NTASKS", "64", 1);
    setenv("OMPI_COMM_WORLD_RANK", "3", 1);
    setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
    check(3, 4);
}

T_TEST(nonsense_is_passed_over)
{
    static const char *const wrong[][2] = {{"", "4"},  {"-1", "4"}, {"4", "4"}, {"1x", "4"}, {"1", "99999999999999999999"},
                                           {" 1", "4"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        clear();
        setenv("PMI_RANK", wrong[i][0], 1);
        setenv("PMI_SIZE", wrong[i][1], 1);
        check(0, 1);
    }
    clear();
    setenv("PMI_RANK", "1", 1);
    check(0, 1);
}
