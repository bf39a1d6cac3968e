/* capture.h - closure variables by value. */
#ifndef PARLA_PYTHON_CAPTURE_H
#define PARLA_PYTHON_CAPTURE_H

#include <Python.h>

/* A function that behaves as `function` with the values that its closure cells hold now, or `function` itself if it has no cells.
 * New reference or NULL. */
PyObject *capture_closure(PyObject *function);

#endif
