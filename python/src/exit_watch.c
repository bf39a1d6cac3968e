/* exit_watch.c - see exit_watch.h.
 *
 * Python tells nobody that a SystemExit ends the program: sys.excepthook is not called, and functions of atexit do not learn the status. But it
 * asks the exception for its attribute `code`, on the main thread and outside any Python code, which happens at no other time. So the type's
 * function for attributes is replaced by one that notices this. A SystemExit that somebody catches is asked from Python code, or not at all.
 *
 * The type is the process's, and so are these variables. All of it under the GIL. */
#include "exit_watch.h"

#include <pythread.h>

static getattrofunc get_plain; /* NULL: not watched */
static unsigned long main_thread;
static PyObject *noticed; /* the code; NULL: none yet */

static PyObject *get_watched(PyObject *exception, PyObject *name)
{
    PyObject *value = get_plain(exception, name);

    if (value && !PyEval_GetFrame() && PyThread_get_thread_ident() == main_thread &&
        PyUnicode_CompareWithASCIIString(name, "code") == 0) {
        Py_XSETREF(noticed, Py_NewRef(value));
    }
    return value;
}

PyObject *exit_watch_begin(PyObject *module, PyObject *unused)
{
    PyTypeObject *type = (PyTypeObject *)PyExc_SystemExit;

    (void)module;
    (void)unused;
    if (!get_plain) {
        main_thread = PyThread_get_thread_ident();
        get_plain = type->tp_getattro;
        type->tp_getattro = get_watched;
        PyType_Modified(type);
    }
    Py_RETURN_NONE;
}

PyObject *exit_watch_code(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_NewRef(noticed ? noticed : Py_None);
}
