/* wraps.c - what can block, or tells the time, as the conductor does it. A program is linked with --wrap for each function here
 * (parla_conducted_test in ctest/CMakeLists.txt). Threads that are not conducted, and all threads outside of cd_explore and cd_perturb, get
 * the real ones. The real mutexes are locked as well, when they are free, so that sanitizers see them.
 *
 * Compiled without sanitizers, like conductor.c. */
#include "threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WRAP(result, name, ...)                                                                                                    \
    result __real_##name(__VA_ARGS__);                                                                                             \
    result __wrap_##name(__VA_ARGS__);                                                                                             \
    result __wrap_##name(__VA_ARGS__)

/* --- Mutexes, conditions ---------------------------------------------------------------------------------------------------- */

static cd_op on_object(cd_kind kind, const void *object, size_t n_bytes, const char *text)
{
    return (cd_op){.kind = kind, .is_fenced = true, .address = (uintptr_t)object, .n_bytes = n_bytes, .place = {"mutex", 0, text}};
}

WRAP(int, pthread_mutex_lock, pthread_mutex_t *mutex)
{
    cd_thread *self = cd_self();
    if (self)
        cd_step(self, on_object(CD_LOCK, mutex, sizeof *mutex, "pthread_mutex_lock"));
    return __real_pthread_mutex_lock(mutex);
}

WRAP(int, pthread_mutex_trylock, pthread_mutex_t *mutex)
{
    cd_thread *self = cd_self();
    if (self)
        cd_step(self, on_object(CD_WRITE, mutex, sizeof *mutex, "pthread_mutex_trylock"));
    return __real_pthread_mutex_trylock(mutex);
}

WRAP(int, pthread_mutex_unlock, pthread_mutex_t *mutex)
{
    cd_thread *self = cd_self();
    if (self)
        cd_step(self, on_object(CD_WRITE, mutex, sizeof *mutex, "pthread_mutex_unlock"));
    return __real_pthread_mutex_unlock(mutex);
}

/* It can be woken before it gives the mutex back, so nothing comes between. */
static int wait_until(cd_thread *self, pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
    cd_step(self, on_object(CD_READ, condition, sizeof *condition, "pthread_cond_wait"));
    cd_sleep_begin(self, condition, deadline_ns);
    cd_step(self, on_object(CD_WRITE, mutex, sizeof *mutex, "pthread_cond_wait gives the mutex back"));
    __real_pthread_mutex_unlock(mutex);
    bool is_woken = cd_sleep(self, &(cd_place){"condition", 0, "sleeps in pthread_cond_wait"});
    cd_step(self, on_object(CD_LOCK, mutex, sizeof *mutex, "pthread_cond_wait comes back"));
    __real_pthread_mutex_lock(mutex);
    return is_woken ? 0 : ETIMEDOUT;
}

WRAP(int, pthread_cond_wait, pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    cd_thread *self = cd_self();
    return self ? wait_until(self, condition, mutex, 0) : __real_pthread_cond_wait(condition, mutex);
}

/* All clocks show the same time here. */
static uint64_t ns_of(const struct timespec *time) { return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec; }

WRAP(int, pthread_cond_timedwait, pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *deadline)
{
    cd_thread *self = cd_self();
    return self ? wait_until(self, condition, mutex, ns_of(deadline)) : __real_pthread_cond_timedwait(condition, mutex, deadline);
}

static int wake(cd_thread *self, pthread_cond_t *condition, int n)
{
    cd_step(self, on_object(CD_WRITE, condition, sizeof *condition, n == 1 ? "pthread_cond_signal" : "pthread_cond_broadcast"));
    (void)cd_wake(self, condition, n);
    return 0;
}

WRAP(int, pthread_cond_signal, pthread_cond_t *condition)
{
    cd_thread *self = cd_self();
    return self ? wake(self, condition, 1) : __real_pthread_cond_signal(condition);
}

WRAP(int, pthread_cond_broadcast, pthread_cond_t *condition)
{
    cd_thread *self = cd_self();
    return self ? wake(self, condition, INT_MAX) : __real_pthread_cond_broadcast(condition);
}

/* Readers and writers are rare (the log): who cannot have the lock lets others go on. */
WRAP(int, pthread_rwlock_wrlock, pthread_rwlock_t *lock)
{
    for (cd_thread *self = cd_self(); self;) {
        if (pthread_rwlock_trywrlock(lock) == 0)
            return 0;
        cd_step_local(self, __FILE__, __LINE__, "waits for a lock to write");
    }
    return __real_pthread_rwlock_wrlock(lock);
}

WRAP(int, pthread_rwlock_rdlock, pthread_rwlock_t *lock)
{
    for (cd_thread *self = cd_self(); self;) {
        if (pthread_rwlock_tryrdlock(lock) == 0)
            return 0;
        cd_step_local(self, __FILE__, __LINE__, "waits for a lock to read");
    }
    return __real_pthread_rwlock_rdlock(lock);
}

/* --- Futexes ---------------------------------------------------------------------------------------------------------------- */

static long futex_wait(cd_thread *self, uint32_t *word, uint32_t expected, const struct timespec *deadline)
{
    cd_step(self, on_object(CD_READ, word, sizeof *word, "futex wait"));
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != expected) {
        errno = EAGAIN;
        return -1;
    }
    cd_sleep_begin(self, word, deadline ? ns_of(deadline) : 0);
    if (cd_sleep(self, &(cd_place){"futex", 0, "sleeps on a futex"}))
        return 0;
    errno = ETIMEDOUT;
    return -1;
}

static long futex(cd_thread *self, const long *argument)
{
    uint32_t *word = (uint32_t *)argument[0];
    long command = argument[1] & ~FUTEX_PRIVATE_FLAG;
    if (command == FUTEX_WAIT_BITSET)
        return futex_wait(self, word, (uint32_t)argument[2], (const struct timespec *)argument[3]);
    if (command != FUTEX_WAKE)
        cd_fail("futex command %ld is unknown to the conductor", command);
    cd_step(self, on_object(CD_WRITE, word, sizeof *word, "futex wake"));
    return cd_wake(self, word, (int)argument[2]);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long argument[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(list, long);
    va_end(list);
    cd_thread *self = cd_self();
    if (self && number == SYS_futex)
        return futex(self, argument);
    return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

/* --- Time ------------------------------------------------------------------------------------------------------------------- */

enum { LOOK_NS = 100 }; /* what it costs to look at the clock */

WRAP(int, clock_gettime, clockid_t clock, struct timespec *out)
{
    if (!cd_self())
        return __real_clock_gettime(clock, out);
    cd.now_ns += LOOK_NS;
    *out = (struct timespec){.tv_sec = (time_t)(cd.now_ns / 1000000000u), .tv_nsec = (long)(cd.now_ns % 1000000000u)};
    return 0;
}

WRAP(int, clock_nanosleep, clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    cd_thread *self = cd_self();
    if (!self)
        return __real_clock_nanosleep(clock, flags, until, left);
    uint64_t deadline_ns = ns_of(until) + (flags & TIMER_ABSTIME ? 0 : cd.now_ns);
    cd_sleep_begin(self, self, deadline_ns);
    (void)cd_sleep(self, &(cd_place){"clock", 0, "sleeps for a time"});
    return 0;
}

WRAP(int, sched_yield, void)
{
    cd_thread *self = cd_self();
    if (!self)
        return __real_sched_yield();
    cd_step_local(self, "thread", 0, "sched_yield");
    return 0;
}

/* --- Threads ---------------------------------------------------------------------------------------------------------------- */

static pthread_key_t end_key;
static pthread_once_t end_once = PTHREAD_ONCE_INIT;

/* A thread ends for the conductor after the destructors of its thread-local values, which still use the library. This is one of them; all
 * have had their turn when it is called for the second time. */
static void end_of_thread(void *arg)
{
    cd_thread *self = arg;
    if (self->n_key_rounds++ == 0)
        pthread_setspecific(end_key, self);
    else
        cd_thread_leave(self);
}

static void make_end_key(void) { pthread_key_create(&end_key, end_of_thread); }

static void *run_thread(void *arg)
{
    cd_thread *self = arg;
    cd_thread_enter(self);
    pthread_setspecific(end_key, self);
    self->result = self->run(self->arg);
    return self->result;
}

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
    cd_thread *self = cd_self();
    if (!self)
        return __real_pthread_create(out, attributes, run, arg);
    pthread_once(&end_once, make_end_key);
    cd_thread *thread = cd_thread_new(self);
    thread->run = run;
    thread->arg = arg;
    int error = __real_pthread_create(&thread->pthread, attributes, run_thread, thread);
    if (error) {
        thread->is_alive = false;
        cd.n_alive--;
        thread->run = NULL;
        return error;
    }
    *out = thread->pthread;
    return 0;
}

static cd_thread *thread_of(pthread_t pthread)
{
    for (int i = 1; i < cd.n_threads; i++)
        if (cd.threads[i].run && pthread_equal(cd.threads[i].pthread, pthread))
            return &cd.threads[i];
    return NULL;
}

WRAP(int, pthread_join, pthread_t pthread, void **out)
{
    cd_thread *self = cd_self();
    cd_thread *thread = self ? thread_of(pthread) : NULL;
    if (thread)
        cd_step(self, on_object(CD_JOIN, thread, sizeof *thread, "pthread_join"));
    int error = __real_pthread_join(pthread, out);
    if (thread)
        thread->run = NULL; /* its place is free */
    return error;
}

/* Nobody else goes on while something is done for the first time: the real function would block without the conductor's knowledge. */
WRAP(int, pthread_once, pthread_once_t *once, void (*function)(void))
{
    const cd_strategy *strategy = cd.strategy;
    if (!cd_self())
        return __real_pthread_once(once, function);
    cd.strategy = NULL;
    int error = __real_pthread_once(once, function);
    cd.strategy = strategy;
    return error;
}
