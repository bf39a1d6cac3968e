/* guest.c - a library that is opened in contexts: it says what it sees, and keeps state that two threads must not change at once. */
#include "guest.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

static int n_at_load;
__attribute__((constructor)) static void load(void) { n_at_load = (int)sysconf(_SC_NPROCESSORS_ONLN); }

GUEST int guest_cpus_at_load(void) { return n_at_load; }

/* --- CPUs -------------------------------------------------------------------------------------------------------------------- */

static int mask_count(const cpu_set_t *set) { return CPU_COUNT(set); }

GUEST void guest_cpus(int out[7])
{
    cpu_set_t set;
    out[0] = (int)sysconf(_SC_NPROCESSORS_ONLN);
    out[1] = (int)sysconf(_SC_NPROCESSORS_CONF);
    out[2] = get_nprocs();
    out[3] = get_nprocs_conf();
    out[4] = sched_getaffinity(0, sizeof set, &set) ? -errno : mask_count(&set);
    out[5] = pthread_getaffinity_np(pthread_self(), sizeof set, &set) ? -1 : mask_count(&set);
    CPU_ZERO(&set);
    out[6] = syscall(SYS_sched_getaffinity, 0, sizeof set, &set) <= 0 ? -errno : mask_count(&set);
}

/* What the kernel says, without the C library. */
static long kernel_mask(unsigned long *out)
{
    long rc;
#if defined(__x86_64__)
    __asm__ volatile("syscall"
                     : "=a"(rc)
                     : "0"((long)SYS_sched_getaffinity), "D"(0L), "S"(8L * 16), "d"(out)
                     : "rcx", "r11", "memory");
#else
    rc = syscall(SYS_sched_getaffinity, 0, 8L * 16, out);
#endif
    return rc;
}

GUEST int guest_kernel_cpus(void)
{
    unsigned long words[16] = {0};
    int n = 0;
    if (kernel_mask(words) < 0)
        return -1;
    for (int i = 0; i < 16; i++)
        n += __builtin_popcountl(words[i]);
    return n;
}

GUEST int guest_try_to_leave(void)
{
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    if (sched_setaffinity(0, sizeof all, &all) || pthread_setaffinity_np(pthread_self(), sizeof all, &all))
        return -1;
    if (syscall(SYS_sched_setaffinity, 0, sizeof all, &all))
        return -2;
    return guest_kernel_cpus();
}

GUEST int guest_pin_to(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) ? -errno : 0;
}

/* --- Threads ----------------------------------------------------------------------------------------------------------------- */

static void *look(void *arg)
{
    *(int *)arg = guest_kernel_cpus();
    return NULL;
}

static int look_c11(void *arg)
{
    *(int *)arg = guest_kernel_cpus();
    return 0;
}

GUEST int guest_thread_cpus(void)
{
    pthread_t thread;
    int n = -1;
    return pthread_create(&thread, NULL, look, &n) || pthread_join(thread, NULL) ? -1 : n;
}

GUEST int guest_c11_thread_cpus(void)
{
    thrd_t thread;
    int n = -1;
    return thrd_create(&thread, look_c11, &n) != thrd_success || thrd_join(thread, NULL) != thrd_success ? -1 : n;
}

GUEST int guest_thread_with_all_cpus(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    cpu_set_t most;
    int n = -1;
    CPU_ZERO(&most);
    for (int i = 0; i < 64; i++)
        CPU_SET(i, &most);
    pthread_attr_init(&attr);
    pthread_attr_setaffinity_np(&attr, sizeof most, &most);
    int error = pthread_create(&thread, &attr, look, &n) || pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    return error ? -1 : n;
}

static int pipe_ends[2];

static void *wait_in_pipe(void *arg)
{
    char byte;
    while (read(pipe_ends[0], &byte, 1) < 0 && errno == EINTR)
        ;
    return arg;
}

GUEST int guest_leave_thread(void)
{
    pthread_t thread;
    if (pipe(pipe_ends) || pthread_create(&thread, NULL, wait_in_pipe, NULL))
        return -1;
    return pthread_detach(thread);
}

GUEST int guest_end_thread(void) { return close(pipe_ends[1]); }

static void *leave_early(void *arg)
{
    pthread_exit(arg);
    return NULL;
}

GUEST int guest_exit_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, leave_early, NULL) ? -1 : pthread_detach(thread);
}

/* --- Keys -------------------------------------------------------------------------------------------------------------------- */

static pthread_key_t key;
static _Atomic int n_destroyed;
static void count(void *value) { n_destroyed += value != NULL; }

GUEST int guest_key_make(void) { return pthread_key_create(&key, count) ? -1 : (int)key; }
GUEST void guest_key_set(void *value) { pthread_setspecific(key, value); }
GUEST void *guest_key_get(void) { return pthread_getspecific(key); }
GUEST int guest_key_destroyed(void) { return n_destroyed; }
GUEST int guest_key_delete(void) { return pthread_key_delete(key); }

/* More keys than the C library keeps in a thread's own description (32). */
enum { MAX_KEYS = 100 };
static pthread_key_t keys[MAX_KEYS];
static int n_keys_now;
static _Atomic int n_freed;

static void free_value(void *value)
{
    if (*(int *)value < 0) { /* sets a value again: the second round gets it */
        *(int *)value = 0;
        pthread_setspecific(keys[0], value);
    } else {
        free(value);
    }
    n_freed++;
}

static void *set_keys(void *arg)
{
    for (int i = 0; i < n_keys_now; i++) {
        int *value = malloc(sizeof *value);
        *value = i == n_keys_now / 2 ? -1 : i;
        if (pthread_setspecific(keys[i], value) || pthread_getspecific(keys[i]) != value)
            return NULL;
    }
    return arg;
}

GUEST int guest_thread_with_keys(int n_keys)
{
    pthread_t thread;
    void *is_right = NULL;
    n_keys_now = n_keys < MAX_KEYS ? n_keys : MAX_KEYS;
    n_freed = 0;
    for (int i = 0; i < n_keys_now; i++)
        if (pthread_key_create(&keys[i], free_value))
            return -1;
    if (pthread_create(&thread, NULL, set_keys, &thread) || pthread_join(thread, &is_right) || !is_right)
        return -2;
    for (int i = 0; i < n_keys_now; i++)
        if (pthread_getspecific(keys[i]) || pthread_key_delete(keys[i]))
            return -3;
    return n_freed;
}

/* The program's C library gives the lowest free number, so the second key has the first one's. */
static void *renew_key(void *arg)
{
    pthread_key_t first, second;
    if (pthread_key_create(&first, NULL) || pthread_setspecific(first, arg) || pthread_key_delete(first))
        return NULL;
    if (pthread_key_create(&second, NULL) || second != first || pthread_getspecific(second))
        return NULL;
    return pthread_key_delete(second) ? NULL : arg;
}

GUEST int guest_key_is_renewed(void)
{
    pthread_t thread;
    void *is_right = NULL;
    return pthread_create(&thread, NULL, renew_key, &thread) == 0 && pthread_join(thread, &is_right) == 0 && is_right;
}

GUEST int guest_tss(void)
{
    tss_t mine;
    int value;
    if (tss_create(&mine, NULL) != thrd_success || tss_set(mine, &value) != thrd_success)
        return -1;
    int is_same = tss_get(mine) == &value;
    tss_delete(mine);
    return is_same;
}

int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library);
extern void *__dso_handle;
static void count_object(void *object) { ++*(_Atomic int *)object; }
GUEST int guest_thread_object(void *counter) { return __cxa_thread_atexit_impl(count_object, counter, &__dso_handle); }

/* --- Files ------------------------------------------------------------------------------------------------------------------- */

GUEST int guest_read(const char *path, int how, char *out, int capacity)
{
    int n = -1, fd = -1;
    if (how == 0) {
        FILE *file = fopen(path, "r");
        if (!file)
            return -errno;
        n = (int)fread(out, 1, (size_t)capacity - 1, file);
        fclose(file);
    } else {
        int root = how == 2 ? open("/", O_RDONLY | O_DIRECTORY) : -1;
        fd = how == 2 ? openat(root, path + 1, O_RDONLY) : open(path, O_RDONLY);
        if (fd < 0)
            return -errno;
        n = 0;
        for (long more; (more = read(fd, out + n, (size_t)(capacity - 1 - n))) > 0;)
            n += (int)more;
        close(fd);
        if (root >= 0)
            close(root);
    }
    out[n < 0 ? 0 : n] = '\0';
    return n;
}

/* --- The C library's state --------------------------------------------------------------------------------------------------- */

GUEST const char *guest_getenv(const char *name) { return getenv(name); }
GUEST int guest_setenv(const char *name, const char *value) { return setenv(name, value, 1); }
GUEST int *guest_errno(void) { return &errno; }
GUEST void guest_print(const char *text) { fputs(text, stdout); }
GUEST void guest_exit(int status) { exit(status); }
GUEST const char *guest_locale(const char *name) { return setlocale(LC_ALL, name); }
GUEST void *guest_malloc(unsigned long size) { return malloc(size); }
GUEST void guest_free(void *p) { free(p); }

/* NULL, or why not. */
GUEST const char *guest_dlopen(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    return handle ? NULL : dlerror();
}

GUEST int guest_text_work(void)
{
    int a = 0;
    double x = 0;
    char word[16] = "", upper[] = "abc";
    int n = sscanf("  42 3.5 word", "%d %lf %15s", &a, &x, word);
    for (char *c = upper; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    int is_right = n == 3 && a == 42 && x == 3.5 && strcmp(word, "word") == 0 && isalpha('x') && !isalpha('1') && isspace(' ');
    return is_right && strcmp(upper, "ABC") == 0 && strtol(" 0x10", NULL, 0) == 16 && strcasecmp("ABC", "abc") == 0;
}

/* --- Processes and signals --------------------------------------------------------------------------------------------------- */

GUEST int guest_fork(void)
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char *text = malloc(100000);
        if (!text)
            _exit(1);
        snprintf(text, 100000, "%d", 7);
        int n = atoi(text);
        free(text);
        _exit(n);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static volatile sig_atomic_t n_signals;
static void count_signal(int number) { n_signals += number > 0; }
GUEST int guest_handle_signals(int number) { return signal(number, count_signal) == SIG_ERR ? -1 : 0; }
GUEST int guest_n_signals(void) { return n_signals; }

/* --- Not safe for two threads: lost updates show ----------------------------------------------------------------------------- */

static volatile long total;

GUEST long guest_unsafe_sum(long n)
{
    total = 0;
    for (long i = 0; i < n; i++)
        total = total + 1;
    return total;
}
