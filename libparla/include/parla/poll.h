/* poll.h - functions that workers call between tasks, to move along what has no thread of its own (MPI, device events). */
#ifndef PARLA_POLL_H
#define PARLA_POLL_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

typedef struct parla_poll parla_poll;

/* Looks at what is pending and completes events or releases holds. Returns how many things it completed, or a negative number if it is
 * idle: then workers may sleep without calling it until parla_poll_kick. Must not block. From: one worker at a time. */
typedef int (*parla_poll_function)(void *ctx);

/* Registers a function. Busy workers call it at task boundaries, not more often than every 20 µs; idle ones call it before they sleep, and
 * one of them keeps calling it every 50 µs while it says that something is pending. The function, and what it completes, must not add or remove
 * functions. */
PARLA_API PARLA_MUST_USE int parla_poll_add(parla_runtime *rt, parla_poll **out, parla_poll_function function, void *ctx);

/* Tells sleeping workers that the function has something to do again. From: any thread. */
PARLA_API void parla_poll_kick(parla_poll *poll);

/* Unregisters and waits until the function is not running. Must not be called from the function itself. */
PARLA_API void parla_poll_remove(parla_poll *poll);

PARLA_END_DECLS

#endif
