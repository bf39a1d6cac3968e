/* glue_mpi.h - what the Fortran module parla_mpi calls: parla/mpi.h with Fortran's handles. */
#ifndef PARLA_FORTRAN_GLUE_MPI_H
#define PARLA_FORTRAN_GLUE_MPI_H

#include <parla/mpi.h>

/* on_failure: 0 the default, 1 "abort", 2 "raise"; negative: the program named another one, which is refused. */
int plf_mpi_init(parla_mpi **out, parla_runtime *rt, MPI_Fint comm, int on_failure);

/* parla_mpi_share and parla_mpi_share_bind. */
int plf_mpi_share(MPI_Fint comm, int *out_n_cores);

/* On success the requests are MPI_REQUEST_NULL. */
int plf_mpi_bind(parla_mpi *mpi, parla_context *context, int n, MPI_Fint *requests);
int plf_mpi_suspend_on(parla_mpi *mpi, parla_context *context, int n, MPI_Fint *requests);
int plf_mpi_event(parla_mpi *mpi, parla_task *out, int n, MPI_Fint *requests);

MPI_Fint plf_mpi_comm(const parla_mpi *mpi);

#endif
