/* plan_type.h - a plan as a Python object. */
#ifndef CROSSPY_PYTHON_PLAN_TYPE_H
#define CROSSPY_PYTHON_PLAN_TYPE_H

#include "blocks_type.h"
#include "state.h"

#include <Python.h>

typedef struct PlanObject {
    PyObject_HEAD cx_plan *plan;
} PlanObject;

/* Raises ValueError unless there is an array for each block of both sides. Returns 0 or -1. */
int plan_check_blocks(const PlanObject *self, const BlocksObject *dst, const BlocksObject *src);

/* plan(dst, dst_box, dst_axes, src, src_box, src_axes, item_bytes): a function of the module. */
PyObject *plan_get(PyObject *module, PyObject *args);

#endif
