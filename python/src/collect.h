/* collect.h - from what users write as dependencies to a list of tasks. */
#ifndef PARLA_PYTHON_COLLECT_H
#define PARLA_PYTHON_COLLECT_H

#include "task_type.h"

#define COLLECT_INLINE 16

/* A growing list of handles, the first few without an allocation. The tasks must stay alive by other means until the handles are used:
 * the objects that named them do that. `names` is non-NULL if the Task objects are wanted too (strong references). */
typedef struct task_list {
    parla_task *handles;
    size_t n, capacity;
    PyObject *objects;    /* list, or NULL if not asked for */
    bool refuses_foreign; /* tasks of other ranks are an error; else they count as done */
    parla_task inline_handles[COLLECT_INLINE];
} task_list;

void task_list_init(task_list *self);
void task_list_fini(task_list *self);

/* Adds what `object` names: a Task, a TaskSpace, None, or an iterable of such things, to any depth. Tasks that nobody has spawned are
 * bound to `runtime`; tasks that are done are left out. `what` names the argument in errors. Returns 0 or -1 with an exception set. */
int task_list_add(task_list *self, module_state *state, RuntimeObject *runtime, PyObject *object, const char *what);

#endif
