/* adopt.c - a task of the library, made by another extension, as a Task.
 *
 * A follower without Python code suspends on the given task and then fails as that one did, if it did: so the Task is an ordinary one that
 * can be awaited, waited for and depended on. */
#include "adopt.h"

#include "task_type.h"

#include <parla/task.h>

typedef struct follower {
    TaskObject *task;
    parla_task followed; /* a reference */
    bool has_waited;
} follower;

static int follow(parla_context *context, void *arg)
{
    follower *self = arg;
    parla_failure *failure;
    int code;

    if (!self->has_waited && !parla_task_has_ended(self->followed)) {
        self->has_waited = true;
        code = parla_suspend_on(context, &self->followed, 1);
        return code < 0 ? parla_fail(context, code, "%s", parla_error_detail()) : PARLA_SUSPENDED;
    }
    failure = parla_task_failure(self->followed);
    if (!failure) {
        return 0;
    }
    code = parla_fail(context, parla_failure_code(failure), "%s", parla_failure_message(failure));
    parla_failure_unref(failure);
    return code;
}

static void follower_end(void *arg, const parla_outcome *outcome)
{
    follower *self = arg;

    parla_task_unref(self->followed);
    task_on_end(self->task, outcome);
    PyMem_RawFree(self);
}

/* Returns 0, or -1 with an exception set. */
static int spawn_follower(follower *self, RuntimeObject *runtime)
{
    TaskObject *task = self->task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    int code;

    options.body = follow;
    options.arg = self;
    options.on_end = follower_end;
    options.name = PyUnicode_AsUTF8(task->name);
    if (!options.name) {
        return -1;
    }
    Py_INCREF(task);
    PyObject_GC_UnTrack(task);
    task->runtime = (RuntimeObject *)Py_NewRef(runtime);
    task->phase = TASK_PENDING;
    code = parla_task_spawn(runtime->rt, &task->handle, &options);
    if (code < 0) {
        error_raise(task_state(task), code, "adopting a task");
        task->phase = TASK_NAMED;
        task_track(task);
        Py_DECREF(task);
        return -1;
    }
    return 0;
}

PyObject *adopt_function(PyObject *module, PyObject *args)
{
    module_state *state = PyModule_GetState(module);
    RuntimeObject *runtime = runtime_active(state, "adopting a task");
    PyObject *capsule, *name;
    parla_task *given;
    TaskObject *task;
    follower *self;

    if (!runtime || !PyArg_ParseTuple(args, "OU:adopt", &capsule, &name) ||
        !(given = PyCapsule_GetPointer(capsule, ADOPT_CAPSULE))) {
        return NULL;
    }
    self = PyMem_RawMalloc(sizeof(*self));
    if (!self) {
        return PyErr_NoMemory();
    }
    task = task_new(state, name);
    *self = (follower){.task = task, .followed = *given};
    if (!task || spawn_follower(self, runtime) < 0) {
        Py_XDECREF(task);
        PyMem_RawFree(self);
        return NULL;
    }
    (void)PyCapsule_SetName(capsule, ADOPT_TAKEN_CAPSULE); /* `self` may be gone already */
    return (PyObject *)task;
}
