/* task_extra.c - what most tasks never have, in memory of its own: a pending task is small, and most end without it. */
#include "task_type.h"

const task_extra task_no_extra = {0};

task_extra *task_extra_own(TaskObject *self)
{
    if (self->extra == &task_no_extra) {
        task_extra *own = PyMem_Calloc(1, sizeof(*own));

        if (!own) {
            PyErr_NoMemory();
            return NULL;
        }
        self->extra = own;
    }
    return self->extra;
}

static bool is_empty(const task_extra *extra)
{
    return !extra->args && !extra->kwargs && !extra->repeated && !extra->watched && !extra->accesses && !extra->views &&
           !extra->devices && !extra->traceback && !extra->cause && !extra->callbacks && extra->rank == 0;
}

void task_extra_trim(TaskObject *self)
{
    if (self->extra != &task_no_extra && is_empty(self->extra)) {
        PyMem_Free(self->extra);
        self->extra = (task_extra *)&task_no_extra;
    }
}
