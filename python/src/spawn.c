/* spawn.c - spawn(): check, capture, translate, and hand the task to the library.
 *
 * The common case, a CPU task with dependencies, stays in C: placement, arrays and watched globals go through hooks in the Python layer only
 * when they are given. The GIL is held throughout, but for the wait when too many tasks are in flight (make_room); the library does not block
 * in parla_task_spawn. From there on the library holds one reference on the Task, until its end is settled (task_type.c). */
#include "spawn.h"

#include <limits.h>

#include "asyncio_loop.h"
#include "body.h"
#include "callback.h"
#include "capture.h"
#include "collect.h"
#include "data_type.h"

#include <parla/replay.h>

enum { MAX_MEMBERS = 64 };

/* What state->flow returns for a task of this rank that names blocks of an array over several ranks. */
enum { TURN_PLACEMENT, TURN_INPUT, TURN_OUTPUT, TURN_INOUT, TURN_CONTEXT, TURN_FINISH, N_TURN };

/* What one spawn has allocated, released by request_fini. */
typedef struct request {
    module_state *state;
    RuntimeObject *runtime;
    TaskObject *task;
    task_list dependencies;
    parla_demand *demands; /* members of all choices, one after the other */
    parla_choice *choices;
    size_t n_choices;
    data_accesses accesses;
    PyObject *access_list;
    uint64_t prefer;
    bool keeps_back; /* nothing runs ahead of the end of its device work */
    int priority, n_retries;
    PyObject *work, *args, *kwargs, *watched, *context; /* given to the task at the very end */
    spawn_how how;
    bool is_own_work; /* nobody else has `work`, a function */
    PyObject *turn;   /* what state->flow returned: a tuple that owns replaced parameters; or NULL */
} request;

static void request_fini(request *self)
{
    task_list_fini(&self->dependencies);
    PyMem_Free(self->demands);
    PyMem_Free(self->choices);
    data_accesses_fini(&self->accesses);
    Py_CLEAR(self->access_list);
    Py_CLEAR(self->work);
    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
    Py_CLEAR(self->watched);
    Py_CLEAR(self->context);
    Py_CLEAR(self->turn);
    Py_CLEAR(self->task);
}

/* --- The task --- */

static TaskObject *anonymous_task(module_state *state, PyObject *name, PyObject *function)
{
    PyObject *text = name ? Py_NewRef(name) : body_name(function);
    TaskObject *task = NULL;

    if (text && !PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "spawn(name=): expected a str, not %R", text);
    } else if (text && PyUnicode_AsUTF8(text)) {
        task = task_new(state, text);
    }
    Py_XDECREF(text);
    return task;
}

static bool has_task(module_state *state, PyObject *tuple)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        if (task_check(state, PyTuple_GET_ITEM(tuple, i))) {
            return true;
        }
    }
    return false;
}

/* Sets the exception for what stands in place of a Task, and returns NULL. */
static PyObject *refuse_taskid(PyObject *taskid)
{
    Py_ssize_t n = PyObject_Size(taskid);

    if (n < 0) {
        PyErr_Clear();
        return PyErr_Format(PyExc_TypeError,
                            "spawn(taskid=): expected one Task such as T[0], an int, a str or a tuple of those, not %R", taskid);
    }
    if (n == 0) {
        return PyErr_Format(PyExc_TypeError,
                            "spawn(taskid=): %R names no task: a negative index, or one outside the bounds of its space, is empty",
                            taskid);
    }
    return PyErr_Format(
        PyExc_TypeError,
        "spawn(taskid=): expected the one Task to be spawned, such as T[0], not a %s: %R; what it waits for goes into "
        "dependencies=",
        Py_TYPE(taskid)->tp_name, taskid);
}

/* A task of the default space, for an int, a str or a tuple of them in place of a Task. */
static PyObject *named_task(module_state *state, PyObject *taskid)
{
    if (PyTuple_Check(taskid) ? has_task(state, taskid) : !PyIndex_Check(taskid) && !PyUnicode_Check(taskid)) {
        return refuse_taskid(taskid);
    }
    return PyObject_CallOneArg(state->hooks[HOOK_NAMED], taskid);
}

/* Makes the named task ready for a new life. Returns 0 or -1. */
static int renew(TaskObject *task)
{
    if (task_has_ended(task) || (task->phase == TASK_CREATED && !task->runtime->is_usable)) {
        task_reset(task);
    }
    if (task->phase == TASK_PENDING) {
        error_format(task_state(task), EXCEPTION_StateError, "spawn: task '%U' is already spawned and has not ended", task->name);
        return -1;
    }
    return 0;
}

static int find_task(request *self, PyObject *const *parameters, PyObject *function)
{
    PyObject *taskid = parameters[SPAWN_TASKID], *task;

    if (!taskid) {
        self->task = anonymous_task(self->state, parameters[SPAWN_NAME], function);
        return self->task ? 0 : -1;
    }
    task = task_check(self->state, taskid) ? Py_NewRef(taskid) : named_task(self->state, taskid);
    if (task && !task_check(self->state, task)) {
        PyErr_Format(
            PyExc_ValueError,
            "spawn(taskid=): %R names no single task of the default space: an int from 0 on, a str or a tuple of those does",
            taskid);
        Py_CLEAR(task);
    }
    if (!task) {
        return -1;
    }
    self->task = (TaskObject *)task;
    if (renew(self->task) < 0) {
        return -1;
    }
    if (parameters[SPAWN_NAME] && self->task->phase == TASK_NAMED) {
        if (!PyUnicode_Check(parameters[SPAWN_NAME])) {
            PyErr_Format(PyExc_TypeError, "spawn(name=): expected a str, not %R", parameters[SPAWN_NAME]);
            return -1;
        }
        Py_SETREF(self->task->name, Py_NewRef(parameters[SPAWN_NAME]));
    }
    return PyUnicode_AsUTF8(self->task->name) ? 0 : -1;
}

/* --- Placement --- */

static int read_demand(PyObject *row, parla_demand *out)
{
    int arch, number;
    Py_ssize_t memory;
    double vcus;

    if (!PyArg_ParseTuple(row, "iidn", &arch, &number, &vcus, &memory)) {
        return -1;
    }
    *out = (parla_demand){.arch = (parla_arch)arch, .number = number, .vcus = vcus, .memory_bytes = (size_t)memory};
    return 0;
}

/* Translates the tuple of choices that HOOK_PLACE returns. */
static int read_choices(request *self, PyObject *choices)
{
    size_t n_choices = (size_t)PyTuple_GET_SIZE(choices), n_demands = 0;

    for (size_t i = 0; i < n_choices; i++) {
        n_demands += (size_t)PyTuple_GET_SIZE(PyTuple_GET_ITEM(choices, (Py_ssize_t)i));
    }
    self->demands = PyMem_New(parla_demand, n_demands);
    self->choices = PyMem_New(parla_choice, n_choices);
    if (!self->demands || !self->choices) {
        PyErr_NoMemory();
        return -1;
    }
    n_demands = 0;
    for (size_t i = 0; i < n_choices; i++) {
        PyObject *members = PyTuple_GET_ITEM(choices, (Py_ssize_t)i);

        self->choices[i] = (parla_choice){.members = &self->demands[n_demands], .n_members = (size_t)PyTuple_GET_SIZE(members)};
        for (Py_ssize_t j = 0; j < PyTuple_GET_SIZE(members); j++) {
            if (read_demand(PyTuple_GET_ITEM(members, j), &self->demands[n_demands++]) < 0) {
                return -1;
            }
        }
    }
    self->n_choices = n_choices;
    return 0;
}

static PyObject *or_none(PyObject *parameter) { return parameter ? parameter : Py_None; }

static int place(request *self, PyObject *const *parameters)
{
    PyObject *choices;
    int status;

    if (!parameters[SPAWN_PLACEMENT] && !parameters[SPAWN_VCUS] && !parameters[SPAWN_MEMORY] && !parameters[SPAWN_NDEVICES]) {
        return 0;
    }
    choices = PyObject_CallFunctionObjArgs(self->state->hooks[HOOK_PLACE], or_none(parameters[SPAWN_PLACEMENT]),
                                           or_none(parameters[SPAWN_VCUS]), or_none(parameters[SPAWN_MEMORY]),
                                           or_none(parameters[SPAWN_NDEVICES]), NULL);
    if (!choices) {
        return -1;
    }
    status = read_choices(self, choices);
    Py_DECREF(choices);
    return status;
}

static int read_hints(request *self, PyObject *const *parameters)
{
    PyObject *found;
    unsigned long long mask;
    int runs_ahead, is_read;

    if (!parameters[SPAWN_PREFER] && !parameters[SPAWN_RUNAHEAD] && !parameters[SPAWN_TAGS]) {
        return 0;
    }
    found = PyObject_CallFunctionObjArgs(self->state->hooks[HOOK_HINTS], or_none(parameters[SPAWN_PREFER]),
                                         or_none(parameters[SPAWN_RUNAHEAD]), or_none(parameters[SPAWN_TAGS]), NULL);
    if (!found) {
        return -1;
    }
    is_read = PyArg_ParseTuple(found, "Kp", &mask, &runs_ahead);
    Py_DECREF(found);
    if (!is_read) {
        return -1;
    }
    self->prefer = mask;
    self->keeps_back = !runs_ahead;
    return 0;
}

/* --- Arrays --- */

/* Can the task run on the CPU only? Then a plain NumPy array in its arguments is where the body looks for it. */
static bool is_on_host(const request *self)
{
    for (size_t i = 0; i < self->n_choices; i++) {
        for (size_t j = 0; j < self->choices[i].n_members; j++) {
            if (self->choices[i].members[j].arch != PARLA_ARCH_CPU) {
                return false;
            }
        }
    }
    return true;
}

static int find_accesses(request *self, PyObject *const *parameters)
{
    if (!parameters[SPAWN_INPUT] && !parameters[SPAWN_OUTPUT] && !parameters[SPAWN_INOUT]) {
        return 0;
    }
    self->access_list = PyObject_CallFunctionObjArgs(self->state->hooks[HOOK_ACCESSES], or_none(parameters[SPAWN_INPUT]),
                                                     or_none(parameters[SPAWN_OUTPUT]), or_none(parameters[SPAWN_INOUT]),
                                                     is_on_host(self) ? Py_True : Py_False, NULL);
    return self->access_list ? data_accesses_read(&self->accesses, self->state, self->access_list) : -1;
}

/* --- Capture --- */

/* Remembers the globals of a body that is spawned at module level, where a loop variable is a global. */
static int watch_globals(request *self, PyObject *function)
{
    PyCodeObject *code = (PyCodeObject *)PyFunction_GetCode(function), *caller;
    PyFrameObject *frame;
    bool is_module_level;

    if ((code->co_flags & CO_NESTED) || !self->state->hooks[HOOK_WATCH] || !(frame = PyEval_GetFrame())) {
        return 0;
    }
    caller = PyFrame_GetCode(frame);
    is_module_level = !(caller->co_flags & CO_OPTIMIZED);
    Py_DECREF(caller);
    if (!is_module_level || PyFunction_GetGlobals(function) != PyEval_GetGlobals()) {
        return 0;
    }
    self->watched = PyObject_CallOneArg(self->state->hooks[HOOK_WATCH], function);
    if (self->watched == Py_None) {
        Py_CLEAR(self->watched);
        return 0;
    }
    return self->watched ? 0 : -1;
}

static int take_arguments(request *self, PyObject *const *parameters)
{
    PyObject *args = parameters[SPAWN_ARGS], *kwargs = parameters[SPAWN_KWARGS];

    if (args && (PyUnicode_Check(args) || !(Py_TYPE(args)->tp_iter || PySequence_Check(args)))) {
        PyErr_Format(PyExc_TypeError, "spawn(args=): expected the arguments of the call in a tuple, such as (%R,), not %R", args,
                     args);
        return -1;
    }
    if (args && !(self->args = PySequence_Tuple(args))) {
        return -1;
    }
    if (kwargs && !PyDict_Check(kwargs)) {
        PyErr_Format(PyExc_TypeError, "spawn(kwargs=): expected a dict, not %R", kwargs);
        return -1;
    }
    if (kwargs && !(self->kwargs = PyDict_Copy(kwargs))) {
        return -1;
    }
    return 0;
}

/* Puts the body into a context of a pool (parla.vlc), which the pool knows how to do. Returns 0 or -1. */
static int put_inside(request *self, PyObject *pool, PyObject *cores)
{
    PyObject *work;

    if (!pool) {
        PyErr_SetString(PyExc_TypeError, "spawn(cores=): says how many CPUs of a context are needed; give the pool too, as vlc=");
        return -1;
    }
    work = PyObject_CallMethod(pool, "_body", "OO", self->work, or_none(cores));
    if (!work) {
        return -1;
    }
    Py_SETREF(self->work, work);
    self->is_own_work = false;
    return 0;
}

/* Most are empty, and cost nothing until the body enters them. */
static int capture_context(request *self)
{
    self->context = self->turn ? Py_NewRef(PyTuple_GET_ITEM(self->turn, TURN_CONTEXT)) : PyContext_CopyCurrent();
    if (!self->context) {
        return -1;
    }
    if (PyObject_Size(self->context) == 0) {
        Py_CLEAR(self->context);
    }
    return 0;
}

static int capture(request *self, PyObject *const *parameters, PyObject *function)
{
    if (self->n_retries && PyCoro_CheckExact(function)) {
        PyErr_SetString(PyExc_TypeError, "spawn(retries=): a coroutine can run only once: give the `async def` function itself");
        return -1;
    }
    self->work = PyFunction_Check(function) ? capture_closure(function, self->how.is_temporary) : Py_NewRef(function);
    if (!self->work || take_arguments(self, parameters) < 0) {
        return -1;
    }
    self->is_own_work = self->how.is_temporary ? PyFunction_Check(function) : self->work != function;
    if (PyFunction_Check(function) && watch_globals(self, function) < 0) {
        return -1;
    }
    if ((parameters[SPAWN_VLC] || parameters[SPAWN_CORES]) &&
        put_inside(self, parameters[SPAWN_VLC], parameters[SPAWN_CORES]) < 0) {
        return -1;
    }
    return capture_context(self);
}

/* --- To the library --- */

static int read_int(PyObject *value, long lowest, const char *argument, int *out)
{
    int overflow = 0;
    long number = value ? PyLong_AsLongAndOverflow(value, &overflow) : 0;

    if (number == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError, "spawn(%s=): expected an int, not %R", argument, value);
        }
        return -1;
    }
    if (overflow || number < lowest || number > INT_MAX) {
        PyErr_Format(PyExc_ValueError, "spawn(%s=): expected an int from %ld on, of 32 bits, not %R", argument, lowest, value);
        return -1;
    }
    *out = (int)number;
    return 0;
}

/* What tells tasks that do the same work from others: the library learns how long each takes. An address, never followed. */
static const void *kernel_of(PyObject *work)
{
    if (PyMethod_Check(work)) {
        work = PyMethod_GET_FUNCTION(work);
    }
    return PyFunction_Check(work) ? PyFunction_GetCode(work) : work;
}

/* Moves what the body needs, and few have, from the request to the task. Returns 0 or -1 with an exception set. */
static int hand_over_extra(request *self)
{
    task_extra *extra = self->task->extra;

    if (extra == &task_no_extra && !self->n_retries && !self->args && !self->kwargs && !self->watched && !self->access_list) {
        return 0;
    }
    if (!(extra = task_extra_own(self->task))) {
        return -1;
    }
    Py_XSETREF(extra->repeated, self->n_retries ? Py_NewRef(self->work) : NULL);
    Py_XSETREF(extra->args, self->args);
    Py_XSETREF(extra->kwargs, self->kwargs);
    Py_XSETREF(extra->watched, self->watched);
    Py_XSETREF(extra->accesses, self->access_list);
    self->args = self->kwargs = self->watched = self->access_list = NULL;
    return 0;
}

/* Moves the rest. */
static void hand_over(request *self)
{
    TaskObject *task = self->task;

    Py_XSETREF(task->work, self->work);
    Py_XSETREF(task->value, Py_XNewRef(self->how.results));
    task->is_many = self->how.results != NULL;
    task->n_retries = self->n_retries;
    Py_XSETREF(task->context, self->context);
    if (self->is_own_work && self->n_retries == 0) {
        if (task->context) {
            PyObject_GC_UnTrack(task->context);
        }
        if (!task->is_many && capture_stow(self->state, &task->work, &task->value)) {
            task->rooting = TASK_STOWED;
        } else {
            capture_root(task->work);
            task->rooting = TASK_ROOTED;
        }
    }
    self->work = self->context = NULL;
}

static int submit(request *self)
{
    TaskObject *task = self->task;
    task_phase phase = (task_phase)task->phase;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    int code;

    options.body = self->how.results ? callback_call : callback_body;
    options.arg = task;
    options.on_end = task_on_end;
    options.name = PyUnicode_AsUTF8(task->name);
    options.flags = PARLA_TASK_MANAGED | (self->keeps_back ? PARLA_TASK_NO_RUNAHEAD : 0);
    options.priority = self->priority;
    options.prefer = self->prefer;
    options.kernel = kernel_of(self->work); /* before the function may be stowed */
    options.n_retries = self->n_retries;
    options.task = phase == TASK_CREATED ? task->handle : PARLA_TASK_NONE;
    options.deps = self->dependencies.handles;
    options.n_deps = self->dependencies.n;
    options.choices = self->choices;
    options.n_choices = self->n_choices;
    options.accesses = self->accesses.items;
    options.n_accesses = self->accesses.n;

    if (hand_over_extra(self) < 0) {
        return -1;
    }
    hand_over(self);
    Py_INCREF(task);
    PyObject_GC_UnTrack(task);
    Py_XSETREF(task->runtime, (RuntimeObject *)Py_NewRef(self->runtime));
    task->phase = TASK_PENDING;
    code = self->how.results ? parla_task_spawn_n(self->runtime->rt, &task->handle, (size_t)PyList_GET_SIZE(task->value), &options)
                             : parla_task_spawn(self->runtime->rt, &task->handle, &options);
    if (code < 0) {
        task->phase = phase;
        error_raise(self->state, code, "spawn");
        task_track(task);
        task_drop_work(task);
        Py_DECREF(task);
        return -1;
    }
    return 0;
}

static int check_usable(request *self)
{
    if (!self->runtime->is_usable) {
        error_format(self->state, EXCEPTION_StateError, "spawn: the runtime is stopping");
        return -1;
    }
    return 0;
}

/* --- Blocks of several ranks --- */

static PyObject *none_to_null(PyObject *object) { return object == Py_None ? NULL : object; }

static int become_foreign(request *self, PyObject *rank)
{
    int value = (int)PyLong_AsLong(rank);

    if (self->task->phase == TASK_CREATED) {
        error_format(
            self->state, EXCEPTION_StateError,
            "spawn: task '%U' runs at rank %d, but something of this rank already waits for that name; tasks of different ranks "
            "are ordered by the blocks that they name",
            self->task->name, value);
        return -1;
    }
    return task_become_foreign(self->task, value) < 0 ? -1 : 1;
}

/* Lets state->flow look at the spawn. It returns None if no array over several ranks is named; the rank of a task that runs elsewhere;
 * or, for one that runs here, a tuple with what replaces the placement and the arrays, the context of the body, and a function
 * to call after the spawn. Returns 0, 1 if the task runs elsewhere, or -1 with an exception set. */
static int take_turn(request *self, PyObject **parameters)
{
    PyObject *turn;

    if (!self->state->flow ||
        !(parameters[SPAWN_PLACEMENT] || parameters[SPAWN_INPUT] || parameters[SPAWN_OUTPUT] || parameters[SPAWN_INOUT])) {
        return 0;
    }
    turn = PyObject_CallFunctionObjArgs(self->state->flow, or_none(parameters[SPAWN_PLACEMENT]), or_none(parameters[SPAWN_INPUT]),
                                        or_none(parameters[SPAWN_OUTPUT]), or_none(parameters[SPAWN_INOUT]), NULL);
    if (!turn || turn == Py_None) {
        Py_XDECREF(turn);
        return turn ? 0 : -1;
    }
    self->turn = turn;
    if (PyLong_Check(turn)) {
        return become_foreign(self, turn);
    }
    if (!PyTuple_Check(turn) || PyTuple_GET_SIZE(turn) != N_TURN) {
        PyErr_Format(PyExc_TypeError, "spawn: the flow returned %R", turn);
        return -1;
    }
    parameters[SPAWN_PLACEMENT] = none_to_null(PyTuple_GET_ITEM(turn, TURN_PLACEMENT));
    parameters[SPAWN_INPUT] = none_to_null(PyTuple_GET_ITEM(turn, TURN_INPUT));
    parameters[SPAWN_OUTPUT] = none_to_null(PyTuple_GET_ITEM(turn, TURN_OUTPUT));
    parameters[SPAWN_INOUT] = none_to_null(PyTuple_GET_ITEM(turn, TURN_INOUT));
    return 0;
}

static int finish_turn(request *self)
{
    PyObject *finish = self->turn ? PyTuple_GET_ITEM(self->turn, TURN_FINISH) : Py_None, *result;

    if (finish == Py_None) {
        return 0;
    }
    result = PyObject_CallNoArgs(finish);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* --- All of it --- */

/* Waits, without the GIL, while too many tasks are in flight. An event loop is not held up: others wait for what it does besides.
 * Returns 0, or -1 with an exception set. */
static int make_room(RuntimeObject *runtime)
{
    PyObject *loop;

    if (!parla_window_is_full(runtime->rt)) {
        return 0;
    }
    loop = asyncio_running_loop(runtime->state);
    if (loop) {
        Py_DECREF(loop);
        return 0;
    }
    runtime_enter(runtime);
    Py_BEGIN_ALLOW_THREADS parla_window_wait(runtime->rt);
    Py_END_ALLOW_THREADS runtime_leave(runtime);
    deferred_drain(&runtime->state->ends);
    return PyErr_CheckSignals();
}

static int prepare(request *self, PyObject *const *parameters, PyObject *function)
{
    self->dependencies.refuses_foreign = true;
    if (parameters[SPAWN_DEPENDENCIES] && task_list_add(&self->dependencies, self->state, self->runtime,
                                                        parameters[SPAWN_DEPENDENCIES], "spawn(dependencies=)") < 0) {
        return -1;
    }
    if (place(self, parameters) < 0 || read_hints(self, parameters) < 0 || find_accesses(self, parameters) < 0) {
        return -1;
    }
    return capture(self, parameters, function);
}

/* Tells who waits for what is spawned in a block. Returns the Task as a new reference, or NULL. */
static PyObject *note_spawned(request *self)
{
    PyObject *result;

    if (self->state->n_spawn_watchers > 0) {
        result = PyObject_CallOneArg(self->state->hooks[HOOK_SPAWNED], (PyObject *)self->task);
        if (!result) {
            return NULL;
        }
        Py_DECREF(result);
    }
    return Py_NewRef(self->task);
}

PyObject *spawn_task(module_state *state, PyObject *const *parameters, PyObject *function, spawn_how how)
{
    request self = {.state = state, .how = how};
    PyObject *own[N_SPAWN_PARAMETERS], *result = NULL;
    int turn;

    self.runtime = runtime_active(state, "spawn()");
    if (!self.runtime || read_int(parameters[SPAWN_PRIORITY], INT_MIN, "priority", &self.priority) < 0 ||
        read_int(parameters[SPAWN_RETRIES], 0, "retries", &self.n_retries) < 0) {
        return NULL;
    }
    Py_INCREF(self.runtime);
    deferred_drain(&state->ends);
    task_list_init(&self.dependencies);
    data_accesses_init(&self.accesses);
    /* The hooks run Python code, in which another thread may have spawned the task or stopped the runtime: looked at again. */
    memcpy(own, parameters, sizeof(own));
    turn =
        body_check(function) < 0 || make_room(self.runtime) < 0 || find_task(&self, own, function) < 0 ? -1 : take_turn(&self, own);
    if (turn > 0 || (turn == 0 && prepare(&self, own, function) == 0 && renew(self.task) == 0 && check_usable(&self) == 0 &&
                     submit(&self) == 0 && finish_turn(&self) == 0)) {
        result = note_spawned(&self);
    }
    request_fini(&self);
    Py_DECREF(self.runtime);
    return result;
}
