/* task.h - units of work and the order between them.
 *
 * A task is spawned once, runs when its dependencies have completed, and ends once: done, failed, or cancelled because something that it
 * depends on failed. All functions may be called from any thread, inside or outside a task, unless a line says otherwise.
 *
 * A parla_task is a value that names a task; it owns nothing and need not be released. It stays meaningful after the task has ended: a
 * dependency on an ended task is met at once, or cancels the dependent if that task did not succeed. How a task ended is remembered while
 * somebody holds a reference (parla_task_ref), and of the last 65,536 tasks that failed or were cancelled; any other ended task reads as
 * done. A name must not be used after its runtime was destroyed. */
#ifndef PARLA_TASK_H
#define PARLA_TASK_H

#include <parla/common.h>

PARLA_BEGIN_DECLS

typedef struct parla_runtime parla_runtime;
typedef struct parla_context parla_context;
typedef struct parla_failure parla_failure;
typedef struct parla_data parla_data;

typedef struct parla_task {
    void *object;        /* internal */
    uint64_t generation; /* internal */
} parla_task;

/* No task; in a list of dependencies it is met at once. */
#define PARLA_TASK_NONE ((parla_task){NULL, 0})

static inline bool parla_task_is_none(parla_task task) { return task.object == NULL; }
static inline bool parla_task_equal(parla_task a, parla_task b) { return a.object == b.object && a.generation == b.generation; }

/* --- What runs -------------------------------------------------------------------------------------------------------------- */

/* The work of a task. Returns 0 when it is done; PARLA_SUSPENDED after parla_suspend_on (it is called again when that is met); or a
 * negative code when it failed (best through parla_fail, which adds words). */
typedef int (*parla_body)(parla_context *context, void *arg);
#define PARLA_SUSPENDED 2

/* How a task ended, handed to parla_task_options.on_end. `failure` is NULL when done; borrowed. */
typedef struct parla_outcome {
    parla_task task;
    int status; /* 0, or PARLA_E_CANCELLED, or the failure's code */
    parla_failure *failure;
} parla_outcome;

/* Called exactly once for each spawned task, after its last step, before its dependents start and before waiters return.
 * From: the thread that ends the task (a worker, a device's queue thread, a caller of cancel or destroy). Must not block. */
typedef void (*parla_on_end)(void *arg, const parla_outcome *outcome);

/* --- Where it runs ---------------------------------------------------------------------------------------------------------- */

typedef enum parla_arch { PARLA_ARCH_CPU = 0, PARLA_ARCH_GPU = 1, PARLA_ARCH_ANY = -1 } parla_arch;

#define PARLA_ANY_NUMBER (-1)

/* What a task needs of one device: which one, which share of it, how much of its memory while the task runs. */
typedef struct parla_demand {
    parla_arch arch;
    int number;          /* index within its architecture, or PARLA_ANY_NUMBER */
    double vcus;         /* share of the device, 0 (no limit) to 1 (alone on it) */
    size_t memory_bytes; /* besides the task's arrays; 0 for none */
} parla_demand;

/* One way to place the task: on one device (n_members = 1), or on several distinct devices at once. */
typedef struct parla_choice {
    const parla_demand *members;
    size_t n_members;
} parla_choice;

/* --- What it touches -------------------------------------------------------------------------------------------------------- */

typedef enum parla_mode {
    PARLA_IN = 1,    /* reads */
    PARLA_OUT = 2,   /* overwrites all of it; the old content is not moved */
    PARLA_INOUT = 3, /* reads and writes */
    PARLA_ORDER = 4  /* or-ed to a mode: order tasks by it but leave the array where it is (see parla_context_source) */
} parla_mode;

/* Elements start, start + step, … below stop along one dimension; step >= 1. */
typedef struct parla_range {
    int64_t start, stop, step;
} parla_range;

/* A region of an array that the task uses. Tasks that name the same elements are ordered as if they ran one after the other in spawn
 * order; regions without a common element do not order them. What the task reads is moved to its device: exactly the elements that are
 * not there yet. A task may name several regions of an array, overlapping or not; what it writes on one of its devices it may not use on
 * another. An array keeps at most 4,096 different tiles apart: beyond that, regions count for more than they name, and what a PARLA_OUT
 * names is kept as if it were PARLA_INOUT. */
typedef struct parla_access {
    parla_data *data;
    int mode;                  /* a parla_mode, perhaps | PARLA_ORDER */
    int member;                /* which of the task's devices gets it; 0 is the first */
    const parla_range *region; /* one range per dimension, or NULL for the whole array */
} parla_access;

/* --- Spawn ------------------------------------------------------------------------------------------------------------------ */

enum {
    PARLA_TASK_MANAGED = 1,    /* the body is called through the runtime's parla_runner */
    PARLA_TASK_NO_RUNAHEAD = 2 /* nothing that depends on it starts before the work is done that it left in queues of devices */
};

typedef struct parla_task_options {
    size_t size; /* sizeof(parla_task_options); PARLA_TASK_OPTIONS_INIT sets it */
    parla_body body;
    void *arg;              /* handed to body and on_end */
    size_t arg_bytes;       /* 0: arg is passed on as it is; 1..PARLA_ARG_BYTES: the bytes at arg are copied into the task */
    parla_on_end on_end;    /* may be NULL */
    const char *name;       /* UTF-8; must stay valid until on_end has returned, or for ever without on_end; may be NULL */
    unsigned flags;         /* PARLA_TASK_* */
    int priority;           /* higher starts first among tasks that are ready on a device; 0 is normal */
    parla_task task;        /* a task from parla_task_create or a space to start under; PARLA_TASK_NONE makes a new one */
    const parla_task *deps; /* these four lists are read during the call only */
    size_t n_deps;
    const parla_choice *choices; /* alternatives; none: a CPU task, run by any worker */
    size_t n_choices;
    const parla_access *accesses;
    size_t n_accesses;
    const parla_body *variants; /* NULL, or n_choices bodies: variants[i] runs the task if choices[i] was taken; NULL there: body */
    uint64_t prefer;            /* bit i: device i is preferred, which only weighs (policy.h); 0: no preference */
    const void *kernel;         /* any address: tasks with the same one do the same work, and how long they took tells what the next
                                   one will take; NULL: that of body */
    int n_retries;              /* how often the task is repeated if its body fails, see parla_context_attempt */
} parla_task_options;

#define PARLA_TASK_OPTIONS_INIT ((parla_task_options){.size = sizeof(parla_task_options)})
#define PARLA_ARG_BYTES 40

/* Spawns a task: it may run as soon as its dependencies have completed, even before the call returns.
 * `out` may be NULL. Dependencies may be tasks that are not spawned yet.
 * Errors: PARLA_E_STATE if options.task was spawned before and has not ended (nothing happened to it), or the runtime is stopping;
 *         PARLA_E_NO_DEVICE / PARLA_E_RESOURCES if no alternative can ever be met (the detail names what exists);
 *         PARLA_E_STUCK if options.task would wait for itself, also by way of others (the detail names them);
 *         PARLA_E_INVALID; PARLA_E_NOMEM. On error nothing has changed and on_end is not called. */
PARLA_API PARLA_MUST_USE int parla_task_spawn(parla_runtime *rt, parla_task *out, const parla_task_options *options);

/* The same for the plain case: a CPU task with dependencies and no more. */
PARLA_API PARLA_MUST_USE int parla_spawn(parla_runtime *rt, parla_task *out, parla_body body, void *arg, const parla_task *deps,
                                         size_t n_deps);

/* Makes a task that others can depend on before it is spawned; start it with parla_task_options.task.
 * Owns: *out comes with one reference, dropped with parla_task_unref. */
PARLA_API PARLA_MUST_USE int parla_task_create(parla_runtime *rt, parla_task *out, const char *name);

/* Adds and drops a reference, which keeps the outcome of an ended task. Errors: PARLA_E_STATE if the task ended and is forgotten. */
PARLA_API PARLA_MUST_USE int parla_task_ref(parla_task task);
PARLA_API void parla_task_unref(parla_task task);

/* --- Wait and look ---------------------------------------------------------------------------------------------------------- */

/* Waits until all of the tasks have ended. Without a timeout the thread runs the awaited tasks, and those that they wait for, as far as they
 * are ready, and nothing else. Inside a task's body prefer parla_suspend_on: this call keeps the body's thread (another one works in its
 * place while it sleeps).
 * Returns: 0 if all are done; the first failure's code otherwise (looked at from now on); PARLA_E_TIMEOUT; PARLA_E_INTERRUPTED;
 *          PARLA_E_STUCK as parla_runtime_wait, but only while every thread that spawns tasks is waiting;
 *          PARLA_E_RESOURCES if too many bodies block like this; PARLA_E_STATE from a body on a device's queue; PARLA_E_INVALID. */
PARLA_API PARLA_MUST_USE int parla_task_wait(parla_runtime *rt, const parla_task *tasks, size_t n_tasks, int64_t timeout_ns);

typedef enum parla_task_state {
    PARLA_TASK_CREATED,   /* named, not spawned */
    PARLA_TASK_WAITING,   /* for dependencies */
    PARLA_TASK_READY,     /* in a queue */
    PARLA_TASK_RESERVED,  /* has a device and what it asked for; its arrays are on the way */
    PARLA_TASK_RUNNING,   /* in its body */
    PARLA_TASK_SUSPENDED, /* body left with parla_suspend_on */
    PARLA_TASK_LAUNCHED,  /* body returned; device work or holds (event.h) are under way */
    PARLA_TASK_DONE,
    PARLA_TASK_FAILED,
    PARLA_TASK_CANCELLED
} parla_task_state;

PARLA_API parla_task_state parla_task_query(parla_task task);
PARLA_API const char *parla_task_state_name(parla_task_state state);

/* True once the task is done, failed or cancelled. */
PARLA_API bool parla_task_has_ended(parla_task task);

/* Where the task ran or will run: indices for parla_device_query. Returns how many were written, at most `capacity`; 0 before the choice,
 * and for tasks that are forgotten. */
PARLA_API size_t parla_task_devices(parla_task task, int *out, size_t capacity);

/* Asks for a task to end early: one that has not started is cancelled now (with its dependents), a running or suspended one sees
 * parla_context_is_cancelled at its next step. Returns 0, or PARLA_PENDING if it had started, or PARLA_E_STATE if it had ended. */
PARLA_API PARLA_MUST_USE int parla_task_cancel(parla_task task);

/* --- Failures --------------------------------------------------------------------------------------------------------------- */

/* Why a task failed or was cancelled, or NULL. Counts as looking at it.
 * Owns: the result is a reference, dropped with parla_failure_unref. */
PARLA_API parla_failure *parla_task_failure(parla_task task);

PARLA_API parla_failure *parla_failure_ref(parla_failure *failure);
PARLA_API void parla_failure_unref(parla_failure *failure);

/* Code, message and task name ("" if it has none) of this failure. Borrowed from it. */
PARLA_API int parla_failure_code(const parla_failure *failure);
PARLA_API const char *parla_failure_message(const parla_failure *failure);
PARLA_API const char *parla_failure_task_name(const parla_failure *failure);

/* What this failure follows from: for a cancelled task the failure of the dependency, else NULL. Borrowed. */
PARLA_API const parla_failure *parla_failure_cause(const parla_failure *failure);

/* The payload given to parla_fail_with by the task that failed first; NULL if none. Borrowed. */
PARLA_API void *parla_failure_payload(const parla_failure *failure);

/* --- Inside a body ---------------------------------------------------------------------------------------------------------- */

/* The context of the body that this thread is running, or NULL. A context is valid until its body returns. */
PARLA_API parla_context *parla_current(void);

PARLA_API parla_runtime *parla_context_runtime(const parla_context *context);
PARLA_API parla_task parla_context_task(const parla_context *context);

/* The task's devices as indices for parla_device_query; member 0 always exists (a CPU task's is device 0). */
PARLA_API size_t parla_context_n_devices(const parla_context *context);
PARLA_API int parla_context_device(const parla_context *context, size_t member);

/* The backend's queue of that member (a stream), or NULL where there is none. */
PARLA_API void *parla_context_queue(const parla_context *context, size_t member);

/* True once somebody asked to cancel this task. */
PARLA_API bool parla_context_is_cancelled(const parla_context *context);

/* Lets the task wait for others without its thread: call it, then return PARLA_SUSPENDED; the body is called again when all have ended.
 * Shares of devices and reserved memory are given back meanwhile. May be called several times before returning.
 * If an awaited task fails the body is called all the same: it asks with parla_task_failure.
 * Errors: PARLA_E_NOMEM; PARLA_E_INVALID for the task itself or one of another runtime. */
PARLA_API PARLA_MUST_USE int parla_suspend_on(parla_context *context, const parla_task *tasks, size_t n_tasks);

/* Which choice was taken: an index into parla_task_options.choices; 0 if there were none. */
PARLA_API size_t parla_context_choice(const parla_context *context);

/* How often the task was tried before; 0 the first time.
 *
 * A task with n_retries is repeated, from the start of its body, when the body fails or a hold is released with a failure, unless it is
 * asked to cancel. It gives back what it has reserved and is placed anew, perhaps elsewhere; its dependents and waiters learn only how the
 * last try ended. Its arrays keep their content between tries as far as it only reads them; what it overwrites (PARLA_OUT) is its own
 * affair. A task that updates an array (PARLA_INOUT) would find there what the failed try left: its spawn is refused with
 * PARLA_E_INVALID. Inputs that cannot be moved, and memory that no device has, fail it at once. */
PARLA_API int parla_context_attempt(const parla_context *context);

/* Records why the body fails and returns `code` (negative), to be returned by the body. */
PARLA_API int parla_fail(parla_context *context, int code, const char *format, ...) PARLA_PRINTF(3, 4);

/* The same with an object that travels with the failure; `release(payload)` is called from any thread when nobody needs it any more. */
PARLA_API int parla_fail_with(parla_context *context, int code, void *payload, void (*release)(void *payload), const char *format,
                              ...) PARLA_PRINTF(5, 6);

PARLA_END_DECLS

#endif
