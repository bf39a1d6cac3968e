/* heat_3.c - the levels become arrays. A task says which rows it reads and overwrites: that orders the tasks as the program spawns them, and
 * moves rows to where tasks run, here two simulated GPUs. On real ones the body launches a kernel (examples/cuda/axpy.cu). */
#include "heat.h"

#include <parla/mpi.h>
#include <parla/parla.h>

typedef struct halo {
    parla_mpi *mpi;
    int step;
} halo;

static parla_data *levels[2];

/* Rows first … last; `edge` more columns on each side of the inner ones. */
#define ROWS(first, last, edge) ((parla_range[]){{(first), (last) + 1, 1}, {1 - (edge), N_COLUMNS + 1 + (edge), 1}})

static ptrdiff_t row_of(const parla_instance *instance) { return instance->box.stride[0] / (ptrdiff_t)sizeof(double); }

/* Accesses: what it reads, what it overwrites, each where the task runs. */
static int advance_body(parla_context *context, void *arg)
{
    int first = *(int *)arg;
    parla_instance from, to;
    int rc = parla_context_instance(context, 0, &from);
    rc = rc ? rc : parla_context_instance(context, 1, &to);
    if (!rc)
        advance(from.box.base, row_of(&from), to.box.base, row_of(&to), first, first + BLOCK - 1);
    return rc;
}

/* On the host, where the arrays are the plate itself. */
static int exchange_body(parla_context *context, void *arg)
{
    const halo *self = arg;
    double(*level)[ROW] = plate[self->step % 2];
    MPI_Comm comm = parla_mpi_comm(self->mpi);
    MPI_Request requests[4];
    MPI_Irecv(level[N_ROWS + 1], ROW, MPI_DOUBLE, down, 2 * self->step, comm, &requests[0]);
    MPI_Irecv(level[0], ROW, MPI_DOUBLE, up, 2 * self->step + 1, comm, &requests[1]);
    MPI_Isend(level[1], ROW, MPI_DOUBLE, up, 2 * self->step, comm, &requests[2]);
    MPI_Isend(level[N_ROWS], ROW, MPI_DOUBLE, down, 2 * self->step + 1, comm, &requests[3]);
    return parla_mpi_bind(self->mpi, context, 4, requests);
}

/* The rows of neighbours are updated, not overwritten: those at the plate's own edges stay as they are. */
static int spawn_exchange(parla_runtime *rt, parla_mpi *mpi, int step)
{
    halo self = {mpi, step};
    parla_data *level = levels[step % 2];
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = exchange_body, options.arg = &self, options.arg_bytes = sizeof self, options.name = "exchange",
    options.priority = 1;
    options.accesses = (parla_access[]){{level, PARLA_INOUT, 0, ROWS(0, 0, 1)},
                                        {level, PARLA_IN, 0, ROWS(1, 1, 1)},
                                        {level, PARLA_IN, 0, ROWS(N_ROWS, N_ROWS, 1)},
                                        {level, PARLA_INOUT, 0, ROWS(N_ROWS + 1, N_ROWS + 1, 1)}};
    options.n_accesses = 4;
    return parla_task_spawn(rt, NULL, &options);
}

static int spawn_block(parla_runtime *rt, int first, int step)
{
    const parla_choice choices[] = {{&(parla_demand){.arch = PARLA_ARCH_GPU, .number = PARLA_ANY_NUMBER}, 1}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = advance_body, options.arg = &first, options.arg_bytes = sizeof first, options.name = "block";
    options.choices = choices, options.n_choices = 1;
    options.accesses = (parla_access[]){{levels[step % 2], PARLA_IN, 0, ROWS(first - 1, first + BLOCK, 1)},
                                        {levels[(step + 1) % 2], PARLA_OUT, 0, ROWS(first, first + BLOCK - 1, 0)}};
    options.n_accesses = 2;
    return parla_task_spawn(rt, NULL, &options);
}

static int run(parla_runtime *rt, parla_mpi *mpi)
{
    parla_instance instance;
    int rc = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        rc = parla_strided_contiguous(&options.host, plate[i], sizeof(double), 2, (int64_t[]){N_ROWS + 2, ROW});
        rc = rc ? rc : parla_data_create(&levels[i], &options);
    }
    for (int step = 0; step < N_STEPS && !rc; step++) {
        rc = spawn_exchange(rt, mpi, step);
        for (int first = 1; first <= N_ROWS && !rc; first += BLOCK)
            rc = spawn_block(rt, first, step);
    }
    rc =
        rc ? rc
           : parla_data_acquire(rt, levels[N_STEPS % 2], PARLA_IN, PARLA_FOREVER, &instance); /* waits, and brings it to the host */
    if (!rc)
        parla_data_release(levels[N_STEPS % 2], PARLA_IN);
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
    options.n_workers = share.n_cores, options.devices = "sim:2";
    rc = rc ? rc : parla_runtime_create(&rt, &options);
    rc = rc ? rc : parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL);
    if (!rc) {
        start_plate();
        rc = run(rt, mpi);
    }
    if (rc)
        fprintf(stderr, "heat_3: %s: %s\n", parla_error_text(rc), parla_error_detail());
    parla_mpi_fini(mpi);
    parla_runtime_destroy(rt);
    for (int i = 0; i < 2; i++)
        parla_data_unref(levels[i]);
    return rc || check_plate("heat_3") != 0;
}
