/* exit_watch.h - whether the program ends with sys.exit, and with what. */
#ifndef PARLA_PYTHON_EXIT_WATCH_H
#define PARLA_PYTHON_EXIT_WATCH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* watch_exit(): from now on exit_code() knows. From: the main thread; again does nothing. */
PyObject *exit_watch_begin(PyObject *module, PyObject *unused);

/* exit_code(): what the SystemExit that is ending the program was made with; None if none is, or if it means success by saying nothing. */
PyObject *exit_watch_code(PyObject *module, PyObject *unused);

#endif
