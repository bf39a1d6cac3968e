/* receipt.h - the counters of a run's receipt. Guarded by rt->place.lock. */
#ifndef PL_SCHED_RECEIPT_H
#define PL_SCHED_RECEIPT_H

#include "device/sim_clock.h"

#include <stdint.h>

typedef struct pl_receipt {
    const pl_sim_clock *clock; /* constant; NULL: real time */
    uint64_t n_bytes_for_room, n_evictions, n_evicted_bytes;
    uint64_t copy_ns, overlap_ns; /* until since_ns */
    uint64_t since_ns;            /* while something is copied */
    int n_copying, n_running;     /* copies and bodies under way */
} pl_receipt;

/* Around each copy, and around each body on the placed path. A clock is read only while something is copied. */
void pl_receipt_copy_begin(pl_receipt *receipt);
void pl_receipt_copy_end(pl_receipt *receipt);
void pl_receipt_body_begin(pl_receipt *receipt);
void pl_receipt_body_end(pl_receipt *receipt);

#endif
