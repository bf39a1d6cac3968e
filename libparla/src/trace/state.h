/* state.h - the state of a trace, shared by the files that record into it and read it. */
#ifndef PL_TRACE_STATE_H
#define PL_TRACE_STATE_H

#include "trace/row.h"
#include "trace/trace.h"

#include <pthread.h>

struct pl_trace {
    struct pl_trace_head head; /* first: pl_trace_is_on looks there */
    uint64_t serial;           /* constant; no other trace of this process ever has it */

    /* Guards what follows, the names of the rows, and the change from one session to the next. */
    pthread_mutex_t lock;
    pl_row *rows; /* in order of creation */
    pl_row **end_of_rows;
    uint32_t last_session; /* the one that records, or that stopped last; 0: none yet */
    uint64_t start_ns;     /* of last_session */
    int64_t ahead_ns;      /* of the job's clock, give or take … */
    uint64_t error_ns;
};

#endif
