/* test_bound.c - ranks that the launcher binds, each to a core of its own: their runtimes stay inside. */
#include "mpi_test.h"

#include <sched.h>
#include <unistd.h>

static int where_it_runs(parla_context *context, void *arg)
{
    (void)context;
    *(int *)arg = sched_getcpu();
    return 0;
}

T_TEST(workers_stay_in_what_the_launcher_left)
{
    enum { N = 100, MAX_RANKS = 16 };
    cpu_set_t mask, all[MAX_RANKS];
    int cpus[N];
    parla_runtime_info info = {.size = sizeof info};
    T_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
    int provided, is_bound = CPU_COUNT(&mask) < sysconf(_SC_NPROCESSORS_ONLN);
    T_EQ(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided), MPI_SUCCESS);
    MPI_Allreduce(MPI_IN_PLACE, &is_bound, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (!is_bound) {
        MPI_Finalize();
        T_SKIP("the launcher did not bind the ranks");
    }
    m_fixture f = m_open(MPI_COMM_WORLD, 0);
    T_OK(parla_runtime_query(f.rt, &info));
    T_LE(info.n_cores, CPU_COUNT(&mask));
    T_EQ(info.n_workers, info.n_cores);
    for (int i = 0; i < N; i++)
        T_OK(parla_spawn(f.rt, NULL, where_it_runs, &cpus[i], NULL, 0));
    T_OK(parla_runtime_wait(f.rt, PARLA_FOREVER));
    for (int i = 0; i < N; i++)
        T_TRUE(CPU_ISSET(cpus[i], &mask));
    T_LE(f.comm.n_ranks, MAX_RANKS);
    MPI_Allgather(&mask, sizeof mask, MPI_BYTE, all, sizeof mask, MPI_BYTE, MPI_COMM_WORLD);
    for (int k = 0; k < f.comm.n_ranks; k++) {
        cpu_set_t both;
        CPU_AND(&both, &mask, &all[k]);
        T_TRUE(k == f.comm.rank || CPU_COUNT(&both) == 0);
    }
    m_close(&f);
    MPI_Finalize();
}
