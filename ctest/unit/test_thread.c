/* test_thread.c - how threads are started. */
#include "device/thread.h"
#include "test.h"

#include <signal.h>

static void *look(void *arg)
{
    bool *has_blocked = arg;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    *has_blocked = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGUSR1) == 1;
    return NULL;
}

T_TEST(signals_are_blocked_in_the_thread_alone)
{
    sigset_t before, after;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    bool has_blocked = false;
    pthread_t thread;
    T_OK(pl_thread_start(&thread, "a-thread", look, &has_blocked));
    pthread_join(thread, NULL);
    T_TRUE(has_blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    T_EQ(sigismember(&after, SIGUSR2), 1);
    T_EQ(sigismember(&after, SIGINT), 0);
}

static void *wait_for_mutex(void *arg)
{
    pthread_mutex_lock(arg);
    pthread_mutex_unlock(arg);
    return NULL;
}

T_TEST(threads_have_their_name)
{
    pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&hold);
    pthread_t thread;
    T_OK(pl_thread_start(&thread, "sim0.q1", wait_for_mutex, &hold));
    char name[16];
    T_EQ(pthread_getname_np(thread, name, sizeof name), 0);
    T_EQ_STR(name, "sim0.q1");
    pthread_mutex_unlock(&hold);
    pthread_join(thread, NULL);
}
