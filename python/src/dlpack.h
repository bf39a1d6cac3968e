/* dlpack.h - memory of a device as a DLPack capsule, and the other way round (DLPack 1.0, and the form before it). */
#ifndef PARLA_PYTHON_DLPACK_H
#define PARLA_PYTHON_DLPACK_H

#include "state.h"

/* Functions of the module. */
PyObject *dlpack_export_function(PyObject *module, PyObject *args);
PyObject *dlpack_import_function(PyObject *module, PyObject *capsule);

#endif
