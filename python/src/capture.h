/* capture.h - closure variables by value, and functions that the collector need not look at. From: threads with the GIL. */
#ifndef PARLA_PYTHON_CAPTURE_H
#define PARLA_PYTHON_CAPTURE_H

#include <Python.h>
#include <stdbool.h>

/* Is `function`, an argument of a vectorcall, new and held by nobody but the caller's stack, as what a decorator gets is? */
bool capture_is_temporary(PyObject *function, size_t n_args_and_flags);

/* A function that behaves as `function` with the values that its closure cells hold now: `function` itself if it has no cells, or if it is a
 * temporary, whose cells are replaced in place. New reference or NULL. */
PyObject *capture_closure(PyObject *function, bool is_temporary);

/* Takes a function that nobody else has, with its closure, and a context, if there is one, off the lists of the garbage collector, and puts them back. Whoever
 * roots them keeps them alive, and unroots them before letting go. */
void capture_root(PyObject *function, PyObject *context);
void capture_unroot(PyObject *function, PyObject *context);

#endif
