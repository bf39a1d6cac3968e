/* convert.c - between Python tuples and the library's small structs. */
#include "convert.h"

int convert_integers(PyObject *tuple, int64_t *out, const char *what)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "%s is a tuple of integers, not %.100s", what, Py_TYPE(tuple)->tp_name);
        return -1;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    if (n > CX_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError, "%s: %zd dimensions; at most %d are possible", what, n, CX_MAX_NDIM);
        return -1;
    }
    for (Py_ssize_t k = 0; k < n; k++) {
        out[k] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, k));
        if (out[k] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return (int)n;
}

Py_ssize_t convert_long_list(PyObject *sequence, int64_t **out, const char *what)
{
    PyObject *fast = PySequence_Fast(sequence, what);
    if (!fast) {
        return -1;
    }
    Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
    int64_t *values = PyMem_New(int64_t, n + 1);
    if (!values) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; values && i < n; i++) {
        values[i] = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(fast, i));
        if (values[i] == -1 && PyErr_Occurred()) {
            PyMem_Free(values);
            values = NULL;
        }
    }
    Py_DECREF(fast);
    *out = values;
    return values ? n : -1;
}

Py_ssize_t convert_places(PyObject *sequence, cx_place **out)
{
    PyObject *fast = PySequence_Fast(sequence, "places: a sequence of (rank, arch, number)");
    if (!fast) {
        return -1;
    }
    Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
    cx_place *places = PyMem_New(cx_place, n + 1);
    if (!places) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; places && i < n; i++) {
        int rank, arch, number;
        PyObject *item = PySequence_Fast_GET_ITEM(fast, i);
        if (!PyTuple_Check(item)) {
            PyErr_SetString(PyExc_TypeError, "a place is a tuple (rank, arch, number)");
        } else if (PyArg_ParseTuple(item, "iii:place", &rank, &arch, &number)) {
            places[i] = (cx_place){rank, (parla_arch)arch, number};
            continue;
        }
        PyMem_Free(places);
        places = NULL;
    }
    Py_DECREF(fast);
    *out = places;
    return places ? n : -1;
}

int convert_box(PyObject *tuple, cx_box *out)
{
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) > CX_MAX_NDIM) {
        PyErr_Format(PyExc_TypeError, "a box is a tuple of at most %d (start, stop, step)", CX_MAX_NDIM);
        return -1;
    }
    out->ndim = (int)PyTuple_GET_SIZE(tuple);
    for (int k = 0; k < out->ndim; k++) {
        long long start, stop, step;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, k), "LLL:box", &start, &stop, &step)) {
            return -1;
        }
        out->range[k] = (parla_range){start, stop, step};
    }
    return 0;
}

int convert_view(PyObject *box, PyObject *axes, cx_view *out)
{
    int64_t values[CX_MAX_NDIM];
    int n = convert_box(box, &out->box) < 0 ? -1 : convert_integers(axes, values, "dimensions of a view");
    if (n < 0) {
        return -1;
    }
    uint32_t named = 0;
    int64_t last = -1;
    out->is_arranged = false;
    out->n_axes = (int8_t)n;
    for (int i = 0; i < n; i++) {
        if (values[i] < -1 || values[i] >= out->box.ndim) {
            PyErr_Format(PyExc_ValueError, "dimension %lld of a view of %d dimensions", (long long)values[i], out->box.ndim);
            return -1;
        }
        out->axes[i] = (int8_t)values[i];
        out->is_arranged = out->is_arranged || values[i] <= last; /* new ones are below all others */
        last = values[i];
        named |= values[i] >= 0 ? 1u << values[i] : 0;
    }
    out->dropped = ~named & ((1u << out->box.ndim) - 1);
    return 0;
}

PyObject *convert_to_integers(const int64_t *values, int n)
{
    PyObject *tuple = PyTuple_New(n);
    for (int k = 0; tuple && k < n; k++) {
        PyObject *value = PyLong_FromLongLong(values[k]);
        if (!value) {
            Py_CLEAR(tuple);
        } else {
            PyTuple_SET_ITEM(tuple, k, value);
        }
    }
    return tuple;
}

PyObject *convert_to_box(const cx_box *box)
{
    PyObject *tuple = PyTuple_New(box->ndim);
    for (int k = 0; tuple && k < box->ndim; k++) {
        parla_range range = box->range[k];
        PyObject *item = Py_BuildValue("(LLL)", (long long)range.start, (long long)range.stop, (long long)range.step);
        if (!item) {
            Py_CLEAR(tuple);
        } else {
            PyTuple_SET_ITEM(tuple, k, item);
        }
    }
    return tuple;
}

PyObject *convert_to_place(cx_place place) { return Py_BuildValue("(iii)", place.rank, (int)place.arch, place.number); }
