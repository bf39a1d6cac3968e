/* thread.h - how this folder starts threads. */
#ifndef PL_DEVICE_THREAD_H
#define PL_DEVICE_THREAD_H

#include <parla/common.h>

#include <pthread.h>

/* Starts a thread that has all signals blocked, since the program's signals are for its own threads, and gives it a name of at most 15
 * bytes. Errors: PARLA_E_SYSTEM. */
PARLA_MUST_USE int pl_thread_start(pthread_t *out, const char *name, void *(*function)(void *arg), void *arg);

#endif
