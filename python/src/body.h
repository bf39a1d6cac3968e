/* body.h - what may be the body of a task. From: threads with the GIL. */
#ifndef PARLA_PYTHON_BODY_H
#define PARLA_PYTHON_BODY_H

#include <Python.h>

/* Refuses what cannot run as a task. Returns 0, or -1 with TypeError set. */
int body_check(PyObject *function);

/* What a task without a name is called after: __name__, or its type. New reference or NULL. */
PyObject *body_name(PyObject *function);

#endif
