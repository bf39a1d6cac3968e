/* tampi_after.c - the same here: parla_mpi_bind is what TAMPI_Iwaitall is there; parla_mpi_suspend_on is TAMPI's blocking mode. */
#include <parla/mpi.h>
#include <parla/parla.h>
#include <stdio.h>

enum { N = 20 };
static int sent[N], received[N], rank, n;

typedef struct message {
    parla_mpi *mpi;
    int i;
} message;

static int exchange(parla_context *context, void *arg)
{
    const message *self = arg;
    MPI_Request requests[2];
    MPI_Comm comm = parla_mpi_comm(self->mpi);
    sent[self->i] = self->i * (rank + 1);
    MPI_Irecv(&received[self->i], 1, MPI_INT, (rank + n - 1) % n, self->i, comm, &requests[0]);
    MPI_Isend(&sent[self->i], 1, MPI_INT, (rank + 1) % n, self->i, comm, &requests[1]);
    return parla_mpi_bind(self->mpi, context, 2, requests);
}

static int twice(parla_context *context, void *arg)
{
    (void)context;
    *(int *)arg *= 2;
    return 0;
}

static int run(parla_runtime *rt, parla_mpi *mpi)
{
    int rc = 0;
    for (int i = 0; i < N && !rc; i++) {
        parla_task exchanged;
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = exchange, options.arg = &(message){mpi, i}, options.arg_bytes = sizeof(message);
        rc = parla_task_spawn(rt, &exchanged, &options);
        rc = rc ? rc : parla_spawn(rt, NULL, twice, &received[i], &exchanged, 1);
    }
    return rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
}

int main(int argc, char **argv)
{
    parla_mpi_share_info share = {.size = sizeof share};
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt = NULL;
    parla_mpi *mpi = NULL;
    int sum = 0, rc = parla_mpi_start(&argc, &argv);
    rc = rc ? rc : parla_mpi_share(&share, MPI_COMM_WORLD);
    options.n_workers = share.n_cores;
    rc = rc ? rc : parla_runtime_create(&rt, &options);
    rc = rc ? rc : parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL);
    if (!rc) {
        rank = parla_mpi_rank(mpi), n = parla_mpi_n_ranks(mpi);
        rc = run(rt, mpi);
    }
    if (rc)
        fprintf(stderr, "%s\n", parla_error_detail());
    parla_mpi_fini(mpi);
    parla_runtime_destroy(rt);
    for (int i = 0; i < N; i++)
        sum += received[i];
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        printf("%d ranks, sum %d\n", n, sum);
    return rc != 0;
}
