/* stall.h - the watchdog that tells of tasks which do not end. */
#ifndef PL_SCHED_STALL_H
#define PL_SCHED_STALL_H

#include <parla/runtime.h>

typedef struct pl_stall pl_stall;

/* Starts it; it tells when no task has ended for interval_ns. Errors: PARLA_E_NOMEM, PARLA_E_SYSTEM. */
PARLA_MUST_USE int pl_stall_start(parla_runtime *rt, uint64_t interval_ns, pl_stall **out);
/* NULL is allowed. The runtime's tasks still exist. */
void pl_stall_stop(pl_stall *stall);

#endif
