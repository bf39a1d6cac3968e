/* shim_parts.h - what the files of the shim share. Every function here runs inside a context. */
#ifndef PL_VLC_SHIM_PARTS_H
#define PL_VLC_SHIM_PARTS_H

#include "base/atomic.h"
#include "vlc/shim.h"

#include <dlfcn.h>

#define SHIM_EXPORT __attribute__((visibility("default")))

/* The next definition of a function that the shim replaces: the C library's. Looked up once for each place that asks. */
#define SHIM_REAL(function)                                                                                                        \
    ({                                                                                                                             \
        static _Atomic(void *) shim_found;                                                                                         \
        void *shim_pointer = pl_load_acquire(&shim_found);                                                                         \
        if (!shim_pointer) {                                                                                                       \
            shim_pointer = dlsym(RTLD_NEXT, #function);                                                                            \
            pl_store_release(&shim_found, shim_pointer);                                                                           \
        }                                                                                                                          \
        (__typeof__(&function))shim_pointer;                                                                                       \
    })

/* Defined by the namespace's first object (loader.c). */
extern pl_vlc_start pl_vlc_this;

/* The context's CPUs. */
pl_cpus shim_cpus(void);

/* Is the calling thread inside: made here, or between enter and leave? Was it made here? */
bool shim_is_inside(void);
bool shim_is_made_here(void);
void shim_inside_add(int n);

/* Threads made here. */
int shim_threads_count(void);
void shim_threads_pin(void);

/* Thread-specific data and thread_local objects. */
int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object,
                             void *library); /* exported by the C library, declared nowhere */
int shim_thread_objects(void);
void shim_keys_thread_end(void); /* of a thread made here: runs the destructors of its values */
void shim_keys_end(void);
void shim_keys_renew(void);

/* The descriptor of a made-up file in place of `path` (relative to `folder`, or AT_FDCWD), or -1 if the real one is to be opened. */
int shim_file(int folder, const char *path, int flags);

#endif
