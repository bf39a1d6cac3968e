/* refuse.c - see the header. The linker puts the functions __wrap_… in the place of those that allocate (--wrap, see CMakeLists.txt). */
#include "refuse.h"

#include <parla/error.h>

#include "base/atomic.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>

static _Atomic int64_t countdown, n_refused;
static _Atomic bool is_refusing, for_ever, is_out;

void refuse_from(int64_t n, bool ever)
{
    pl_store_relaxed(&n_refused, 0);
    pl_store_relaxed(&is_out, false);
    pl_store_relaxed(&for_ever, ever);
    pl_store_relaxed(&is_refusing, true);
    pl_store_release(&countdown, n);
}

int64_t refuse_stop(void)
{
    pl_store_release(&is_refusing, false);
    pl_store_release(&countdown, 0);
    return pl_load_acquire(&n_refused);
}

static bool is_refused(void)
{
    if (!pl_load_acquire(&is_refusing))
        return false; /* before the rest: a thread that is in the middle of it may set is_out late */
    bool is_last = pl_load_acquire(&countdown) > 0 && pl_sub_acq_rel(&countdown, 1) == 1;
    if (!is_last && !pl_load_relaxed(&is_out))
        return false;
    if (pl_load_relaxed(&for_ever))
        pl_store_relaxed(&is_out, true);
    pl_add_acq_rel(&n_refused, 1);
    errno = ENOMEM;
    return true;
}

bool refuse_allows(int code)
{
    bool is_about_memory = code == PARLA_E_NOMEM || code == PARLA_E_SYSTEM || code == PARLA_E_DEVICE_MEMORY;
    if (code && (!pl_load_relaxed(&is_refusing) || !is_about_memory || parla_error_detail()[0] == '\0'))
        T_FAIL("%s: '%s'", parla_error_name(code), parla_error_detail());
    return code == 0;
}

void *__real_malloc(size_t n_bytes);
void *__real_calloc(size_t n, size_t n_bytes);
void *__real_realloc(void *old, size_t n_bytes);
void *__real_aligned_alloc(size_t alignment, size_t n_bytes);
char *__real_strdup(const char *text);
FILE *__real_fopen(const char *path, const char *mode);
cpu_set_t *__real___sched_cpualloc(size_t n_cpus);
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*function)(void *), void *arg);

void *__wrap_malloc(size_t n_bytes);
void *__wrap_calloc(size_t n, size_t n_bytes);
void *__wrap_realloc(void *old, size_t n_bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t n_bytes);
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
FILE *__wrap_fopen(const char *path, const char *mode);
cpu_set_t *__wrap___sched_cpualloc(size_t n_cpus);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*function)(void *), void *arg);

void *__wrap_malloc(size_t n_bytes) { return is_refused() ? NULL : __real_malloc(n_bytes); }
void *__wrap_calloc(size_t n, size_t n_bytes) { return is_refused() ? NULL : __real_calloc(n, n_bytes); }
void *__wrap_realloc(void *old, size_t n_bytes) { return is_refused() ? NULL : __real_realloc(old, n_bytes); }
void *__wrap_aligned_alloc(size_t alignment, size_t n_bytes)
{
    return is_refused() ? NULL : __real_aligned_alloc(alignment, n_bytes);
}
char *__wrap_strdup(const char *text) { return is_refused() ? NULL : __real_strdup(text); }
FILE *__wrap_fopen(const char *path, const char *mode) { return is_refused() ? NULL : __real_fopen(path, mode); }
cpu_set_t *__wrap___sched_cpualloc(size_t n_cpus) { return is_refused() ? NULL : __real___sched_cpualloc(n_cpus); }

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*function)(void *), void *arg)
{
    return is_refused() ? EAGAIN : __real_pthread_create(out, attributes, function, arg);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list arguments;
    if (is_refused())
        return -1;
    va_start(arguments, format);
    int n = vasprintf(out, format, arguments);
    va_end(arguments);
    return n;
}
