/* callback.c - from the runtime's threads into Python and back.
 *
 * Thread states. A thread that runs its first Python body gets a Python thread state, which is kept until the runtime has stopped: making
 * one costs more than many bodies. PyGILState_Ensure finds it again, also when a body waits and the library runs another body on top of it.
 *
 * A body is run in steps (step.c), each with the task's contextvars.Context entered and the thread's current task set.
 *
 * Failure. The exception object stays in the Task with its traceback. The library remembers failures for long, and a traceback holds the
 * variables of its frames: so it carries only a weak reference to the Task as payload, through which cancelled dependents find their cause. */
#include "callback.h"

#include <link.h>

#include "native.h"
#include "step.h"

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

/* The task whose body this thread runs, of whichever interpreter. Borrowed. */
static _Thread_local TaskObject *current;

TaskObject *callback_current(module_state *state) { return current && current->state == state ? current : NULL; }

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
    TaskObject *outer = current;
    PyObject *result = NULL, *token = NULL;
    int status = -1;

    deferred_drain(&state->ends);
    task->handle = parla_context_task(context);
    current = task;
    if (PyContext_Enter(task->context) == 0) {
        PyObject *type, *value, *traceback;

        status = notice_libraries(state) < 0 || native_begin(task, context, &token) < 0 ? -1 : step_run(task, context, &result);
        if (native_end(task, token) < 0 && status >= 0) {
            if (status > 0) { /* it waits for others already */
                PyErr_WriteUnraisable((PyObject *)task);
            } else {
                Py_CLEAR(result);
                status = -1;
            }
        }
        PyErr_Fetch(&type, &value, &traceback);
        (void)PyContext_Exit(task->context);
        PyErr_Restore(type, value, traceback);
    }
    if (status > 0) {
        status = PARLA_SUSPENDED;
    } else if (status == 0) {
        Py_XSETREF(task->value, result);
        Py_CLEAR(task->traceback); /* of a try before */
        task->has_raised = false;
    } else {
        status = fail(task, context);
    }
    if (status < 0 && parla_context_attempt(context) < task->n_retries) {
        task_rewind(task); /* should the library not try again after all, the settling of the end drops the rest */
    } else if (status != PARLA_SUSPENDED) {
        task_drop_work(task);
    }
    current = outer;
    return status;
}
