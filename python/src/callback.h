/* callback.h - the way from the runtime's threads into Python: who takes the GIL, and how a body is run step by step. */
#ifndef PARLA_PYTHON_CALLBACK_H
#define PARLA_PYTHON_CALLBACK_H

#include "task_type.h"

/* Fills the runner that `runtime` is created with. */
void callback_runner(parla_runner *out, RuntimeObject *runtime);

/* The body of every Python task; arg is its TaskObject. From: the runner, with the GIL. */
int callback_body(parla_context *context, void *arg);

/* The same for a task of spawn_many: one of its calls. */
int callback_call(parla_context *context, void *arg);

/* The task whose body this thread runs, or NULL. Borrowed. */
TaskObject *callback_current(module_state *state);

/* From now on all libraries that are loaded are known. */
void callback_know_libraries(module_state *state);

#endif
