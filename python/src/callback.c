/* callback.c - from the runtime's threads into Python and back.
 *
 * Thread states. A thread that runs its first Python body gets a Python thread state, which is kept until the thread ends: making one costs
 * more than many bodies. PyGILState_Ensure finds it again, also when a body waits and the library runs another body on top of it. The thread
 * deletes it by itself: from CPython 3.12 on, who deletes the state of another thread loses what PyGILState_Ensure finds its own by.
 *
 * The GIL. A worker keeps it from one body to the next: to give it up and take it again costs more than an empty body, and two system calls
 * where another thread waits. It gives it back when the library has something else to do (rest). Python code in a body gives way by itself to
 * a thread that has waited for the switch interval (sys.getswitchinterval(); the runtime makes that short); bodies in C do not, so after
 * each interval a function in Python that does nothing is called. To give the lock up and take it again would not do: whoever waits is woken
 * by that, finds it taken, and begins its interval of waiting anew, so that it never comes to ask for it.
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
#include <parla/replay.h>
#include <parla/trace.h>

/* --- Threads --- */

/* What C++ registers destructors of thread-local objects with: they run before those of pthread keys, one of which PyGILState_Ensure needs. */
extern int __cxa_thread_atexit_impl(void (*function)(void *), void *argument, void *library);
extern void *__dso_handle __attribute__((visibility("hidden")));

/* Called by a thread of the runtime that ends. Whoever stops the runtime waits for its threads without the GIL. */
static void drop_thread_state(void *hold)
{
    PyGILState_STATE gil = PyGILState_Ensure();

    PyGILState_Release(*(PyGILState_STATE *)hold);
    PyGILState_Release(gil);
}

/* Called once for each thread of the runtime, with its GIL held: takes one more hold on the thread state, so that the matching
 * PyGILState_Release keeps it, until the thread ends. */
static int keep_thread_state(void)
{
    static _Thread_local PyGILState_STATE own;

    if (__cxa_thread_atexit_impl(drop_thread_state, &own, &__dso_handle) != 0) {
        return -1;
    }
    own = PyGILState_Ensure();
    return 0;
}

/* Returns 0, or -1 without memory. */
static int begin_thread(module_state *state)
{
    PyObject *hook = state->hooks[HOOK_THREAD], *none;

    if (keep_thread_state() < 0) {
        return -1;
    }
    none = hook ? PyObject_CallNoArgs(hook) : Py_NewRef(Py_None);
    if (!none) {
        PyErr_WriteUnraisable(hook);
    }
    Py_XDECREF(none);
    return 0;
}

/* --- The interpreter lock --- */

enum { INTERVAL_NS = 5000000, LOOKS = 16, LOOK_AT_LEAST = 8 };

/* What a thread of the runtime has of the lock, between and in its bodies. */
typedef struct hold {
    PyGILState_STATE gil; /* for the release */
    bool is_held;         /* from one body to the next; see parla_runner.rest */
    int depth;            /* bodies under way: one waits, and the thread runs another one on top of it */
    int64_t interval_ns;  /* the switch interval when it was taken */
    int64_t taken_ns, looked_ns;
    int64_t
        now_ns; /* the clock when the lock was taken, or at the end of the last body since: when the next one begins; 0: unknown */
    int n_between, n_left; /* bodies from the last look at the clock to the next, and how many of them are left */
} hold;

static _Thread_local hold held;

static int64_t switch_interval_ns(module_state *state)
{
    PyObject *interval = PyObject_CallNoArgs(state->get_switch_interval);
    double seconds = interval ? PyFloat_AsDouble(interval) : -1;

    Py_XDECREF(interval);
    if (seconds <= 0) {
        PyErr_Clear();
        return INTERVAL_NS;
    }
    return (int64_t)(seconds * 1e9);
}

/* Takes the lock for some bodies. Only one thread of the runtime at a time waits for it: who waits wakes up each switch interval, and asks
 * whoever has it to give way. */
static int take(RuntimeObject *runtime)
{
    bool is_new = PyGILState_GetThisThreadState() == NULL;

    parla_trace_begin(runtime->rt, "wait for the GIL");
    pthread_mutex_lock(&runtime->turn);
    held.gil = PyGILState_Ensure();
    pthread_mutex_unlock(&runtime->turn);
    parla_trace_end(runtime->rt);
    held.is_held = true;
    held.interval_ns = switch_interval_ns(runtime->state);
    held.taken_ns = held.looked_ns = held.now_ns = runtime_now_ns();
    held.n_between = held.n_left = 1;
    return is_new ? begin_thread(runtime->state) : 0;
}

static void give(void)
{
    held.is_held = false;
    PyGILState_Release(held.gil);
}

/* Lets whoever has waited for the switch interval have the lock, and takes it back. */
static void give_way(RuntimeObject *runtime)
{
    module_state *state = runtime->state;
    PyObject *none;

    parla_trace_begin(runtime->rt, "wait for the GIL");
    none = PyObject_CallNoArgs(state->give_way);
    parla_trace_end(runtime->rt);
    if (!none) {
        PyErr_WriteUnraisable(state->give_way);
    }
    Py_XDECREF(none);
    held.interval_ns = switch_interval_ns(state);
    held.taken_ns = held.looked_ns = held.now_ns = runtime_now_ns();
}

/* Called after each body. The clock is looked at about LOOKS times in an interval. */
static bool is_time_over(void)
{
    int64_t now_ns, n;

    if (--held.n_left > 0) {
        return false;
    }
    now_ns = runtime_now_ns();
    n = held.n_between * held.interval_ns / (LOOKS * (now_ns - held.looked_ns) + 1);
    held.n_between = held.n_left = n < 1 ? 1 : n > LOOK_AT_LEAST ? LOOK_AT_LEAST : (int)n;
    held.looked_ns = now_ns;
    return now_ns - held.taken_ns >= held.interval_ns;
}

static int run_on_top(parla_body body, parla_context *context, void *arg)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    int status;

    held.depth++;
    status = body(context, arg);
    held.depth--;
    PyGILState_Release(gil);
    return status;
}

static int run(void *ctx, parla_body body, parla_context *context, void *arg)
{
    RuntimeObject *runtime = ctx;
    int status;

    if (held.depth > 0) {
        return run_on_top(body, context, arg);
    }
    if (!held.is_held && take(runtime) < 0) {
        return parla_fail(context, PARLA_E_NOMEM, "no memory for a Python thread state"); /* the library lets it rest */
    }
    held.depth++;
    status = body(context, arg);
    held.depth--;
    if (body != callback_body) {
        held.now_ns = 0;
    }
    if (is_time_over()) {
        give_way(runtime);
    }
    return status;
}

static void rest(void *ctx)
{
    (void)ctx;
    if (held.is_held && held.depth == 0) {
        give();
    }
}

void callback_runner(parla_runner *out, RuntimeObject *runtime)
{
    *out = (parla_runner){.size = sizeof(*out), .ctx = runtime, .run = run, .rest = rest};
}

/* The task whose body this thread runs, of whichever interpreter. Borrowed. */
static _Thread_local TaskObject *current;

TaskObject *callback_current(module_state *state) { return current && task_state(current) == state ? current : NULL; }

/* --- Shared libraries ---
 *
 * Counting them takes longer than an empty body. Most come with a module; the others (of ctypes, of a plug-in) are noticed a few bodies
 * later. */

enum { LOOK_EVERY = 64 };

static int read_library_count(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    *(unsigned long long *)out = info->dlpi_adds + info->dlpi_subs;
    return 1;
}

static Py_ssize_t n_modules(void)
{
    PyObject *modules = PyImport_GetModuleDict();

    return modules && PyDict_Check(modules) ? PyDict_Size(modules) : 0;
}

void callback_know_libraries(module_state *state)
{
    state->n_modules = n_modules();
    state->n_unlooked = 0;
    (void)dl_iterate_phdr(read_library_count, &state->n_libraries);
}

/* Lets the Python layer set the number of BLAS threads of libraries that were loaded since the last body. */
static int notice_libraries(module_state *state)
{
    unsigned long long count = state->n_libraries;
    PyObject *result;

    if (!state->hooks[HOOK_LIBRARIES] || (n_modules() == state->n_modules && ++state->n_unlooked < LOOK_EVERY)) {
        return 0;
    }
    state->n_modules = n_modules();
    state->n_unlooked = 0;
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

static void add_note(TaskObject *task, PyObject *exception, const parla_context *context)
{
    PyObject *note = task->is_many
                         ? PyUnicode_FromFormat("in call %zu of Parla task '%U'", parla_context_index(context), task->name)
                         : PyUnicode_FromFormat("in Parla task '%U'", task->name);
    PyObject *result = note ? PyObject_CallMethodOneArg(exception, task_state(task)->name_add_note, note) : NULL;

    Py_XDECREF(note);
    Py_XDECREF(result);
    PyErr_Clear();
}

/* A body that awaits what only an event loop can end, such as asyncio.sleep(), gets words of asyncio that do not say what to do. */
static void add_hint(TaskObject *task, PyObject *exception)
{
    PyObject *text = (PyObject *)Py_TYPE(exception) == PyExc_RuntimeError ? PyObject_Str(exception) : NULL, *hint, *none;

    if (text && PyUnicode_CompareWithASCIIString(text, "no running event loop") == 0) {
        hint = PyUnicode_FromString(
            "a Parla task waits for Parla tasks only: run what needs an event loop with asyncio.run(...) in a task");
        none = hint ? PyObject_CallMethodOneArg(exception, task_state(task)->name_add_note, hint) : NULL;
        Py_XDECREF(hint);
        Py_XDECREF(none);
    }
    Py_XDECREF(text);
    PyErr_Clear();
}

/* Takes over the reference. Without memory for it, those who look find the exception's own, which grows from one to the next. */
static void keep_traceback(TaskObject *task, PyObject *traceback)
{
    if (task_extra_own(task)) {
        Py_XSETREF(task->extra->traceback, traceback);
    } else {
        PyErr_Clear();
        Py_XDECREF(traceback);
    }
}

/* Takes the exception that is set, keeps it in the task and gives it to the library. Returns the code to be returned by the body. */
static int fail(TaskObject *task, parla_context *context)
{
    module_state *state = task_state(task);
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
    add_note(task, exception, context);
    add_hint(task, exception);
    text = PyUnicode_FromFormat("%s: %S", Py_TYPE(exception)->tp_name, exception);
    if (text) {
        words = PyUnicode_AsUTF8(text);
    }
    reference = PyWeakref_NewRef((PyObject *)task, NULL);
    payload = reference ? deferred_object_new(&state->ends, reference) : NULL;
    Py_XDECREF(reference);
    PyErr_Clear();
    if (task->is_many && task->has_raised) { /* the first one counts */
        Py_DECREF(exception);
        Py_XDECREF(traceback);
    } else {
        task_unroot(task); /* of a body that has not even begun, `value` has something else */
        Py_XSETREF(task->value, exception);
        keep_traceback(task, traceback);
        task->has_raised = true;
    }
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
    module_state *state = task->runtime->state;
    TaskObject *outer = current;
    PyObject *result = NULL, *token = NULL;
    int status = -1;

    if (task->began_ns == 0 || !PyCoro_CheckExact(task->work)) {
        task->began_ns = held.depth == 1 && held.now_ns ? held.now_ns : runtime_now_ns();
    }
    deferred_drain(&state->ends);
    task->handle = parla_context_task(context);
    current = task;
    if ((task->context || (task->context = PyContext_New())) && PyContext_Enter(task->context) == 0) {
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
        Py_CLEAR(task->extra->traceback); /* of a try before */
        task->has_raised = false;
    } else {
        status = fail(task, context);
    }
    if (status < 0 && parla_context_attempt(context) < task->n_retries) {
        task_rewind(task); /* should the library not try again after all, the settling of the end drops the rest */
    } else if (status != PARLA_SUSPENDED) {
        task_drop_work(task);
    }
    held.now_ns = runtime_now_ns();
    task->ended_ns = status == PARLA_SUSPENDED ? 0 : held.now_ns;
    current = outer;
    return status;
}

int callback_call(parla_context *context, void *arg)
{
    TaskObject *task = arg, *outer = current;
    PyObject *own;
    int status = -1;

    if (task->began_ns == 0) {
        task->began_ns = runtime_now_ns();
    }
    deferred_drain(&task_state(task)->ends);
    task->handle = parla_context_task(context);
    current = task;
    own = task->context ? PyContext_Copy(task->context) : PyContext_New(); /* others may have entered that one */
    if (own && PyContext_Enter(own) == 0) {
        PyObject *type, *value, *traceback;

        status = notice_libraries(task_state(task)) < 0 ? -1 : step_call(task, parla_context_index(context));
        PyErr_Fetch(&type, &value, &traceback);
        (void)PyContext_Exit(own);
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(own);
    if (status < 0) {
        status = fail(task, context);
    }
    current = outer;
    return status;
}
