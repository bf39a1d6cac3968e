/* runtime_wait.c - waiting with the GIL released.
 *
 * A signal is handled only by Python code of the main thread, so that thread waits in slices and looks between them. */
#include "runtime_type.h"

#include <time.h>

enum { SLICE_NS = 100 * 1000 * 1000 };

int64_t runtime_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int runtime_deadline(PyObject *timeout, int64_t *out_deadline_ns)
{
    double seconds;

    *out_deadline_ns = PARLA_FOREVER;
    if (timeout == Py_None) {
        return 0;
    }
    seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (!(seconds >= 0)) {
        PyErr_Format(PyExc_ValueError, "timeout: expected seconds >= 0 or None, not %R", timeout);
        return -1;
    }
    if (seconds < 1e9) {
        *out_deadline_ns = runtime_now_ns() + (int64_t)(seconds * 1e9);
    }
    return 0;
}

int64_t runtime_slice(const RuntimeObject *self, int64_t deadline_ns)
{
    bool is_main = PyThread_get_thread_ident() == self->state->main_thread;
    int64_t left_ns;

    if (deadline_ns == PARLA_FOREVER) {
        return is_main ? SLICE_NS : PARLA_FOREVER;
    }
    left_ns = deadline_ns - runtime_now_ns();
    if (left_ns < 0) {
        return 0;
    }
    return is_main && left_ns > SLICE_NS ? SLICE_NS : left_ns;
}

int runtime_slice_ended(RuntimeObject *self, int code, int64_t deadline_ns, const char *what)
{
    deferred_drain(&self->state->ends);
    if (code != PARLA_E_TIMEOUT && code != PARLA_E_INTERRUPTED) {
        return 0;
    }
    if (PyErr_CheckSignals() < 0) {
        return -1;
    }
    if (deadline_ns != PARLA_FOREVER && runtime_now_ns() >= deadline_ns) {
        error_format(self->state, EXCEPTION_TaskTimeout, "%s: timed out", what);
        return -1;
    }
    return 1;
}

void runtime_enter(RuntimeObject *self)
{
    pthread_mutex_lock(&self->mutex);
    self->n_inside++;
    pthread_mutex_unlock(&self->mutex);
}

void runtime_leave(RuntimeObject *self)
{
    pthread_mutex_lock(&self->mutex);
    self->n_inside--;
    pthread_cond_signal(&self->left);
    pthread_mutex_unlock(&self->mutex);
}

static bool have_ended(const parla_task *tasks, size_t n_tasks)
{
    for (size_t i = 0; i < n_tasks; i++) {
        if (!parla_task_has_ended(tasks[i])) {
            return false;
        }
    }
    return true;
}

int runtime_wait_tasks(RuntimeObject *self, const parla_task *tasks, size_t n_tasks, int64_t deadline_ns)
{
    int code = 0, again;

    runtime_enter(self);
    do {
        int64_t slice_ns = runtime_slice(self, deadline_ns);

        Py_BEGIN_ALLOW_THREADS code = parla_task_wait(self->rt, tasks, n_tasks, slice_ns);
        Py_END_ALLOW_THREADS
            /* A task's own failure may carry any code: what counts is whether all have ended. */
            again = code < 0 && !have_ended(tasks, n_tasks) ? runtime_slice_ended(self, code, deadline_ns, "waiting for tasks") : 0;
    } while (again > 0);
    deferred_drain(&self->state->ends);
    if (again == 0 && code < 0 && !have_ended(tasks, n_tasks)) {
        error_raise(self->state, code, "waiting for tasks");
        again = -1;
    }
    runtime_leave(self);
    return again;
}

RuntimeObject *runtime_active(module_state *state, const char *what)
{
    if (!state->active) {
        error_format(state, EXCEPTION_StateError, "%s needs an active runtime: use it inside `with parla.Parla():`", what);
    }
    return state->active;
}
