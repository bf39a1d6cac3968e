/* mpi_test.h - what test programs that run under a launcher share. Every rank runs the same cases in the same order. */
#ifndef PARLA_MPI_TEST_H
#define PARLA_MPI_TEST_H

#include "test.h"

#include <parla/mpi.h>
#include <parla/parla.h>

/* A communicator, and this rank in it. */
typedef struct m_comm {
    MPI_Comm comm;
    int rank, n_ranks;
} m_comm;

static inline m_comm m_describe(MPI_Comm comm)
{
    m_comm out = {.comm = comm};
    MPI_Comm_rank(comm, &out.rank);
    MPI_Comm_size(comm, &out.n_ranks);
    return out;
}

/* A runtime and what joins it to MPI. */
typedef struct m_fixture {
    m_comm comm;
    parla_runtime *rt;
    parla_mpi *mpi;
} m_fixture;

static inline m_fixture m_open(MPI_Comm comm, int n_workers)
{
    m_fixture f = {.comm = m_describe(comm)};
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_workers;
    T_OK(parla_runtime_create(&f.rt, &options));
    T_OK(parla_mpi_init(&f.mpi, f.rt, comm, NULL));
    return f;
}

static inline void m_close(m_fixture *f)
{
    T_OK(parla_runtime_wait(f->rt, PARLA_FOREVER));
    parla_mpi_fini(f->mpi);
    parla_runtime_destroy(f->rt);
}

/* Runs a function on the world, and on halves of it that are made by splitting, each with its own messages. Errors of MPI are returned. */
static inline void m_on_comms(void (*function)(m_fixture *f), int n_workers)
{
    parla_log_set_level(PARLA_LOG_ERROR); /* the ranks of a test share cores on purpose */
    T_OK(parla_mpi_start(NULL, NULL));
    MPI_Comm comms[2];
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &comms[1]);
    for (int i = 0; i < 2; i++) {
        t_phase(i ? "on the split communicator" : "on the world");
        MPI_Comm_set_errhandler(comms[i], MPI_ERRORS_RETURN);
        m_fixture f = m_open(comms[i], n_workers);
        function(&f);
        m_close(&f);
        MPI_Comm_free(&comms[i]);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

#endif
