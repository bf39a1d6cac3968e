/* fence.c - the heavy fence of fence.h: membarrier(2). */
#include "base/fence.h"

#ifndef PL_PORTABLE_FENCES

#include <linux/membarrier.h>
#include <parla/log.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

bool pl_fence_is_asymmetric;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool enroll(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0; }

static void ask(void)
{
    pl_fence_is_asymmetric = enroll();
    if (!pl_fence_is_asymmetric)
        parla_log(PARLA_LOG_INFO, "membarrier is not to be had here: a spawn takes a few nanoseconds more");
}

void pl_fence_open(void)
{
    pthread_once(&once, ask);
    if (pl_fence_is_asymmetric)
        (void)!enroll(); /* a child process of one that had it: the kernel copies that, and says yes again */
}

void pl_fence_heavy(void)
{
    if (pl_fence_is_asymmetric && !pl_is_broken(PL_BREAK_FENCE))
        (void)!syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

#endif
