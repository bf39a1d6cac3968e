/* vlc.h - Virtual Library Contexts: several copies of a library in one process, each with its own CPUs, settings and state.
 *
 * A context is a namespace of the dynamic linker with a C library of its own. What is opened in it is loaded anew, together with what it
 * depends on, and sees only the context's CPUs: in affinity calls, sysconf, /proc/cpuinfo, /sys and cgroup files. Threads that it makes are
 * bound to those CPUs. Works on the plain C library, version 2.35 or newer, without preloading or patching anything.
 *
 *     parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
 *     options.n_cpus = 4;
 *     parla_vlc *vlc;
 *     parla_vlc_create(&vlc, &options);
 *     parla_vlc_open(vlc, &library, "libopenblas.so.0");
 *     parla_vlc_symbol(vlc, library, "cblas_dgemm", (void **)&dgemm);
 *     parla_vlc_enter(vlc, &entry);
 *     dgemm(…);                              four threads, on these four CPUs
 *     parla_vlc_leave(&entry);
 *
 * Across the border pass numbers and pointers to memory. Memory is freed where it was allocated; FILE pointers, C++ exceptions and
 * objects of the C library stay on their side. docs/vlc.md has the whole table of what holds and what does not.
 *
 * All functions may be called from any thread unless a line says otherwise. In a forked child they fail with PARLA_E_FORKED. */
#ifndef PARLA_VLC_H
#define PARLA_VLC_H

#include <parla/common.h>
#include <parla/task.h>

PARLA_BEGIN_DECLS

typedef struct parla_vlc parla_vlc;
typedef struct parla_vlc_pool parla_vlc_pool;

/* --- A context --------------------------------------------------------------------------------------------------------------- */

/* Where memory comes from on machines with several memory nodes, for threads inside the context. */
typedef enum parla_vlc_memory {
    PARLA_VLC_MEMORY_INHERIT, /* as the thread has it */
    PARLA_VLC_MEMORY_LOCAL,   /* the node of the CPU that touches it first */
    PARLA_VLC_MEMORY_BIND,    /* the nodes of the context's CPUs, and no others */
    PARLA_VLC_MEMORY_PREFER,  /* those nodes while they have some left */
    PARLA_VLC_MEMORY_SPREAD   /* page by page over those nodes */
} parla_vlc_memory;

enum {
    PARLA_VLC_SHARE = 1, /* its CPUs may be those of other contexts too */
    PARLA_VLC_FRESH = 2  /* never with libraries that an earlier context has left loaded (see parla_vlc_destroy) */
};

typedef struct parla_vlc_options {
    size_t size;      /* sizeof(parla_vlc_options); PARLA_VLC_OPTIONS_INIT sets it */
    const char *name; /* for messages; NULL: "vlc" and a number */
    const char *cpus; /* a list as "0-3,8", out of those that this process may use; NULL: n_cpus of them */
    int n_cpus;       /* so many that no other context has; 0 with cpus NULL: all of the process, shared with other contexts */
    /* Changes to the environment that libraries inside see, a copy of the process's: "NAME=value" sets, "NAME" removes; ends with NULL. */
    const char *const *environment;
    /* Libraries whose symbols everything inside may use, as after dlopen with RTLD_GLOBAL; ends with NULL. Nothing else can be global. */
    const char *const *global_libraries;
    parla_vlc_memory memory;
    unsigned flags; /* PARLA_VLC_* */
} parla_vlc_options;

#define PARLA_VLC_OPTIONS_INIT ((parla_vlc_options){.size = sizeof(parla_vlc_options)})

/* Makes a context. NULL options mean all defaults.
 * Owns:   the caller destroys *out with parla_vlc_destroy.
 * Errors: PARLA_E_RESOURCES: too few CPUs are left, or the dynamic linker has no namespace or no static thread-local memory left (the
 *         detail says which, and the environment variable that gives more); PARLA_E_INVALID; PARLA_E_UNSUPPORTED (memory on a kernel
 *         without such policies; a library that must not be duplicated); PARLA_E_SYSTEM (a file is missing); PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int parla_vlc_create(parla_vlc **out, const parla_vlc_options *options);

/* Flushes the context's standard output and unloads its libraries, once the last thread has left it; its CPUs are free for others, and its
 * namespace is kept for the next context. Libraries in whose code threads still live, and libraries that cannot be unloaded (parla_vlc_info
 * says why), stay loaded: a later parla_vlc_create that asks for as many CPUs and the same environment, global libraries and memory gets them
 * again, with their state. NULL is allowed. Everything that was looked up in the context is invalid from now on. */
PARLA_API void parla_vlc_destroy(parla_vlc *vlc);

/* Loads a library and what it depends on into the context; its constructors run inside. A name without a slash is searched for as dlopen does.
 * Opening a library again gives the same handle.
 * Owns:   *out lives as long as the context; `out` may be NULL.
 * Errors: PARLA_E_UNSUPPORTED for libraries that must exist once in a process (MPI, UCX, the CUDA driver, this library) and for those that
 *         depend on one; PARLA_E_RESOURCES as parla_vlc_create; PARLA_E_SYSTEM with the dynamic linker's words; PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int parla_vlc_open(parla_vlc *vlc, void **out, const char *library);

/* Looks a function or variable up in a library of the context, or, with NULL, in all that were opened, in that order, then in the global ones.
 * Errors: PARLA_E_SYSTEM if there is none. */
PARLA_API PARLA_MUST_USE int parla_vlc_symbol(parla_vlc *vlc, void *library, const char *name, void **out);

/* --- Inside ------------------------------------------------------------------------------------------------------------------ */

/* One stay of one thread in a context, in the caller's memory. */
typedef struct parla_vlc_entry {
    parla_vlc *vlc;                /* internal, as all of it */
    struct parla_vlc_entry *outer; /* where the thread was before */
    uint64_t cpus[16];             /* its mask before */
    uint64_t nodes[16];            /* its memory policy before */
    int memory;
    unsigned flags;
} parla_vlc_entry;

/* Binds the calling thread to the context's CPUs and memory, and sets the context's C library up for it. Stays nest, also in different
 * contexts. Functions of the context may be called without entering: then the thread keeps its own CPUs.
 * Owns:   *entry until parla_vlc_leave, which the same thread calls, the latest stay first. The context outlives the stay.
 * Errors: PARLA_E_SYSTEM if the kernel refuses the CPUs (they were taken from the process since). */
PARLA_API PARLA_MUST_USE int parla_vlc_enter(parla_vlc *vlc, parla_vlc_entry *entry);

/* Gives the thread the CPUs and the memory policy that it had before. */
PARLA_API void parla_vlc_leave(parla_vlc_entry *entry);

/* The context that the calling thread is in, or NULL. Borrowed. */
PARLA_API parla_vlc *parla_vlc_current(void);

/* --- Looking ----------------------------------------------------------------------------------------------------------------- */

typedef struct parla_vlc_info {
    size_t size;      /* sizeof(parla_vlc_info), set by the caller */
    const char *name; /* borrowed from the context */
    const char *cpus; /* its list of CPUs, borrowed */
    int n_cpus;
    int n_libraries;        /* opened in it, without dependencies and global libraries */
    int n_threads;          /* made inside and alive */
    int n_inside;           /* stays of threads from outside */
    int n_objects;          /* shared objects in its namespace, dependencies included */
    int static_tls_bytes;   /* what those take of the process's static thread-local memory; an estimate */
    bool is_reused;         /* it began with libraries of an earlier context */
    const char *why_loaded; /* NULL, or why its libraries will not be unloaded; valid until the thread's next query */
} parla_vlc_info;

PARLA_API PARLA_MUST_USE int parla_vlc_query(parla_vlc *vlc, parla_vlc_info *out);

typedef struct parla_vlc_limits {
    size_t size;               /* sizeof(parla_vlc_limits), set by the caller */
    int n_contexts;            /* alive */
    int n_parked;              /* namespaces kept for the next ones */
    int max_contexts;          /* of both together: namespaces that the dynamic linker has */
    int static_tls_bytes;      /* reserved at the start of the process for libraries that are loaded later */
    int static_tls_used_bytes; /* of that by contexts; an estimate */
    const char *tunable;       /* what to put into the environment, before the program starts, for the full number of contexts */
} parla_vlc_limits;

PARLA_API PARLA_MUST_USE int parla_vlc_query_limits(parla_vlc_limits *out);

/* --- Pools ------------------------------------------------------------------------------------------------------------------- */

/* Makes n_contexts contexts alike, each with options->n_cpus CPUs of its own.
 * Owns:   the caller destroys *out. Errors: as parla_vlc_create; on error none is left. */
PARLA_API PARLA_MUST_USE int parla_vlc_pool_create(parla_vlc_pool **out, int n_contexts, const parla_vlc_options *options);

/* Destroys the contexts. None may be lent, and no task that asked for one may be unfinished: it then only logs an error. NULL is allowed. */
PARLA_API void parla_vlc_pool_destroy(parla_vlc_pool *pool);

/* The contexts, 0 to parla_vlc_pool_size() - 1: to open libraries in each. Borrowed. */
PARLA_API int parla_vlc_pool_size(const parla_vlc_pool *pool);
PARLA_API parla_vlc *parla_vlc_pool_context(const parla_vlc_pool *pool, int i);

/* Takes a context that nobody else has until it is released; waits for one, at most timeout_ns or PARLA_FOREVER.
 * From:   outside of tasks, which would keep their thread waiting: they use parla_vlc_spawn.
 * Errors: PARLA_E_TIMEOUT. */
PARLA_API PARLA_MUST_USE int parla_vlc_pool_acquire(parla_vlc_pool *pool, parla_vlc **out, int64_t timeout_ns);
PARLA_API void parla_vlc_pool_release(parla_vlc_pool *pool, parla_vlc *vlc);

/* parla_task_spawn for a body that runs inside a context of the pool: it has parla_vlc_current() to itself for each step, and waits for one
 * without a thread. A body that suspends gives its context back, and may get another one when it goes on.
 * n_cpus: how many it needs, at most what a context of the pool has; 0: whatever that is. Errors: PARLA_E_INVALID for more. */
PARLA_API PARLA_MUST_USE int parla_vlc_spawn(parla_runtime *rt, parla_vlc_pool *pool, int n_cpus, parla_task *out,
                                             const parla_task_options *options);

PARLA_END_DECLS

#endif
