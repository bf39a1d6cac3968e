/* capture.c - closure variables by value: the body gets cells of its own; and what a body is while it waits.
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
 * tracked), so the way back comes before the last reference is dropped.
 *
 * Stowing. Of a function that has nothing but code, globals and cells, only the cells differ from one turn of a loop to the next. They are
 * kept, with one tuple (code, globals) for all turns, and the function is made again when the body starts: 160 bytes less while it waits,
 * and the loop gets the same warm memory for its next function. */
#include "capture.h"

#include "state.h"

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

static void root_cells(PyObject *cells)
{
    PyObject_GC_UnTrack(cells);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
        if (is_unshared(PyTuple_GET_ITEM(cells, i))) {
            PyObject_GC_UnTrack(PyTuple_GET_ITEM(cells, i));
        }
    }
}

void capture_root(PyObject *function)
{
    PyObject *cells = PyFunction_GetClosure(function);

    PyObject_GC_UnTrack(function);
    if (cells && is_unshared(cells)) {
        root_cells(cells);
    }
}

void capture_unroot_cells(PyObject *cells)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
        track(PyTuple_GET_ITEM(cells, i));
    }
    if (PyTuple_GET_SIZE(cells) > 0) {
        track(cells);
    }
}

void capture_unroot(PyObject *function)
{
    PyObject *cells = PyFunction_GetClosure(function);

    if (cells) {
        capture_unroot_cells(cells);
    }
    track(function);
}

/* --- Stowing --- */

/* Is the function what PyFunction_New makes of its code and globals, but for its cells? */
static bool is_plain(PyObject *object)
{
    PyFunctionObject *function = (PyFunctionObject *)object;
    PyCodeObject *code = (PyCodeObject *)PyFunction_GetCode(object);

    if (function->func_defaults || function->func_kwdefaults || function->func_dict || function->func_weakreflist ||
        function->func_annotations || function->func_name != code->co_name || function->func_qualname != code->co_qualname) {
        return false;
    }
#if PY_VERSION_HEX >= 0x030c0000
    if (function->func_typeparams) {
        return false;
    }
#endif
#if PY_VERSION_HEX >= 0x030e0000
    if (function->func_annotate) {
        return false;
    }
#endif
    return true;
}

/* The tuple (code, globals) of a function: the same one for all turns of a loop. New reference or NULL. */
static PyObject *site_of(module_state *state, PyObject *function)
{
    PyObject *code = PyFunction_GetCode(function), *globals = PyFunction_GetGlobals(function);
    PyObject **known = &state->sites[(uintptr_t)code / 64 % N_SITES];

    if (!*known || PyTuple_GET_ITEM(*known, 0) != code || PyTuple_GET_ITEM(*known, 1) != globals) {
        PyObject *site = PyTuple_Pack(2, code, globals);

        if (!site) {
            return NULL;
        }
        Py_XSETREF(*known, site);
    }
    return Py_NewRef(*known);
}

bool capture_stow(module_state *state, PyObject **function, PyObject **out_site)
{
    PyObject *cells = PyFunction_GetClosure(*function), *kept, *site;

    if (!is_plain(*function) || (cells && !is_unshared(cells))) {
        return false;
    }
    kept = cells ? cells : PyTuple_New(0);
    site = kept ? site_of(state, *function) : NULL;
    if (!site) {
        PyErr_Clear();
        if (!cells) {
            Py_XDECREF(kept);
        }
        return false;
    }
    if (cells) {
        root_cells(cells);
        Py_INCREF(cells);
    }
    *out_site = site;
    Py_SETREF(*function, kept);
    return true;
}

PyObject *capture_unstow(PyObject *site, PyObject *cells)
{
    PyObject *function = PyFunction_New(PyTuple_GET_ITEM(site, 0), PyTuple_GET_ITEM(site, 1));

    if (function && PyTuple_GET_SIZE(cells) > 0 && PyFunction_SetClosure(function, cells) < 0) {
        Py_CLEAR(function);
    }
    if (function) {
        PyObject_GC_UnTrack(function);
    }
    return function;
}

void capture_forget_sites(module_state *state)
{
    for (int i = 0; i < N_SITES; i++) {
        Py_CLEAR(state->sites[i]);
    }
}
