/* task_type.h - a task as a Python object: a name at first, then something that runs, then an outcome. */
#ifndef PARLA_PYTHON_TASK_TYPE_H
#define PARLA_PYTHON_TASK_TYPE_H

#include "runtime_type.h"
#include "state.h"

#include <parla/task.h>

typedef enum task_phase {
    TASK_NAMED,   /* nothing in the library knows it yet */
    TASK_CREATED, /* the library has a handle that others depend on; not spawned */
    TASK_PENDING, /* spawned; the library holds one reference on this object until the end was settled */
    TASK_ENDED    /* done, failed or cancelled: `status` says */
} task_phase;

/* What the garbage collector sees of a task's body (capture.h). */
typedef enum task_rooting {
    TASK_SEEN,
    TASK_ROOTED, /* nothing of `work`, a function, and of `context` */
    TASK_STOWED  /* the same; `work` are the function's cells, and `value` is what it is made of besides */
} task_rooting;

/* What most tasks never have. All of it belongs to the GIL. */
typedef struct task_extra {
    PyObject *args;      /* tuple or NULL */
    PyObject *kwargs;    /* dict or NULL */
    PyObject *repeated;  /* the function that a retry calls again, or NULL: no retries */
    PyObject *watched;   /* tuple of (name, value) of globals, or NULL */
    PyObject *accesses;  /* list of (Data, mode, member, region), or NULL */
    PyObject *views;     /* list of views of device memory that this step has handed out, or NULL */
    PyObject *devices;   /* tuple of device indices, or NULL: device 0 */
    PyObject *traceback; /* of the exception that the body raised */
    PyObject *cause;     /* of a cancelled task: the exception that it follows from, or NULL */
    PyObject *callbacks; /* list of functions, or NULL */
    int rank;            /* where a foreign task runs */
} task_extra;

/* A hundred thousand of these may be pending: their size is counted in test_memory.py.
 * All fields belong to the GIL but for `end`, `status`, `failure` and `keeps_outcome`, which the ending thread writes before it pushes `end`.
 * The garbage collector sees the object only while it can be part of a cycle. It cannot when it is a mere name or has a result without
 * references; and while pending the runtime is its root. A million tasks would be traversed again and again. */
typedef struct TaskObject {
    PyObject_HEAD deferred end;
    RuntimeObject *runtime; /* whose task `handle` is; NULL while named */
    parla_task handle;
    parla_failure *failure; /* a reference; NULL when done */
    PyObject *name;         /* str, never NULL; the library borrows its UTF-8 */
    PyObject *work;         /* function, or the coroutine of a started `async def`; NULL once it is over */
    PyObject *context;      /* contextvars.Context; NULL before the first step: an empty one */
    PyObject *value;        /* result, or the exception that the body raised; before, see TASK_STOWED */
    int64_t began_ns;       /* when the body began, on the monotonic clock; 0: it has not */
    int64_t ended_ns;       /* when it was over, however it ended; 0: it is not */
    task_extra *extra;      /* never NULL: read at any time, written only by way of task_extra_own */
    PyObject *weak_references;
    int status; /* 0 or a code */
    int n_retries;
    uint8_t phase;      /* of task_phase */
    bool keeps_outcome; /* a parla_task_ref is held on `handle` */
    bool was_cancelled; /* the coroutine was told */
    bool has_raised;    /* `value` is an exception */
    bool is_foreign;    /* runs at another rank: counts as ended here, and has no outcome */
    bool is_many;       /* of spawn_many: several threads may be in its calls at once, and `value` is the list of results */
    bool has_started;
    uint8_t rooting; /* of task_rooting */
} TaskObject;

static inline bool task_check(module_state *state, PyObject *object) { return Py_TYPE(object) == state->task_type; }

/* From: a thread with the GIL. */
static inline module_state *task_state(TaskObject *self) { return state_of_type(Py_TYPE(self)); }

/* What `extra` is while there is nothing in it. Never written. */
extern const task_extra task_no_extra;

/* An extra that may be written. NULL with MemoryError set. */
task_extra *task_extra_own(TaskObject *self);

/* Gives back the memory if nothing is left in it. */
void task_extra_trim(TaskObject *self);

/* Shows the task to the garbage collector. From: whoever gives an object to a task that is not pending. */
void task_track(TaskObject *self);

/* A task with a name and no more. New reference or NULL. */
TaskObject *task_new(module_state *state, PyObject *name);

/* True once the task's end has been settled; settles what is due first. */
bool task_has_ended(TaskObject *self);

/* Makes sure that `runtime` has a handle for the task, so that others can depend on it. Returns 0 or -1 with an exception set. */
int task_bind(TaskObject *self, RuntimeObject *runtime);

/* Forgets an earlier life before the task is spawned again. From: spawn, for a task that has ended or whose runtime is gone. */
void task_reset(TaskObject *self);

/* Makes the task ready for another try after its body has failed. */
void task_rewind(TaskObject *self);

/* The task runs at another rank. From: spawn, for a task that may be spawned. Returns 0 or -1 with an exception set. */
int task_become_foreign(TaskObject *self, int rank);

/* Makes `work` the function again where it is stowed. Returns 0, or -1 with an exception set and nothing left to be called. */
int task_unstow(TaskObject *self);

/* Lets the garbage collector see `work` and `context` again, before anything else takes their place. */
void task_unroot(TaskObject *self);

/* Drops what only the body needs. */
void task_drop_work(TaskObject *self);

/* The result of an ended task, or its exception raised (which counts as looked at). New reference or NULL. */
PyObject *task_outcome(TaskObject *self);

/* The method why(): what decided, or decides, where the task runs. New reference or NULL. */
PyObject *task_why(TaskObject *self, PyObject *unused);

/* Has the TaskTimeout that is set, of a wait for these Tasks, say which have not ended. Leaves any other exception. */
void task_tell_timeout(module_state *state, PyObject *const *tasks, Py_ssize_t n);

/* The exception of an ended task, None if it is done. New reference, NULL only if making it fails. */
PyObject *task_exception(TaskObject *self);

/* The rows of the runtime's device table for the devices that the body got, a tuple of tuples with their names at TASK_ROW_NAME. */
enum { TASK_ROW_NAME = 3 };
PyObject *task_device_rows(TaskObject *self);

/* The state in one word. Settle the end first (task_has_ended). */
const char *task_state_text(TaskObject *self);

/* The exception that a cancelled task follows from, or NULL. The task that raised it was settled before and lives until somebody has
 * looked at it; one that is gone leaves its words in the failure. From: the settling of its end. New reference; no exception is set. */
PyObject *task_find_cause(TaskObject *self);

/* An exception made from a failure that has no Python exception of its own. New reference or NULL. */
PyObject *task_exception_of(module_state *state, const parla_failure *failure);

/* Called by the library when a task has ended; hands the end to deferred_drain. From: any thread. */
void task_on_end(void *self, const parla_outcome *outcome);

#endif
