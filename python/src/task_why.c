/* task_why.c - Task.why(): what the library tells about a task's placement, as a dictionary. */
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

PyObject *task_why(TaskObject *self, PyObject *unused)
{
    enum { MAX_JUDGEMENTS = 256 };
    parla_explanation why = {.size = sizeof why};
    parla_judgement *judgements;
    PyObject *list = NULL, *result = NULL;
    int code;

    (void)unused;
    if (task_has_ended(self) || !self->runtime || !self->runtime->is_usable) {
        error_format(self->state, EXCEPTION_StateError,
                     "task '%U' is not in flight: ask while it is queued, or in its body with get_current_task().why()",
                     self->name);
        return NULL;
    }
    judgements = PyMem_Calloc(MAX_JUDGEMENTS, sizeof *judgements);
    if (!judgements) {
        return PyErr_NoMemory();
    }
    code = parla_task_explain(self->handle, &why, judgements, MAX_JUDGEMENTS);
    if (code < 0) {
        error_raise(self->state, code, "why");
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
