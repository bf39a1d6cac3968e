/* error.h - the codes that every function returns, and the words behind the last one.
 *
 * A function returns 0 on success and a negative PARLA_E_* code on failure; on failure its outputs are untouched and nothing has
 * changed unless its own comment says otherwise. A few functions that test or try return PARLA_PENDING (positive).
 *
 * What went wrong in detail is told twice: parla_error_detail() right after a failing call, on the thread that made it; and, for
 * failures inside tasks, in the task itself (parla_task_failure in task.h), since those happen on other threads. */
#ifndef PARLA_ERROR_H
#define PARLA_ERROR_H

#include <parla/common.h>

/* X(name, code, text): the one list from which codes, names and texts are made. */
#define PARLA_ERRORS(X)                                                                                                            \
    X(INVALID, -1, "invalid argument")                                                                                             \
    X(NOMEM, -2, "out of host memory")                                                                                             \
    X(STATE, -3, "not possible in this state")                                                                                     \
    X(CANCELLED, -4, "cancelled")                                                                                                  \
    X(USER, -5, "the task's body failed")                                                                                          \
    X(TIMEOUT, -6, "timed out")                                                                                                    \
    X(NO_DEVICE, -7, "no such device")                                                                                             \
    X(RESOURCES, -8, "more than any device has")                                                                                   \
    X(UNSUPPORTED, -9, "not supported")                                                                                            \
    X(DEVICE, -10, "the device reported a failure")                                                                                \
    X(STUCK, -11, "tasks wait for something that cannot happen")                                                                   \
    X(SYSTEM, -12, "the operating system refused")                                                                                 \
    X(CONFIG, -13, "malformed configuration")                                                                                      \
    X(FORKED, -14, "used in a forked child process")                                                                               \
    X(INTERRUPTED, -15, "interrupted by a signal")                                                                                 \
    X(DEVICE_MEMORY, -16, "out of device memory")                                                                                  \
    X(TRANSPORT, -17, "a transfer between ranks failed")

enum {
    PARLA_OK = 0,
    PARLA_PENDING = 1, /* not yet; neither success nor failure */
#define PARLA_X(name, code, text) PARLA_E_##name = code,
    PARLA_ERRORS(PARLA_X)
#undef PARLA_X
};

PARLA_BEGIN_DECLS

/* The code's constant as text ("PARLA_E_NOMEM"), or "PARLA_E_?" for a number that is no code. Never NULL. */
PARLA_API const char *parla_error_name(int code);

/* What the code means, in one line. Never NULL. */
PARLA_API const char *parla_error_text(int code);

/* What was asked, what was found and what to do, for the last call that failed on this thread; "" if there is nothing to add.
 * The text is valid until the next call into the library from this thread. */
PARLA_API const char *parla_error_detail(void);

/* Sets the detail of this thread, and returns `code`: for the upper layers of this project, so that all tell failures in one way. */
PARLA_API int parla_error_set(int code, const char *format, ...) PARLA_PRINTF(2, 3);

PARLA_END_DECLS

#endif
