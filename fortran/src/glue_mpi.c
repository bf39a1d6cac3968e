/* glue_mpi.c - see glue_mpi.h. */
#include "glue_mpi.h"

#include <parla/error.h>
#include <stdlib.h>

int plf_mpi_init(parla_mpi **out, parla_runtime *rt, MPI_Fint comm, int on_failure)
{
    parla_mpi_options options = PARLA_MPI_OPTIONS_INIT;
    if (on_failure < 0)
        return parla_error_set(PARLA_E_INVALID, "on_failure takes \"abort\" or \"raise\"");
    options.on_failure = (parla_mpi_on_failure)on_failure;
    return parla_mpi_init(out, rt, MPI_Comm_f2c(comm), &options);
}

int plf_mpi_share(MPI_Fint comm, int *out_n_cores)
{
    parla_mpi_share_info share = {.size = sizeof share};
    int rc = parla_mpi_share(&share, MPI_Comm_f2c(comm));
    rc = rc ? rc : parla_mpi_share_bind(&share);
    if (rc == 0)
        *out_n_cores = share.n_cores;
    return rc;
}

/* What is done with C's handles of some requests. */
typedef struct mpi_call {
    parla_mpi *mpi;
    parla_context *context; /* NULL: an event */
    parla_task *event;
    bool suspends;
} mpi_call;

static int hand_over(const mpi_call *call, int n, MPI_Request *requests)
{
    if (!call->context)
        return parla_mpi_event(call->mpi, call->event, n, requests, MPI_STATUSES_IGNORE);
    if (call->suspends)
        return parla_mpi_suspend_on(call->mpi, call->context, n, requests, MPI_STATUSES_IGNORE);
    return parla_mpi_bind(call->mpi, call->context, n, requests);
}

static int with_handles(const mpi_call *call, int n, MPI_Fint *handles)
{
    MPI_Request few[8], *requests = n <= 8 ? few : malloc((size_t)n * sizeof *requests);
    if (!requests)
        return parla_error_set(PARLA_E_NOMEM, "handles of %d requests", n);
    for (int i = 0; i < n; i++)
        requests[i] = MPI_Request_f2c(handles[i]);
    int rc = hand_over(call, n, requests);
    for (int i = 0; rc == 0 && i < n; i++)
        handles[i] = MPI_Request_c2f(requests[i]);
    if (requests != few)
        free(requests);
    return rc;
}

int plf_mpi_bind(parla_mpi *mpi, parla_context *context, int n, MPI_Fint *requests)
{
    return with_handles(&(mpi_call){.mpi = mpi, .context = context}, n, requests);
}

int plf_mpi_suspend_on(parla_mpi *mpi, parla_context *context, int n, MPI_Fint *requests)
{
    return with_handles(&(mpi_call){.mpi = mpi, .context = context, .suspends = true}, n, requests);
}

int plf_mpi_event(parla_mpi *mpi, parla_task *out, int n, MPI_Fint *requests)
{
    return with_handles(&(mpi_call){.mpi = mpi, .event = out}, n, requests);
}

MPI_Fint plf_mpi_comm(const parla_mpi *mpi) { return MPI_Comm_c2f(parla_mpi_comm(mpi)); }
