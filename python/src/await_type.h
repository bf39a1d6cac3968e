/* await_type.h - what `await` on tasks iterates over. */
#ifndef PARLA_PYTHON_AWAIT_TYPE_H
#define PARLA_PYTHON_AWAIT_TYPE_H

#include "task_type.h"

/* The iterator behind `await task`. New reference or NULL. */
PyObject *await_one(PyObject *task);

/* The iterator behind `await collection`: `tasks` is a tuple of Tasks; awaiting gives the list of their results. New reference or NULL. */
PyObject *await_many(module_state *state, PyObject *tasks);

/* The list of results of ended tasks. Raises the exception of the first that failed, else of the first that was cancelled; all of them
 * count as looked at. */
PyObject *await_outcomes(PyObject *tasks);

#endif
