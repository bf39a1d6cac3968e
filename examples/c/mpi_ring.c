/* mpi_ring.c - messages around a ring of ranks, in tasks that wait for MPI without their thread.
 *
 *   mpirun -n 4 ./example_mpi_ring
 *
 * Each lap is one task on each rank: rank 0 sends a number and waits until it comes back, the others receive it, add one and send it on. A task
 * that waits for a message is suspended: parla_mpi_suspend_on, then PARLA_SUSPENDED, and its body is called again when the message is
 * there. The last send is bound to the task instead, which ends when the send is complete. All laps are under way at once. */
#include <stdio.h>

#include <parla/mpi.h>
#include <parla/parla.h>

enum { N_LAPS = 100 };

typedef enum step { START, RECEIVED } step;

/* What a lap's task keeps between the calls of its body. */
typedef struct lap {
    parla_mpi *mpi;
    int number, value;
    step step;
    MPI_Request send;
    MPI_Status status;
} lap;

static int fail_mpi(parla_context *context, int code)
{
    char words[MPI_MAX_ERROR_STRING];
    int length;
    MPI_Error_string(code, words, &length);
    return parla_fail(context, PARLA_E_TRANSPORT, "%s", words);
}

static int send(lap *self, int value)
{
    self->value = value;
    MPI_Comm comm = parla_mpi_comm(self->mpi);
    int right = (parla_mpi_rank(self->mpi) + 1) % parla_mpi_n_ranks(self->mpi);
    return MPI_Isend(&self->value, 1, MPI_INT, right, self->number, comm, &self->send);
}

/* Starts to receive the number and lets the task wait for it; on rank 0 also for its own send, whose memory the receive uses again. */
static int receive(lap *self, parla_context *context, int *value)
{
    MPI_Request request;
    int n = parla_mpi_n_ranks(self->mpi), left = (parla_mpi_rank(self->mpi) + n - 1) % n;
    int code = MPI_Irecv(value, 1, MPI_INT, left, self->number, parla_mpi_comm(self->mpi), &request);
    if (code)
        return fail_mpi(context, code);
    int rc = parla_mpi_suspend_on(self->mpi, context, 1, &request, &self->status);
    return rc ? rc : PARLA_SUSPENDED;
}

static int first_body(parla_context *context, void *arg, int *received)
{
    lap *self = arg;
    if (self->step == RECEIVED)
        return self->status.MPI_ERROR ? fail_mpi(context, self->status.MPI_ERROR) : 0;
    self->step = RECEIVED;
    int code = send(self, 1000 * self->number);
    if (code)
        return fail_mpi(context, code);
    int rc = parla_mpi_bind(self->mpi, context, 1, &self->send);
    return rc ? rc : receive(self, context, received);
}

static int received[N_LAPS];

static int lap_body(parla_context *context, void *arg)
{
    lap *self = arg;
    if (parla_mpi_rank(self->mpi) == 0)
        return first_body(context, arg, &received[self->number]);
    if (self->step == START) {
        self->step = RECEIVED;
        return receive(self, context, &received[self->number]);
    }
    int code = self->status.MPI_ERROR ? self->status.MPI_ERROR : send(self, received[self->number] + 1);
    return code ? fail_mpi(context, code) : parla_mpi_bind(self->mpi, context, 1, &self->send);
}

/* Runs all laps; returns 0 and how many came back as they should in `out_right`. */
static int run(parla_runtime *rt, parla_mpi *mpi, int *out_right)
{
    static lap laps[N_LAPS];
    int rank = parla_mpi_rank(mpi), n = parla_mpi_n_ranks(mpi), rc = 0;
    for (int i = 0; i < N_LAPS && !rc; i++) {
        laps[i] = (lap){.mpi = mpi, .number = i};
        rc = parla_spawn(rt, NULL, lap_body, &laps[i], NULL, 0);
    }
    rc = rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
    *out_right = 0;
    for (int i = 0; i < N_LAPS; i++)
        *out_right += received[i] == 1000 * i + (rank == 0 ? n : rank) - 1;
    return rc;
}

int main(int argc, char **argv)
{
    parla_mpi_share_info share = {.size = sizeof share};
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt = NULL;
    parla_mpi *mpi = NULL;
    int n_right = 0;
    int rc = parla_mpi_start(&argc, &argv);
    rc = rc ? rc : parla_mpi_share(&share, MPI_COMM_WORLD);
    options.n_workers = share.n_cores;
    rc = rc ? rc : parla_runtime_create(&rt, &options);
    rc = rc ? rc : parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, NULL);
    rc = rc ? rc : run(rt, mpi, &n_right);
    if (rc)
        fprintf(stderr, "mpi_ring: %s: %s\n", parla_error_text(rc), parla_error_detail());
    else
        printf("rank %d of %d: %d of %d laps are right\n", parla_mpi_rank(mpi), parla_mpi_n_ranks(mpi), n_right, N_LAPS);
    parla_mpi_fini(mpi);
    parla_runtime_destroy(rt);
    return rc == 0 && n_right == N_LAPS ? 0 : 1;
}
