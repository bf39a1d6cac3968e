/* trace.h - records of what happened when: tasks, copies, idle time; written as Chrome/Perfetto JSON.
 *
 * Each thread writes fixed-size records into its own buffers; when tracing is off that costs one branch. */
#ifndef PARLA_TRACE_H
#define PARLA_TRACE_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

/* Starts recording for a runtime; also done by parla_options.trace and PARLA_TRACE. Errors: PARLA_E_STATE if it records already. */
PARLA_API PARLA_MUST_USE int parla_trace_start(parla_runtime *rt);

/* Stops recording; what was recorded stays until the next start. */
PARLA_API void parla_trace_stop(parla_runtime *rt);

/* Writes what was recorded so far. One "process" (rank), one row per worker and per device queue, an arrow for each dependency.
 * Times are microseconds since the start. {rank} in `path` becomes the rank that the job's launcher (mpirun, srun) says.
 * Errors: PARLA_E_SYSTEM if the file cannot be written; PARLA_E_STATE if nothing was recorded; PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int parla_trace_write(parla_runtime *rt, const char *path);

/* Adds a named span on this thread's row, for phases of a program. `name` is copied. From: any thread. No-ops when off. */
PARLA_API void parla_trace_begin(parla_runtime *rt, const char *name);
PARLA_API void parla_trace_end(parla_runtime *rt);

/* Adds the span of a message between ranks, from when it was posted until now, on this thread's row: "send TAG to PEER" or "receive TAG from
 * PEER". Merged traces of both ranks join the two to an arrow, so a tag tells apart the messages from one rank to another. A no-op when off,
 * and for begin_ns 0. From: any thread. */
PARLA_API void parla_trace_message(parla_runtime *rt, parla_task task, bool is_send, int peer, uint64_t tag, uint64_t begin_ns,
                                   size_t n_bytes);

/* The time that spans are recorded in, for begin_ns; 0 when off. */
PARLA_API uint64_t parla_trace_now(parla_runtime *rt);

/* Tells how far this process's clock is ahead of the job's, give or take error_ns: merging traces of several nodes takes it into account.
 * libparla_mpi measures it when it joins a runtime that records. */
PARLA_API void parla_trace_set_clock(parla_runtime *rt, int64_t ahead_ns, uint64_t error_ns);

PARLA_END_DECLS

#endif
