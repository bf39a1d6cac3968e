/* convert.h - indices, boxes and places as Python tuples.
 *
 * A box is a tuple of (start, stop, step), a place a tuple (rank, arch, number) with parla's numbers for architectures. */
#ifndef CROSSPY_PYTHON_CONVERT_H
#define CROSSPY_PYTHON_CONVERT_H

#include "state.h"

#include <Python.h>

/* Reads at most CX_MAX_NDIM integers. Returns how many, or -1 with an exception that names `what`. */
int convert_integers(PyObject *tuple, int64_t *out, const char *what);

/* The same of any length, into memory that the caller frees with PyMem_Free. Returns the count or -1. */
Py_ssize_t convert_long_list(PyObject *sequence, int64_t **out, const char *what);

/* Reads a sequence of places into memory that the caller frees with PyMem_Free. Returns the count or -1. */
Py_ssize_t convert_places(PyObject *sequence, cx_place **out);

/* Returns 0 or -1. */
int convert_box(PyObject *tuple, cx_box *out);

/* Reads all of a view but its layout: the box, and a tuple of the layout's dimensions in the order in which the view has them, with -1 for
 * new ones; those not named are dropped. Returns 0 or -1. */
int convert_view(PyObject *box, PyObject *axes, cx_view *out);

/* New references or NULL. */
PyObject *convert_to_integers(const int64_t *values, int n);
PyObject *convert_to_box(const cx_box *box);
PyObject *convert_to_place(cx_place place);

#endif
