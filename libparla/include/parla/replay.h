/* replay.h - many tasks at the price of a few: a range of indices in one call, and a graph of tasks recorded once and run again and again.
 *
 * Both look like one task from outside: it can be waited for, depended on, cancelled, and fails when something in it fails. Inside, each
 * step costs a small part of what a task costs, and no memory. The steps of a range or replay are parts of that one task:
 * parla_context_task gives the whole, nested spawns and waits work as in any body, holds (event.h) keep the whole from ending, and
 * parla_suspend_on is refused with PARLA_E_STATE, for there is no task of its own to suspend. */
#ifndef PARLA_REPLAY_H
#define PARLA_REPLAY_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

/* --- A range of indices ----------------------------------------------------------------------------------------------------- */

/* Spawns a task whose body is called once for each index 0 … n - 1, in any order, on any workers, several at a time;
 * parla_context_index tells which. It ends when all calls are over. Of `options` count body, arg, on_end, name, flags, task, deps, n_deps;
 * the other members have to be as PARLA_TASK_OPTIONS_INIT leaves them.
 * A call that fails does not keep the others from being made; the first failure is the task's. Once somebody has asked to cancel it, calls
 * that have not begun are left out, and the task fails with PARLA_E_CANCELLED.
 * Errors: as parla_task_spawn; PARLA_E_INVALID for members that do not count. */
PARLA_API PARLA_MUST_USE int parla_task_spawn_n(parla_runtime *rt, parla_task *out, size_t n, const parla_task_options *options);

/* Which index of a range, or which task of a replay, in the order of their spawns, this body is called for; 0 in other bodies. */
PARLA_API size_t parla_context_index(const parla_context *context);

/* --- Capture ---------------------------------------------------------------------------------------------------------------- */

/* A graph of recorded tasks. */
typedef struct parla_replay parla_replay;

/* From now on, what this thread spawns in the runtime is recorded instead: nothing of it runs. Spawns hand out tasks that name the record
 * and may be dependencies of later spawns of the capture; nothing else can be asked of them, and after the capture they read as done.
 * Recorded are plain tasks: body, arg, arg_bytes, name, flags, deps. A spawn with anything else (arrays, devices, priority, retries,
 * on_end, a name from parla_task_create or a space), or with a dependency from outside of the capture, is refused with
 * PARLA_E_UNSUPPORTED and records nothing.
 * Errors: PARLA_E_STATE if this thread is capturing; PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int parla_capture_begin(parla_runtime *rt);

/* Ends the capture of this thread. `out` may be NULL: the record is thrown away.
 * Owns: *out is the caller's, for parla_replay_destroy. It belongs to the runtime and must not outlive it. Names of recorded tasks stay
 * borrowed until then.
 * Errors: PARLA_E_STATE if this thread is not capturing; PARLA_E_NOMEM, and the capture is over all the same. */
PARLA_API PARLA_MUST_USE int parla_capture_end(parla_runtime *rt, parla_replay **out);

/* --- Replay ----------------------------------------------------------------------------------------------------------------- */

/* How many tasks were recorded. */
PARLA_API size_t parla_replay_size(const parla_replay *replay);

/* Replaces the argument of the i-th recorded task for all runs to come. What was recorded with arg_bytes takes a pointer, too.
 * Errors: PARLA_E_INVALID if there is no such task; PARLA_E_STATE during a run. */
PARLA_API PARLA_MUST_USE int parla_replay_set_arg(parla_replay *replay, size_t i, void *arg);

/* Spawns the whole graph as one task. `arg` is what parla_context_replay_arg gives in its bodies. Only one run is under way at a time; it
 * is over when its task has ended.
 * What follows a failed task inside the graph is left out, the rest runs, and the first failure is the run's. Once somebody has asked to
 * cancel the run, tasks that have not begun are left out, and it fails with PARLA_E_CANCELLED.
 * From: any thread, inside or outside a task, but not between parla_capture_begin and parla_capture_end.
 * Errors: PARLA_E_STATE if a run is under way, or this thread is capturing; else as parla_task_spawn. */
PARLA_API PARLA_MUST_USE int parla_replay_run(parla_replay *replay, parla_task *out, void *arg, const parla_task *deps,
                                              size_t n_deps);

/* The argument of the run that this body belongs to; NULL in other bodies. */
PARLA_API void *parla_context_replay_arg(const parla_context *context);

/* A run that is under way goes on to its end. NULL is allowed. */
PARLA_API void parla_replay_destroy(parla_replay *replay);

PARLA_END_DECLS

#endif
