/* transport_type.h - a transport between ranks as a Python object. */
#ifndef PARLA_PYTHON_MPI_TRANSPORT_TYPE_H
#define PARLA_PYTHON_MPI_TRANSPORT_TYPE_H

#include "layer_type.h"

#define TRANSPORT_CAPSULE "parla_transport"

PyTypeObject *transport_type_make(PyObject *module);

#endif
