/* cycle_program.c - a whole job that is over at once: MPI starts, tasks exchange messages, everything ends.
 * usage: cycle_program HOW      What cycle_test.py runs again and again. HOW is who ends what: ucx or mpi (everything in order, with that
 * transport), finalize (MPI_Finalize comes first), exit (the end of main), pending (a request is left that nobody answers). */
#include <parla/error.h>
#include <parla/mpi.h>
#include <parla/mpi_transport.h>
#include <parla/parla.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static parla_mpi *mpi;
static int rank, n_ranks;

static void need(int code, const char *what)
{
    if (code >= 0)
        return;
    fprintf(stderr, "rank %d: %s: %s\n", rank, what, parla_error_detail());
    exit(1);
}

/* One value goes round. */
static int exchange(parla_context *context, void *arg)
{
    int *values = arg;
    MPI_Request requests[2];
    values[0] = rank;
    MPI_Irecv(&values[1], 1, MPI_INT, (rank + n_ranks - 1) % n_ranks, 1, parla_mpi_comm(mpi), &requests[0]);
    MPI_Isend(&values[0], 1, MPI_INT, (rank + 1) % n_ranks, 1, parla_mpi_comm(mpi), &requests[1]);
    return parla_mpi_bind(mpi, context, 2, requests);
}

/* Nobody sends this one. */
static int wait_in_vain(parla_context *context, void *arg)
{
    MPI_Request request;
    MPI_Irecv(arg, 1, MPI_INT, (rank + 1) % n_ranks, 2, parla_mpi_comm(mpi), &request);
    return parla_mpi_bind(mpi, context, 1, &request);
}

static parla_transport *open_transport(const char *kind)
{
    parla_transport *out;
    parla_mpi_transport_options options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    options.kind = kind;
    need(parla_mpi_transport(&out, MPI_COMM_WORLD, &options), "transport");
    return out;
}

static void check_exchange(parla_runtime *rt)
{
    int values[2] = {-1, -1};
    need(parla_spawn(rt, NULL, exchange, values, NULL, 0), "spawn");
    need(parla_runtime_wait(rt, PARLA_FOREVER), "wait");
    if (values[1] == (rank + n_ranks - 1) % n_ranks)
        return;
    fprintf(stderr, "rank %d received %d\n", rank, values[1]);
    exit(1);
}

int main(int argc, char **argv)
{
    static int never; /* the request that is left may still be written to until MPI ends */
    const char *how = argc > 1 ? argv[1] : "exit";
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    parla_mpi_options mpi_options = PARLA_MPI_OPTIONS_INIT;
    options.n_workers = 2;
    parla_log_set_level(PARLA_LOG_ERROR); /* the ranks share cores on purpose, and leave a request behind */
    need(parla_mpi_start(NULL, NULL), "start");
    need(parla_runtime_create(&rt, &options), "runtime");
    if (!strcmp(how, "ucx") || !strcmp(how, "mpi"))
        mpi_options.transport = open_transport(how);
    need(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, &mpi_options), "init");
    rank = parla_mpi_rank(mpi);
    n_ranks = parla_mpi_n_ranks(mpi);
    check_exchange(rt);
    if (!strcmp(how, "exit"))
        return 0;
    if (!strcmp(how, "pending"))
        need(parla_spawn(rt, NULL, wait_in_vain, &never, NULL, 0), "spawn");
    if (!strcmp(how, "finalize"))
        MPI_Finalize();
    parla_mpi_fini(mpi);
    if (mpi_options.transport)
        mpi_options.transport->close(mpi_options.transport->self);
    parla_runtime_destroy(rt);
    return 0; /* MPI, where it still runs, ends with the process */
}
