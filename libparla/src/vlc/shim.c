/* shim.c - the table that libparla finds in the shim, and what a namespace needs besides CPUs, threads, keys and files.
 *
 * Shim first: the first object of a linker namespace gives the scope in which all later ones look their symbols up before their own
 * dependencies. So what the shim defines stands in front of the C library for everything loaded after it, constructors included, without
 * patching anything and without LD_PRELOAD. Functions that it does not define are the namespace's own C library's.
 *
 *   shim_cpus.c     affinity calls, sysconf, get_nprocs, syscall
 *   shim_threads.c  pthread_create, thrd_create: pins and counts
 *   shim_keys.c     pthread_key_*, tss_*, __cxa_thread_atexit_impl: forwarded outside
 *   shim_files.c    open, openat, fopen of files that tell about CPUs
 *
 * Here: exit, which has to run the whole program's handlers; dlopen, which must not ask for RTLD_GLOBAL (the dynamic linker crashes on
 * it outside of the first namespace); the tables behind isalpha and others, which a C library sets up only in threads that it made.
 *
 * Built without sanitizers: their run-time libraries live in the first namespace only. */
#include "vlc/shim_parts.h"

#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;
void __ctype_init(void); /* exported by the C library for this purpose, declared nowhere */

/* Gives the C library the context's environment, which it copies before it changes it. Constructors of global libraries may run before this
 * one: a question for a variable comes here first too. */
__attribute__((constructor)) static void begin(void)
{
    static _Atomic bool has_begun;
    if (!pl_exchange_acq_rel(&has_begun, true))
        environ = pl_vlc_this.environment;
}

/* The C library's tables of characters, in a thread that it did not make. */
static void set_up_thread(void)
{
    static __thread bool is_set_up;
    if (is_set_up)
        return;
    is_set_up = true;
    void (*init)(void) = SHIM_REAL(__ctype_init);
    if (init)
        init();
}

static void enter(void)
{
    set_up_thread();
    shim_inside_add(1);
}

static void leave(void) { shim_inside_add(-1); }

static void flush(void) { (void)fflush(NULL); }

static void renew(void)
{
    shim_keys_renew();
    (void)setlocale(LC_ALL, "C");
    srand(1);
    environ = pl_vlc_this.environment;
}

/* The dynamic linker loads into the namespace of who calls it, so this must be a call and not a jump, which the caller's would be. */
static void *open_library(const char *library)
{
    void *handle = SHIM_REAL(dlopen)(library, RTLD_NOW | RTLD_LOCAL);
    __asm__ volatile("" : "+r"(handle));
    return handle;
}

static int close_library(void *library) { return dlclose(library); }

static const char *last_error(void)
{
    const char *text = dlerror();
    return text ? text : "no reason was given";
}

SHIM_EXPORT extern const pl_vlc_inside pl_vlc_shim;
const pl_vlc_inside pl_vlc_shim = {
    .abi = PL_VLC_ABI,
    .enter = enter,
    .leave = leave,
    .pin_threads = shim_threads_pin,
    .n_threads = shim_threads_count,
    .n_thread_objects = shim_thread_objects,
    .flush = flush,
    .open = open_library,
    .close = close_library,
    .error = last_error,
    .end = shim_keys_end,
    .renew = renew,
};

/* --- Replaced ---------------------------------------------------------------------------------------------------------------- */

SHIM_EXPORT void exit(int status)
{
    (void)fflush(NULL);
    pl_vlc_this.outside->exit(status);
    __builtin_unreachable();
}

SHIM_EXPORT char *getenv(const char *name)
{
    begin();
    return SHIM_REAL(getenv)(name);
}

/* A name that the dynamic linker cannot open and whose failure says why: dlerror() then tells it. */
static const char *refusal(const char *library, char *why, size_t capacity)
{
    return library && pl_vlc_this.outside->is_refused(library, why, capacity) ? why : NULL;
}

/* The last call is a jump: the dynamic linker sees the library that asked as the caller, and so its search path. */
SHIM_EXPORT void *dlopen(const char *library, int mode)
{
    static __thread char why[512];
    const char *name = refusal(library, why, sizeof why);
    __typeof__(&dlopen) real = SHIM_REAL(dlopen);
    return real(name ? name : library, mode & ~RTLD_GLOBAL);
}

#define SHIM_TABLE(type, function)                                                                                                 \
    SHIM_EXPORT const type **function(void)                                                                                        \
    {                                                                                                                              \
        set_up_thread();                                                                                                           \
        return SHIM_REAL(function)();                                                                                              \
    }
SHIM_TABLE(unsigned short, __ctype_b_loc)
SHIM_TABLE(__int32_t, __ctype_tolower_loc)
SHIM_TABLE(__int32_t, __ctype_toupper_loc)
