/* tampi_before.c - numbers around a ring with TAMPI: a task of OpenMP whose end waits for its requests. */
#include <TAMPI.h>
#include <mpi.h>
#include <stdio.h>

enum { N = 20 };

int main(int argc, char **argv)
{
    static int sent[N], received[N];
    int provided, rank, n, sum = 0;
    MPI_Init_thread(&argc, &argv, MPI_TASK_MULTIPLE, &provided);
    if (provided != MPI_TASK_MULTIPLE)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
#pragma omp parallel
#pragma omp single
    for (int i = 0; i < N; i++) {
#pragma omp task depend(out : received[i]) depend(out : sent[i])
        {
            MPI_Request requests[2];
            sent[i] = i * (rank + 1);
            MPI_Irecv(&received[i], 1, MPI_INT, (rank + n - 1) % n, i, MPI_COMM_WORLD, &requests[0]);
            MPI_Isend(&sent[i], 1, MPI_INT, (rank + 1) % n, i, MPI_COMM_WORLD, &requests[1]);
            TAMPI_Iwaitall(2, requests, MPI_STATUSES_IGNORE);
        }
#pragma omp task depend(in : received[i])
        received[i] *= 2;
    }
    for (int i = 0; i < N; i++)
        sum += received[i];
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        printf("%d ranks, sum %d\n", n, sum);
    MPI_Finalize();
    return 0;
}
