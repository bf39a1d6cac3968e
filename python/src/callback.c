/* callback.c - from the runtime's threads into Python and back.
 *
 * Thread states. A thread that runs its first Python body gets a Python thread state, which is kept until the runtime has stopped: making
 * one costs more than many bodies. PyGILState_Ensure finds it again, also when a body waits and the library runs another body on top of it.
 *
 * Steps. A function runs in one step. A coroutine runs until it awaits tasks: those are handed to parla_suspend_on, the body returns
 * PARLA_SUSPENDED, and the library calls it again when they have ended. The coroutine then looks at them itself (await_type.c).
 * Around each step: the task's contextvars.Context is entered, the thread's current task is set, and asyncio's running loop is hidden
 * (a thread that waits inside an event loop may be running this body).
 *
 * Failure. The exception object stays in the Task with its traceback. The library remembers failures for long, and a traceback holds the
 * variables of its frames: so it carries only a weak reference to the Task as payload, through which cancelled dependents find their cause. */
#include "callback.h"

#include <link.h>

#include "collect.h"
#include "data_type.h"

#include <parla/device.h>

/* --- Threads --- */

/* Called once for each thread of the runtime, with its GIL held: takes one more hold on the thread state, so that the matching
 * PyGILState_Release keeps it, and remembers it for callback_delete_thread_states. */
static int keep_thread_state(RuntimeObject *runtime)
{
    if (runtime->n_thread_states == runtime->thread_states_capacity) {
        size_t capacity = runtime->thread_states_capacity ? 2 * runtime->thread_states_capacity : 16;
        PyThreadState **grown = PyMem_RawRealloc(runtime->thread_states, capacity * sizeof(PyThreadState *));

        if (!grown) {
            return -1;
        }
        runtime->thread_states = grown;
        runtime->thread_states_capacity = capacity;
    }
    runtime->thread_states[runtime->n_thread_states++] = PyThreadState_Get();
    (void)PyGILState_Ensure();
    return 0;
}

void callback_delete_thread_states(RuntimeObject *runtime)
{
    for (size_t i = 0; i < runtime->n_thread_states; i++) {
        PyThreadState_Clear(runtime->thread_states[i]);
        PyThreadState_Delete(runtime->thread_states[i]);
    }
    runtime->n_thread_states = 0;
}

static int run(void *ctx, parla_body body, parla_context *context, void *arg)
{
    bool is_new = PyGILState_GetThisThreadState() == NULL;
    PyGILState_STATE gil = PyGILState_Ensure();
    int status;

    if (is_new && keep_thread_state(ctx) < 0) {
        status = parla_fail(context, PARLA_E_NOMEM, "no memory for a Python thread state");
    } else {
        status = body(context, arg);
    }
    PyGILState_Release(gil);
    return status;
}

void callback_runner(parla_runner *out, RuntimeObject *runtime)
{
    *out = (parla_runner){.size = sizeof(*out), .ctx = runtime, .run = run};
}

TaskObject *callback_current(module_state *state) { return PyThread_tss_get(state->current); }

/* --- asyncio --- */

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

PyObject *callback_running_loop(module_state *state)
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

static void set_running_loop(module_state *state, PyObject *loop)
{
    PyObject *result = PyObject_CallOneArg(state->set_running_loop, loop);

    Py_XDECREF(result);
    PyErr_Clear();
}

/* --- Shared libraries --- */

static int read_library_count(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    *(unsigned long long *)out = info->dlpi_adds + info->dlpi_subs;
    return 1;
}

void callback_know_libraries(module_state *state) { (void)dl_iterate_phdr(read_library_count, &state->n_libraries); }

/* Lets the Python layer set the number of BLAS threads of libraries that were loaded since the last body. */
static int notice_libraries(module_state *state)
{
    unsigned long long count = state->n_libraries;
    PyObject *result;

    if (!state->hooks[HOOK_LIBRARIES]) {
        return 0;
    }
    (void)dl_iterate_phdr(read_library_count, &count);
    if (count == state->n_libraries) {
        return 0;
    }
    state->n_libraries = count;
    result = PyObject_CallNoArgs(state->hooks[HOOK_LIBRARIES]);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* --- Steps --- */

/* Tells the user about globals that have other values than when the task was spawned. */
static int check_watched(TaskObject *task)
{
    PyObject *watched = task->watched, *globals;

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
        result = PyObject_CallFunctionObjArgs(task->state->hooks[HOOK_REBOUND], task->work, name, old, now, NULL);
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
        Py_CLEAR(task->devices);
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
    if (!devices) {
        return -1;
    }
    Py_XSETREF(task->devices, devices);
    return 0;
}

/* Raises `exception` where the coroutine is suspended. */
static PySendResult throw_into(TaskObject *task, PyObject *exception, PyObject **out)
{
    PyObject *type, *value, *traceback;

    *out = PyObject_CallMethodOneArg(task->work, task->state->name_throw, exception);
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

static bool is_any_view_held(PyObject *views)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(views); i++) {
        if (Py_REFCNT(PyList_GET_ITEM(views, i)) > 1) {
            return true;
        }
    }
    return false;
}

/* Local arrays that the body returns become copies. Returns 0 or -1. */
static int detach_result(TaskObject *task, PyObject **result)
{
    PyObject *detached = PyObject_CallOneArg(task->state->hooks[HOOK_DETACH], *result);

    if (!detached) {
        return -1;
    }
    Py_SETREF(*result, detached);
    return 0;
}

/* A view of device memory must not outlive the step: the copy that it shows may be moved or freed from then on. `*result` is what the body
 * returned, NULL at an await. Garbage that only the cyclic collector can find is not held by anybody. Returns 0, or -1 with an exception. */
static int check_views(TaskObject *task, PyObject **result)
{
    bool is_held;

    if (!task->views) {
        return 0;
    }
    is_held = is_any_view_held(task->views);
    if (is_held && *result && detach_result(task, result) < 0) {
        return -1;
    }
    is_held = is_held && is_any_view_held(task->views);
    if (is_held) {
        (void)PyGC_Collect();
        is_held = is_any_view_held(task->views);
    }
    Py_CLEAR(task->views);
    if (is_held) {
        error_format(task->state, EXCEPTION_StateError,
                     "task '%U' keeps a local array of a device beyond its end or across an await, when its memory may be used for "
                     "something else: keep a copy (array.copy()), and ask for .array again after an await",
                     task->name);
        return -1;
    }
    return 0;
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

    if (!is_awaitable(task->state, awaited)) {
        PyErr_Format(PyExc_TypeError, "await: a Parla task waits for Parla tasks, spaces and collections, not for %R", awaited);
        return -1;
    }
    task_list_init(&tasks);
    if (task_list_add(&tasks, task->state, task->runtime, awaited, "await in a Parla task") == 0) {
        size_t n = 0;

        for (size_t i = 0; i < tasks.n; i++) {
            if (parla_task_equal(tasks.handles[i], task->handle)) {
                error_format(task->state, EXCEPTION_StateError, "task '%U' awaits itself", task->name);
                goto done;
            }
            if (!parla_task_has_ended(tasks.handles[i])) {
                tasks.handles[n++] = tasks.handles[i];
            }
        }
        PyObject *no_result = NULL;

        status = n > 0 && check_views(task, &no_result) < 0 ? -1 : n > 0;
        if (status > 0 && (code = parla_suspend_on(context, tasks.handles, n)) < 0) {
            error_raise(task->state, code, "await");
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
        error_format(task->state, EXCEPTION_TaskCancelled, "task '%U' was cancelled", task->name);
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
    PyObject *loop = callback_running_loop(task->state);
    int status;

    if (loop) {
        set_running_loop(task->state, Py_None);
    }
    status = drive(task, context, out);
    if (loop) {
        PyObject *type, *value, *traceback;

        PyErr_Fetch(&type, &value, &traceback);
        set_running_loop(task->state, loop);
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
    if (check_watched(task) < 0 || remember_devices(task, context) < 0) {
        return -1;
    }
    if (task->args || task->kwargs) {
        PyObject *no_args = task->args ? Py_NewRef(task->args) : PyTuple_New(0);

        result = no_args ? PyObject_Call(task->work, no_args, task->kwargs) : NULL;
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
    Py_SETREF(task->work, result);
    return drive_without_loop(task, context, out);
}

static int step(TaskObject *task, parla_context *context, PyObject **out)
{
    if (notice_libraries(task->state) < 0) {
        return -1;
    }
    if (PyCoro_CheckExact(task->work)) {
        task->has_started = true;
        if (remember_devices(task, context) < 0) {
            return -1;
        }
        return drive_without_loop(task, context, out);
    }
    return begin(task, context, out);
}

/* --- Failure --- */

static void add_note(TaskObject *task, PyObject *exception)
{
    PyObject *note = PyUnicode_FromFormat("in Parla task '%U'", task->name);
    PyObject *result = note ? PyObject_CallMethodOneArg(exception, task->state->name_add_note, note) : NULL;

    Py_XDECREF(note);
    Py_XDECREF(result);
    PyErr_Clear();
}

/* Takes the exception that is set, keeps it in the task and gives it to the library. Returns the code to be returned by the body. */
static int fail(TaskObject *task, parla_context *context)
{
    module_state *state = task->state;
    PyObject *type, *exception, *traceback, *text, *reference;
    deferred_object *payload;
    const char *words = NULL;
    int code = PARLA_E_USER;

    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (traceback) {
        PyException_SetTraceback(exception, traceback);
    }
    if (PyErr_GivenExceptionMatches(exception, state->exceptions[EXCEPTION_TaskCancelled])) {
        code = PARLA_E_CANCELLED;
    }
    add_note(task, exception);
    text = PyUnicode_FromFormat("%s: %S", Py_TYPE(exception)->tp_name, exception);
    if (text) {
        words = PyUnicode_AsUTF8(text);
    }
    reference = PyWeakref_NewRef((PyObject *)task, NULL);
    payload = reference ? deferred_object_new(&state->ends, reference) : NULL;
    Py_XDECREF(reference);
    PyErr_Clear();
    Py_XSETREF(task->value, exception);
    Py_XSETREF(task->traceback, traceback);
    task->has_raised = true;
    Py_DECREF(type);
    words = words ? words : "an exception without a message";
    code = payload ? parla_fail_with(context, code, payload, deferred_object_release, "%s", words)
                   : parla_fail(context, PARLA_E_NOMEM, "no memory to keep an exception");
    Py_XDECREF(text);
    return code;
}

int callback_body(parla_context *context, void *arg)
{
    TaskObject *task = arg;
    module_state *state = task->state;
    TaskObject *outer = callback_current(state);
    PyObject *result = NULL;
    int status = -1;

    deferred_drain(&state->ends);
    task->handle = parla_context_task(context);
    if (PyThread_tss_set(state->current, task) != 0) {
        PyErr_NoMemory();
    } else if (PyContext_Enter(task->context) == 0) {
        PyObject *type, *value, *traceback;

        status = step(task, context, &result);
        if (status == 0 && check_views(task, &result) < 0) {
            Py_CLEAR(result);
            status = -1;
        }
        PyErr_Fetch(&type, &value, &traceback);
        (void)PyContext_Exit(task->context);
        PyErr_Restore(type, value, traceback);
    }
    if (status > 0) {
        status = PARLA_SUSPENDED;
    } else if (status == 0) {
        Py_XSETREF(task->value, result);
    } else {
        status = fail(task, context);
    }
    if (status != PARLA_SUSPENDED) {
        task_drop_work(task);
    }
    (void)PyThread_tss_set(state->current, outer);
    return status;
}
