/* heat_1.c - the loop of OpenMP becomes tasks; everything else stays. Each step ends with a wait, as the parallel loop did. */
#include "heat.h"

#include <parla/mpi.h>
#include <parla/parla.h>

typedef struct block {
    int old, first;
} block;

static int advance_body(parla_context *context, void *arg)
{
    const block *self = arg;
    (void)context;
    advance(plate[self->old][0], ROW, plate[!self->old][0], ROW, self->first, self->first + BLOCK - 1);
    return 0;
}

static void exchange(double level[N_ROWS + 2][ROW])
{
    MPI_Sendrecv(level[1], ROW, MPI_DOUBLE, up, 0, level[N_ROWS + 1], ROW, MPI_DOUBLE, down, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(level[N_ROWS], ROW, MPI_DOUBLE, down, 1, level[0], ROW, MPI_DOUBLE, up, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static int run(parla_runtime *rt)
{
    int rc = 0;
    for (int step = 0; step < N_STEPS && !rc; step++) {
        block self = {.old = step % 2};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = advance_body, options.arg = &self, options.arg_bytes = sizeof self, options.name = "block";
        exchange(plate[self.old]);
        for (self.first = 1; self.first <= N_ROWS && !rc; self.first += BLOCK)
            rc = parla_task_spawn(rt, NULL, &options);
        rc = rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
    }
    return rc;
}

int main(int argc, char **argv)
{
    parla_mpi_share_info share = {.size = sizeof share};
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt = NULL;
    int rc = parla_mpi_start(&argc, &argv);
    rc = rc ? rc : parla_mpi_share(&share, MPI_COMM_WORLD); /* which cores of the node are this rank's */
    options.n_workers = share.n_cores;
    rc = rc ? rc : parla_runtime_create(&rt, &options);
    if (!rc) {
        start_plate();
        rc = run(rt);
    }
    if (rc)
        fprintf(stderr, "heat_1: %s: %s\n", parla_error_text(rc), parla_error_detail());
    parla_runtime_destroy(rt);
    return rc || check_plate("heat_1") != 0;
}
