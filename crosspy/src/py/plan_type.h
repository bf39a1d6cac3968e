/* plan_type.h - a plan as a Python object. */
#ifndef CROSSPY_PYTHON_PLAN_TYPE_H
#define CROSSPY_PYTHON_PLAN_TYPE_H

#include "state.h"

#include <Python.h>

/* plan(dst, dst_box, dst_dropped, src, src_box, src_dropped, item_bytes): a function of the module. */
PyObject *plan_get(PyObject *module, PyObject *args);

#endif
