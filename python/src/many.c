/* many.c - spawn_many(): one task that calls a function for each index of a range.
 *
 * The calls are steps of the library's range (parla/replay.h): several workers make them at once, each inside a copy of the task's context. The
 * results lie in a list that is made at the spawn, so that no call has to make room. */
#include "many.h"

#include "spawn.h"

/* A list of None. New reference or NULL. */
static PyObject *list_of_none(Py_ssize_t n)
{
    PyObject *list = PyList_New(n);

    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyList_SET_ITEM(list, i, Py_NewRef(Py_None));
    }
    return list;
}

static int read_number(PyObject *number, Py_ssize_t *out)
{
    *out = PyNumber_AsSsize_t(number, PyExc_OverflowError);
    if (*out == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (*out < 0) {
        PyErr_Format(PyExc_ValueError, "spawn_many(n=): expected how often to call the function, 0 or more, not %R", number);
        return -1;
    }
    return 0;
}

static int check_is_no_coroutine(PyObject *function)
{
    if (PyFunction_Check(function) && ((PyCodeObject *)PyFunction_GetCode(function))->co_flags & CO_COROUTINE) {
        PyErr_Format(PyExc_TypeError, "spawn_many: %R is an `async def`, whose calls cannot await here: spawn a task for each",
                     function);
        return -1;
    }
    return 0;
}

PyObject *many_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *const names[] = {"function", "n", "taskid", "dependencies", "name", NULL};
    PyObject *parameters[N_SPAWN_PARAMETERS] = {NULL}, *number, *function, *results, *task;
    Py_ssize_t n;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|OO$O:spawn_many", (char **)names, &function, &number,
                                     &parameters[SPAWN_TASKID], &parameters[SPAWN_DEPENDENCIES], &parameters[SPAWN_NAME]) ||
        read_number(number, &n) < 0 || check_is_no_coroutine(function) < 0) {
        return NULL;
    }
    for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
        parameters[i] = parameters[i] == Py_None ? NULL : parameters[i];
    }
    results = list_of_none(n);
    if (!results) {
        return NULL;
    }
    task = spawn_task(PyModule_GetState(module), parameters, function, (spawn_how){.results = results});
    Py_DECREF(results);
    return task;
}
