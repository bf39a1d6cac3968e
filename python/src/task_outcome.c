/* task_outcome.c - how a task ended, as a result or an exception.
 *
 * A failure counts as looked at when its exception was handed to somebody: result(), exception(), an await, or as the cause of a cancelled
 * dependent. What nobody looked at is in runtime->unseen and is raised at the end of `with Parla()`. */
#include "task_type.h"

static const parla_failure *root_of(const parla_failure *failure)
{
    while (parla_failure_cause(failure)) {
        failure = parla_failure_cause(failure);
    }
    return failure;
}

/* What a weak reference refers to, as a new reference; NULL without an exception if it is gone. */
static PyObject *referent(PyObject *reference)
{
    PyObject *object;

#if PY_VERSION_HEX >= 0x030D0000
    if (PyWeakref_GetRef(reference, &object) < 0) {
        PyErr_Clear();
    }
    return object;
#else
    object = PyWeakref_GetObject(reference);
    return object == Py_None ? NULL : Py_NewRef(object);
#endif
}

PyObject *task_find_cause(TaskObject *self)
{
    const parla_failure *root = self->failure ? root_of(self->failure) : NULL;
    deferred_object *payload = root && root != self->failure ? parla_failure_payload(root) : NULL;
    /* Payloads of tasks in a Python runtime are always made by callback.c. */
    PyObject *task = payload ? referent(payload->object) : NULL;
    PyObject *cause = task && ((TaskObject *)task)->has_raised ? Py_XNewRef(((TaskObject *)task)->value) : NULL;

    Py_XDECREF(task);
    return cause;
}

/* Takes the task that failed first off the list of failures that nobody has looked at. */
static void mark_seen(TaskObject *self)
{
    PyObject *unseen = self->runtime->unseen;
    const parla_failure *root = self->failure ? root_of(self->failure) : NULL;

    if (self->runtime->is_usable) {
        parla_failure_unref(parla_task_failure(self->handle)); /* asking tells the library */
    }
    for (Py_ssize_t i = PyList_GET_SIZE(unseen) - 1; i >= 0; i--) {
        TaskObject *other = (TaskObject *)PyList_GET_ITEM(unseen, i);

        if (other == self || (root && other->failure == root)) {
            if (PyList_SetSlice(unseen, i, i + 1, NULL) < 0) {
                PyErr_Clear();
            }
        }
    }
}

PyObject *task_exception_of(module_state *state, const parla_failure *failure)
{
    const char *name = parla_failure_task_name(failure);
    const char *words = parla_failure_message(failure);
    PyObject *text = *name ? PyUnicode_FromFormat("task '%s': %s", name, words) : PyUnicode_FromString(words);
    PyObject *exception = text ? PyObject_CallOneArg(error_class(state, parla_failure_code(failure)), text) : NULL;

    Py_XDECREF(text);
    return exception;
}

/* "task 'c' was cancelled because 'b' was cancelled because 'a' failed: words". New reference or NULL. */
static PyObject *cancellation_text(TaskObject *self)
{
    PyObject *text = PyUnicode_FromFormat("task '%U' was cancelled", self->name);
    const parla_failure *failure = self->failure;

    if (failure && !parla_failure_cause(failure) && text) {
        Py_SETREF(text, PyUnicode_FromFormat("%U: %s", text, parla_failure_message(failure)));
    }
    while (text && failure && (failure = parla_failure_cause(failure))) {
        const char *verb = parla_failure_code(failure) == PARLA_E_CANCELLED ? "was cancelled" : "failed";
        const char *words = parla_failure_cause(failure) ? "" : parla_failure_message(failure);

        Py_SETREF(text, PyUnicode_FromFormat("%U because '%s' %s%s%s", text, parla_failure_task_name(failure), verb,
                                             *words ? ": " : "", words));
    }
    return text;
}

static PyObject *cancellation(TaskObject *self)
{
    PyObject *text = cancellation_text(self);
    PyObject *exception = text ? PyObject_CallOneArg(task_state(self)->exceptions[EXCEPTION_TaskCancelled], text) : NULL;
    const parla_failure *root = self->failure ? root_of(self->failure) : NULL;

    Py_XDECREF(text);
    if (exception && root && root != self->failure) {
        PyObject *cause = self->extra->cause ? Py_NewRef(self->extra->cause) : task_exception_of(task_state(self), root);

        if (!cause) {
            Py_CLEAR(exception);
        } else {
            PyException_SetCause(exception, cause);
        }
    }
    return exception;
}

PyObject *task_exception(TaskObject *self)
{
    if (self->status == 0) {
        Py_RETURN_NONE;
    }
    mark_seen(self);
    if (!self->has_raised) {
        PyObject *exception;

        if (self->status == PARLA_E_CANCELLED || !self->failure) {
            exception = cancellation(self);
        } else {
            exception = task_exception_of(task_state(self), self->failure);
        }
        if (!exception) {
            return NULL;
        }
        Py_XSETREF(self->value, exception);
        self->has_raised = true;
    }
    return Py_NewRef(self->value);
}

PyObject *task_outcome(TaskObject *self)
{
    PyObject *exception;

    if (self->is_foreign) {
        return error_format(task_state(self), EXCEPTION_StateError,
                            "task '%U' runs at rank %d, so its result is there: let it write a block, which every rank can read",
                            self->name, self->extra->rank);
    }
    if (self->status == 0) {
        return Py_NewRef(self->value ? self->value : Py_None);
    }
    exception = task_exception(self);
    if (exception) {
        /* Each delivery starts from the body's own traceback, else the frames of all who looked would pile up. */
        PyErr_Restore(Py_NewRef(Py_TYPE(exception)), exception, Py_XNewRef(self->extra->traceback));
    }
    return NULL;
}
