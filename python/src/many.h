/* many.h - spawn_many(): one task for many calls of a function. */
#ifndef PARLA_PYTHON_MANY_H
#define PARLA_PYTHON_MANY_H

#include "state.h"

/* The module function spawn_many(...), a METH_VARARGS | METH_KEYWORDS function. Returns the Task. */
PyObject *many_function(PyObject *module, PyObject *args, PyObject *kwargs);

#endif
