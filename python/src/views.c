/* views.c - local arrays that a body keeps too long.
 *
 * A view of device memory must not outlive the step: the copy that it shows may be moved or freed from then on. The task lists the views
 * that it was given; one that somebody else holds too when the step is over is an error rather than a wrong number later. Garbage that only
 * the cyclic collector can find is not held by anybody. */
#include "views.h"

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
    PyObject *detached = PyObject_CallFunctionObjArgs(task_state(task)->hooks[HOOK_DETACH], *result, task->extra->views, NULL);

    if (!detached) {
        return -1;
    }
    Py_SETREF(*result, detached);
    return 0;
}

int views_check(TaskObject *task, PyObject **result)
{
    bool is_held;

    if (!task->extra->views) {
        return 0;
    }
    is_held = is_any_view_held(task->extra->views);
    if (is_held && *result && detach_result(task, result) < 0) {
        return -1;
    }
    is_held = is_held && is_any_view_held(task->extra->views);
    if (is_held) {
        (void)PyGC_Collect();
        is_held = is_any_view_held(task->extra->views);
    }
    Py_CLEAR(task->extra->views);
    if (is_held) {
        error_format(task_state(task), EXCEPTION_StateError,
                     "task '%U' keeps a local array of a device beyond its end or across an await, when its memory may be used for "
                     "something else: keep a copy (array.copy()), and ask for .array again after an await",
                     task->name);
        return -1;
    }
    return 0;
}
