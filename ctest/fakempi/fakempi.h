/* fakempi.h - what the sources of this folder share. */
#ifndef FAKEMPI_H
#define FAKEMPI_H

#include "mpi.h"

#include <stdbool.h>

enum { FAKE_MAX_RANKS = 8 };

/* Memory that a datatype means: n_bytes at `place`, in this order. */
typedef struct fake_piece {
    MPI_Aint place;
    size_t n_bytes;
} fake_piece;

struct fake_type {
    size_t n_bytes;
    MPI_Aint extent;
    int n_pieces;
    fake_piece *pieces;
    _Atomic int n_uses; /* by the program, and by receives that are not complete; the last one frees it */
};

struct fake_comm {
    int id; /* the same at all of its ranks; others with the same id have no rank in common with it */
    int rank, n_ranks;
    int world[FAKE_MAX_RANKS];
    MPI_Errhandler errors;
};

/* The process's place in the job, and the sockets to the others. Made by launch.c before main. */
extern int fake_rank, fake_n_ranks;
extern int fake_sockets[FAKE_MAX_RANKS]; /* non-blocking; the own one is -1 */

/* Packs `n` of a type into plain memory; unpacks at most n_bytes of it. */
void fake_pack(void *out, const void *from, int n, MPI_Datatype type);
void fake_unpack(void *to, int n, MPI_Datatype type, const void *from, size_t n_bytes);

void fake_type_ref(MPI_Datatype type);
void fake_type_unref(MPI_Datatype type);

/* As MPI_Isend and MPI_Irecv, in the space of a communicator's collectives if is_collective. */
void fake_isend(const void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, bool is_collective,
                MPI_Request *out);
void fake_irecv(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, bool is_collective, MPI_Request *out);

/* A request that is complete when its parts are; it takes them. */
MPI_Request fake_group(int n, MPI_Request *parts);

/* Waits until everything that was sent has left this process. */
void fake_flush(void);

/* What an erroneous call returns, unless its communicator's handler ends the process. */
int fake_error(MPI_Comm comm, int code);

/* A communicator of these ranks of another one, in this order. */
MPI_Comm fake_comm_make(MPI_Comm of, int id, int n, const int *ranks);

#endif
