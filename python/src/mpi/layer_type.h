/* layer_type.h - a parla_mpi as a Python object. */
#ifndef PARLA_PYTHON_MPI_LAYER_TYPE_H
#define PARLA_PYTHON_MPI_LAYER_TYPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <parla/mpi.h>

/* What one import of the extension owns. */
typedef struct mpi_state {
    PyTypeObject *layer_type;
    PyTypeObject *transport_type;
    PyObject *error_for; /* parla._parla.error_for */
} mpi_state;

/* Raises the exception for a code that a library call has just returned on this thread. Returns NULL. */
PyObject *mpi_raise(mpi_state *state, int code);

/* The MPI object that lies at an address that mpi4py gave: MPI._addressof(). Returns 0, or -1 with an exception set. */
int mpi_comm_at(PyObject *address, MPI_Comm *out);

PyTypeObject *layer_type_make(PyObject *module);

#endif
