/* data_type.h - a coherent array of the library as a Python object; PArray in array.py is the form for users. */
#ifndef PARLA_PYTHON_DATA_TYPE_H
#define PARLA_PYTHON_DATA_TYPE_H

#include "state.h"

#include <parla/data.h>

typedef struct DataObject {
    PyObject_HEAD module_state *state;
    parla_data *data; /* a reference */
    PyObject *weak_references;
} DataObject;

#define DATA_INLINE_ACCESSES 8

/* The accesses of one spawn. */
typedef struct data_accesses {
    parla_access *items;
    parla_range *regions; /* n * PARLA_MAX_NDIM, allocated when a region is given */
    size_t n;
    parla_access inline_items[DATA_INLINE_ACCESSES];
} data_accesses;

void data_accesses_init(data_accesses *self);
void data_accesses_fini(data_accesses *self);

/* Reads a list of (Data, mode, member, region or None); a region is a tuple of (start, stop, step). Returns 0 or -1. */
int data_accesses_read(data_accesses *self, module_state *state, PyObject *list);

/* data_copy(dst, dst_box, src, src_box, device): a module function, see parla_data_copy. */
PyObject *data_copy_function(PyObject *module, PyObject *args);

#endif
