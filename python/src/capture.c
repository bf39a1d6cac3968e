/* capture.c - closure variables by value: the body gets cells of its own.
 *
 * A loop that spawns closures rebinds one cell again and again; each task must see the value of its own turn. The copy is one level deep: cells
 * of functions that the body merely calls stay shared. An empty cell stays shared too, since it has no value to keep: it names
 * something that is bound later, like the task itself in a body that refers to its own name. */
#include "capture.h"

static PyObject *copy_cells(PyObject *cells)
{
    Py_ssize_t n = PyTuple_GET_SIZE(cells);
    PyObject *copy = PyTuple_New(n);

    for (Py_ssize_t i = 0; copy && i < n; i++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, i);
        PyObject *value = PyCell_Get(cell);
        PyObject *item = value ? PyCell_New(value) : Py_NewRef(cell);

        Py_XDECREF(value);
        if (!item) {
            Py_CLEAR(copy);
            break;
        }
        PyTuple_SET_ITEM(copy, i, item);
    }
    return copy;
}

/* Sets what a function has besides its code, globals and cells. Returns 0 or -1. */
static int copy_attributes(PyObject *copy, PyObject *function)
{
    PyObject *defaults = PyFunction_GetDefaults(function);
    PyObject *keyword_defaults = PyFunction_GetKwDefaults(function);

    if (defaults && PyFunction_SetDefaults(copy, defaults) < 0) {
        return -1;
    }
    if (keyword_defaults && PyFunction_SetKwDefaults(copy, keyword_defaults) < 0) {
        return -1;
    }
    return 0;
}

PyObject *capture_closure(PyObject *function)
{
    PyObject *cells = PyFunction_GetClosure(function);
    PyObject *copied, *copy;

    if (!cells || PyTuple_GET_SIZE(cells) == 0) {
        return Py_NewRef(function);
    }
    copied = copy_cells(cells);
    if (!copied) {
        return NULL;
    }
    copy = PyFunction_NewWithQualName(PyFunction_GetCode(function), PyFunction_GetGlobals(function),
                                      ((PyFunctionObject *)function)->func_qualname);
    if (copy && (PyFunction_SetClosure(copy, copied) < 0 || copy_attributes(copy, function) < 0)) {
        Py_CLEAR(copy);
    }
    Py_DECREF(copied);
    return copy;
}
