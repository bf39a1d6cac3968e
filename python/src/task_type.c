/* task_type.c - Task: a name at first, then something that runs, then an outcome.
 *
 * The library tells the end of a task on whatever thread it happens; task_on_end notes it in the object without the GIL and pushes the
 * object to the deferred list. Only settling (settle_end, with the GIL) changes what Python sees. Whoever asks a task for its state drains the
 * list first, and the library calls task_on_end before it lets waiters go: so a wait that returned is always followed by a settled end. */
#include "task_type.h"

#include <stddef.h>
#include <structmember.h>

#include "await_type.h"
#include "callback.h"
#include "capture.h"

/* --- Life --- */

static void settle_end(deferred *node);

TaskObject *task_new(module_state *state, PyObject *name)
{
    TaskObject *self = PyObject_GC_New(TaskObject, state->task_type);

    if (self) {
        memset((char *)self + sizeof(PyObject), 0, sizeof(*self) - sizeof(PyObject));
        self->extra = (task_extra *)&task_no_extra;
        self->name = Py_NewRef(name);
        self->phase = TASK_NAMED;
        self->end.settle = settle_end;
    }
    return self;
}

void task_track(TaskObject *self)
{
    if (!PyObject_GC_IsTracked((PyObject *)self)) {
        PyObject_GC_Track(self);
    }
}

/* Can the task be part of a cycle now that it has ended? */
static bool may_be_in_cycle(const TaskObject *self)
{
    return self->status != 0 || self->extra->callbacks || (self->value && PyObject_IS_GC(self->value));
}

void task_on_end(void *arg, const parla_outcome *outcome)
{
    TaskObject *self = arg;
    module_state *state = self->runtime->state;

    self->status = outcome->status;
    if (outcome->status < 0) {
        self->failure = outcome->failure ? parla_failure_ref(outcome->failure) : NULL;
        /* Remembered, so that tasks which are spawned later and depend on this one are cancelled too. */
        if (!self->keeps_outcome) {
            self->keeps_outcome = parla_task_ref(outcome->task) == 0;
        }
    }
    deferred_push(&state->ends, &self->end);
    notifier_end(&state->notifier);
}

static void drop_outcome(TaskObject *self)
{
    if (self->keeps_outcome && self->runtime->is_usable) {
        parla_task_unref(self->handle);
    }
    self->keeps_outcome = false;
}

/* Hands the callbacks to the thread that runs them. */
static void schedule_callbacks(TaskObject *self)
{
    PyObject *functions = self->extra->callbacks;
    module_state *state = task_state(self);

    if (!functions) {
        return;
    }
    self->extra->callbacks = NULL;
    task_extra_trim(self);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(functions); i++) {
        PyObject *due = PyTuple_Pack(2, PyList_GET_ITEM(functions, i), (PyObject *)self);

        if (!due || PyList_Append(state->callbacks, due) < 0) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        Py_XDECREF(due);
    }
    atomic_fetch_sub_explicit(&state->notifier.n_watchers, (int)PyList_GET_SIZE(functions), memory_order_seq_cst);
    Py_DECREF(functions);
    notifier_poke(&state->notifier);
}

/* Without memory for it, only the words of the cause are told. */
static void keep_cause(TaskObject *self)
{
    PyObject *cause = task_find_cause(self);

    if (cause && task_extra_own(self)) {
        Py_XSETREF(self->extra->cause, cause);
    } else if (cause) {
        PyErr_Clear();
        Py_DECREF(cause);
    }
}

static void settle_end(deferred *node)
{
    TaskObject *self = (TaskObject *)((char *)node - offsetof(TaskObject, end));

    self->phase = TASK_ENDED;
    if (self->is_many && self->began_ns) {
        self->ended_ns = runtime_now_ns(); /* of which call is last nobody keeps count */
    }
    if (may_be_in_cycle(self)) {
        task_track(self);
    }
    if (self->work) {
        task_drop_work(self); /* it never started, or was to be repeated */
    }
    if (self->status == 0) {
        drop_outcome(self);
    } else if (self->status == PARLA_E_CANCELLED) {
        keep_cause(self);
    } else if (PyList_Append(self->runtime->unseen, (PyObject *)self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    schedule_callbacks(self);
    Py_DECREF(self); /* the library's */
}

bool task_has_ended(TaskObject *self)
{
    if (self->phase == TASK_PENDING) {
        deferred_drain(&self->runtime->state->ends);
    }
    return self->phase == TASK_ENDED;
}

void task_unroot(TaskObject *self)
{
    task_rooting rooting = (task_rooting)self->rooting;

    if (rooting == TASK_SEEN) {
        return;
    }
    self->rooting = TASK_SEEN;
    if (self->context && !PyObject_GC_IsTracked(self->context)) {
        PyObject_GC_Track(self->context);
    }
    if (rooting == TASK_ROOTED) {
        capture_unroot(self->work);
    } else {
        capture_unroot_cells(self->work);
        Py_CLEAR(self->value);
    }
}

int task_unstow(TaskObject *self)
{
    PyObject *function;

    if (self->rooting != TASK_STOWED) {
        return 0;
    }
    function = capture_unstow(self->value, self->work);
    if (!function) {
        task_unroot(self);
        return -1;
    }
    self->rooting = TASK_ROOTED;
    Py_SETREF(self->work, function);
    Py_CLEAR(self->value);
    return 0;
}

void task_drop_work(TaskObject *self)
{
    task_unroot(self);
    Py_CLEAR(self->work);
    Py_CLEAR(self->extra->args);
    Py_CLEAR(self->extra->kwargs);
    Py_CLEAR(self->context);
    Py_CLEAR(self->extra->repeated);
    Py_CLEAR(self->extra->watched);
    Py_CLEAR(self->extra->accesses);
    Py_CLEAR(self->extra->views);
    task_extra_trim(self);
}

void task_rewind(TaskObject *self)
{
    Py_XSETREF(self->work, Py_NewRef(self->extra->repeated));
    Py_CLEAR(self->extra->views);
    self->was_cancelled = false;
}

int task_bind(TaskObject *self, RuntimeObject *runtime)
{
    int code;

    if (self->phase == TASK_CREATED && !self->runtime->is_usable) {
        task_reset(self); /* named in a runtime that ended before anybody spawned it */
    }
    if (self->phase != TASK_NAMED) {
        if (self->runtime == runtime) {
            return 0;
        }
        error_format(task_state(self), EXCEPTION_StateError, "task '%U' belongs to another runtime", self->name);
        return -1;
    }
    code = parla_task_create(runtime->rt, &self->handle, PyUnicode_AsUTF8(self->name));
    if (code < 0) {
        error_raise(task_state(self), code, "naming a task");
        return -1;
    }
    self->keeps_outcome = true;
    Py_XSETREF(self->runtime, (RuntimeObject *)Py_NewRef(runtime));
    self->phase = TASK_CREATED;
    return 0;
}

void task_reset(TaskObject *self)
{
    if (self->runtime) {
        drop_outcome(self);
    }
    if (self->failure) {
        parla_failure_unref(self->failure);
        self->failure = NULL;
    }
    Py_CLEAR(self->runtime);
    Py_CLEAR(self->extra->devices);
    Py_CLEAR(self->value);
    Py_CLEAR(self->extra->traceback);
    Py_CLEAR(self->extra->cause);
    if (self->extra->rank) {
        self->extra->rank = 0;
    }
    task_extra_trim(self);
    self->handle = PARLA_TASK_NONE;
    self->began_ns = self->ended_ns = 0;
    self->status = 0;
    self->was_cancelled = self->has_raised = self->has_started = self->is_foreign = self->is_many = false;
    self->phase = TASK_NAMED;
}

int task_become_foreign(TaskObject *self, int rank)
{
    task_reset(self);
    if (!task_extra_own(self)) {
        return -1;
    }
    self->extra->rank = rank;
    self->is_foreign = true;
    self->phase = TASK_ENDED;
    schedule_callbacks(self);
    return 0;
}

static int task_traverse(TaskObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->runtime);
    Py_VISIT(self->work);
    Py_VISIT(self->extra->args);
    Py_VISIT(self->extra->kwargs);
    Py_VISIT(self->context);
    Py_VISIT(self->extra->repeated);
    Py_VISIT(self->extra->watched);
    Py_VISIT(self->extra->accesses);
    Py_VISIT(self->extra->views);
    Py_VISIT(self->value);
    Py_VISIT(self->extra->traceback);
    Py_VISIT(self->extra->cause);
    Py_VISIT(self->extra->callbacks);
    return 0;
}

static int task_clear(TaskObject *self)
{
    task_drop_work(self);
    Py_CLEAR(self->value);
    Py_CLEAR(self->extra->traceback);
    Py_CLEAR(self->extra->cause);
    Py_CLEAR(self->extra->callbacks);
    task_extra_trim(self);
    return 0;
}

static void task_dealloc(TaskObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (self->weak_references) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    if (self->phase == TASK_CREATED && self->runtime->is_usable && PyList_Append(self->runtime->names, self->name) < 0) {
        PyErr_WriteUnraisable(NULL);
    }
    task_clear(self);
    task_reset(self);
    Py_CLEAR(self->name);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- Methods --- */

/* Waits for the end. Returns 0 or -1 with an exception set. */
static int wait_for(TaskObject *self, PyObject *timeout)
{
    RuntimeObject *runtime;
    int64_t deadline_ns;

    if (task_has_ended(self)) {
        return 0;
    }
    runtime = self->runtime && self->runtime->is_usable ? self->runtime : runtime_active(task_state(self), "waiting for a task");
    if (!runtime || task_bind(self, runtime) < 0 || runtime_deadline(timeout, &deadline_ns) < 0) {
        return -1;
    }
    if (callback_current(task_state(self)) == self) {
        error_format(task_state(self), EXCEPTION_StateError, "task '%U' waits for itself", self->name);
        return -1;
    }
    if (runtime_wait_tasks(runtime, &self->handle, 1, deadline_ns) < 0) {
        task_tell_timeout(task_state(self), (PyObject *const *)&self, 1);
        return -1;
    }
    if (!task_has_ended(self)) {
        error_format(task_state(self), EXCEPTION_StateError, "task '%U' was not spawned before its runtime ended", self->name);
        return -1;
    }
    return 0;
}

static int parse_timeout(PyObject *args, PyObject *kwargs, const char *format, PyObject **out)
{
    static char *const names[] = {"timeout", NULL};

    *out = Py_None;
    return PyArg_ParseTupleAndKeywords(args, kwargs, format, (char **)names, out) ? 0 : -1;
}

static PyObject *task_result_method(TaskObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *timeout;

    if (parse_timeout(args, kwargs, "|O:result", &timeout) < 0 || wait_for(self, timeout) < 0) {
        return NULL;
    }
    return task_outcome(self);
}

static PyObject *task_exception_method(TaskObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *timeout;

    if (parse_timeout(args, kwargs, "|O:exception", &timeout) < 0 || wait_for(self, timeout) < 0) {
        return NULL;
    }
    return task_exception(self);
}

static PyObject *task_wait_method(TaskObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *timeout;

    if (parse_timeout(args, kwargs, "|O:wait", &timeout) < 0) {
        return NULL;
    }
    if (wait_for(self, timeout) == 0) {
        Py_RETURN_TRUE;
    }
    if (!PyErr_ExceptionMatches(task_state(self)->exceptions[EXCEPTION_TaskTimeout])) {
        return NULL;
    }
    PyErr_Clear();
    Py_RETURN_FALSE;
}

static PyObject *task_done(TaskObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(task_has_ended(self));
}

static PyObject *task_cancel(TaskObject *self, PyObject *unused)
{
    int code;

    (void)unused;
    if (task_has_ended(self) || !self->runtime || !self->runtime->is_usable) {
        Py_RETURN_FALSE;
    }
    runtime_enter(self->runtime);
    Py_BEGIN_ALLOW_THREADS code = parla_task_cancel(self->handle);
    Py_END_ALLOW_THREADS runtime_leave(self->runtime);
    deferred_drain(&task_state(self)->ends);
    if (code < 0 && code != PARLA_E_STATE) {
        return error_raise(task_state(self), code, "cancel");
    }
    return PyBool_FromLong(code == 0);
}

static PyObject *task_add_done_callback(TaskObject *self, PyObject *function)
{
    module_state *state = task_state(self);
    PyObject *result;

    if (!PyCallable_Check(function)) {
        return PyErr_Format(PyExc_TypeError, "add_done_callback: expected a function of one argument, not %R", function);
    }
    if (state->hooks[HOOK_LISTEN]) {
        result = PyObject_CallNoArgs(state->hooks[HOOK_LISTEN]);
        if (!result) {
            return NULL;
        }
        Py_DECREF(result);
    }
    if (!task_extra_own(self) || (!self->extra->callbacks && !(self->extra->callbacks = PyList_New(0))) ||
        PyList_Append(self->extra->callbacks, function) < 0) {
        return NULL;
    }
    if (self->phase != TASK_PENDING) {
        task_track(self);
    }
    /* Counted before the drain: notifier.h says why no end is missed. */
    atomic_fetch_add_explicit(&state->notifier.n_watchers, 1, memory_order_seq_cst);
    deferred_drain(&state->ends);
    if (self->phase == TASK_ENDED) {
        schedule_callbacks(self);
    }
    Py_RETURN_NONE;
}

/* --- Attributes --- */

const char *task_state_text(TaskObject *self)
{
    if (self->is_foreign) {
        return "foreign";
    }
    switch (self->phase) {
    case TASK_NAMED:
    case TASK_CREATED:
        return parla_task_state_name(PARLA_TASK_CREATED);
    case TASK_PENDING:
        return parla_task_state_name(self->runtime->is_usable ? parla_task_query(self->handle) : PARLA_TASK_RUNNING);
    default:
        return parla_task_state_name(self->status == 0                   ? PARLA_TASK_DONE
                                     : self->status == PARLA_E_CANCELLED ? PARLA_TASK_CANCELLED
                                                                         : PARLA_TASK_FAILED);
    }
}

static PyObject *task_get_state(TaskObject *self, void *unused)
{
    (void)unused;
    (void)task_has_ended(self);
    return PyUnicode_FromString(task_state_text(self));
}

static PyObject *task_get_name(TaskObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(self->name);
}

PyObject *task_device_rows(TaskObject *self)
{
    Py_ssize_t n = self->extra->devices ? PyTuple_GET_SIZE(self->extra->devices) : self->has_started;
    PyObject *rows = PyTuple_New(n);

    for (Py_ssize_t i = 0; rows && i < n; i++) {
        Py_ssize_t index = self->extra->devices ? PyLong_AsSsize_t(PyTuple_GET_ITEM(self->extra->devices, i)) : 0;
        PyObject *row = PyTuple_GetItem(self->runtime->devices, index);

        if (!row) {
            Py_CLEAR(rows);
            break;
        }
        PyTuple_SET_ITEM(rows, i, Py_NewRef(row));
    }
    return rows;
}

static PyObject *seconds_or_none(int64_t ns) { return ns ? PyFloat_FromDouble((double)ns * 1e-9) : Py_NewRef(Py_None); }

static PyObject *task_get_began(TaskObject *self, void *unused)
{
    (void)unused;
    return seconds_or_none(self->began_ns);
}

static PyObject *task_get_ended(TaskObject *self, void *unused)
{
    (void)unused;
    return seconds_or_none(task_has_ended(self) ? self->ended_ns : 0);
}

static PyObject *task_get_devices(TaskObject *self, void *unused)
{
    PyObject *rows, *devices;

    (void)unused;
    rows = task_device_rows(self);
    devices = rows ? PyObject_CallOneArg(task_state(self)->hooks[HOOK_DEVICES], rows) : NULL;
    Py_XDECREF(rows);
    return devices;
}

/* As the published front end calls it. */
static PyObject *task_get_assigned_devices(TaskObject *self, PyObject *unused)
{
    PyObject *devices = task_get_devices(self, NULL), *list = devices ? PySequence_List(devices) : NULL;

    (void)unused;
    Py_XDECREF(devices);
    return list;
}

static PyObject *task_repr(TaskObject *self)
{
    PyObject *rows, *text;

    (void)task_has_ended(self);
    if (self->is_foreign) {
        return PyUnicode_FromFormat("<Task '%U' of rank %d>", self->name, self->extra->rank);
    }
    text = PyUnicode_FromFormat("<Task '%U' %s", self->name, task_state_text(self));
    rows = task_device_rows(self);
    for (Py_ssize_t i = 0; text && rows && i < PyTuple_GET_SIZE(rows); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyTuple_GET_ITEM(rows, i), TASK_ROW_NAME);

        Py_SETREF(text, PyUnicode_FromFormat(i ? "%U, %U" : "%U on %U", text, name));
    }
    if (text) {
        Py_SETREF(text, rows ? PyUnicode_FromFormat("%U>", text) : NULL);
    }
    Py_XDECREF(rows);
    return text;
}

PyDoc_STRVAR(
    result_doc,
    "result($self, /, timeout=None)\n--\n\nWait for the task and return what its body returned, or raise what it raised.\n\n"
    "timeout is in seconds; TaskTimeout (a TimeoutError) is raised when it is over. Blocks the calling thread.");
PyDoc_STRVAR(exception_doc,
             "exception($self, /, timeout=None)\n--\n\nWait for the task and return its exception, or None if it is done.");
PyDoc_STRVAR(
    wait_doc,
    "wait($self, /, timeout=None)\n--\n\nWait until the task has ended, however it ended. Return False if the timeout came first.");
PyDoc_STRVAR(done_doc, "done($self, /)\n--\n\nTrue once the task is done, failed or cancelled. Does not block.");
PyDoc_STRVAR(cancel_doc,
             "cancel($self, /)\n--\n\nCancel a task that has not started, with those that depend on it, and return True.\n\n"
             "A started `async def` body gets TaskCancelled at its next step; for it and for ended tasks False is returned.");
PyDoc_STRVAR(callback_doc,
             "add_done_callback($self, function, /)\n--\n\nCall function(task) once the task has ended, on a thread of its own.");

PyDoc_STRVAR(
    why_doc,
    "why($self, /)\n--\n\nTell why a task runs where it runs, why it does not run yet, or how it ended. Does not block.\n\n"
    "Returns a dict. \"state\", \"devices\" (names of those that its body got) and \"error\" (what it raised or why it was cancelled,\n"
    "as text; None if it did not fail) are there in any case. While it is queued, or in its body\n"
    "(``get_current_task().why()``), also \"policy\", \"choice\" (which of the placements was taken, -1 before that), \"passed\"\n"
    "(how many tasks took resources meanwhile), \"expected_s\", and \"candidates\": for each device that was looked at a dict with\n"
    "\"device\", \"verdict\" (in words), \"cost\" (of the policy; None if it was not asked), \"choice\" and \"member\". Of a task that has\n"
    "ended these are None, and there are no candidates. Asking for an error counts as looking at it.");

PyDoc_STRVAR(assigned_doc, "get_assigned_devices($self, /)\n--\n\nThe devices that its body got, as a list.");

static PyMethodDef task_methods[] = {
    {"result", (PyCFunction)(void (*)(void))task_result_method, METH_VARARGS | METH_KEYWORDS, result_doc},
    {"exception", (PyCFunction)(void (*)(void))task_exception_method, METH_VARARGS | METH_KEYWORDS, exception_doc},
    {"wait", (PyCFunction)(void (*)(void))task_wait_method, METH_VARARGS | METH_KEYWORDS, wait_doc},
    {"done", (PyCFunction)task_done, METH_NOARGS, done_doc},
    {"is_completed", (PyCFunction)task_done, METH_NOARGS, done_doc},
    {"cancel", (PyCFunction)task_cancel, METH_NOARGS, cancel_doc},
    {"add_done_callback", (PyCFunction)task_add_done_callback, METH_O, callback_doc},
    {"get_assigned_devices", (PyCFunction)task_get_assigned_devices, METH_NOARGS, assigned_doc},
    {"why", (PyCFunction)task_why, METH_NOARGS, why_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef task_attributes[] = {
    {"name", (getter)task_get_name, NULL, "What messages and the trace call the task.", NULL},
    {"began", (getter)task_get_began, NULL,
     "When its body began (the last try of several), in seconds of time.monotonic(); None before.", NULL},
    {"ended", (getter)task_get_ended, NULL, "When its body was over, likewise; None before, and where it never began.", NULL},
    {"state", (getter)task_get_state, NULL,
     "created, waiting, ready, reserved, running, suspended, launched, done, failed or cancelled; foreign at other ranks.", NULL},
    {"devices", (getter)task_get_devices, NULL, "The devices that the body got, as a tuple; empty before it has started.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef task_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TaskObject, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(task_doc, "One unit of work: spawned once, ends once. Made by spawn() and by indexing a TaskSpace.\n\n"
                       "`await task` gives the result or raises the exception, in Parla's async bodies and in asyncio.");

PyTypeObject *task_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)task_doc},   {Py_tp_dealloc, task_dealloc},
        {Py_tp_traverse, task_traverse}, {Py_tp_clear, task_clear},
        {Py_tp_repr, task_repr},         {Py_tp_methods, task_methods},
        {Py_tp_getset, task_attributes}, {Py_tp_members, task_members},
        {Py_am_await, await_one},        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla.Task",
        .basicsize = sizeof(TaskObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
