/* hold.h - the host's own access to an array, outside of tasks: the thread waits for its turn and holds the array until it gives it
 * back. */
#ifndef PL_SCHED_HOLD_H
#define PL_SCHED_HOLD_H

#include "data/data.h"
#include "sched/runtime.h"

/* What parla_data_acquire_region does for an array of this runtime, and for one without a runtime. */
int pl_hold_acquire(parla_runtime *rt, pl_worker *self, parla_data *data, const parla_range *region, int mode, int64_t timeout_ns,
                    parla_instance *out);
int pl_hold_acquire_detached(parla_data *data, const parla_range *region, int mode, parla_instance *out);

/* What parla_data_release_region does. */
void pl_hold_release(parla_data *data, const parla_range *region, int mode);

/* Gives back what nobody has given back when the runtime ends, with a line in the log for each. */
void pl_release_forgotten(parla_runtime *rt);

#endif
