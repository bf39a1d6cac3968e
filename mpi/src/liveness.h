/* liveness.h - a thread that learns at once when another rank of this node ends, stops or fails, whatever MPI is doing. */
#ifndef PLM_LIVENESS_H
#define PLM_LIVENESS_H

#include "node_board.h"

#include <parla/mpi.h>
#include <pthread.h>

typedef struct plm_watched {
    int fd;          /* readable when the process has ended; -1: it has to be looked at */
    bool is_done;    /* it has left, or its end was told */
    bool is_stopped; /* that was told */
    int n_heard;     /* the seat's n_stalls that this rank has answered */
} plm_watched;

typedef struct plm_liveness {
    parla_mpi *mpi;
    plm_node_board board;
    plm_watched *watched; /* by seat */
    pthread_t thread;
    bool is_open, watches_term;
    _Atomic bool is_over;
} plm_liveness;

/* Collective. What it cannot have is told in one line of the log; then it does less, or nothing. */
void plm_liveness_start(plm_liveness *self, parla_mpi *mpi);

/* Tells the others that this rank leaves in good order, and ends the thread. */
void plm_liveness_stop(plm_liveness *self);

/* This rank stalls: every rank of the node says what is in flight there. Never blocks. From: any thread, before plm_liveness_stop. */
void plm_liveness_tell_stall(plm_liveness *self);

/* Before this process ends on purpose: SIGTERM kills at once again, and the others know that they need not report it. */
void plm_liveness_give_in(plm_liveness *self, const char *words);

/* Waits until every living rank of this node has reported as many ends as this one, or for half a second. From: its thread. */
void plm_liveness_wait_for_others(plm_liveness *self);

/* True for the first of the node's ranks that are here: the one that speaks for them. */
bool plm_liveness_is_speaker(plm_liveness *self);

#endif
