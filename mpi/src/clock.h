/* clock.h - how far the clocks of ranks are apart. */
#ifndef PLM_CLOCK_H
#define PLM_CLOCK_H

#include <mpi.h>
#include <stdint.h>

typedef struct plm_clock {
    int64_t ahead_ns;  /* of rank 0's, at the moment of the measurement; give or take … */
    uint64_t error_ns; /* half of the shortest round trip */
} plm_clock;

/* Measures it between rank 0 of `comm` and each other rank, one after the other: *out on those. Else as plm_clock_measure. */
int plm_clock_ask(MPI_Comm comm, uint64_t (*now_ns)(void *ctx), void *ctx, plm_clock *out);

/* Measures it for every rank of `comm`; `now_ns` is the clock. Ranks of one node share their clock, so one of them asks for all.
 * From: all ranks of `comm` (collective). Returns MPI's code. */
int plm_clock_measure(MPI_Comm comm, uint64_t (*now_ns)(void *ctx), void *ctx, plm_clock *out);

#endif
