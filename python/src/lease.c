/* lease.c - see the header.
 *
 * A lease is a capsule. The body makes it, hands it to its threads, and revokes it before it goes on: a thread that is left behind then finds
 * no context any more and counts as outside. All of it under the GIL, but for `borrowed`, which is the thread's own. */
#include "lease.h"

#include "callback.h"

static const char capsule_name[] = "parla_lease";

typedef struct lease {
    TaskObject *task;             /* a reference */
    const parla_context *context; /* NULL once it is revoked */
} lease;

static _Thread_local PyObject *borrowed; /* a capsule, as a reference, or NULL */

static lease *lease_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, capsule_name); }

const parla_context *lease_context(module_state *state, TaskObject **out_task)
{
    const parla_context *context = parla_current();

    *out_task = callback_current(state);
    if (*out_task && context) {
        return context;
    }
    if (!borrowed || task_state(lease_of(borrowed)->task) != state) {
        return NULL;
    }
    *out_task = lease_of(borrowed)->task;
    return lease_of(borrowed)->context;
}

static void destroy(PyObject *capsule)
{
    lease *self = lease_of(capsule);

    Py_DECREF(self->task);
    PyMem_Free(self);
}

PyObject *lease_lend_function(PyObject *module, PyObject *unused)
{
    TaskObject *task;
    const parla_context *context = lease_context(PyModule_GetState(module), &task);
    lease *self;
    PyObject *capsule;

    (void)unused;
    if (!context) {
        Py_RETURN_NONE;
    }
    self = PyMem_Malloc(sizeof(*self));
    if (!self) {
        return PyErr_NoMemory();
    }
    *self = (lease){.task = (TaskObject *)Py_NewRef(task), .context = context};
    capsule = PyCapsule_New(self, capsule_name, destroy);
    if (!capsule) {
        Py_DECREF(task);
        PyMem_Free(self);
    }
    return capsule;
}

PyObject *lease_revoke_function(PyObject *module, PyObject *capsule)
{
    (void)module;
    if (capsule != Py_None) {
        if (!PyCapsule_IsValid(capsule, capsule_name)) {
            return PyErr_Format(PyExc_TypeError, "revoke: expected what lend() returned, not %R", capsule);
        }
        lease_of(capsule)->context = NULL;
    }
    Py_RETURN_NONE;
}

PyObject *lease_borrow_function(PyObject *module, PyObject *capsule)
{
    (void)module;
    if (capsule != Py_None && !PyCapsule_IsValid(capsule, capsule_name)) {
        return PyErr_Format(PyExc_TypeError, "borrow: expected what lend() returned, not %R", capsule);
    }
    Py_XSETREF(borrowed, capsule == Py_None ? NULL : Py_NewRef(capsule));
    Py_RETURN_NONE;
}

PyObject *lease_in_body_function(PyObject *module, PyObject *unused)
{
    TaskObject *task;

    (void)unused;
    return PyBool_FromLong(lease_context(PyModule_GetState(module), &task) != NULL);
}
