/* step.h - one step of a task's body. */
#ifndef PARLA_PYTHON_STEP_H
#define PARLA_PYTHON_STEP_H

#include "task_type.h"

/* Runs the body until it ends or waits. Returns 0 with the result in `*out`, 1 if the task is to be suspended, -1 with an exception set.
 * From: callback_body, inside the task's contextvars.Context. */
int step_run(TaskObject *task, parla_context *context, PyObject **out);

/* Calls the function of a task of spawn_many with the index, and keeps what it returns. Returns 0, or -1 with an exception set.
 * From: callback_call, inside a contextvars.Context of its own. */
int step_call(TaskObject *task, size_t index);

#endif
