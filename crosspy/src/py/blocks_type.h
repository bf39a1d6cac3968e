/* blocks_type.h - the arrays behind an array's blocks, as the library wants them. */
#ifndef CROSSPY_PYTHON_BLOCKS_TYPE_H
#define CROSSPY_PYTHON_BLOCKS_TYPE_H

#include "state.h"

#include <Python.h>

#include <parla/data.h>

typedef struct BlocksObject {
    PyObject_HEAD Py_ssize_t n;
    parla_data **data; /* one reference each; NULL for blocks of other ranks */
} BlocksObject;

#endif
