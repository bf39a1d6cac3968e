/* step.c - one step of a task's body: the call of a function, or a coroutine from one await to the next.
 *
 * A coroutine runs until it awaits tasks: those are handed to parla_suspend_on, and the library calls the body again when they have ended.
 * The coroutine then looks at them itself (await_type.c). asyncio's running loop is hidden meanwhile: a thread that waits inside an event
 * loop may be running this body. */
#include "step.h"

#include "asyncio_loop.h"
#include "collect.h"
#include "views.h"

/* Tells the user about globals that have other values than when the task was spawned. */
static int check_watched(TaskObject *task)
{
    PyObject *watched = task->extra->watched, *globals;

    if (!watched) {
        return 0;
    }
    globals = PyFunction_GetGlobals(task->work);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(watched); i++) {
        PyObject *pair = PyTuple_GET_ITEM(watched, i);
        PyObject *name = PyTuple_GET_ITEM(pair, 0), *old = PyTuple_GET_ITEM(pair, 1);
        PyObject *now = PyDict_GetItemWithError(globals, name);
        PyObject *result;

        if (!now || now == old) {
            continue;
        }
        result = PyObject_CallFunctionObjArgs(task_state(task)->hooks[HOOK_REBOUND], task->work, name, old, now, NULL);
        if (!result) {
            return -1;
        }
        Py_DECREF(result);
    }
    return 0;
}

static int remember_devices(TaskObject *task, const parla_context *context)
{
    size_t n = parla_context_n_devices(context);
    PyObject *devices;

    if (n == 0 || (n == 1 && parla_context_device(context, 0) == 0)) {
        Py_CLEAR(task->extra->devices);
        return 0;
    }
    devices = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; devices && i < n; i++) {
        PyObject *index = PyLong_FromLong(parla_context_device(context, i));

        if (!index) {
            Py_CLEAR(devices);
            break;
        }
        PyTuple_SET_ITEM(devices, (Py_ssize_t)i, index);
    }
    if (!devices || !task_extra_own(task)) {
        Py_XDECREF(devices);
        return -1;
    }
    Py_XSETREF(task->extra->devices, devices);
    return 0;
}

/* Raises `exception` where the coroutine is suspended. */
static PySendResult throw_into(TaskObject *task, PyObject *exception, PyObject **out)
{
    PyObject *type, *value, *traceback;

    *out = PyObject_CallMethodOneArg(task->work, task_state(task)->name_throw, exception);
    if (*out) {
        return PYGEN_NEXT;
    }
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return PYGEN_ERROR;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    *out = Py_NewRef(((PyStopIterationObject *)value)->value);
    Py_DECREF(type);
    Py_DECREF(value);
    Py_XDECREF(traceback);
    return PYGEN_RETURN;
}

/* Throws the exception that is set now. */
static PySendResult throw_current(TaskObject *task, PyObject **out)
{
    PyObject *type, *value, *traceback;
    PySendResult result;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    result = throw_into(task, value, out);
    Py_DECREF(type);
    Py_DECREF(value);
    Py_XDECREF(traceback);
    return result;
}

/* What an await in a coroutine may end up with: a Task, the tuple that await_type.c yields, or None, which waits for nothing. */
static bool is_awaitable(module_state *state, PyObject *awaited)
{
    return awaited == Py_None || PyTuple_CheckExact(awaited) || task_check(state, awaited);
}

/* Suspends the task on what its coroutine awaits. Returns 1 if it is suspended, 0 if all of it has ended, -1 with an exception set. */
static int suspend(TaskObject *task, parla_context *context, PyObject *awaited)
{
    task_list tasks;
    int code, status = -1;

    if (!is_awaitable(task_state(task), awaited)) {
        PyErr_Format(PyExc_TypeError, "await: a Parla task waits for Parla tasks, spaces and collections, not for %R", awaited);
        return -1;
    }
    task_list_init(&tasks);
    if (task_list_add(&tasks, task_state(task), task->runtime, awaited, "await in a Parla task") == 0) {
        size_t n = 0;

        for (size_t i = 0; i < tasks.n; i++) {
            if (parla_task_equal(tasks.handles[i], task->handle)) {
                error_format(task_state(task), EXCEPTION_StateError, "task '%U' awaits itself", task->name);
                goto done;
            }
            if (!parla_task_has_ended(tasks.handles[i])) {
                tasks.handles[n++] = tasks.handles[i];
            }
        }
        PyObject *no_result = NULL;

        status = n > 0 && views_check(task, &no_result) < 0 ? -1 : n > 0;
        if (status > 0 && (code = parla_suspend_on(context, tasks.handles, n)) < 0) {
            error_raise(task_state(task), code, "await");
            status = -1;
        }
    }
done:
    task_list_fini(&tasks);
    return status;
}

static PySendResult resume(TaskObject *task, const parla_context *context, PyObject **out)
{
    if (parla_context_is_cancelled(context) && !task->was_cancelled) {
        task->was_cancelled = true;
        error_format(task_state(task), EXCEPTION_TaskCancelled, "task '%U' was cancelled", task->name);
        return throw_current(task, out);
    }
    return PyIter_Send(task->work, Py_None, out);
}

/* Runs the coroutine until it ends or waits. Returns 0 with the result in `*out`, 1 if suspended, -1 with an exception set. */
static int drive(TaskObject *task, parla_context *context, PyObject **out)
{
    PySendResult result = resume(task, context, out);

    while (result == PYGEN_NEXT) {
        PyObject *awaited = *out;
        int status;

        status = suspend(task, context, awaited);
        Py_DECREF(awaited);
        if (status > 0) {
            return 1;
        }
        result = status < 0 ? throw_current(task, out) : resume(task, context, out);
    }
    return result == PYGEN_RETURN ? 0 : -1;
}

static int drive_without_loop(TaskObject *task, parla_context *context, PyObject **out)
{
    PyObject *loop = asyncio_running_loop(task_state(task));
    int status;

    if (loop) {
        asyncio_set_running_loop(task_state(task), Py_None);
    }
    status = drive(task, context, out);
    if (loop) {
        PyObject *type, *value, *traceback;

        PyErr_Fetch(&type, &value, &traceback);
        asyncio_set_running_loop(task_state(task), loop);
        PyErr_Restore(type, value, traceback);
        Py_DECREF(loop);
    }
    return status;
}

/* The first step: calls the function. One that returns a coroutine (an `async def`) goes on as that coroutine. */
static int begin(TaskObject *task, parla_context *context, PyObject **out)
{
    PyObject *result;

    task->has_started = true;
    if (task_unstow(task) < 0 || check_watched(task) < 0 || remember_devices(task, context) < 0) {
        return -1;
    }
    if (task->extra->args || task->extra->kwargs) {
        PyObject *no_args = task->extra->args ? Py_NewRef(task->extra->args) : PyTuple_New(0);

        result = no_args ? PyObject_Call(task->work, no_args, task->extra->kwargs) : NULL;
        Py_XDECREF(no_args);
    } else {
        result = PyObject_CallNoArgs(task->work);
    }
    if (!result) {
        return -1;
    }
    if (!PyCoro_CheckExact(result)) {
        *out = result;
        return 0;
    }
    task_unroot(task);
    Py_SETREF(task->work, result);
    return drive_without_loop(task, context, out);
}

static int advance(TaskObject *task, parla_context *context, PyObject **out)
{
    if (PyCoro_CheckExact(task->work)) {
        task->has_started = true;
        if (remember_devices(task, context) < 0) {
            return -1;
        }
        return drive_without_loop(task, context, out);
    }
    return begin(task, context, out);
}

int step_run(TaskObject *task, parla_context *context, PyObject **out)
{
    int status = advance(task, context, out);

    if (status == 0 && views_check(task, out) < 0) {
        Py_CLEAR(*out);
        status = -1;
    }
    return status;
}

static int refuse_coroutine(TaskObject *task, PyObject *coroutine)
{
    PyObject *closed = PyObject_CallMethod(coroutine, "close", NULL);

    Py_XDECREF(closed);
    if (closed) {
        PyErr_Format(PyExc_TypeError, "spawn_many: %R returned a coroutine; its calls cannot await: spawn a task for each",
                     task->work);
    }
    return -1;
}

int step_call(TaskObject *task, size_t index)
{
    PyObject *number, *result;

    if (!task->has_started) {
        task->has_started = true;
        if (check_watched(task) < 0) {
            return -1;
        }
    }
    number = PyLong_FromSize_t(index);
    result = number ? PyObject_CallOneArg(task->work, number) : NULL;
    Py_XDECREF(number);
    if (!result) {
        return -1;
    }
    if (PyCoro_CheckExact(result)) {
        int status = refuse_coroutine(task, result);

        Py_DECREF(result);
        return status;
    }
    if (result == Py_None || task->has_raised) { /* `value` is a list of None, or an exception */
        Py_DECREF(result);
        return 0;
    }
    return PyList_SetItem(task->value, (Py_ssize_t)index, result);
}
