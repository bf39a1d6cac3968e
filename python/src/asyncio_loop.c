/* asyncio_loop.c - asks asyncio which event loop runs on this thread.
 *
 * asyncio is not imported for that: a program that has not imported it has no loop. */
#include "asyncio_loop.h"

static bool find_asyncio(module_state *state)
{
    PyObject *name = PyUnicode_FromString("asyncio.events");
    PyObject *module = name ? PyImport_GetModule(name) : NULL;

    Py_XDECREF(name);
    if (module) {
        state->get_running_loop = PyObject_GetAttrString(module, "_get_running_loop");
        state->set_running_loop = PyObject_GetAttrString(module, "_set_running_loop");
        Py_DECREF(module);
    }
    PyErr_Clear();
    return state->get_running_loop && state->set_running_loop;
}

PyObject *asyncio_running_loop(module_state *state)
{
    PyObject *loop;

    if (!state->set_running_loop && !find_asyncio(state)) {
        return NULL;
    }
    loop = PyObject_CallNoArgs(state->get_running_loop);
    if (loop == Py_None) {
        Py_CLEAR(loop);
    }
    PyErr_Clear();
    return loop;
}

void asyncio_set_running_loop(module_state *state, PyObject *loop)
{
    PyObject *result = PyObject_CallOneArg(state->set_running_loop, loop);

    Py_XDECREF(result);
    PyErr_Clear();
}
