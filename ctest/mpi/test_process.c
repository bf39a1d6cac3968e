/* test_process.c - cases that need an MPI of their own, since it starts and ends once in a process. Each is run alone, by name. */
#include "mpi_test.h"

#include <parla/event.h>

static parla_log_level worst;
static bool was_told_of_serialized;

static void sink(void *ctx, parla_log_level level, const char *line)
{
    (void)ctx;
    if (level < worst)
        worst = level;
    was_told_of_serialized |= strstr(line, "MPI_THREAD_SERIALIZED") != NULL;
}

static parla_runtime *start_runtime(void)
{
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt;
    options.n_workers = 1;
    T_OK(parla_runtime_create(&rt, &options));
    return rt;
}

static MPI_Request receive_nothing(int *value)
{
    MPI_Request request;
    MPI_Irecv(value, 1, MPI_INT, MPI_ANY_SOURCE, 5, MPI_COMM_WORLD, &request);
    return request;
}

/* MPI_Finalize comes first, while a request is pending and the layer is open. */
T_TEST(finalize_first)
{
    static int value;
    parla_mpi *mpi;
    parla_task event;
    parla_log_set_level(PARLA_LOG_ERROR);
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    T_OK(parla_mpi_start(NULL, NULL));
    parla_runtime *rt = start_runtime();
    T_OK(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL));
    MPI_Request request = receive_nothing(&value);
    T_OK(parla_mpi_event(mpi, &event, 1, &request, MPI_STATUSES_IGNORE));
    MPI_Finalize();
    T_EQ(parla_task_wait(rt, &event, 1, PARLA_FOREVER), PARLA_E_CANCELLED);
    parla_task_unref(event);
    T_EQ(parla_mpi_event(mpi, &event, 0, NULL, MPI_STATUSES_IGNORE), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "finalized");
    T_EQ(parla_mpi_progress(mpi), 0);
    parla_mpi_fini(mpi);
    T_EQ(parla_mpi_start(NULL, NULL), PARLA_E_STATE);
    T_EQ(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL), PARLA_E_STATE);
    parla_runtime_destroy(rt);
}

/* Before MPI runs. */
T_TEST(not_started)
{
    parla_mpi *mpi;
    parla_mpi_share_info info = {.size = sizeof info};
    parla_runtime *rt = start_runtime();
    T_EQ(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "parla_mpi_start");
    T_EQ(parla_mpi_share(&info, MPI_COMM_WORLD), PARLA_E_STATE);
    T_OK(parla_mpi_start(NULL, NULL));
    T_OK(parla_mpi_start(NULL, NULL));
    parla_runtime_destroy(rt);
}

/* One thread at a time: the library's calls take turns, and the program is told. */
T_TEST(serialized)
{
    int provided, rank, n_ranks, value = -1, sent;
    parla_mpi *mpi;
    parla_task event;
    MPI_Request requests[2];
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    if (provided != MPI_THREAD_SERIALIZED) {
        MPI_Finalize();
        T_SKIP("this MPI gives another level than it was asked for");
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    parla_log_set_sink(sink, NULL);
    parla_runtime *rt = start_runtime();
    T_OK(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL));
    T_TRUE(was_told_of_serialized);
    for (int i = 0; i < 50; i++) {
        parla_mpi_lock(mpi);
        sent = rank + i;
        MPI_Irecv(&value, 1, MPI_INT, (rank + n_ranks - 1) % n_ranks, 6, MPI_COMM_WORLD, &requests[0]);
        MPI_Isend(&sent, 1, MPI_INT, (rank + 1) % n_ranks, 6, MPI_COMM_WORLD, &requests[1]);
        T_OK(parla_mpi_event(mpi, &event, 2, requests, MPI_STATUSES_IGNORE)); /* the lock nests */
        parla_mpi_unlock(mpi);
        T_OK(parla_task_wait(rt, &event, 1, PARLA_FOREVER));
        T_EQ(value, (rank + n_ranks - 1) % n_ranks + i);
        parla_task_unref(event);
    }
    parla_mpi_fini(mpi);
    parla_log_set_sink(NULL, NULL);
    parla_runtime_destroy(rt);
    MPI_Finalize();
}

/* Too low a level is refused in words. */
T_TEST(funneled)
{
    int provided;
    parla_mpi *mpi;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (provided != MPI_THREAD_FUNNELED) {
        MPI_Finalize();
        T_SKIP("this MPI gives another level than it was asked for");
    }
    parla_runtime *rt = start_runtime();
    T_EQ(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL), PARLA_E_UNSUPPORTED);
    T_HAS_STR(parla_error_detail(), "MPI_THREAD_FUNNELED");
    T_EQ(parla_mpi_start(NULL, NULL), PARLA_E_UNSUPPORTED);
    parla_runtime_destroy(rt);
    MPI_Finalize();
}
