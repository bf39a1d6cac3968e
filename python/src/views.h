/* views.h - local arrays that a body keeps too long. */
#ifndef PARLA_PYTHON_VIEWS_H
#define PARLA_PYTHON_VIEWS_H

#include "task_type.h"

/* Called when a step is over. `*result` is what the body returned, where local arrays of devices become copies; NULL at an await.
 * Returns 0, or -1 with StateError set. */
int views_check(TaskObject *task, PyObject **result);

#endif
