/* data_accesses.c - from the Python layer's list of array accesses to the library's. */
#include "data_type.h"

void data_accesses_init(data_accesses *self)
{
    self->items = self->inline_items;
    self->regions = NULL;
    self->n = 0;
}

void data_accesses_fini(data_accesses *self)
{
    if (self->items != self->inline_items) {
        PyMem_Free(self->items);
    }
    PyMem_Free(self->regions);
    data_accesses_init(self);
}

static int make_room(data_accesses *self, size_t n)
{
    self->regions = PyMem_New(parla_range, n * PARLA_MAX_NDIM);
    if (self->regions && n > DATA_INLINE_ACCESSES) {
        self->items = PyMem_New(parla_access, n);
    }
    if (!self->regions || !self->items) {
        self->items = self->inline_items;
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int read_region(parla_range *out, PyObject *region)
{
    Py_ssize_t n = PyTuple_GET_SIZE(region);

    for (Py_ssize_t k = 0; k < n && k < PARLA_MAX_NDIM; k++) {
        long long start, stop, step;

        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(region, k), "LLL", &start, &stop, &step)) {
            return -1;
        }
        out[k] = (parla_range){start, stop, step};
    }
    return 0;
}

static int read_access(data_accesses *self, module_state *state, PyObject *row)
{
    parla_access *access = &self->items[self->n];
    parla_range *range = &self->regions[self->n * PARLA_MAX_NDIM];
    PyObject *data, *region;
    int mode, member;

    if (!PyArg_ParseTuple(row, "O!iiO", state->data_type, &data, &mode, &member, &region)) {
        return -1;
    }
    *access = (parla_access){.data = ((DataObject *)data)->data, .mode = mode, .member = member};
    if (region != Py_None) {
        if (read_region(range, region) < 0) {
            return -1;
        }
        access->region = range;
    }
    self->n++;
    return 0;
}

int data_accesses_read(data_accesses *self, module_state *state, PyObject *list)
{
    Py_ssize_t n = PyList_GET_SIZE(list);

    if (n == 0) {
        return 0;
    }
    if (make_room(self, (size_t)n) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (read_access(self, state, PyList_GET_ITEM(list, i)) < 0) {
            return -1;
        }
    }
    return 0;
}
