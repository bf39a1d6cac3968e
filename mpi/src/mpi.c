/* mpi.c - the life of a parla_mpi.
 *
 * close_all runs once: in parla_mpi_fini, or when MPI_Finalize is called before (at_finalize.h). */
#include "clock.h"
#include "error.h"
#include "plm.h"

#include <parla/error.h>
#include <parla/log.h>
#include <parla/runtime.h>
#include <parla/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* --- MPI itself ------------------------------------------------------------------------------------------------------------------ */

static void finalize_at_exit(void)
{
    int is_finalized = 0;
    MPI_Finalized(&is_finalized);
    if (!is_finalized)
        MPI_Finalize();
}

int parla_mpi_start(int *argc, char ***argv)
{
    int is_initialized = 0, is_finalized = 0, provided = MPI_THREAD_SINGLE, is_serialized;
    MPI_Finalized(&is_finalized);
    if (is_finalized)
        return parla_error_set(PARLA_E_STATE, "starting MPI: it was finalized already, and cannot be started twice");
    MPI_Initialized(&is_initialized);
    int code = is_initialized ? MPI_Query_thread(&provided) : MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &provided);
    if (code != MPI_SUCCESS)
        return plm_error_set(code, "starting MPI");
    if (!is_initialized)
        atexit(finalize_at_exit);
    return plm_check_threads(provided, &is_serialized);
}

/* --- Locks ----------------------------------------------------------------------------------------------------------------------- */

void plm_enter(parla_mpi *mpi)
{
    if (mpi->is_serialized)
        pthread_mutex_lock(&mpi->serial);
}

bool plm_try_enter(parla_mpi *mpi) { return !mpi->is_serialized || pthread_mutex_trylock(&mpi->serial) == 0; }

void plm_leave(parla_mpi *mpi)
{
    if (mpi->is_serialized)
        pthread_mutex_unlock(&mpi->serial);
}

void parla_mpi_lock(parla_mpi *mpi) { plm_enter(mpi); }
void parla_mpi_unlock(parla_mpi *mpi) { plm_leave(mpi); }

/* --- Close ----------------------------------------------------------------------------------------------------------------------- */

static void give_up(plm_wait *pending)
{
    while (pending) {
        plm_wait *next = pending->next;
        plm_wait_finish(pending, PARLA_E_CANCELLED, "the MPI layer was shut down while its requests were pending");
        pending = next;
    }
}

static void on_stall(void *ctx) { plm_liveness_tell_stall(&((parla_mpi *)ctx)->liveness); }

static void close_all(void *ctx)
{
    parla_mpi *mpi = ctx;
    size_t n_pending = plm_table_pending(&mpi->table);
    if (n_pending > 0)
        parla_log(PARLA_LOG_WARN, "MPI is left with %zu requests pending: what waits for them is cancelled", n_pending);
    parla_runtime_on_stall(mpi->rt, NULL, NULL); /* nobody asks the board any more */
    plm_liveness_stop(&mpi->liveness);
    plm_transport_source_remove(&mpi->transport, &mpi->progress);
    plm_progress_stop(&mpi->progress);
    give_up(plm_table_close(&mpi->table));
    MPI_Comm_free(&mpi->comm);
    if (mpi->has_prefix)
        parla_log_set_prefix(NULL);
}

static void free_mpi(parla_mpi *mpi)
{
    plm_table_fini(&mpi->table);
    pthread_mutex_destroy(&mpi->serial);
    free(mpi);
}

void parla_mpi_fini(parla_mpi *mpi)
{
    if (!mpi || mpi->process != getpid())
        return;
    if (mpi->comm != MPI_COMM_NULL) {
        plm_enter(mpi);
        plm_at_finalize_run(&mpi->at_finalize);
        plm_leave(mpi);
    }
    free_mpi(mpi);
}

/* --- Start ----------------------------------------------------------------------------------------------------------------------- */

/* More workers on this node than cores slow each other down: that is told once, by the first rank of the node. */
static void warn_of_oversubscription(parla_mpi *mpi)
{
    parla_runtime_info info = {.size = sizeof info};
    parla_mpi_share_info share = {.size = sizeof share};
    if (parla_runtime_query(mpi->rt, &info) < 0)
        info.n_workers = 0;
    MPI_Comm node;
    if (MPI_Comm_split_type(mpi->comm, MPI_COMM_TYPE_SHARED, mpi->rank, MPI_INFO_NULL, &node) != MPI_SUCCESS)
        return;
    int n_workers = 0;
    bool is_known = MPI_Allreduce(&info.n_workers, &n_workers, 1, MPI_INT, MPI_SUM, node) == MPI_SUCCESS;
    is_known = is_known && parla_mpi_share(&share, node) == 0;
    if (is_known && share.local_rank == 0 && n_workers > share.n_node_cores)
        parla_log(PARLA_LOG_WARN, "%d workers of %d ranks share %d cores of this node and will slow each other down", n_workers,
                  share.n_local, share.n_node_cores);
    MPI_Comm_free(&node);
}

static uint64_t monotonic_ns(void *ctx)
{
    struct timespec now;
    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &now); /* as libparla's traces */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Where some rank records: tells the trace how far this clock is ahead of rank 0's. */
static void measure_clock(parla_mpi *mpi)
{
    plm_clock clock;
    int records = parla_trace_now(mpi->rt) != 0, any = 0;
    if (mpi->n_ranks == 1 || MPI_Allreduce(&records, &any, 1, MPI_INT, MPI_MAX, mpi->comm) != MPI_SUCCESS || !any)
        return;
    if (plm_clock_measure(mpi->comm, monotonic_ns, NULL, &clock) == MPI_SUCCESS)
        parla_trace_set_clock(mpi->rt, clock.ahead_ns, clock.error_ns);
    else
        parla_log(PARLA_LOG_WARN,
                  "how far the clocks of nodes are apart was not measured: times of different nodes do not fit in traces");
}

static int open_comm(parla_mpi *mpi, MPI_Comm comm)
{
    int code = MPI_Comm_dup(comm, &mpi->comm);
    if (code != MPI_SUCCESS)
        return plm_error_set(code, "parla_mpi_init: duplicating the communicator");
    MPI_Comm_set_errhandler(mpi->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(mpi->comm, &mpi->rank);
    MPI_Comm_size(mpi->comm, &mpi->n_ranks);
    return 0;
}

static int open_all(parla_mpi *mpi, MPI_Comm comm, parla_transport *transport)
{
    int rc = plm_table_init(&mpi->table);
    if (rc < 0)
        return rc;
    if ((rc = open_comm(mpi, comm)) < 0)
        goto fini_table;
    if ((rc = plm_progress_start(&mpi->progress, mpi)) < 0)
        goto free_comm;
    if ((rc = plm_transport_source_add(&mpi->transport, &mpi->progress, transport)) < 0)
        goto stop_progress;
    if ((rc = plm_at_finalize_set(&mpi->at_finalize, close_all, mpi)) < 0)
        goto remove_transport;
    return 0;
remove_transport:
    plm_transport_source_remove(&mpi->transport, &mpi->progress);
stop_progress:
    plm_progress_stop(&mpi->progress);
free_comm:
    MPI_Comm_free(&mpi->comm);
fini_table:
    plm_table_fini(&mpi->table);
    return rc;
}

static void init_serial(parla_mpi *mpi)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mpi->serial, &recursive);
    pthread_mutexattr_destroy(&recursive);
}

static void set_prefix(parla_mpi *mpi, const parla_mpi_options *options)
{
    char prefix[32];
    if (mpi->n_ranks == 1 || options->is_log_silent)
        return;
    snprintf(prefix, sizeof prefix, "rank %d", mpi->rank);
    parla_log_set_prefix(prefix);
    mpi->has_prefix = true;
}

static int check_arguments(const parla_runtime *rt, MPI_Comm comm, const parla_mpi_options *options, int *out_is_serialized)
{
    int provided;
    if (options->size != sizeof *options)
        return parla_error_set(PARLA_E_INVALID, "parla_mpi_options.size is %zu, expected %zu: start from PARLA_MPI_OPTIONS_INIT",
                               options->size, sizeof *options);
    if (!rt || comm == MPI_COMM_NULL)
        return parla_error_set(PARLA_E_INVALID, "parla_mpi_init: a %s is needed", rt ? "communicator" : "runtime");
    int rc = plm_check_running("parla_mpi_init");
    if (rc < 0)
        return rc;
    MPI_Query_thread(&provided);
    return plm_check_threads(provided, out_is_serialized);
}

int parla_mpi_init(parla_mpi **out, parla_runtime *rt, MPI_Comm comm, const parla_mpi_options *options)
{
    parla_mpi_options defaults = PARLA_MPI_OPTIONS_INIT;
    int is_serialized;
    options = options ? options : &defaults;
    int rc = check_arguments(rt, comm, options, &is_serialized);
    if (rc < 0)
        return rc;
    parla_mpi *mpi = calloc(1, sizeof *mpi);
    if (!mpi)
        return parla_error_set(PARLA_E_NOMEM, "no memory for the MPI layer");
    *mpi = (parla_mpi){.rt = rt, .comm = MPI_COMM_NULL, .process = getpid(), .is_serialized = is_serialized};
    init_serial(mpi);
    plm_enter(mpi);
    rc = open_all(mpi, comm, options->transport);
    if (rc == 0) {
        mpi->aborts = options->on_failure == PARLA_MPI_ABORT || (!options->on_failure && mpi->n_ranks > 1);
        warn_of_oversubscription(mpi);
        set_prefix(mpi, options); /* before there is somebody to report */
        plm_liveness_start(&mpi->liveness, mpi);
        parla_runtime_on_stall(rt, on_stall, mpi);
        measure_clock(mpi);
    }
    plm_leave(mpi);
    if (rc < 0) {
        pthread_mutex_destroy(&mpi->serial);
        free(mpi);
        return rc;
    }
    if (is_serialized)
        parla_log(PARLA_LOG_WARN,
                  "MPI runs with MPI_THREAD_SERIALIZED: the program's own MPI calls belong between parla_mpi_lock and "
                  "parla_mpi_unlock; MPI_THREAD_MULTIPLE would not need that");
    *out = mpi;
    return 0;
}

/* --- Look ------------------------------------------------------------------------------------------------------------------------ */

MPI_Comm parla_mpi_comm(const parla_mpi *mpi) { return mpi->comm; }
int parla_mpi_rank(const parla_mpi *mpi) { return mpi->rank; }
int parla_mpi_n_ranks(const parla_mpi *mpi) { return mpi->n_ranks; }
