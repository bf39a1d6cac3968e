/* shim_cpus.c - how many CPUs there are, as told to a library inside a context: the context's.
 *
 * A thread that is inside has a kernel mask within the context's set; it is told that mask, so a library that binds its own threads to
 * parts of the set sees what it did. Any other thread is told the whole set. Masks that are asked for are cut to the set: threads made
 * inside, and threads that entered, cannot leave it. What is asked about another process goes to the kernel unchanged. */
#include "vlc/shim_parts.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

pl_cpus shim_cpus(void)
{
    pl_cpus cpus;
    for (int i = 0; i < PL_CPU_WORDS; i++)
        cpus.words[i] = pl_load_relaxed(&pl_vlc_this.cpus[i]);
    return cpus;
}

static int n_cpus(void)
{
    pl_cpus cpus = shim_cpus();
    return pl_cpus_count(&cpus);
}

/* The same call of the kernel, past the replacements below. */
static long kernel(long number, long a, long b, void *c) { return SHIM_REAL(syscall)(number, a, b, c); }

static bool is_ours(pid_t tid)
{
    if (tid == 0 || tid == getpid())
        return true;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d", (int)tid);
    return access(path, F_OK) == 0;
}

static pl_cpus visible(pid_t tid)
{
    pl_cpus cpus = shim_cpus(), now = {{0}};
    bool is_other = tid != 0;
    if ((is_other || shim_is_inside()) && kernel(SYS_sched_getaffinity, tid, sizeof now, now.words) > 0) {
        pl_cpus both = pl_cpus_and(&cpus, &now);
        if (pl_cpus_count(&both) > 0)
            return both;
    }
    return cpus;
}

/* Writes what fits, the rest zero: 0, or EINVAL when a CPU of the set does not fit. */
static int write_mask(const pl_cpus *cpus, size_t size, void *out)
{
    if (pl_cpus_last(cpus) >= (int)(8 * (size < sizeof *cpus ? size : sizeof *cpus)))
        return EINVAL;
    memset(out, 0, size);
    memcpy(out, cpus, size < sizeof *cpus ? size : sizeof *cpus);
    return 0;
}

static int get_mask(pid_t tid, size_t size, void *out)
{
    if (!is_ours(tid))
        return SHIM_REAL(sched_getaffinity)(tid, size, out) ? errno : 0;
    pl_cpus cpus = visible(tid);
    return write_mask(&cpus, size, out);
}

static int set_mask(pid_t tid, size_t size, const void *mask)
{
    if (!is_ours(tid))
        return SHIM_REAL(sched_setaffinity)(tid, size, mask) ? errno : 0;
    pl_cpus asked = {{0}}, cpus = shim_cpus();
    memcpy(&asked, mask, size < sizeof asked ? size : sizeof asked);
    asked = pl_cpus_and(&asked, &cpus);
    if (pl_cpus_count(&asked) == 0)
        return EINVAL;
    return kernel(SYS_sched_setaffinity, tid, sizeof asked, asked.words) ? errno : 0;
}

static int with_errno(int error)
{
    if (error)
        errno = error;
    return error ? -1 : 0;
}

/* --- Replaced ---------------------------------------------------------------------------------------------------------------- */

SHIM_EXPORT int sched_getaffinity(pid_t tid, size_t size, cpu_set_t *out) { return with_errno(get_mask(tid, size, out)); }

SHIM_EXPORT int sched_setaffinity(pid_t tid, size_t size, const cpu_set_t *mask) { return with_errno(set_mask(tid, size, mask)); }

/* The C library hands out no thread's number in this version, but its own call for the thread's mask tells what the kernel has. */
SHIM_EXPORT int pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t *out)
{
    if (pthread_equal(thread, pthread_self()))
        return get_mask(0, size, out);
    pl_cpus cpus = shim_cpus(), now = {{0}};
    int error = SHIM_REAL(pthread_getaffinity_np)(thread, sizeof now, (cpu_set_t *)now.words);
    if (error)
        return error;
    pl_cpus both = pl_cpus_and(&cpus, &now);
    return write_mask(pl_cpus_count(&both) > 0 ? &both : &cpus, size, out);
}

SHIM_EXPORT int pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t *mask)
{
    pl_cpus asked = {{0}}, cpus = shim_cpus();
    memcpy(&asked, mask, size < sizeof asked ? size : sizeof asked);
    asked = pl_cpus_and(&asked, &cpus);
    if (pl_cpus_count(&asked) == 0)
        return EINVAL;
    return SHIM_REAL(pthread_setaffinity_np)(thread, sizeof asked, (const cpu_set_t *)asked.words);
}

SHIM_EXPORT long sysconf(int name)
{
    if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF)
        return n_cpus();
    return SHIM_REAL(sysconf)(name);
}

SHIM_EXPORT int get_nprocs(void) { return n_cpus(); }
SHIM_EXPORT int get_nprocs_conf(void) { return n_cpus(); }

/* For libraries that ask the kernel themselves: LLVM's OpenMP, libnuma. The kernel's answer is the number of bytes that it wrote. */
SHIM_EXPORT long syscall(long number, ...)
{
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_sched_getaffinity) {
        int error = get_mask((pid_t)a[0], (size_t)a[1], (void *)a[2]);
        size_t n_bytes = (size_t)a[1] < sizeof(pl_cpus) ? (size_t)a[1] : sizeof(pl_cpus);
        return error ? with_errno(error) : (long)n_bytes;
    }
    if (number == SYS_sched_setaffinity)
        return with_errno(set_mask((pid_t)a[0], (size_t)a[1], (const void *)a[2]));
    return SHIM_REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
