/* capture.c - closure variables by value: the body gets cells of its own.
 *
 * A loop that spawns closures rebinds one cell again and again; each task must see the value of its own turn. The copy is one level deep: cells
 * of functions that the body merely calls stay shared. An empty cell stays shared too, since it has no value to keep: it names
 * something that is bound later, like the task itself in a body that refers to its own name.
 *
 * A decorated function is new, and so is the tuple of its cells: the only reference is the caller's. Then the cells are replaced in that
 * tuple, which costs a fifth of a second function. Anything that is shared is copied instead.
 *
 * Rooting. The collector visits each young object several times, and a hundred thousand pending bodies are young all at once. Until a body
 * has run the runtime is its root, so nothing in it can be garbage: it is untracked meanwhile. What it refers to then has a reference from
 * outside, which is just what the collector must believe. Deallocators of CPython untrack without a look (a crash if it is not
 * tracked), so the way back comes before the last reference is dropped. */
#include "capture.h"

/* Nobody but the caller has it. Free-threaded builds count differently, and other threads may be looking. */
static bool is_unshared(PyObject *object)
{
#ifdef Py_GIL_DISABLED
    (void)object;
    return false;
#else
    return Py_REFCNT(object) == 1;
#endif
}

/* A cell of one's own with the value that `cell` has now. New reference or NULL. */
static PyObject *copy_cell(PyObject *cell)
{
    PyObject *value, *copy;

    if (is_unshared(cell)) {
        return Py_NewRef(cell);
    }
    value = PyCell_Get(cell);
    copy = value ? PyCell_New(value) : Py_NewRef(cell);
    Py_XDECREF(value);
    return copy;
}

static PyObject *copy_cells(PyObject *cells)
{
    Py_ssize_t n = PyTuple_GET_SIZE(cells);
    PyObject *copy = PyTuple_New(n);

    for (Py_ssize_t i = 0; copy && i < n; i++) {
        PyObject *item = copy_cell(PyTuple_GET_ITEM(cells, i));

        if (!item) {
            Py_CLEAR(copy);
            break;
        }
        PyTuple_SET_ITEM(copy, i, item);
    }
    return copy;
}

/* The same in a tuple that nobody else has. Returns 0 or -1. */
static int replace_cells(PyObject *cells)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, i);
        PyObject *item = copy_cell(cell);

        if (!item) {
            return -1;
        }
        PyTuple_SET_ITEM(cells, i, item);
        Py_DECREF(cell);
    }
    return 0;
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

bool capture_is_temporary(PyObject *function, size_t n_args_and_flags)
{
#if PY_VERSION_HEX >= 0x030e0000
    return (n_args_and_flags & PY_VECTORCALL_ARGUMENTS_OFFSET) && PyUnstable_Object_IsUniqueReferencedTemporary(function);
#else
    /* The flag tells arguments on a stack from those in a tuple, which others may have. */
    return (n_args_and_flags & PY_VECTORCALL_ARGUMENTS_OFFSET) && is_unshared(function);
#endif
}

PyObject *capture_closure(PyObject *function, bool is_temporary)
{
    PyObject *cells = PyFunction_GetClosure(function);
    PyObject *copied, *copy;

    if (!cells || PyTuple_GET_SIZE(cells) == 0) {
        return Py_NewRef(function);
    }
    if (is_temporary && is_unshared(cells)) {
        return replace_cells(cells) < 0 ? NULL : Py_NewRef(function);
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

/* --- Rooting --- */

static void track(PyObject *object)
{
    if (!PyObject_GC_IsTracked(object)) {
        PyObject_GC_Track(object);
    }
}

void capture_root(PyObject *function, PyObject *context)
{
    PyObject *cells = PyFunction_GetClosure(function);

    if (context) {
        PyObject_GC_UnTrack(context);
    }
    PyObject_GC_UnTrack(function);
    if (cells && is_unshared(cells)) {
        PyObject_GC_UnTrack(cells);
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
            if (is_unshared(PyTuple_GET_ITEM(cells, i))) {
                PyObject_GC_UnTrack(PyTuple_GET_ITEM(cells, i));
            }
        }
    }
}

void capture_unroot(PyObject *function, PyObject *context)
{
    PyObject *cells = PyFunction_GetClosure(function);

    for (Py_ssize_t i = 0; cells && i < PyTuple_GET_SIZE(cells); i++) {
        track(PyTuple_GET_ITEM(cells, i));
    }
    if (cells && PyTuple_GET_SIZE(cells) > 0) {
        track(cells);
    }
    track(function);
    if (context) {
        track(context);
    }
}
