/* runtime_type.h - a runtime as a Python object. */
#ifndef PARLA_PYTHON_RUNTIME_TYPE_H
#define PARLA_PYTHON_RUNTIME_TYPE_H

#include "state.h"

#include <parla/runtime.h>

/* `is_usable` == `rt` may be called: from creation until stop() begins. `rt` is NULL once it was destroyed.
 * All fields but the last group belong to the GIL. */
struct RuntimeObject {
    PyObject_HEAD module_state *state;
    parla_runtime *rt;
    bool is_usable;
    PyObject *devices;    /* tuple of (arch, number, kind, name, memory_bytes, ordinal) in device order; outlives `rt` */
    uint64_t native_mask; /* devices with streams of a vendor's */
    PyObject *names;      /* list of str that created tasks borrow though their Task is gone */
    PyObject *unseen;     /* list of failed Tasks that nobody has looked at */

    pthread_mutex_t turn;  /* held by the thread of the runtime that waits for the GIL (callback.c) */
    pthread_mutex_t mutex; /* for the two below: calls into `rt` without the GIL, which stop() waits for */
    pthread_cond_t left;
    int n_inside;
};

/* The runtime that is active now. Borrowed; NULL with StateError set if there is none, naming `what` needs it. */
RuntimeObject *runtime_active(module_state *state, const char *what);

/* Time on the monotonic clock. */
int64_t runtime_now_ns(void);

/* Brackets for library calls that release the GIL: between them the runtime is not destroyed. */
void runtime_enter(RuntimeObject *self);
void runtime_leave(RuntimeObject *self);

/* One slice of a wait, in nanoseconds, for a wait that ends at `deadline_ns` (PARLA_FOREVER: never) on the monotonic clock: the main thread
 * looks at signals several times a second. Negative (PARLA_FOREVER) for all the time there is. */
int64_t runtime_slice(const RuntimeObject *self, int64_t deadline_ns);

/* Turns a Python timeout in seconds (None: for ever) into a deadline. Returns 0, or -1 with an exception set. */
int runtime_deadline(PyObject *timeout, int64_t *out_deadline_ns);

/* After a slice returned `code`: 1 to wait again, 0 when the wait is over, -1 with an exception set (a signal's, or TaskTimeout). */
int runtime_slice_ended(RuntimeObject *self, int code, int64_t deadline_ns, const char *what);

/* Waits until the tasks have ended. Their failures are no errors here. Returns 0, or -1 with an exception set. */
int runtime_wait_tasks(RuntimeObject *self, const parla_task *tasks, size_t n_tasks, int64_t deadline_ns);

#endif
