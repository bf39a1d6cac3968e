/* TAMPI.h - what stands in for TAMPI where it is not installed: a task then waits on its thread. */
#ifndef STAND_IN_TAMPI_H
#define STAND_IN_TAMPI_H

#include <mpi.h>

#define MPI_TASK_MULTIPLE MPI_THREAD_MULTIPLE
#define TAMPI_Iwaitall(n, requests, statuses) MPI_Waitall((n), (requests), (statuses))

#endif
