/* heat_2.c - no step waits for the one before: a block waits for the blocks that it reads, the outer ones also for the neighbours' rows, which
 * a task exchanges. That task starts its messages and returns; it ends when they have arrived, and no thread waits for them. */
#include "heat.h"

#include <parla/mpi.h>
#include <parla/parla.h>

typedef struct block {
    int old, first;
} block;

typedef struct halo {
    parla_mpi *mpi;
    int old, step;
} halo;

static int advance_body(parla_context *context, void *arg)
{
    const block *self = arg;
    (void)context;
    advance(plate[self->old][0], ROW, plate[!self->old][0], ROW, self->first, self->first + BLOCK - 1);
    return 0;
}

/* Messages of different steps may be under way at once, so each has its own tag. */
static int exchange_body(parla_context *context, void *arg)
{
    const halo *self = arg;
    double(*level)[ROW] = plate[self->old];
    MPI_Comm comm = parla_mpi_comm(self->mpi);
    MPI_Request requests[4];
    MPI_Irecv(level[N_ROWS + 1], ROW, MPI_DOUBLE, down, 2 * self->step, comm, &requests[0]);
    MPI_Irecv(level[0], ROW, MPI_DOUBLE, up, 2 * self->step + 1, comm, &requests[1]);
    MPI_Isend(level[1], ROW, MPI_DOUBLE, up, 2 * self->step, comm, &requests[2]);
    MPI_Isend(level[N_ROWS], ROW, MPI_DOUBLE, down, 2 * self->step + 1, comm, &requests[3]);
    return parla_mpi_bind(self->mpi, context, 4, requests);
}

static int spawn_exchange(parla_runtime *rt, parla_task *out, parla_mpi *mpi, int step, const parla_task before[N_BLOCKS + 2])
{
    halo self = {mpi, step % 2, step};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = exchange_body, options.arg = &self, options.arg_bytes = sizeof self, options.name = "exchange",
    options.priority = 1;
    options.deps = (parla_task[]){before[1], before[N_BLOCKS]}, options.n_deps = 2;
    return parla_task_spawn(rt, out, &options);
}

static int spawn_block(parla_runtime *rt, parla_task *out, int i, int step, const parla_task before[N_BLOCKS + 2],
                       parla_task exchanged)
{
    block self = {step % 2, 1 + (i - 1) * BLOCK};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = advance_body, options.arg = &self, options.arg_bytes = sizeof self, options.name = "block";
    options.deps = (parla_task[]){before[i - 1], before[i], before[i + 1], exchanged};
    options.n_deps = i == 1 || i == N_BLOCKS ? 4 : 3;
    return parla_task_spawn(rt, out, &options);
}

static int run(parla_runtime *rt, parla_mpi *mpi)
{
    parla_task tasks[2][N_BLOCKS + 2] = {{{NULL, 0}}}, exchanged = PARLA_TASK_NONE; /* the first and the last stay "no task" */
    int rc = 0;
    for (int step = 0; step < N_STEPS && !rc; step++) {
        const parla_task *before = tasks[step % 2];
        rc = spawn_exchange(rt, &exchanged, mpi, step, before);
        for (int i = 1; i <= N_BLOCKS && !rc; i++)
            rc = spawn_block(rt, &tasks[(step + 1) % 2][i], i, step, before, exchanged);
    }
    return rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
}

int main(int argc, char **argv)
{
    parla_mpi_share_info share = {.size = sizeof share};
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt = NULL;
    parla_mpi *mpi = NULL;
    int rc = parla_mpi_start(&argc, &argv);
    rc = rc ? rc : parla_mpi_share(&share, MPI_COMM_WORLD);
    options.n_workers = share.n_cores;
    rc = rc ? rc : parla_runtime_create(&rt, &options);
    rc = rc ? rc : parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL);
    if (!rc) {
        start_plate();
        rc = run(rt, mpi);
    }
    if (rc)
        fprintf(stderr, "heat_2: %s: %s\n", parla_error_text(rc), parla_error_detail());
    parla_mpi_fini(mpi);
    parla_runtime_destroy(rt);
    return rc || check_plate("heat_2") != 0;
}
