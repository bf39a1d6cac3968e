/* sim.h - simulated devices in modelled time: what a program would take on devices that are not there.
 *
 * With "sim:4,link=20GB/s,lat=5us,time=virtual" as devices nobody sleeps. The bodies of tasks on devices compute at once and say how long
 * they would have taken; copies take the time of their link; and the runtime's clock jumps from one end to the next. Everything else takes
 * no modelled time: spawning, the scheduler, tasks of the host, and whatever other threads do.
 *
 * The clock stands while a task of the host runs, and until each thread that spawned tasks waits in the library (parla_task_wait,
 * parla_runtime_wait, an acquired array). A thread that polls, or sleeps for a callback, is waited for for two seconds, with a warning.
 * One body of a device runs at a time. So the times are the same in each run, to the nanosecond, as long as the program's own order is:
 * with several workers, tasks of the host that spawn or release others may do so in another order.
 */
#ifndef PARLA_SIM_H
#define PARLA_SIM_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

/* In the body of a task on a simulated device: its work takes so long, here and now. In modelled time the clock moves on by that, while the
 * work of other devices and copies goes on beside it; in real time the thread sleeps. Elsewhere it does nothing, so that one body serves
 * all devices. The durations of a task's calls add up to its run time, which policies reckon with from then on (policy.h).
 * Blocks, but for the modelled time only. From: the thread that the body was called on.
 * Errors: PARLA_E_INVALID for a negative duration. */
PARLA_API PARLA_MUST_USE int parla_sim_work(parla_context *context, int64_t duration_ns);

/* Nanoseconds since the runtime was created: of modelled time, if it has that. After parla_runtime_wait that is how long the whole took, and
 * parla_device_info.last_ns how long each device was needed; .busy_ns is the time of its bodies. */
PARLA_API uint64_t parla_sim_now_ns(const parla_runtime *rt);

PARLA_END_DECLS

#endif
