/* task_why.c - Task.why(): what the library tells about a task's placement, as a dictionary; and what a wait that timed out says. */
#include "task_type.h"

#include <math.h>
#include <parla/device.h>
#include <parla/policy.h>

static PyObject *device_name(RuntimeObject *runtime, int i_device)
{
    parla_device_info info = {.size = sizeof info};
    int code = parla_device_query(runtime->rt, i_device, &info);

    return code < 0 ? PyUnicode_FromFormat("device %d", i_device) : PyUnicode_FromString(info.name);
}

/* {"device": …, "verdict": …, "cost": …, "choice": …, "member": …}; the cost is None where the policy was not asked. */
static PyObject *judgement_dict(RuntimeObject *runtime, const parla_judgement *judgement)
{
    PyObject *name = device_name(runtime, judgement->i_device);
    PyObject *cost = isnan(judgement->cost) ? Py_NewRef(Py_None) : PyFloat_FromDouble(judgement->cost);
    PyObject *dict = NULL;

    if (name && cost) {
        dict = Py_BuildValue("{s:O,s:s,s:O,s:i,s:i}", "device", name, "verdict", parla_verdict_text(judgement->verdict), "cost",
                             cost, "choice", judgement->i_choice, "member", judgement->i_member);
    }
    Py_XDECREF(name);
    Py_XDECREF(cost);
    return dict;
}

static PyObject *judgement_list(RuntimeObject *runtime, const parla_judgement *judgements, size_t n)
{
    PyObject *list = PyList_New((Py_ssize_t)n);

    for (size_t i = 0; list && i < n; i++) {
        PyObject *dict = judgement_dict(runtime, &judgements[i]);

        if (!dict) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, dict);
    }
    return list;
}

/* "ValueError: what it says", or None. Counts as looking at the failure. */
static PyObject *error_text(TaskObject *self)
{
    PyObject *exception = task_exception(self), *text, *type_name;

    if (!exception || exception == Py_None) {
        return exception;
    }
    type_name = PyType_GetName(Py_TYPE(exception));
    text = type_name ? PyUnicode_FromFormat("%U: %S", type_name, exception) : NULL;
    Py_XDECREF(type_name);
    Py_DECREF(exception);
    return text;
}

/* Adds "state", "devices" (names of those that the body got) and "error". Takes over `result`. */
static PyObject *with_state(TaskObject *self, PyObject *result)
{
    PyObject *rows = task_device_rows(self), *devices = rows ? PyList_New(0) : NULL, *error = NULL, *state = NULL;
    bool is_whole = devices != NULL;

    for (Py_ssize_t i = 0; is_whole && i < PyTuple_GET_SIZE(rows); i++) {
        is_whole = PyList_Append(devices, PyTuple_GET_ITEM(PyTuple_GET_ITEM(rows, i), TASK_ROW_NAME)) == 0;
    }
    error = !is_whole ? NULL : self->phase == TASK_ENDED ? error_text(self) : Py_NewRef(Py_None);
    state = error ? PyUnicode_FromString(task_state_text(self)) : NULL;
    is_whole = state && PyDict_SetItemString(result, "state", state) == 0 &&
               PyDict_SetItemString(result, "devices", devices) == 0 && PyDict_SetItemString(result, "error", error) == 0;
    Py_XDECREF(rows);
    Py_XDECREF(devices);
    Py_XDECREF(error);
    Py_XDECREF(state);
    if (!is_whole) {
        Py_CLEAR(result);
    }
    return result;
}

/* The placement of a task in flight. */
static PyObject *explain(TaskObject *self)
{
    enum { MAX_JUDGEMENTS = 256 };
    parla_explanation why = {.size = sizeof why};
    parla_judgement *judgements = PyMem_Calloc(MAX_JUDGEMENTS, sizeof *judgements);
    PyObject *list = NULL, *result = NULL;
    int code;

    if (!judgements) {
        return PyErr_NoMemory();
    }
    code = parla_task_explain(self->handle, &why, judgements, MAX_JUDGEMENTS);
    if (code < 0) {
        error_raise(task_state(self), code, "why");
    } else {
        list = judgement_list(self->runtime, judgements, why.n_judgements < MAX_JUDGEMENTS ? why.n_judgements : MAX_JUDGEMENTS);
    }
    if (list) {
        result = Py_BuildValue("{s:s,s:i,s:i,s:d,s:O}", "policy", why.policy, "choice", why.i_choice, "passed", why.n_passed,
                               "expected_s", why.expected_ns * 1e-9, "candidates", list);
    }
    Py_XDECREF(list);
    PyMem_Free(judgements);
    return result;
}

void task_tell_timeout(module_state *state, PyObject *const *tasks, Py_ssize_t n)
{
    TaskObject *first = NULL;
    Py_ssize_t n_left = 0;

    if (!PyErr_ExceptionMatches(state->exceptions[EXCEPTION_TaskTimeout])) {
        return;
    }
    for (Py_ssize_t i = n; i-- > 0;) {
        if (!task_has_ended((TaskObject *)tasks[i])) {
            first = (TaskObject *)tasks[i];
            n_left++;
        }
    }
    if (first && n == 1) {
        error_format(state, EXCEPTION_TaskTimeout, "timed out waiting for task '%U', which is %s", first->name,
                     task_state_text(first));
    } else if (first) {
        error_format(state, EXCEPTION_TaskTimeout,
                     "timed out waiting for tasks: %zd of %zd have not ended, the first is '%U', which is %s", n_left, n,
                     first->name, task_state_text(first));
    }
}

PyObject *task_why(TaskObject *self, PyObject *unused)
{
    bool has_ended = task_has_ended(self);
    PyObject *result;

    (void)unused;
    if (self->is_foreign) {
        error_format(task_state(self), EXCEPTION_StateError, "task '%U' runs at rank %d: ask there", self->name, self->extra->rank);
        return NULL;
    }
    if (has_ended) {
        result = Py_BuildValue("{s:O,s:O,s:O,s:O,s:[]}", "policy", Py_None, "choice", Py_None, "passed", Py_None, "expected_s",
                               Py_None, "candidates");
    } else if (self->runtime && self->runtime->is_usable) {
        result = explain(self);
    } else {
        error_format(task_state(self), EXCEPTION_StateError,
                     "task '%U' was not spawned in a runtime that is still there: nothing was decided", self->name);
        return NULL;
    }
    return result ? with_state(self, result) : NULL;
}
