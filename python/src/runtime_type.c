/* runtime_type.c - Runtime: start, stop, wait, look.
 *
 * stop() first makes the object unusable, then waits for threads that are inside a library call of theirs, then destroys the runtime: a
 * Task or an array that outlives it finds `is_usable` false and keeps away. */
#include "runtime_type.h"

#include "callback.h"
#include "capture.h"
#include "task_type.h"

#include <parla/device.h>
#include <parla/parla.h>

/* --- Start --- */

static PyObject *device_row(const parla_device_info *info)
{
    return Py_BuildValue("(iissni)", (int)info->arch, info->number, info->kind, info->name, (Py_ssize_t)info->memory_bytes,
                         info->ordinal);
}

/* The devices of a runtime do not change: their table is read once. */
static PyObject *device_table(RuntimeObject *self)
{
    int n = parla_device_count(self->rt);
    PyObject *table = PyTuple_New(n);

    for (int i = 0; table && i < n; i++) {
        parla_device_info info = {.size = sizeof(info)};
        int code = parla_device_query(self->rt, i, &info);
        PyObject *row = code < 0 ? error_raise(self->state, code, "reading the devices") : device_row(&info);

        if (!row) {
            Py_CLEAR(table);
            break;
        }
        PyTuple_SET_ITEM(table, i, row);
        if (strcmp(info.kind, "cpu") != 0 && strcmp(info.kind, "sim") != 0) {
            self->native_mask |= UINT64_C(1) << i;
        }
    }
    return table;
}

static int start(RuntimeObject *self, const parla_options *options)
{
    int code;

    Py_BEGIN_ALLOW_THREADS code = parla_runtime_create(&self->rt, options);
    Py_END_ALLOW_THREADS if (code < 0)
    {
        error_raise(self->state, code, "starting Parla");
        return -1;
    }
    self->is_usable = true;
    self->devices = device_table(self);
    return self->devices ? 0 : -1;
}

static PyObject *runtime_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *const names[] = {"n_workers", "devices", "policy",   "trace",   "memory",
                                  "bind",      "window",  "stall_ns", "receipt", NULL};
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runner runner;
    PyObject *memory = Py_None;
    RuntimeObject *self;
    long long window = 0, stall_ns = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|izzzOzLLz:Runtime", (char **)names, &options.n_workers, &options.devices,
                                     &options.policy, &options.trace, &memory, &options.bind, &window, &stall_ns,
                                     &options.receipt)) {
        return NULL;
    }
    options.window = window;
    options.stall_ns = stall_ns;
    if (memory != Py_None && !(options.memory = PyCapsule_GetPointer(memory, "parla_memory_source"))) {
        return NULL;
    }
    self = (RuntimeObject *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    self->state = state_of_type(type);
    pthread_mutex_init(&self->turn, NULL);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->left, NULL);
    self->unseen = PyList_New(0);
    self->names = PyList_New(0);
    callback_runner(&runner, self);
    options.runner = &runner;
    if (!self->unseen || !self->names || start(self, &options) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* --- Stop --- */

/* Other threads are in the library, or are back from it and have still to look at what they waited for. They wait for nothing: the runtime has
 * been stopped. */
static void wait_until_left(RuntimeObject *self)
{
    pthread_mutex_lock(&self->mutex);
    while (self->n_inside > 0) {
        pthread_cond_wait(&self->left, &self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
}

static void stop(RuntimeObject *self)
{
    module_state *state = self->state;

    if (!self->is_usable) {
        return;
    }
    self->is_usable = false;
    if (state->active == self) {
        state->active = NULL;
        Py_DECREF(self);
    }
    Py_BEGIN_ALLOW_THREADS parla_runtime_stop(self->rt);
    wait_until_left(self);
    parla_runtime_destroy(self->rt);
    Py_END_ALLOW_THREADS self->rt = NULL;
    deferred_drain(&state->ends);
    capture_forget_sites(state);
}

static PyObject *runtime_stop(RuntimeObject *self, PyObject *unused)
{
    (void)unused;
    Py_INCREF(self);
    stop(self);
    Py_DECREF(self);
    Py_RETURN_NONE;
}

static int runtime_traverse(RuntimeObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->unseen);
    return 0;
}

/* Empties the list but keeps it: tasks that outlive this object's turn in the collector still look there. */
static int runtime_clear(RuntimeObject *self) { return self->unseen ? PyList_SetSlice(self->unseen, 0, PY_SSIZE_T_MAX, NULL) : 0; }

static void runtime_dealloc(RuntimeObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    stop(self);
    Py_CLEAR(self->unseen);
    Py_CLEAR(self->names);
    Py_CLEAR(self->devices);
    pthread_cond_destroy(&self->left);
    pthread_mutex_destroy(&self->mutex);
    pthread_mutex_destroy(&self->turn);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- Methods --- */

static int check_usable(RuntimeObject *self)
{
    if (!self->is_usable) {
        error_format(self->state, EXCEPTION_StateError, "this runtime was stopped");
        return -1;
    }
    return 0;
}

static PyObject *runtime_activate(RuntimeObject *self, PyObject *unused)
{
    (void)unused;
    if (check_usable(self) < 0) {
        return NULL;
    }
    if (self->state->active) {
        return error_format(self->state, EXCEPTION_StateError, "a Parla runtime is active already: leave its `with` block first");
    }
    callback_know_libraries(self->state);
    self->state->active = (RuntimeObject *)Py_NewRef(self);
    Py_RETURN_NONE;
}

static PyObject *runtime_wait(RuntimeObject *self, PyObject *args)
{
    PyObject *timeout = Py_None;
    int64_t deadline_ns;
    int code, again;

    if (!PyArg_ParseTuple(args, "|O:wait", &timeout) || check_usable(self) < 0 || runtime_deadline(timeout, &deadline_ns) < 0) {
        return NULL;
    }
    runtime_enter(self);
    do {
        int64_t slice_ns = runtime_slice(self, deadline_ns);

        Py_BEGIN_ALLOW_THREADS code = parla_runtime_wait(self->rt, slice_ns);
        Py_END_ALLOW_THREADS again = runtime_slice_ended(self, code, deadline_ns, "waiting for all tasks");
    } while (again > 0);
    runtime_leave(self);
    if (again < 0) {
        return NULL;
    }
    if (code < 0) {
        return error_raise(self->state, code, "waiting for all tasks");
    }
    Py_RETURN_NONE;
}

static PyObject *runtime_cancel_all(RuntimeObject *self, PyObject *unused)
{
    size_t n;

    (void)unused;
    if (check_usable(self) < 0) {
        return NULL;
    }
    runtime_enter(self);
    Py_BEGIN_ALLOW_THREADS n = parla_runtime_cancel_all(self->rt);
    Py_END_ALLOW_THREADS runtime_leave(self);
    deferred_drain(&self->state->ends);
    return PyLong_FromSize_t(n);
}

static bool is_python_failure(RuntimeObject *self, const parla_failure *failure)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->unseen); i++) {
        if (((TaskObject *)PyList_GET_ITEM(self->unseen, i))->failure == failure) {
            return true;
        }
    }
    return parla_failure_payload(failure) != NULL;
}

/* Adds the failures of tasks that are not Python's. Returns 0 or -1. */
static int take_foreign_failures(RuntimeObject *self, PyObject *list)
{
    parla_failure *failure;
    int status = 0;

    while (status == 0 && parla_runtime_take_failure(self->rt, &failure) == 0) {
        if (!is_python_failure(self, failure)) {
            PyObject *exception = task_exception_of(self->state, failure);

            status = exception ? PyList_Append(list, exception) : -1;
            Py_XDECREF(exception);
        }
        parla_failure_unref(failure);
    }
    return status;
}

static PyObject *runtime_take_failures(RuntimeObject *self, PyObject *unused)
{
    PyObject *list = PyList_New(0), *tasks;

    (void)unused;
    deferred_drain(&self->state->ends);
    if (list && self->is_usable && take_foreign_failures(self, list) < 0) {
        Py_CLEAR(list);
    }
    tasks = list ? PyList_GetSlice(self->unseen, 0, PyList_GET_SIZE(self->unseen)) : NULL;
    for (Py_ssize_t i = 0; tasks && i < PyList_GET_SIZE(tasks); i++) {
        PyObject *exception = task_exception((TaskObject *)PyList_GET_ITEM(tasks, i));

        if (!exception || PyList_Append(list, exception) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(exception);
        if (!list) {
            break;
        }
    }
    Py_XDECREF(tasks);
    return list;
}

static PyObject *runtime_device(RuntimeObject *self, PyObject *index)
{
    parla_device_info info = {.size = sizeof(info)};
    long i = PyLong_AsLong(index);
    int code;

    if ((i == -1 && PyErr_Occurred()) || check_usable(self) < 0) {
        return NULL;
    }
    code = parla_device_query(self->rt, (int)i, &info);
    if (code < 0) {
        return error_raise(self->state, code, "reading a device");
    }
    return Py_BuildValue("{s:s,s:s,s:n,s:n,s:n,s:d,s:K,s:K}", "name", info.name, "kind", info.kind, "memory_bytes",
                         (Py_ssize_t)info.memory_bytes, "used_bytes", (Py_ssize_t)info.used_bytes, "reserved_bytes",
                         (Py_ssize_t)info.reserved_bytes, "free_vcus", info.free_vcus, "n_tasks", (unsigned long long)info.n_tasks,
                         "busy_ns", (unsigned long long)info.busy_ns);
}

static PyObject *runtime_link(RuntimeObject *self, PyObject *args)
{
    parla_link_info info = {.size = sizeof(info)};
    int source, destination, code;

    if (!PyArg_ParseTuple(args, "ii:link", &source, &destination) || check_usable(self) < 0) {
        return NULL;
    }
    code = parla_link_query(self->rt, source, destination, &info);
    if (code < 0) {
        return error_raise(self->state, code, "reading a link");
    }
    return Py_BuildValue("{s:K,s:K,s:K}", "n_copies", (unsigned long long)info.n_copies, "n_bytes",
                         (unsigned long long)info.n_bytes, "busy_ns", (unsigned long long)info.busy_ns);
}

/* receipt(is_json): what was moved, as text or JSON. */
static PyObject *runtime_receipt(RuntimeObject *self, PyObject *is_json)
{
    parla_receipt_format format = PyObject_IsTrue(is_json) == 1 ? PARLA_RECEIPT_JSON : PARLA_RECEIPT_TEXT;
    char small[1024], *text = small;
    size_t n, capacity = sizeof(small);
    PyObject *result = NULL;

    if (check_usable(self) < 0) {
        return NULL;
    }
    while ((n = parla_receipt_print(self->rt, format, text, capacity)) >= capacity) { /* figures grow meanwhile */
        char *larger = PyMem_Realloc(text == small ? NULL : text, n + 64);

        if (!larger) {
            PyErr_NoMemory();
            goto free_text;
        }
        text = larger;
        capacity = n + 64;
    }
    result = PyUnicode_FromStringAndSize(text, (Py_ssize_t)n);
free_text:
    if (text != small) {
        PyMem_Free(text);
    }
    return result;
}

static PyObject *runtime_info(RuntimeObject *self, PyObject *unused)
{
    parla_runtime_info info = {.size = sizeof(info)};
    int code;

    (void)unused;
    if (check_usable(self) < 0) {
        return NULL;
    }
    code = parla_runtime_query(self->rt, &info);
    if (code < 0) {
        return error_raise(self->state, code, "reading the runtime");
    }
    return Py_BuildValue("{s:i,s:i,s:K,s:K,s:K,s:K,s:K}", "n_workers", info.n_workers, "n_devices", info.n_devices, "n_spawned",
                         (unsigned long long)info.n_spawned, "n_ended", (unsigned long long)info.n_ended, "n_failed",
                         (unsigned long long)info.n_failed, "n_cancelled", (unsigned long long)info.n_cancelled, "task_bytes",
                         (unsigned long long)info.task_bytes);
}

static PyObject *runtime_trace_write(RuntimeObject *self, PyObject *path)
{
    const char *text = PyUnicode_AsUTF8(path);
    int code;

    if (!text || check_usable(self) < 0) {
        return NULL;
    }
    runtime_enter(self);
    Py_BEGIN_ALLOW_THREADS code = parla_trace_write(self->rt, text);
    Py_END_ALLOW_THREADS runtime_leave(self);
    return code < 0 ? error_raise(self->state, code, "writing the trace") : Py_NewRef(Py_None);
}

static PyObject *runtime_trace_start(RuntimeObject *self, PyObject *unused)
{
    int code;

    (void)unused;
    if (check_usable(self) < 0) {
        return NULL;
    }
    code = parla_trace_start(self->rt);
    return code < 0 ? error_raise(self->state, code, "starting the trace") : Py_NewRef(Py_None);
}

static PyObject *runtime_trace_begin(RuntimeObject *self, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);

    if (!text || check_usable(self) < 0) {
        return NULL;
    }
    parla_trace_begin(self->rt, text);
    Py_RETURN_NONE;
}

static PyObject *runtime_trace_end(RuntimeObject *self, PyObject *unused)
{
    (void)unused;
    if (check_usable(self) < 0) {
        return NULL;
    }
    parla_trace_end(self->rt);
    Py_RETURN_NONE;
}

static PyObject *runtime_capsule(RuntimeObject *self, PyObject *unused)
{
    (void)unused;
    return check_usable(self) < 0 ? NULL : PyCapsule_New(self->rt, "parla_runtime", NULL);
}

static PyObject *runtime_get_devices(RuntimeObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(self->devices);
}

static PyObject *runtime_get_is_usable(RuntimeObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(self->is_usable);
}

static PyMethodDef runtime_methods[] = {
    {"activate", (PyCFunction)runtime_activate, METH_NOARGS, "Make this the runtime that spawn() uses."},
    {"stop", (PyCFunction)runtime_stop, METH_NOARGS, "Cancel what has not started, wait for what runs, and end the runtime."},
    {"wait", (PyCFunction)runtime_wait, METH_VARARGS, "wait(timeout=None): block until every task has ended."},
    {"cancel_all", (PyCFunction)runtime_cancel_all, METH_NOARGS, "Cancel every task that has not started; return how many."},
    {"take_failures", (PyCFunction)runtime_take_failures, METH_NOARGS, "The exceptions that nobody has looked at, as a list."},
    {"device", (PyCFunction)runtime_device, METH_O, "device(index): what one device has and did, as a dict."},
    {"link", (PyCFunction)runtime_link, METH_VARARGS, "link(source, destination): traffic between two devices, as a dict."},
    {"receipt", (PyCFunction)runtime_receipt, METH_O, "receipt(is_json): what was moved and why, as text or JSON."},
    {"info", (PyCFunction)runtime_info, METH_NOARGS, "Counters of the runtime, as a dict."},
    {"trace_start", (PyCFunction)runtime_trace_start, METH_NOARGS, "Start recording."},
    {"trace_write", (PyCFunction)runtime_trace_write, METH_O, "trace_write(path): write what was recorded."},
    {"trace_begin", (PyCFunction)runtime_trace_begin, METH_O, "trace_begin(name): open a span on this thread's row."},
    {"trace_end", (PyCFunction)runtime_trace_end, METH_NOARGS, "Close the span."},
    {"__parla_runtime__", (PyCFunction)runtime_capsule, METH_NOARGS, "A capsule 'parla_runtime' with the parla_runtime pointer."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef runtime_attributes[] = {
    {"devices", (getter)runtime_get_devices, NULL, "Rows (arch, number, kind, name, memory_bytes, ordinal) in device order.", NULL},
    {"is_usable", (getter)runtime_get_is_usable, NULL, "False once stop() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *runtime_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_doc, "A running libparla runtime; parla.Parla is the form for users."},
        {Py_tp_new, runtime_new},
        {Py_tp_dealloc, runtime_dealloc},
        {Py_tp_traverse, runtime_traverse},
        {Py_tp_clear, runtime_clear},
        {Py_tp_methods, runtime_methods},
        {Py_tp_getset, runtime_attributes},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._parla.Runtime",
        .basicsize = sizeof(RuntimeObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
