/* host.h - what this module uses of the library that opened it. It links nothing of it: pl_error_set and parla_log of the sources that it
 * shares with the library lead through here. */
#ifndef PL_CUDA_HOST_H
#define PL_CUDA_HOST_H

#include <parla/backend.h>

/* From base/error.h; defined in host.c. */
int pl_error_set(int code, const char *format, ...) PARLA_PRINTF(2, 3);

/* Before anything else here. */
void pl_cuda_host_set(const parla_backend_host *host);

/* One line of the log. */
void pl_cuda_log(int level, const char *format, ...) PARLA_PRINTF(2, 3);

/* Rules of this module that a test can have broken (base/break.h). */
enum {
    PL_CUDA_BREAK_WAIT = 41,    /* a queue does not wait for an event that it is told to wait for */
    PL_CUDA_BREAK_CONTEXT = 42, /* calls do not make the device's context current */
    PL_CUDA_BREAK_REUSE = 43,   /* memory given back in the order of a queue goes back at once */
    PL_CUDA_BREAK_LEAK = 44,    /* a queue that is closed is forgotten */
};
bool pl_cuda_is_broken(int rule);

#endif
