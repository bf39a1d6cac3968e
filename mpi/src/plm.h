/* plm.h - what a parla_mpi is made of, for the sources of this folder. */
#ifndef PLM_PLM_H
#define PLM_PLM_H

#include "at_finalize.h"
#include "liveness.h"
#include "progress.h"
#include "request.h"
#include "transport_source.h"

#include <parla/mpi.h>
#include <pthread.h>
#include <sys/types.h>

struct parla_mpi {
    /* constant after init */
    parla_runtime *rt;
    MPI_Comm comm; /* MPI_COMM_NULL once closed */
    int rank, n_ranks;
    pid_t process; /* who made it: a forked child leaves it alone */
    bool has_prefix;
    bool is_serialized;
    bool aborts; /* a failure of one rank ends all */

    pthread_mutex_t serial; /* recursive; brackets every MPI call while is_serialized */
    plm_table table;
    plm_progress progress;
    plm_transport_source transport;
    plm_at_finalize at_finalize;
    plm_liveness liveness;
    char broken[256]; /* why nothing more is taken; written once, before the table is closed */
};

/* Brackets of the library's MPI calls. */
void plm_enter(parla_mpi *mpi);
bool plm_try_enter(parla_mpi *mpi);
void plm_leave(parla_mpi *mpi);

#endif
