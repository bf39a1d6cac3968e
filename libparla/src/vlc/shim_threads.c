/* shim_threads.c - threads made inside a context: pinned to its CPUs before they run, and counted until the kernel has forgotten them.
 *
 * A namespace must not be unmapped while a thread runs its code, and a thread runs its C library's code after it has returned from its
 * function, also when it was joined by nobody. So each thread has a record with its number, and is alive for as long as the kernel knows
 * that number. (If the number is used again meanwhile, a dead thread counts as alive: the context is then kept longer than needed.)
 *
 * Each thread also gets its stack from here. The C library keeps the stacks of ended threads for new ones, in one cache for all namespaces,
 * together with the blocks of thread-local memory that ld.so took from the program's heap; whoever takes a stack from there frees them, and
 * in a context that would be with another heap's `free`. Stacks that are given never enter the cache, and ld.so frees their blocks itself.
 * A stack also holds the C library's description of its thread, so it is unmapped only when the thread is dead and was joined or detached.
 *
 * Records are in a list under one lock; dead ones are dropped when threads are counted and when one is made. */
#include "vlc/shim_parts.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for threads that have left their function: 200 times half a millisecond. */
enum { N_LOOKS = 200, LOOK_NS = 500000 };

/* Room in a stack, beside what was asked for, for the thread's description and its static thread-local memory. */
enum { EXTRA_BYTES = 256 * 1024 };

typedef struct record {
    _Atomic int tid; /* 0 until it runs */
    _Atomic bool has_left;
    bool keeps_mask; /* its mask was chosen by the library: cut to the set rather than replaced */
    union {
        void *(*plain)(void *arg);
        thrd_start_t c11;
    } function;
    void *arg;
    char *stack; /* the mapping, with its guard; NULL if the library brought a stack of its own */
    size_t n_stack_bytes;
    _Atomic bool is_released; /* joined or detached */
    struct record *next;
} record;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static record *first;

static __thread int depth;         /* entered, or made here */
static __thread bool is_made_here; /* by a function of this file */

bool shim_is_inside(void) { return depth > 0; }
bool shim_is_made_here(void) { return is_made_here; }
void shim_inside_add(int n) { depth += n; }

static bool is_alive(record *r)
{
    int tid = pl_load_acquire(&r->tid);
    return tid == 0 || syscall(SYS_tgkill, getpid(), tid, 0) == 0 || errno != ESRCH;
}

static void record_free(record *r)
{
    if (r->stack)
        munmap(r->stack, r->n_stack_bytes);
    free(r);
}

/* Drops dead records; returns how many live, and how many of those have left their function. */
static int sweep_locked(int *out_leaving)
{
    int n = 0, n_leaving = 0;
    for (record **link = &first; *link;) {
        record *r = *link;
        bool is_dead = pl_load_acquire(&r->has_left) && !is_alive(r);
        if (is_dead && (!r->stack || pl_load_acquire(&r->is_released))) {
            *link = r->next;
            record_free(r);
            continue;
        }
        link = &r->next;
        if (is_dead)
            continue; /* somebody may still join it */
        n++;
        n_leaving += pl_load_acquire(&r->has_left);
    }
    *out_leaving = n_leaving;
    return n;
}

int shim_threads_count(void)
{
    int n = 0, n_leaving = 0;
    for (int i = 0; i < N_LOOKS; i++) {
        pthread_mutex_lock(&lock);
        n = sweep_locked(&n_leaving);
        pthread_mutex_unlock(&lock);
        if (n_leaving == 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    return n;
}

void shim_threads_pin(void)
{
    pl_cpus cpus = shim_cpus();
    pthread_mutex_lock(&lock);
    for (record *r = first; r; r = r->next)
        if (pl_load_acquire(&r->tid) && !pl_load_acquire(&r->has_left))
            (void)SHIM_REAL(syscall)(SYS_sched_setaffinity, (long)pl_load_acquire(&r->tid), sizeof cpus, cpus.words);
    pthread_mutex_unlock(&lock);
}

/* --- A thread's begin and end ------------------------------------------------------------------------------------------------ */

static record *record_new(bool keeps_mask, void *arg)
{
    record *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->keeps_mask = keeps_mask;
    r->arg = arg;
    int unused;
    pthread_mutex_lock(&lock);
    (void)sweep_locked(&unused);
    r->next = first;
    first = r;
    pthread_mutex_unlock(&lock);
    return r;
}

/* For a thread that could not be made. */
static void record_drop(record *r)
{
    pthread_mutex_lock(&lock);
    record **link = &first;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    pthread_mutex_unlock(&lock);
    record_free(r);
}

/* --- Stacks ------------------------------------------------------------------------------------------------------------------ */

/* Did the library choose a stack? Without a choice the C library's address is none. */
static bool brings_stack(const pthread_attr_t *attr)
{
    void *lowest;
    size_t n_bytes;
    return attr && pthread_attr_getstack(attr, &lowest, &n_bytes) == 0 && (uintptr_t)lowest + n_bytes != 0;
}

/* Gives the thread a stack as large as `attr` asks for, above a guard. */
static bool stack_map(record *r, pthread_attr_t *attr)
{
    size_t n_page = (size_t)sysconf(_SC_PAGESIZE), n_bytes = 0, n_guard = 0;
    if (pthread_attr_getstacksize(attr, &n_bytes) || pthread_attr_getguardsize(attr, &n_guard))
        return false;
    n_guard = (n_guard + n_page - 1) / n_page * n_page;
    n_bytes = (n_bytes + EXTRA_BYTES + n_page - 1) / n_page * n_page;
    char *stack =
        mmap(NULL, n_guard + n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
        return false;
    r->stack = stack;
    r->n_stack_bytes = n_guard + n_bytes;
    return (n_guard == 0 || mprotect(stack, n_guard, PROT_NONE) == 0) && pthread_attr_setstack(attr, stack + n_guard, n_bytes) == 0;
}

/* Makes a thread on a stack from here, unless the library brings one. Drops the record if that fails. */
static int create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *), record *r)
{
    pthread_attr_t own;
    int detach_state = PTHREAD_CREATE_JOINABLE;
    if (attr)
        own = *attr; /* shares what it points to, and is not destroyed */
    else
        pthread_attr_init(&own);
    (void)pthread_attr_getdetachstate(&own, &detach_state);
    pl_store_release(&r->is_released, detach_state == PTHREAD_CREATE_DETACHED);
    int error = brings_stack(attr) || stack_map(r, &own) ? SHIM_REAL(pthread_create)(out, &own, run, r) : EAGAIN;
    if (!attr)
        pthread_attr_destroy(&own);
    if (error)
        record_drop(r);
    return error;
}

/* A thread was joined or detached: its stack goes when it is dead. A pthread_t is an address in the stack. */
static void release(pthread_t thread)
{
    pthread_mutex_lock(&lock);
    for (record *r = first; r; r = r->next)
        if (r->stack && (uintptr_t)thread - (uintptr_t)r->stack < r->n_stack_bytes)
            pl_store_release(&r->is_released, true);
    pthread_mutex_unlock(&lock);
}

static void pin(const record *r)
{
    pl_cpus cpus = shim_cpus(), now = {{0}};
    if (r->keeps_mask && SHIM_REAL(syscall)(SYS_sched_getaffinity, 0L, sizeof now, now.words) > 0) {
        now = pl_cpus_and(&now, &cpus);
        if (pl_cpus_count(&now) > 0)
            cpus = now;
    }
    (void)SHIM_REAL(syscall)(SYS_sched_setaffinity, 0L, sizeof cpus, cpus.words);
}

static void end(void *arg)
{
    shim_keys_thread_end();
    pl_store_release(&((record *)arg)->has_left, true);
}

/* What is registered first is called last, after the destructors of all thread_local objects, as those of thread-specific data are; also after
 * pthread_exit and cancellation. */
static void begin(record *r)
{
    depth = 1;
    is_made_here = true;
    pin(r);
    (void)SHIM_REAL(__cxa_thread_atexit_impl)(end, r, &first);
    pl_store_release(&r->tid, (int)SHIM_REAL(syscall)(SYS_gettid));
}

static void *run_plain(void *arg)
{
    record *r = arg;
    begin(r);
    return r->function.plain(r->arg);
}

/* As the C library keeps the result of a C11 thread. */
static void *run_c11(void *arg)
{
    record *r = arg;
    begin(r);
    return (void *)(intptr_t)r->function.c11(r->arg);
}

/* Did the library choose CPUs in the attributes? Without a choice the C library says "all". */
static bool chooses_cpus(const pthread_attr_t *attr)
{
    pl_cpus chosen, all;
    memset(&all, 0xff, sizeof all);
    return attr && pthread_attr_getaffinity_np(attr, sizeof chosen, (cpu_set_t *)chosen.words) == 0 &&
           !pl_cpus_equal(&chosen, &all);
}

/* --- Replaced ---------------------------------------------------------------------------------------------------------------- */

SHIM_EXPORT int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*function)(void *), void *arg)
{
    record *r = record_new(shim_is_inside() || chooses_cpus(attr), arg);
    if (!r)
        return EAGAIN;
    r->function.plain = function;
    return create(out, attr, run_plain, r);
}

SHIM_EXPORT int thrd_create(thrd_t *out, thrd_start_t function, void *arg)
{
    record *r = record_new(shim_is_inside(), arg);
    if (!r)
        return thrd_nomem;
    r->function.c11 = function;
    int error = create(out, NULL, run_c11, r);
    return error == 0 ? thrd_success : error == EAGAIN || error == ENOMEM ? thrd_nomem : thrd_error;
}

/* A function that joins or detaches a thread: the stack is released when that has succeeded. */
#define JOINS(function, parameters, arguments)                                                                                     \
    SHIM_EXPORT int function parameters                                                                                            \
    {                                                                                                                              \
        int error = SHIM_REAL(function) arguments;                                                                                 \
        if (error == 0)                                                                                                            \
            release(thread);                                                                                                       \
        return error;                                                                                                              \
    }

JOINS(pthread_join, (pthread_t thread, void **out), (thread, out))
JOINS(pthread_tryjoin_np, (pthread_t thread, void **out), (thread, out))
JOINS(pthread_timedjoin_np, (pthread_t thread, void **out, const struct timespec *until), (thread, out, until))
JOINS(pthread_clockjoin_np, (pthread_t thread, void **out, clockid_t clock, const struct timespec *until),
      (thread, out, clock, until))
JOINS(pthread_detach, (pthread_t thread), (thread))
JOINS(thrd_join, (thrd_t thread, int *out), (thread, out))
JOINS(thrd_detach, (thrd_t thread), (thread))
