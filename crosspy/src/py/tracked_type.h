/* tracked_type.h - what this rank knows of an array's blocks, as a Python object. */
#ifndef CROSSPY_PYTHON_TRACKED_TYPE_H
#define CROSSPY_PYTHON_TRACKED_TYPE_H

#include "state.h"

#include <Python.h>

typedef struct TrackedObject {
    PyObject_HEAD cx_tracked *array;
    int rank;
} TrackedObject;

#endif
