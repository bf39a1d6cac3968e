/* body.c - what may be the body of a task.
 *
 * Any callable, and a coroutine. Not a generator function: its call would return at once. What a call goes on to is looked for through
 * methods, partials and __call__; a callable in C that returns a generator is not found out. */
#include "body.h"

#include <stdbool.h>

/* What a call of `callable` goes on to: the function of a bound method, what a partial holds, __call__ of an object of a class in Python.
 * New reference; NULL without an exception where nothing can be seen. */
static PyObject *called_by(PyObject *callable)
{
    PyTypeObject *type = Py_TYPE(callable);
    PyObject *inner = NULL;

    if (PyMethod_Check(callable)) {
        return Py_NewRef(PyMethod_GET_FUNCTION(callable));
    }
    if (strcmp(type->tp_name, "functools.partial") == 0) {
        inner = PyObject_GetAttrString(callable, "func");
    } else if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) && !PyType_Check(callable)) {
        inner = PyObject_GetAttrString((PyObject *)type, "__call__");
    }
    if (!inner) {
        PyErr_Clear();
    }
    return inner;
}

/* Is it a generator function, also behind methods and partials? Its call would make a generator, and its body never run. */
static bool makes_generator(PyObject *callable)
{
    enum { MAX_DEPTH = 16 };
    PyObject *inner = Py_NewRef(callable);
    bool is_found;

    for (int depth = 0; inner && !PyFunction_Check(inner) && depth < MAX_DEPTH; depth++) {
        Py_SETREF(inner, called_by(inner));
    }
    is_found = inner && PyFunction_Check(inner) &&
               ((PyCodeObject *)PyFunction_GetCode(inner))->co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR);
    Py_XDECREF(inner);
    return is_found;
}

int body_check(PyObject *function)
{
    if (makes_generator(function)) {
        PyErr_Format(PyExc_TypeError,
                     "spawn: %R is a generator function, whose body would never run: use `async def` with await, or return",
                     function);
        return -1;
    }
    if (!PyCallable_Check(function) && !PyCoro_CheckExact(function)) {
        PyErr_Format(PyExc_TypeError, "spawn: expected a function or a coroutine, not %R", function);
        return -1;
    }
    return 0;
}

PyObject *body_name(PyObject *function)
{
    PyObject *name = PyObject_GetAttrString(function, "__name__");

    if (!name || !PyUnicode_Check(name)) {
        PyErr_Clear();
        Py_XDECREF(name);
        name = PyUnicode_FromString(Py_TYPE(function)->tp_name);
    }
    return name;
}
