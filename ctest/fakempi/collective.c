/* collective.c - each of them is messages from all to all; they match because all ranks of a communicator call them in the same order. */
#include "fakempi.h"

#include <string.h>

enum { TAG = 0 };

/* Begins to receive n of a type from each rank and to send n to each, from places that are `sent_step` bytes apart (0: the same to all). */
static MPI_Request begin(const void *sent, size_t sent_step, void *received, int n, MPI_Datatype type, MPI_Comm comm)
{
    MPI_Request parts[2 * FAKE_MAX_RANKS];
    size_t step = (size_t)n * (size_t)type->extent;
    for (int i = 0; i < comm->n_ranks; i++)
        fake_irecv((char *)received + step * (size_t)i, n, type, i, TAG, comm, true, &parts[i]);
    for (int i = 0; i < comm->n_ranks; i++)
        fake_isend((const char *)sent + sent_step * (size_t)i, n, type, i, TAG, comm, true, &parts[comm->n_ranks + i]);
    return fake_group(2 * comm->n_ranks, parts);
}

int MPI_Ialltoall(const void *sent, int n, MPI_Datatype type, void *received, int n_received, MPI_Datatype received_type,
                  MPI_Comm comm, MPI_Request *out)
{
    (void)n_received, (void)received_type; /* the same in all uses here */
    *out = begin(sent, (size_t)n * (size_t)type->extent, received, n, type, comm);
    return MPI_SUCCESS;
}

int MPI_Ibarrier(MPI_Comm comm, MPI_Request *out)
{
    static char nothing[1];
    *out = begin(nothing, 0, nothing, 0, MPI_BYTE, comm);
    return MPI_SUCCESS;
}

int MPI_Barrier(MPI_Comm comm)
{
    MPI_Request request;
    MPI_Ibarrier(comm, &request);
    return MPI_Wait(&request, MPI_STATUS_IGNORE);
}

int MPI_Allgather(const void *sent, int n, MPI_Datatype type, void *received, int n_received, MPI_Datatype received_type,
                  MPI_Comm comm)
{
    (void)n_received, (void)received_type;
    MPI_Request request = begin(sent, 0, received, n, type, comm);
    return MPI_Wait(&request, MPI_STATUS_IGNORE);
}

int MPI_Bcast(void *buffer, int n, MPI_Datatype type, int root, MPI_Comm comm)
{
    MPI_Request parts[FAKE_MAX_RANKS];
    int n_parts = 0;
    if (comm->rank != root)
        fake_irecv(buffer, n, type, root, TAG, comm, true, &parts[n_parts++]);
    for (int i = 0; i < comm->n_ranks && comm->rank == root; i++)
        if (i != root)
            fake_isend(buffer, n, type, i, TAG, comm, true, &parts[n_parts++]);
    MPI_Request request = fake_group(n_parts, parts);
    return MPI_Wait(&request, MPI_STATUS_IGNORE);
}

static int64_t fold(MPI_Op op, int64_t a, int64_t b) { return op == MPI_SUM ? a + b : op == MPI_MAX ? (a > b ? a : b) : (a && b); }

/* Of integers of 4 or 8 bytes. */
static int64_t load(const char *at, size_t n_bytes)
{
    int32_t narrow;
    int64_t wide;
    memcpy(&narrow, at, sizeof narrow);
    if (n_bytes == sizeof narrow)
        return narrow;
    memcpy(&wide, at, sizeof wide);
    return wide;
}

static void store(char *at, size_t n_bytes, int64_t value)
{
    int32_t narrow = (int32_t)value;
    memcpy(at, n_bytes == sizeof narrow ? (void *)&narrow : (void *)&value, n_bytes);
}

int MPI_Allreduce(const void *sent, void *received, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    size_t step = (size_t)n * type->n_bytes;
    char all[FAKE_MAX_RANKS][4096];
    if (step > sizeof all[0])
        return fake_error(comm, MPI_ERR_ARG);
    char *gathered = all[0]; /* close together: rank i's begins at i * step */
    int code = MPI_Allgather(sent, n, type, gathered, n, type, comm);
    for (size_t at = 0; at < step; at += type->n_bytes) {
        int64_t value = load(gathered + at, type->n_bytes);
        for (int i = 1; i < comm->n_ranks; i++)
            value = fold(op, value, load(gathered + (size_t)i * step + at, type->n_bytes));
        store((char *)received + at, type->n_bytes, value);
    }
    return code;
}
