/* failure.h - why a task failed or was cancelled: an immutable, reference-counted record, linked to the failure that it follows from. */
#ifndef PL_TASK_FAILURE_H
#define PL_TASK_FAILURE_H

#include "base/atomic.h"

#include <parla/task.h>
#include <stdarg.h>

struct parla_failure {
    _Atomic uint32_t refs;
    _Atomic bool is_seen; /* of a first cause: somebody looked at it or at something that follows from it */
    int code;
    char *message;
    char *task_name; /* NULL: none */
    parla_failure *cause;
    const parla_failure *root; /* the start of the chain, which may be long; NULL: this one */
    void *payload;
    void (*release)(void *payload);
};

/* Makes a record with one reference. Takes over a reference on `cause`. When memory is out the answer is a static record of that, so a
 * failure is never lost; the payload is then released at once. */
parla_failure *pl_failure_create(int code, const char *task_name, parla_failure *cause, const char *format, ...) PARLA_PRINTF(4, 5);
parla_failure *pl_failure_create_v(int code, const char *task_name, void *payload, void (*release)(void *), const char *format,
                                   va_list arguments) PARLA_PRINTF(5, 0);

/* The record of a task that is cancelled because what it depends on failed with `cause`, of which a reference is taken over. */
parla_failure *pl_failure_follow(const char *task_name, parla_failure *cause);

/* The static record of memory that was lacking to record a failure. Borrowed. */
parla_failure *pl_failure_of_memory(void);

/* The failure at the start of the chain, and whether somebody has looked at it. */
const parla_failure *pl_failure_root(const parla_failure *failure);
void pl_failure_mark_seen(const parla_failure *failure);
bool pl_failure_is_seen(const parla_failure *failure);

#endif
