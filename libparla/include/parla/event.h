/* event.h - things outside the runtime that tasks wait for: messages, requests, other libraries' callbacks.
 *
 * Two forms. An event is a task without a body that somebody completes: others depend on it, suspend on it or wait for it. A hold keeps a
 * task from completing after its body has returned, until as many releases were given. */
#ifndef PARLA_EVENT_H
#define PARLA_EVENT_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

/* Makes an event. `name` is borrowed until the event is completed; may be NULL.
 * Owns: *out comes with one reference, dropped with parla_task_unref. Events that are pending keep parla_runtime_wait from reporting
 * PARLA_E_STUCK. */
PARLA_API PARLA_MUST_USE int parla_event_create(parla_runtime *rt, parla_task *out, const char *name);

/* Completes an event: status 0, or a negative code with a message (may be NULL) that fails it and cancels its dependents.
 * Errors: PARLA_E_STATE if it was completed before. */
PARLA_API PARLA_MUST_USE int parla_event_complete(parla_task event, int status, const char *message);

/* Adds `n` holds to the task whose body is running. From: the body. */
PARLA_API PARLA_MUST_USE int parla_hold(parla_context *context, int n);

/* Releases one hold, from any thread. A negative status with a message (may be NULL) fails the task; the first failure wins. */
PARLA_API PARLA_MUST_USE int parla_release(parla_task task, int status, const char *message);

PARLA_END_DECLS

#endif
