/* space.h - names for tasks: tuples of integers, usable before the tasks exist.
 *
 * A space maps each tuple to one task. A name that was looked up but not spawned is a created task: dependents wait for it. A
 * finished name may be spawned again, a pending one may not. Thread-safe. */
#ifndef PARLA_SPACE_H
#define PARLA_SPACE_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

typedef struct parla_space parla_space;

#define PARLA_SPACE_MAX_NDIM 8

/* Owns: `name` is copied; NULL is "task". The space keeps a reference on each of its tasks: their outcomes stay. */
PARLA_API PARLA_MUST_USE int parla_space_create(parla_space **out, parla_runtime *rt, const char *name);

/* Forgets the names; spawned tasks go on. A name that was never spawned, and on which nobody else holds a reference, is cancelled
 * with the tasks that wait for it. Must precede parla_runtime_destroy. NULL is allowed. */
PARLA_API void parla_space_destroy(parla_space *space);

/* The task called index[0..n_index), created if it does not exist. The name is "SPACE_1_2"; borrowed from the space. */
PARLA_API PARLA_MUST_USE int parla_space_at(parla_space *space, const int64_t *index, int n_index, parla_task *out);

/* The same name made ready for another spawn if its task has ended; parla_space_at otherwise. Hand the result to
 * parla_task_options.task. */
PARLA_API PARLA_MUST_USE int parla_space_renew(parla_space *space, const int64_t *index, int n_index, parla_task *out);

/* Like parla_space_at without creating: PARLA_PENDING if there is no such name. */
PARLA_API PARLA_MUST_USE int parla_space_find(parla_space *space, const int64_t *index, int n_index, parla_task *out);

/* Writes at most `capacity` tasks in order of creation; returns how many there are. */
PARLA_API size_t parla_space_tasks(parla_space *space, parla_task *out, size_t capacity);

/* Waits for all tasks named so far; returns as parla_task_wait. */
PARLA_API PARLA_MUST_USE int parla_space_wait(parla_space *space, int64_t timeout_ns);

PARLA_END_DECLS

#endif
