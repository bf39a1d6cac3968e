/* clock.c - round trips with rank 0, of which the shortest tells most (Cristian's method).
 *
 * A rank notes when it asks (t0) and when it has the answer (t1), which is the time r of rank 0. Wherever between t0 and t1 that was read, the
 * clock is ahead by (t0 + t1) / 2 - r, give or take (t1 - t0) / 2. One rank of each node asks, one node after the other, so that nobody waits
 * in another's way; within the node the answer is handed on. */
#include "clock.h"

enum { N_TRIPS = 16, TAG = 1 };

static int ask(MPI_Comm comm, uint64_t (*now_ns)(void *ctx), void *ctx, plm_clock *out)
{
    *out = (plm_clock){0, UINT64_MAX};
    for (int i = 0; i < N_TRIPS; i++) {
        uint64_t there_ns, t0_ns = now_ns(ctx);
        int code = MPI_Sendrecv(&t0_ns, 1, MPI_UINT64_T, 0, TAG, &there_ns, 1, MPI_UINT64_T, 0, TAG, comm, MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS)
            return code;
        uint64_t half_ns = (now_ns(ctx) - t0_ns) / 2;
        if (half_ns < out->error_ns)
            *out = (plm_clock){(int64_t)(t0_ns + half_ns - there_ns), half_ns};
    }
    return MPI_SUCCESS;
}

static int answer(MPI_Comm comm, int rank, uint64_t (*now_ns)(void *ctx), void *ctx)
{
    for (int i = 0; i < N_TRIPS; i++) {
        uint64_t asked_ns;
        int code = MPI_Recv(&asked_ns, 1, MPI_UINT64_T, rank, TAG, comm, MPI_STATUS_IGNORE);
        uint64_t here_ns = now_ns(ctx);
        code = code == MPI_SUCCESS ? MPI_Send(&here_ns, 1, MPI_UINT64_T, rank, TAG, comm) : code;
        if (code != MPI_SUCCESS)
            return code;
    }
    return MPI_SUCCESS;
}

int plm_clock_ask(MPI_Comm comm, uint64_t (*now_ns)(void *ctx), void *ctx, plm_clock *out)
{
    int rank, n_ranks, code = MPI_SUCCESS;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_ranks);
    for (int i = 1; i < n_ranks && code == MPI_SUCCESS; i++) {
        if (rank == 0)
            code = answer(comm, i, now_ns, ctx);
        else if (rank == i)
            code = ask(comm, now_ns, ctx, out);
    }
    return code;
}

int plm_clock_measure(MPI_Comm comm, uint64_t (*now_ns)(void *ctx), void *ctx, plm_clock *out)
{
    int rank, local_rank;
    MPI_Comm node, asks;
    *out = (plm_clock){0, 0};
    MPI_Comm_rank(comm, &rank);
    int code = MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
    if (code != MPI_SUCCESS)
        return code;
    MPI_Comm_rank(node, &local_rank);
    code = MPI_Comm_split(comm, local_rank == 0 ? 0 : MPI_UNDEFINED, rank, &asks);
    if (code == MPI_SUCCESS && asks != MPI_COMM_NULL) {
        code = plm_clock_ask(asks, now_ns, ctx, out);
        MPI_Comm_free(&asks);
    }
    if (code == MPI_SUCCESS)
        code = MPI_Bcast(out, sizeof *out, MPI_BYTE, 0, node);
    MPI_Comm_free(&node);
    return code;
}
