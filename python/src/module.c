/* module.c - the extension module: its state, its types, its functions. */
#include <parla/parla.h>

#include "adopt.h"
#include "await_type.h"
#include "busy.h"
#include "callback.h"
#include "capture.h"
#include "collect.h"
#include "data_type.h"
#include "dlpack.h"
#include "exit_watch.h"
#include "lease.h"
#include "many.h"
#include "native.h"
#include "spawn.h"

static module_state *state_of_module(PyObject *module) { return PyModule_GetState(module); }

/* --- Functions --- */

static PyObject *set_flow(PyObject *module, PyObject *function)
{
    module_state *state = state_of_module(module);

    Py_XSETREF(state->flow, function == Py_None ? NULL : Py_NewRef(function));
    Py_RETURN_NONE;
}

static PyObject *set_hooks(PyObject *module, PyObject *hooks)
{
    module_state *state = state_of_module(module);

    if (!PyTuple_Check(hooks) || PyTuple_GET_SIZE(hooks) != N_HOOKS) {
        return PyErr_Format(PyExc_TypeError, "_set_hooks: expected a tuple of %d functions", N_HOOKS);
    }
    for (int i = 0; i < N_HOOKS; i++) {
        Py_XSETREF(state->hooks[i], Py_NewRef(PyTuple_GET_ITEM(hooks, i)));
    }
    Py_RETURN_NONE;
}

static PyObject *active(PyObject *module, PyObject *unused)
{
    RuntimeObject *runtime = state_of_module(module)->active;

    (void)unused;
    return Py_NewRef(runtime ? (PyObject *)runtime : Py_None);
}

static PyObject *current_task(PyObject *module, PyObject *unused)
{
    TaskObject *task = callback_current(state_of_module(module));

    (void)unused;
    return Py_NewRef(task ? (PyObject *)task : Py_None);
}

static PyObject *current_queue(PyObject *module, PyObject *member)
{
    parla_context *context = parla_current();
    size_t i = PyLong_AsSize_t(member);

    (void)module;
    if (i == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (!context || i >= parla_context_n_devices(context)) {
        Py_RETURN_NONE;
    }
    return PyLong_FromVoidPtr(parla_context_queue(context, i));
}

static PyObject *tasks_of(module_state *state, PyObject *object, task_list *out, RuntimeObject *runtime)
{
    out->objects = PyList_New(0);
    if (!out->objects || task_list_add(out, state, runtime, object, "tasks") < 0) {
        return NULL;
    }
    return PyList_AsTuple(out->objects);
}

static PyObject *await_tasks(PyObject *module, PyObject *tasks)
{
    module_state *state = state_of_module(module);
    PyObject *tuple = PySequence_Tuple(tasks), *iterator;

    for (Py_ssize_t i = 0; tuple && i < PyTuple_GET_SIZE(tuple); i++) {
        if (!task_check(state, PyTuple_GET_ITEM(tuple, i))) {
            Py_DECREF(tuple);
            return PyErr_Format(PyExc_TypeError, "await: expected Tasks, not %R", tasks);
        }
    }
    iterator = tuple ? await_many(state, tuple) : NULL;
    Py_XDECREF(tuple);
    return iterator;
}

static bool all_ended(PyObject *tasks)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tasks); i++) {
        if (!task_has_ended((TaskObject *)PyTuple_GET_ITEM(tasks, i))) {
            return false;
        }
    }
    return true;
}

static PyObject *wait_tasks(PyObject *module, PyObject *args)
{
    module_state *state = state_of_module(module);
    PyObject *object, *timeout = Py_None, *tuple;
    int64_t deadline_ns;
    task_list tasks;
    int status = 0;

    if (!PyArg_ParseTuple(args, "O|O:wait_tasks", &object, &timeout) || runtime_deadline(timeout, &deadline_ns) < 0) {
        return NULL;
    }
    tuple = PySequence_Tuple(object);
    if (!tuple) {
        return NULL;
    }
    if (!all_ended(tuple)) {
        RuntimeObject *runtime = runtime_active(state, "waiting for tasks");
        PyObject *seen = NULL;

        task_list_init(&tasks);
        status = runtime && (seen = tasks_of(state, tuple, &tasks, runtime)) ? 0 : -1;
        Py_XDECREF(seen);
        if (status == 0) {
            Py_INCREF(runtime);
            status = runtime_wait_tasks(runtime, tasks.handles, tasks.n, deadline_ns);
            if (status < 0) {
                task_tell_timeout(state, &PyTuple_GET_ITEM(tuple, 0), PyTuple_GET_SIZE(tuple));
            }
            Py_DECREF(runtime);
        }
        task_list_fini(&tasks);
    }
    Py_DECREF(tuple);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *outcomes(PyObject *module, PyObject *tasks)
{
    if (!PyTuple_Check(tasks) || !all_ended(tasks)) {
        return PyErr_Format(PyExc_ValueError, "outcomes: expected a tuple of ended Tasks");
    }
    (void)module;
    return await_outcomes(tasks);
}

/* The callbacks that are due, as a list of (function, Task). Waits for some if `block` is true; even so the list is empty after a poke. */
static PyObject *next_callbacks(PyObject *module, PyObject *block)
{
    module_state *state = state_of_module(module);
    PyObject *due = state->callbacks, *fresh;

    deferred_drain(&state->ends);
    if (PyList_GET_SIZE(due) == 0 && block == Py_True) {
        parla_thread_set_loop(true); /* its spawns are not held up (make_room in spawn.c): it runs the callbacks of the others */
        Py_BEGIN_ALLOW_THREADS notifier_wait(&state->notifier);
        Py_END_ALLOW_THREADS deferred_drain(&state->ends);
    }
    fresh = PyList_New(0);
    if (!fresh) {
        return NULL;
    }
    due = state->callbacks;
    state->callbacks = fresh;
    return due;
}

static PyObject *poke(PyObject *module, PyObject *unused)
{
    (void)unused;
    notifier_poke(&state_of_module(module)->notifier);
    Py_RETURN_NONE;
}

static PyObject *error_for(PyObject *module, PyObject *args)
{
    int code;
    PyObject *text;

    if (!PyArg_ParseTuple(args, "iU:error_for", &code, &text)) {
        return NULL;
    }
    return PyObject_CallOneArg(error_class(state_of_module(module), code), text);
}

static PyObject *watch_spawns(PyObject *module, PyObject *change)
{
    long n = PyLong_AsLong(change);

    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    state_of_module(module)->n_spawn_watchers += (int)n;
    Py_RETURN_NONE;
}

static PyObject *environment(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyUnicode_FromString(parla_environment());
}

static PyObject *devices_grammar(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyUnicode_FromString(parla_devices_grammar());
}

PyDoc_STRVAR(
    spawn_doc,
    "spawn(taskid=None, dependencies=(), placement=None, input=(), output=(), inout=(), *, memory=None, vcus=None, priority=0,\n"
    "      name=None, args=(), kwargs=None, ndevices=1, prefer=None, runahead=None, tags=(), retries=0, vlc=None,\n"
    "      cores=None)\n--\n\n"
    "Spawn the decorated function or `async def` as a task and return the Task.\n\n"
    "taskid        a name such as T[i, j]; None makes an anonymous task\n"
    "dependencies  Tasks, spaces, collections, or iterables of them, also names that are not spawned yet\n"
    "placement     cpu, gpu, gpu(1), a list of alternatives, a tuple of devices used at once, an array or Task (its device)\n"
    "input, output, inout  arrays that the body reads, overwrites, changes: they order tasks and are moved to the device\n"
    "memory        bytes reserved on each device; vcus: share of each device, over 0 up to 1\n"
    "priority      higher starts first among tasks that are ready on a device\n"
    "args, kwargs  arguments of the function\n"
    "ndevices      how many devices of the placement the task uses at once\n"
    "prefer        devices that are taken if nothing speaks against them\n"
    "runahead      SynchronizationType.NONE: what depends on the task starts when its device work is done, not behind it on the device\n"
    "tags          words for a person: they change nothing\n"
    "retries       how often the body is repeated if it raises\n"
    "vlc           a parla.vlc.Pool in one of whose contexts the body runs, or a PythonPool; cores: CPUs that it needs of it\n\n"
    "Variables of enclosing functions are captured by value now; globals are shared.\n\n"
    ">>> from parla import Parla, TaskSpace, cpu, gpu, spawn\n"
    ">>> def squares(n):\n"
    "...     T = TaskSpace('T')\n"
    "...     for i in range(n):\n"
    "...         @spawn(T[i], dependencies=[T[i - 1]], placement=[gpu, cpu])\n"
    "...         def square():\n"
    "...             return i * i\n"
    "...     return T.result()\n"
    ">>> with Parla(devices='sim:2', n_workers=1):\n"
    "...     squares(4)\n"
    "[0, 1, 4, 9]");

PyDoc_STRVAR(
    many_doc,
    "spawn_many(function, n, taskid=None, dependencies=(), *, name=None)\n--\n\n"
    "Spawn one task that calls function(i) for each i in range(n), and return the Task.\n\n"
    "The calls run in any order on any workers, several at a time; a call costs a small part of what a task costs. The\n"
    "result is the list of what the calls returned, in the order of i. Each call runs in a contextvars.Context of its own.\n"
    "A call that raises does not keep the others from being made; the first exception is the task's. Once the task is\n"
    "cancelled, calls that have not begun are left out. Calls run on the CPU and cannot await.\n\n"
    ">>> from parla import Parla, spawn_many\n"
    ">>> with Parla(n_workers=1):\n"
    "...     spawn_many(lambda i: i * i, 5).result()\n"
    "[0, 1, 4, 9, 16]");

static PyMethodDef functions[] = {
    {"spawn", (PyCFunction)(void (*)(void))spawn_function, METH_FASTCALL | METH_KEYWORDS, spawn_doc},
    {"spawn_many", (PyCFunction)(void (*)(void))many_function, METH_VARARGS | METH_KEYWORDS, many_doc},
    {"set_flow", set_flow, METH_O,
     "set_flow(function or None): let it look at each spawn with arrays or a placement (flow.py of crosspy says how)."},
    {"_set_hooks", set_hooks, METH_O, "Install the functions of the Python layer, in the order of `hook` in state.h."},
    {"active", active, METH_NOARGS, "The active Runtime, or None."},
    {"current_task", current_task, METH_NOARGS, "The Task whose body this thread runs, or None."},
    {"in_body", lease_in_body_function, METH_NOARGS, "Does this thread run a task's body, or was one lent to it?"},
    {"lend", lease_lend_function, METH_NOARGS, "lend(): a lease on the running body for other threads, None if there is no body."},
    {"borrow", lease_borrow_function, METH_O,
     "borrow(lease or None): from now on this thread sees the arrays of that body's task."},
    {"revoke", lease_revoke_function, METH_O, "revoke(lease or None): the body goes on; who still has the lease is outside."},
    {"current_queue", current_queue, METH_O,
     "current_queue(member): address of the running task's queue on one of its devices, or None."},
    {"block", native_block_function, METH_VARARGS,
     "block(member, n_bytes): memory of one of the running task's devices, in its order."},
    {"order", native_order_function, METH_VARARGS,
     "order(member, stream, leads, device=-1): the stream, which is on that device or on the member's, waits for the running task's queue "
     "(leads), or the other way round."},
    {"copy", native_copy_function, METH_VARARGS,
     "copy(member, item_bytes, shape, dst, src): a copy in the running task's queue; each side is (device, address, strides)."},
    {"drain", native_drain_function, METH_O, "drain(member): block until the running task's queue is empty."},
    {"locate", native_locate_function, METH_O,
     "locate(address): the ordinal of the CUDA card that memory is on, None if it is on none."},
    {"dlpack_export", dlpack_export_function, METH_VARARGS,
     "dlpack_export(owner, address, shape, strides, (code, bits), (device_type, device_id), is_readonly, is_versioned): a DLPack capsule; "
     "strides in elements."},
    {"dlpack_import", dlpack_import_function, METH_O,
     "dlpack_import(capsule): (holder, address, shape, strides or None, (code, bits, lanes), (device_type, device_id), is_readonly)."},
    {"await_tasks", await_tasks, METH_O, "await_tasks(tasks): the iterator behind `await` on several tasks."},
    {"wait_tasks", wait_tasks, METH_VARARGS, "wait_tasks(tasks, timeout=None): block until all have ended, however they ended."},
    {"outcomes", outcomes, METH_O, "outcomes(tasks): the list of results of ended tasks, or the first failure raised."},
    {"next_callbacks", next_callbacks, METH_O, "next_callbacks(block): the (function, Task) pairs that are due."},
    {"poke", poke, METH_NOARGS, "Make next_callbacks return."},
    {"data_copy", data_copy_function, METH_VARARGS, "data_copy(dst, dst_box, src, src_box, device): spawn a copy between arrays."},
    {"adopt", adopt_function, METH_VARARGS, "adopt(capsule, name): a Task that ends as a task of another extension does."},
    {"error_for", error_for, METH_VARARGS, "error_for(code, text): the exception for a PARLA_E_* code, to be raised."},
    {"watch_spawns", watch_spawns, METH_O,
     "watch_spawns(1) or (-1): one more or less who wants to know each task that is spawned."},
    {"watch_exit", exit_watch_begin, METH_NOARGS, "Notice from now on what exit_code() tells."},
    {"exit_code", exit_watch_code, METH_NOARGS, "What the SystemExit that is ending the program was made with, or None."},
    {"sleep_gil", busy_with_gil, METH_O, "sleep_gil(us): keep the processor busy for so many microseconds, holding the GIL."},
    {"sleep_nogil", busy_without_gil, METH_O, "sleep_nogil(us): keep the processor busy for so many microseconds without the GIL."},
    {"environment", environment, METH_NOARGS, "One line for each PARLA_* variable: name, default, meaning, separated by tabs."},
    {"devices_grammar", devices_grammar, METH_NOARGS, "What Parla(devices=) takes."},
    {NULL, NULL, 0, NULL},
};

/* --- State --- */

static int make_names(module_state *state)
{
#define X(constant, text)                                                                                                          \
    state->spawn_names[SPAWN_##constant] = PyUnicode_InternFromString(text);                                                       \
    if (!state->spawn_names[SPAWN_##constant]) {                                                                                   \
        return -1;                                                                                                                 \
    }
    SPAWN_PARAMETERS(X)
#undef X
    state->name_task = PyUnicode_InternFromString("task");
    state->name_throw = PyUnicode_InternFromString("throw");
    state->name_add_note = PyUnicode_InternFromString("add_note");
    state->name_select = PyUnicode_InternFromString("_select");
    return state->name_task && state->name_throw && state->name_add_note && state->name_select ? 0 : -1;
}

static int make_types(PyObject *module, module_state *state)
{
    state->runtime_type = runtime_type_make(module);
    state->task_type = task_type_make(module);
    state->await_type = await_type_make(module);
    state->space_type = space_type_make(module);
    state->spawner_type = spawner_type_make(module);
    state->data_type = data_type_make(module);
    state->view_type = view_type_make(module);
    state->block_type = block_type_make(module);
    if (!state->runtime_type || !state->task_type || !state->await_type || !state->space_type || !state->spawner_type ||
        !state->data_type || !state->view_type || !state->block_type) {
        return -1;
    }
    return PyModule_AddType(module, state->runtime_type) < 0 || PyModule_AddType(module, state->task_type) < 0 ||
                   PyModule_AddType(module, state->space_type) < 0 || PyModule_AddType(module, state->view_type) < 0 ||
                   PyModule_AddType(module, state->block_type) < 0 || PyModule_AddType(module, state->data_type) < 0
               ? -1
               : 0;
}

static int add_constants(PyObject *module)
{
    return PyModule_AddIntConstant(module, "IN", PARLA_IN) < 0 || PyModule_AddIntConstant(module, "OUT", PARLA_OUT) < 0 ||
                   PyModule_AddIntConstant(module, "INOUT", PARLA_INOUT) < 0 ||
                   PyModule_AddIntConstant(module, "ORDER", PARLA_ORDER) < 0 ||
                   PyModule_AddIntConstant(module, "ARCH_CPU", PARLA_ARCH_CPU) < 0 ||
                   PyModule_AddIntConstant(module, "ARCH_GPU", PARLA_ARCH_GPU) < 0 ||
                   PyModule_AddIntConstant(module, "ANY_NUMBER", PARLA_ANY_NUMBER) < 0 ||
                   PyModule_AddStringConstant(module, "version", parla_version()) < 0
               ? -1
               : 0;
}

static PyObject *make_give_way(void)
{
    PyObject *globals = PyDict_New();
    PyObject *function = globals ? PyRun_String("lambda: None", Py_eval_input, globals, globals) : NULL;

    Py_XDECREF(globals);
    return function;
}

static int execute(PyObject *module)
{
    module_state *state = state_of_module(module);

    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "parla works in the main interpreter only: its threads find their state through PyGILState");
        return -1;
    }
    if (notifier_init(&state->notifier) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    state->has_notifier = true;
    state->main_thread = PyThread_get_thread_ident();
    state->callbacks = PyList_New(0);
    state->get_switch_interval = Py_XNewRef(PySys_GetObject("getswitchinterval"));
    state->give_way = make_give_way();
    if (!state->callbacks || !state->get_switch_interval || !state->give_way || make_names(state) < 0 ||
        error_init(module, state) < 0 || make_types(module, state) < 0) {
        return -1;
    }
    return add_constants(module);
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    module_state *state = state_of_module(module);

    for (int i = 0; i < N_HOOKS; i++) {
        Py_VISIT(state->hooks[i]);
    }
    for (int i = 0; i < N_EXCEPTIONS; i++) {
        Py_VISIT(state->exceptions[i]);
    }
    Py_VISIT(state->runtime_type);
    Py_VISIT(state->task_type);
    Py_VISIT(state->await_type);
    Py_VISIT(state->space_type);
    Py_VISIT(state->spawner_type);
    Py_VISIT(state->data_type);
    Py_VISIT(state->view_type);
    Py_VISIT(state->block_type);
    Py_VISIT(state->get_running_loop);
    Py_VISIT(state->set_running_loop);
    Py_VISIT(state->get_switch_interval);
    Py_VISIT(state->give_way);
    Py_VISIT(state->callbacks);
    Py_VISIT(state->flow);
    Py_VISIT(state->active);
    for (int i = 0; i < N_SITES; i++) {
        Py_VISIT(state->sites[i]);
    }
    return 0;
}

static int clear(PyObject *module)
{
    module_state *state = state_of_module(module);

    for (int i = 0; i < N_HOOKS; i++) {
        Py_CLEAR(state->hooks[i]);
    }
    for (int i = 0; i < N_EXCEPTIONS; i++) {
        Py_CLEAR(state->exceptions[i]);
    }
    for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
        Py_CLEAR(state->spawn_names[i]);
    }
    Py_CLEAR(state->name_task);
    Py_CLEAR(state->name_throw);
    Py_CLEAR(state->name_add_note);
    Py_CLEAR(state->name_select);
    Py_CLEAR(state->get_running_loop);
    Py_CLEAR(state->set_running_loop);
    Py_CLEAR(state->get_switch_interval);
    Py_CLEAR(state->give_way);
    Py_CLEAR(state->callbacks);
    Py_CLEAR(state->flow);
    Py_CLEAR(state->active);
    capture_forget_sites(state);
    Py_CLEAR(state->runtime_type);
    Py_CLEAR(state->task_type);
    Py_CLEAR(state->await_type);
    Py_CLEAR(state->space_type);
    spawner_drop_spare(state);
    Py_CLEAR(state->spawner_type);
    Py_CLEAR(state->data_type);
    Py_CLEAR(state->view_type);
    Py_CLEAR(state->block_type);
    return 0;
}

static void finish(void *module)
{
    module_state *state = state_of_module(module);

    (void)clear(module);
    deferred_drain(&state->ends);
    if (state->has_notifier) {
        notifier_fini(&state->notifier);
    }
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_gil
    /* state.h rests on the interpreter's lock: a free-threaded CPython turns it on when it imports this, and says so. */
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

struct PyModuleDef parla_module = {
    PyModuleDef_HEAD_INIT,          .m_name = "parla._parla", .m_doc = "The C half of the package parla.",
    .m_size = sizeof(module_state), .m_methods = functions,   .m_slots = slots,
    .m_traverse = traverse,         .m_clear = clear,         .m_free = finish,
};

PyMODINIT_FUNC PyInit__parla(void) { return PyModuleDef_Init(&parla_module); }
