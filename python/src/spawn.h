/* spawn.h - spawn(): from what the user wrote to a task in the library. */
#ifndef PARLA_PYTHON_SPAWN_H
#define PARLA_PYTHON_SPAWN_H

#include <stdbool.h>

#include "state.h"

/* The module function spawn(...), a METH_FASTCALL | METH_KEYWORDS function. Returns a spawner: called with a function it returns the Task. */
PyObject *spawn_function(PyObject *module, PyObject *const *args, Py_ssize_t n_args, PyObject *keyword_names);

/* Frees what state->spare_spawner keeps. */
void spawner_drop_spare(module_state *state);

typedef struct spawn_how {
    bool is_temporary; /* the function is a temporary (capture.h) */
    PyObject *results; /* NULL, or a list: the function is called with the index of each of its items */
} spawn_how;

/* Spawns `function` as `parameters` say (N_SPAWN_PARAMETERS entries, NULL where not given). Returns the Task as a new reference. */
PyObject *spawn_task(module_state *state, PyObject *const *parameters, PyObject *function, spawn_how how);

#endif
