/* node_board.h - a page that the ranks of one node share: who is here, who has left, who has failed and why. Out of band: it works while MPI
 * and UCX do not, and leaves nothing behind, however its ranks end. */
#ifndef PLM_NODE_BOARD_H
#define PLM_NODE_BOARD_H

#include <mpi.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PLM_SEAT_WORDS = 1024 };

typedef enum plm_presence {
    PLM_HERE,
    PLM_LEFT,   /* in good order: its end means nothing any more */
    PLM_FAILED, /* `words` say why */
} plm_presence;

/* What one rank tells the others. Written by that rank. */
typedef struct plm_seat {
    _Atomic int presence; /* plm_presence; release after `words`, acquire before they are read */
    _Atomic int n_told;   /* how many ends of others it has reported */
    _Atomic int n_stalls; /* how often it has asked all to say what is in flight; the bell comes after it */
    int rank;             /* in the communicator; constant like the next two */
    pid_t process;
    int bell; /* the writing end of a pipe, in that process */
    char words[PLM_SEAT_WORDS];
} plm_seat;

typedef struct plm_node_board {
    plm_seat *seats; /* NULL: there is none */
    int n_seats, own;
    int bell; /* the reading end of the own pipe; readable when somebody has rung */
    int bell_in;
    void *memory;
    size_t n_bytes;
} plm_node_board;

/* Collective over `comm`. True if every rank of this node has it; else *out_why says what was missing. */
bool plm_node_board_open(plm_node_board *self, MPI_Comm comm, const char **out_why);
void plm_node_board_close(plm_node_board *self);

/* Changes the own seat. `words` may be NULL. */
void plm_node_board_set(plm_node_board *self, plm_presence presence, const char *words);

/* Rings the bells of all others, and the own one. Never blocks. From: any thread; plm_node_board_ring_own also from a signal handler. */
void plm_node_board_ring(plm_node_board *self);
void plm_node_board_ring_own(const plm_node_board *self, unsigned char why);

/* Empties the own bell. Returns the largest `why` that was rung, 0 for none. */
unsigned char plm_node_board_hear(plm_node_board *self);

static inline plm_presence plm_seat_presence(plm_seat *seat)
{
    return (plm_presence)atomic_load_explicit(&seat->presence, memory_order_acquire); /* pairs with plm_node_board_set */
}

#endif
