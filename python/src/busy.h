/* busy.h - work that takes a given time. */
#ifndef PARLA_PYTHON_BUSY_H
#define PARLA_PYTHON_BUSY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The module functions sleep_gil(us) and sleep_nogil(us): keep the processor busy for so many microseconds, with the GIL held or released. */
PyObject *busy_with_gil(PyObject *module, PyObject *microseconds);
PyObject *busy_without_gil(PyObject *module, PyObject *microseconds);

#endif
