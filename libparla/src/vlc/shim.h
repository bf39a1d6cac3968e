/* shim.h - what libparla and the shim inside a context tell each other.
 *
 * The shim is a library of its own, the first one in the linker namespace of each context, built without libparla: the two share this header
 * and nothing else. Both come from one build, which `abi` checks. */
#ifndef PL_VLC_SHIM_H
#define PL_VLC_SHIM_H

#include "base/atomic.h"
#include "vlc/cpus.h"

#include <pthread.h>
#include <sys/types.h>

#define PL_VLC_ABI 1
#define PL_VLC_SHIM_FILE "libparla_vlc_shim.so"
#define PL_VLC_SHIM_SYMBOL "pl_vlc_shim"
#define PL_VLC_START_SYMBOL "pl_vlc_this"

/* What the shim calls outside: functions of the program's own namespace. */
typedef struct pl_vlc_outside {
    /* Thread-specific data. The slots of a thread are shared by all namespaces while each C library counts its own keys: only one may. */
    int (*key_create)(pthread_key_t *key, void (*destroy)(void *value));
    int (*key_delete)(pthread_key_t key);
    void *(*key_get)(pthread_key_t key);
    int (*key_set)(pthread_key_t key, const void *value);
    /* Destructors of thread_local objects, for threads that end outside. */
    int (*at_thread_exit)(void (*destroy)(void *object), void *object, void *library);
    void (*exit)(int status);
    /* Why a library must not be loaded into a context, written to `why`; false if it may. */
    bool (*is_refused)(const char *library, char *why, size_t capacity);
} pl_vlc_outside;

/* What the shim knows from the first moment on: the namespace's first object gives it the address, as a symbol, so that it is there before any
 * constructor runs. Lies outside and outlives the context. */
typedef struct pl_vlc_start {
    const pl_vlc_outside *outside;
    char **environment;                  /* a list that ends with NULL; constant */
    _Atomic uint64_t cpus[PL_CPU_WORDS]; /* each word by itself: they change only while nobody is inside */
} pl_vlc_start;

/* What the shim of one context offers. All functions may be called from any thread unless they say otherwise. */
typedef struct pl_vlc_inside {
    int abi; /* PL_VLC_ABI */

    /* The calling thread is inside from here to there: its C library's state of the thread is set up. They nest. */
    void (*enter)(void);
    void (*leave)(void);

    /* Binds the threads made inside to the CPUs that pl_vlc_start has now. */
    void (*pin_threads)(void);

    /* Threads made inside that have not ended, down to the kernel's exit. Waits, bounded, for those that have left their function and
     * only have to be cleaned up. */
    int (*n_threads)(void);

    /* Objects with a destructor that threads from outside still hold in thread_local variables. */
    int (*n_thread_objects)(void);

    void (*flush)(void);

    /* dlopen in this namespace, dlclose, and dlerror. */
    void *(*open)(const char *library);
    int (*close)(void *library);
    const char *(*error)(void);

    /* Around the unloading of all libraries, on the thread that unloads them: gives the keys back; then makes the C library as it was at the
     * begin, with the environment that pl_vlc_start has now. */
    void (*end)(void);
    void (*renew)(void);
} pl_vlc_inside;

#endif
