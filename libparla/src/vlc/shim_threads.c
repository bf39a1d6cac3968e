/* shim_threads.c - threads made inside a context: pinned to its CPUs before they run, and counted until the kernel has forgotten them.
 *
 * A namespace must not be unmapped while a thread runs its code, and a thread runs its C library's code after it has returned from its
 * function, also when it was joined by nobody. So each thread has a record with its number, and is alive for as long as the kernel knows
 * that number. (If the number is used again meanwhile, a dead thread counts as alive: the context is then kept longer than needed.)
 *
 * Records are in a list under one lock; dead ones are dropped when threads are counted and when one is made. */
#include "vlc/shim_parts.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for threads that have left their function: 200 times half a millisecond. */
enum { N_LOOKS = 200, LOOK_NS = 500000 };

typedef struct record {
    _Atomic int tid; /* 0 until it runs */
    _Atomic bool has_left;
    bool keeps_mask; /* its mask was chosen by the library: cut to the set rather than replaced */
    union {
        void *(*plain)(void *arg);
        thrd_start_t c11;
    } function;
    void *arg;
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

/* Drops dead records; returns how many live, and how many of those have left their function. */
static int sweep_locked(int *out_leaving)
{
    int n = 0, n_leaving = 0;
    for (record **link = &first; *link;) {
        record *r = *link;
        if (pl_load_acquire(&r->has_left) && !is_alive(r)) {
            *link = r->next;
            free(r);
            continue;
        }
        n++;
        n_leaving += pl_load_acquire(&r->has_left);
        link = &r->next;
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
    free(r);
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

static void begin(record *r)
{
    depth = 1;
    is_made_here = true;
    pin(r);
    pl_store_release(&r->tid, (int)SHIM_REAL(syscall)(SYS_gettid));
}

static void left(void *arg) { pl_store_release(&((record *)arg)->has_left, true); }

static void *run_plain(void *arg)
{
    record *r = arg;
    void *result;
    begin(r);
    pthread_cleanup_push(left, r); /* also after pthread_exit and cancellation */
    result = r->function.plain(r->arg);
    pthread_cleanup_pop(1);
    return result;
}

static int run_c11(void *arg)
{
    record *r = arg;
    int result;
    begin(r);
    pthread_cleanup_push(left, r);
    result = r->function.c11(r->arg);
    pthread_cleanup_pop(1);
    return result;
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
    int error = SHIM_REAL(pthread_create)(out, attr, run_plain, r);
    if (error)
        record_drop(r);
    return error;
}

SHIM_EXPORT int thrd_create(thrd_t *out, thrd_start_t function, void *arg)
{
    record *r = record_new(shim_is_inside(), arg);
    if (!r)
        return thrd_nomem;
    r->function.c11 = function;
    int error = SHIM_REAL(thrd_create)(out, run_c11, r);
    if (error != thrd_success)
        record_drop(r);
    return error;
}
