/* layout_type.h - a layout as a Python object. */
#ifndef CROSSPY_PYTHON_LAYOUT_TYPE_H
#define CROSSPY_PYTHON_LAYOUT_TYPE_H

#include "state.h"

#include <Python.h>

typedef struct LayoutObject {
    PyObject_HEAD cx_layout *layout;
} LayoutObject;

/* Functions of the module that make layouts. */
PyObject *layout_grid(PyObject *module, PyObject *args);
PyObject *layout_block_cyclic(PyObject *module, PyObject *args);
PyObject *layout_parse(PyObject *module, PyObject *text);

#endif
