/* await_type.c - the iterator behind `await` on tasks.
 *
 * In a Parla task it yields the tuple of tasks to the driver (callback.c), which suspends the task on them; when they have ended it returns
 * their results or raises the first exception. Under an event loop of asyncio the Python layer's iterator is used instead. A task that
 * is spawned again while somebody awaits it is awaited again. */
#include "await_type.h"

#include "asyncio_loop.h"

typedef struct AwaitObject {
    PyObject_HEAD module_state *state;
    PyObject *tasks; /* tuple */
    bool is_single;
} AwaitObject;

static PyObject *await_new(module_state *state, PyObject *tasks, bool is_single)
{
    PyObject *loop = asyncio_running_loop(state);
    AwaitObject *self;

    if (loop) {
        PyObject *iterator =
            PyObject_CallFunctionObjArgs(state->hooks[HOOK_ASYNCIO], loop, tasks, is_single ? Py_True : Py_False, NULL);

        Py_DECREF(loop);
        return iterator;
    }
    self = (AwaitObject *)state->await_type->tp_alloc(state->await_type, 0);
    if (self) {
        self->state = state;
        self->tasks = Py_NewRef(tasks);
        self->is_single = is_single;
    }
    return (PyObject *)self;
}

PyObject *await_one(PyObject *task)
{
    PyObject *tasks = PyTuple_Pack(1, task);
    PyObject *self = tasks ? await_new(task_state((TaskObject *)task), tasks, true) : NULL;

    Py_XDECREF(tasks);
    return self;
}

PyObject *await_many(module_state *state, PyObject *tasks) { return await_new(state, tasks, false); }

/* Ends the iteration with a value. A value that is a tuple or an exception must not be taken for arguments: hence the instance. */
static PyObject *stop_with(PyObject *value)
{
    PyObject *stop = value ? PyObject_CallOneArg(PyExc_StopIteration, value) : NULL;

    Py_XDECREF(value);
    if (stop) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

/* "task 'b' failed too: ValueError: words". New reference or NULL without an exception. */
static PyObject *other_failure(TaskObject *task)
{
    const char *type = Py_TYPE(task->value)->tp_name;
    PyObject *text = PyUnicode_FromFormat("task '%U' failed too: %s: %S", task->name, type, task->value);

    if (!text) { /* the exception's own text fails */
        PyErr_Clear();
        text = PyUnicode_FromFormat("task '%U' failed too: %s", task->name, type);
        PyErr_Clear();
    }
    return text;
}

static void add_note(PyObject *exception, module_state *state, PyObject *note)
{
    PyObject *notes = note ? PyObject_GetAttrString(exception, "__notes__") : NULL, *none = NULL;
    bool is_there = notes && PySequence_Contains(notes, note) == 1; /* somebody has looked before */

    PyErr_Clear(); /* nothing of this is worth another exception */
    if (note && !is_there) {
        none = PyObject_CallMethodOneArg(exception, state->name_add_note, note);
        PyErr_Clear();
    }
    Py_XDECREF(notes);
    Py_XDECREF(none);
    Py_XDECREF(note);
}

/* Several failed and one exception is raised: the others, which count as looked at, are notes of it. */
static void note_others(PyObject *tasks, TaskObject *culprit)
{
    enum { MAX_NOTES = 8 };
    module_state *state = task_state(culprit);
    Py_ssize_t n_others = 0;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tasks); i++) {
        TaskObject *other = (TaskObject *)PyTuple_GET_ITEM(tasks, i);

        if (other->status < 0 && other->status != PARLA_E_CANCELLED && other->has_raised && other->value != culprit->value &&
            ++n_others <= MAX_NOTES) {
            add_note(culprit->value, state, other_failure(other));
        }
    }
    if (n_others > MAX_NOTES) {
        add_note(culprit->value, state, PyUnicode_FromFormat("and %zd more tasks failed", n_others - MAX_NOTES));
    }
}

PyObject *await_outcomes(PyObject *tasks)
{
    PyObject *results = PyList_New(PyTuple_GET_SIZE(tasks));
    TaskObject *culprit = NULL;

    for (Py_ssize_t i = 0; results && i < PyTuple_GET_SIZE(tasks); i++) {
        TaskObject *task = (TaskObject *)PyTuple_GET_ITEM(tasks, i);
        PyObject *exception = task_exception(task);

        if (!exception) {
            Py_CLEAR(results);
            break;
        }
        Py_DECREF(exception);
        if (task->is_foreign) {
            PyList_SET_ITEM(results, i, Py_NewRef(Py_None));
            continue;
        }
        if (task->status == 0) {
            PyList_SET_ITEM(results, i, task_outcome(task));
            continue;
        }
        PyList_SET_ITEM(results, i, Py_NewRef(Py_None));
        if (!culprit || (culprit->status == PARLA_E_CANCELLED && task->status != PARLA_E_CANCELLED)) {
            culprit = task;
        }
    }
    if (results && culprit) {
        Py_DECREF(results);
        if (culprit->status != PARLA_E_CANCELLED) {
            note_others(tasks, culprit);
        }
        return task_outcome(culprit);
    }
    return results;
}

static PyObject *await_next(AwaitObject *self)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self->tasks); i++) {
        if (!task_has_ended((TaskObject *)PyTuple_GET_ITEM(self->tasks, i))) {
            return Py_NewRef(self->tasks);
        }
    }
    if (self->is_single) {
        return stop_with(task_outcome((TaskObject *)PyTuple_GET_ITEM(self->tasks, 0)));
    }
    return stop_with(await_outcomes(self->tasks));
}

static int await_traverse(AwaitObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->tasks);
    return 0;
}

static void await_dealloc(AwaitObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->tasks);
    type->tp_free(self);
    Py_DECREF(type);
}

PyTypeObject *await_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, await_dealloc},
        {Py_tp_traverse, await_traverse},
        {Py_tp_iter, PyObject_SelfIter},
        {Py_tp_iternext, await_next},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._parla.Await",
        .basicsize = sizeof(AwaitObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
