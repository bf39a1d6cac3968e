/* state.h - what one import of the extension owns: types, exception classes, hooks into the Python layer, the active runtime.
 *
 * Everything here is read and written with the GIL held, but for `ends` and `notifier`, which say so themselves. */
#ifndef PARLA_PYTHON_STATE_H
#define PARLA_PYTHON_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "deferred.h"
#include "error.h"
#include "notifier.h"

typedef struct RuntimeObject RuntimeObject;

/* Python functions that the extension calls for what is not worth doing in C; parla/__init__.py installs them. */
typedef enum hook {
    HOOK_PLACE,      /* (placement, vcus, memory, ndevices) -> tuple of choices, each a tuple of (arch, number, vcus, memory) */
    HOOK_ACCESSES,   /* (input, output, inout) -> list of (Data, mode, member, region or None) */
    HOOK_WATCH,      /* (function) -> tuple of (name, value): the globals that its body reads, or None */
    HOOK_REBOUND,    /* (function, name, old, new): a watched global has another value when the body starts */
    HOOK_LIBRARIES,  /* (): shared libraries were loaded or unloaded since the last body */
    HOOK_ASYNCIO,    /* (loop, tasks, is_single) -> iterator that a coroutine of asyncio can wait with */
    HOOK_NAMED,      /* (index or str) -> Task of the default space */
    HOOK_DEVICES,    /* (tuple of (arch, number, kind)) -> tuple of Device */
    HOOK_LISTEN,     /* (): a callback was added, so somebody has to run callbacks from now on */
    HOOK_DETACH,     /* (result, views) -> the same with copies in place of local arrays of devices, which lie in the views */
    HOOK_HINTS,      /* (prefer, runahead, tags) -> (mask of preferred devices, may dependents run ahead) */
    HOOK_SPAWNED,    /* (Task): a task was spawned while watch_spawns is on */
    HOOK_BODY_BEGIN, /* (ordinal, stream) -> token: a step begins on a device with streams of a vendor's */
    HOOK_BODY_END,   /* (token): it is over */
    HOOK_THREAD,     /* (): a thread of the runtime is about to run its first body */
    N_HOOKS
} hook;

/* Parameters of spawn(), in the order of the positional ones. */
#define SPAWN_PARAMETERS(X)                                                                                                        \
    X(TASKID, "taskid")                                                                                                            \
    X(DEPENDENCIES, "dependencies")                                                                                                \
    X(PLACEMENT, "placement")                                                                                                      \
    X(INPUT, "input")                                                                                                              \
    X(OUTPUT, "output")                                                                                                            \
    X(INOUT, "inout")                                                                                                              \
    X(MEMORY, "memory")                                                                                                            \
    X(VCUS, "vcus")                                                                                                                \
    X(PRIORITY, "priority")                                                                                                        \
    X(NAME, "name")                                                                                                                \
    X(ARGS, "args")                                                                                                                \
    X(KWARGS, "kwargs")                                                                                                            \
    X(NDEVICES, "ndevices")                                                                                                        \
    X(PREFER, "prefer")                                                                                                            \
    X(RUNAHEAD, "runahead")                                                                                                        \
    X(TAGS, "tags")                                                                                                                \
    X(RETRIES, "retries")                                                                                                          \
    X(VLC, "vlc")                                                                                                                  \
    X(CORES, "cores")

typedef enum spawn_parameter {
#define X(constant, text) SPAWN_##constant,
    SPAWN_PARAMETERS(X)
#undef X
        N_SPAWN_PARAMETERS
} spawn_parameter;

/* Those that the published front end takes by position in the same order: taskid to inout. */
#define N_SPAWN_POSITIONAL 6

/* So many bodies of loops share what they have in common (capture.c). */
enum { N_SITES = 16 };

typedef struct module_state {
    PyTypeObject *runtime_type;
    PyTypeObject *task_type;
    PyTypeObject *await_type;
    PyTypeObject *space_type;
    PyTypeObject *spawner_type;
    struct SpawnerObject *spare_spawner; /* dead memory for the next one, or NULL */
    PyTypeObject *data_type;
    PyTypeObject *view_type;
    PyTypeObject *block_type;

    PyObject *exceptions[N_EXCEPTIONS];
    PyObject *hooks[N_HOOKS];
    PyObject *spawn_names[N_SPAWN_PARAMETERS]; /* interned */
    PyObject *name_task;                       /* "task", the other spelling of "taskid" */
    PyObject *name_throw;
    PyObject *name_add_note;
    PyObject *name_select;
    PyObject *get_running_loop; /* asyncio's, once it has been imported; else NULL */
    PyObject *set_running_loop;
    PyObject *get_switch_interval; /* sys.getswitchinterval */
    PyObject *give_way; /* a function in Python that does nothing: its call is where the interpreter looks who wants its lock */

    PyObject *flow; /* NULL, or looks at each spawn with arrays for blocks of other ranks (spawn.c) */

    PyObject *sites[N_SITES]; /* tuples (code, globals), or NULL */

    RuntimeObject *active; /* the runtime of `with Parla()`, or NULL */
    unsigned long main_thread;
    int n_spawn_watchers;           /* HOOK_SPAWNED is called for each spawn while it is > 0 */
    unsigned long long n_libraries; /* how often the process had loaded a library when HOOK_LIBRARIES was last called */
    Py_ssize_t n_modules;           /* that were imported then */
    int n_unlooked;                 /* bodies since somebody looked */

    deferred_list ends; /* what threads without the GIL left to be done with it */
    bool has_notifier;
    notifier notifier;   /* wakes the thread that runs callbacks */
    PyObject *callbacks; /* list of (function, Task) that are due */
} module_state;

extern struct PyModuleDef parla_module;

/* The state that a type of this module belongs to. Borrowed. */
static inline module_state *state_of_type(PyTypeObject *type) { return PyType_GetModuleState(type); }

/* Type makers, one for each file of a type. Each returns a new reference or NULL. */
PyTypeObject *runtime_type_make(PyObject *module);
PyTypeObject *task_type_make(PyObject *module);
PyTypeObject *await_type_make(PyObject *module);
PyTypeObject *space_type_make(PyObject *module);
PyTypeObject *spawner_type_make(PyObject *module);
PyTypeObject *data_type_make(PyObject *module);
PyTypeObject *view_type_make(PyObject *module);
PyTypeObject *block_type_make(PyObject *module);

#endif
