/* collect.c - walks Tasks, spaces and nested iterables of them. */
#include "collect.h"

void task_list_init(task_list *self)
{
    self->handles = self->inline_handles;
    self->n = 0;
    self->capacity = COLLECT_INLINE;
    self->objects = NULL;
    self->refuses_foreign = false;
}

void task_list_fini(task_list *self)
{
    if (self->handles != self->inline_handles) {
        PyMem_Free(self->handles);
    }
    Py_CLEAR(self->objects);
}

static int grow(task_list *self)
{
    size_t capacity = 2 * self->capacity;
    parla_task *handles = PyMem_Malloc(capacity * sizeof(*handles));

    if (!handles) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(handles, self->handles, self->n * sizeof(*handles));
    if (self->handles != self->inline_handles) {
        PyMem_Free(self->handles);
    }
    self->handles = handles;
    self->capacity = capacity;
    return 0;
}

static int add_task(task_list *self, RuntimeObject *runtime, TaskObject *task)
{
    if (self->objects && PyList_Append(self->objects, (PyObject *)task) < 0) {
        return -1;
    }
    if (task->is_foreign && self->refuses_foreign) {
        error_format(
            task_state(task), EXCEPTION_StateError,
            "spawn(dependencies=): task '%U' runs at rank %d; tasks of different ranks are ordered by the blocks that they name",
            task->name, task->extra->rank);
        return -1;
    }
    if (task_has_ended(task)) {
        if (task->status == 0) {
            return 0;
        }
        /* A failed task still counts: it cancels those that depend on it. */
        if (task->runtime != runtime) {
            error_format(task_state(task), EXCEPTION_StateError, "task '%U' failed in a runtime that has ended", task->name);
            return -1;
        }
    } else if (task_bind(task, runtime) < 0) {
        return -1;
    }
    if (self->n == self->capacity && grow(self) < 0) {
        return -1;
    }
    self->handles[self->n++] = task->handle;
    return 0;
}

static int add_sequence(task_list *self, module_state *state, RuntimeObject *runtime, PyObject *sequence, const char *what)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); i++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(sequence, i));
        int status = task_list_add(self, state, runtime, item, what);

        Py_DECREF(item);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static int add_iterable(task_list *self, module_state *state, RuntimeObject *runtime, PyObject *object, const char *what)
{
    PyObject *items;
    int status;

    if (PyUnicode_Check(object) || PyBytes_Check(object) || !(items = PySequence_List(object))) {
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError, "%s: expected a Task, a TaskSpace or an iterable of them, not %R", what, object);
        }
        return -1;
    }
    status = add_sequence(self, state, runtime, items, what);
    Py_DECREF(items);
    return status;
}

int task_list_add(task_list *self, module_state *state, RuntimeObject *runtime, PyObject *object, const char *what)
{
    int status;

    if (task_check(state, object)) {
        return add_task(self, runtime, (TaskObject *)object);
    }
    if (object == Py_None) {
        return 0;
    }
    if (Py_EnterRecursiveCall(" in a list of tasks")) {
        return -1;
    }
    if (PyList_CheckExact(object) || PyTuple_CheckExact(object)) {
        status = add_sequence(self, state, runtime, object, what);
    } else {
        status = add_iterable(self, state, runtime, object, what);
    }
    Py_LeaveRecursiveCall();
    return status;
}
