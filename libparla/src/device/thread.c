/* thread.c - see the header. Any thread, no locks. */
#include "device/thread.h"

#include "base/error.h"

#include <signal.h>
#include <string.h>

int pl_thread_start(pthread_t *out, const char *name, void *(*function)(void *arg), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread inherits the mask */
    int rc = pthread_create(out, NULL, function, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return pl_error_set(PARLA_E_SYSTEM, "thread %s cannot be started: %s", name, strerror(rc));
    (void)pthread_setname_np(*out, name); /* for people; a name that is refused changes nothing */
    return 0;
}
