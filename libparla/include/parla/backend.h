/* backend.h - what a kind of device must offer; one table of functions and opaque state.
 *
 * The core calls a backend through this table only. Backends translate vendor codes into PARLA_E_* and log the vendor's text where the
 * failure is first seen. "Queue" is a stream: work in one queue runs in order, queues are independent but for events.
 * Unless a line says otherwise a function may be called from any thread, does not block, and returns 0 or a negative code. */
#ifndef PARLA_BACKEND_H
#define PARLA_BACKEND_H

#include <parla/memory.h>
#include <parla/strided.h>
#include <parla/task.h>

PARLA_BEGIN_DECLS

#define PARLA_BACKEND_ABI 4

/* One item of a device string: KIND[:COUNT_OR_INDEX][,option=value…], already split and checked by the core. */
typedef struct parla_device_spec {
    const char *kind;
    int ordinal;             /* which device of this kind, counted from 0 */
    int n_sharing;           /* how many devices of this runtime are that one: each gets its share of what is not said below */
    size_t memory_bytes;     /* mem=, or 0: the backend decides */
    double link_bytes_per_s; /* link=, or 0: as fast as it goes */
    int64_t link_latency_ns; /* lat=, or 0 */
    const parla_memory_source *memory; /* for devices that are simulated in host memory; NULL: plain memory */
    void *clock;                       /* the library's own: of simulated devices with time=virtual; else NULL */
    /* Faults of simulated devices, counted from 1; 0 is none. */
    int64_t fail_alloc_n, fail_copy_n; /* failalloc=, failcopy=: that one fails */
    int64_t late_copy_n, late_ns;      /* late=: that copy takes so much longer */
    int64_t lost_n;                    /* lost=: that allocation, copy or body and all later ones fail */
} parla_device_spec;

/* Buffers in which copies between a device and host memory that is not page-locked go through host_alloc: powers of 2 from least_bytes to
 * most_bytes, no more than limit_bytes in use at once. All 0: such copies go directly. */
typedef struct parla_staging {
    size_t least_bytes, most_bytes, limit_bytes;
} parla_staging;

/* Filled by open. */
typedef struct parla_device_traits {
    parla_arch arch;
    size_t memory_bytes;     /* usable for arrays and reservations */
    int n_queues;            /* compute queues worth opening; 0: bodies run on worker threads */
    char name[64];           /* model, for people */
    char uuid[40];           /* of the card, as its vendor prints it; "" if it has none */
    double link_bytes_per_s; /* of copies to it, where that is known; 0: it is measured */
    int64_t link_latency_ns; /* the same */
    parla_staging staging;
    bool is_host_memory; /* any thread of the host may read and write what alloc gives */
} parla_device_traits;

typedef struct parla_backend {
    uint32_t abi;     /* PARLA_BACKEND_ABI */
    const char *kind; /* "cpu", "sim", "cuda" */

    /* How many devices of this kind the machine has; INT_MAX if as many as are asked for. */
    int (*probe)(void);
    int (*open)(void **out_device, const parla_device_spec *spec, parla_device_traits *out_traits);
    /* Everything allocated and opened there has been freed and closed. May block. */
    void (*close)(void *device);

    /* Memory. alloc: aligned to 64 bytes; PARLA_E_DEVICE_MEMORY when full. free: no queued work uses it any more. */
    int (*alloc)(void *device, void **out, size_t n_bytes);
    void (*free)(void *device, void *memory, size_t n_bytes);
    /* The same in the order of a queue: for work that is queued there afterwards; and given back once the work that is queued there
     * already is done. Other queues may use it between events only. */
    int (*queue_alloc)(void *queue, void **out, size_t n_bytes);
    void (*queue_free)(void *queue, void *memory, size_t n_bytes);
    /* Host memory that copies of this device are fastest with (page-locked where that matters), for staging. PARLA_E_NOMEM. */
    int (*host_alloc)(void *device, void **out, size_t n_bytes);
    void (*host_free)(void *device, void *memory, size_t n_bytes);
    /* Is this host memory that copies of the device need no staging for, whoever has taken it? NULL: none is. */
    bool (*is_page_locked)(void *device, const void *memory);
    /* Queues a copy between boxes of equal shape; `dst_device`/`src_device` are devices of this or the cpu backend (NULL for host memory
     * that no device owns). PARLA_E_UNSUPPORTED declines the route, and the core stages through the host; a backend whose devices have
     * memory of their own need not copy from host to host. A failure found later is reported by the next event on the queue. */
    int (*copy)(void *queue, void *dst_device, const parla_strided *dst, void *src_device, const parla_strided *src);
    /* Queues setting each byte of the box. */
    int (*fill)(void *queue, const parla_strided *dst, unsigned char value);

    /* Order. */
    int (*queue_open)(void *device, void **out_queue);
    /* Waits for the queue's work. May block. */
    void (*queue_close)(void *queue);
    /* Queues a call on the host: the way bodies run on simulated devices. NULL where the backend cannot: bodies then run on workers,
     * enqueue device work themselves, and completion is found by events. */
    int (*queue_call)(void *queue, void (*function)(void *arg), void *arg);
    int (*event_record)(void *queue, void **out_event);
    /* 0 passed, PARLA_PENDING not yet, negative: the work before it failed, and parla_error_detail() has the vendor's words. Where an event
     * has passed without a failure, so have all that were recorded before it in its queue: they are not asked for. */
    int (*event_query)(void *event);
    /* Makes later work of `queue` wait for the event (recorded on any queue of this backend). */
    int (*queue_wait)(void *queue, void *event);
    /* Blocks until the event has passed; returns as event_query. */
    int (*event_wait)(void *event);
    void (*event_free)(void *event);
    /* The vendor's handle of a queue (a CUstream), or the queue itself. */
    void *(*queue_native)(void *queue);

    /* Around the body of a task on the thread that calls it: the device is the vendor's current one there, and profilers see a range of
     * this name. Both may be NULL. They nest. */
    int (*body_begin)(void *device, const char *task_name);
    void (*body_end)(void *device);

    /* A queue over the vendor's handle of one that somebody else has made there and closes; queue_close forgets it and waits for nothing.
     * May be NULL. */
    int (*queue_over)(void *device, void *native, void **out_queue);
    /* Which device of the kind, by its ordinal, memory belongs to that anybody has taken there. PARLA_E_INVALID if to none. May be NULL. */
    int (*locate)(const void *memory, int *out_ordinal);
} parla_backend;

/* What a backend in a module of its own gets from the library that opens it: it links nothing of the library's. */
typedef struct parla_backend_host {
    uint32_t abi;                             /* PARLA_BACKEND_ABI of the library */
    int (*error)(int code, const char *text); /* keeps the words for parla_error_detail() and returns code */
    void (*log)(int level, const char *text); /* level: a parla_log_level */
    bool (*is_broken)(int rule);              /* is this rule broken on purpose? Only tests ever say so */
} parla_backend_host;

/* The one function of a module, exported under the name PARLA_BACKEND_ENTRY. NULL: it has no use here (no driver, another ABI), and has
 * said why through host->error. Called once; `host` stays valid. */
typedef const parla_backend *(*parla_backend_entry)(const parla_backend_host *host);
#define PARLA_BACKEND_ENTRY "parla_backend_module"

/* Makes a further kind known to the whole process, before runtimes that name it are created. The table is kept, not copied.
 * Errors: PARLA_E_INVALID for another ABI or missing functions; PARLA_E_STATE if the kind exists. */
PARLA_API PARLA_MUST_USE int parla_backend_register(const parla_backend *backend);

/* The table of a kind, or NULL. "cpu" and "sim" always exist; asking for "cuda" opens the module libparla_cuda.so, which must lie beside the
 * library or where the loader finds it. */
PARLA_API const parla_backend *parla_backend_find(const char *kind);

/* Faults for tests on simulated devices, counted from the call and spent once: the n-th allocation (1 is the next) fails, the n-th
 * copy fails; 0 leaves that kind of fault off. Errors: PARLA_E_INVALID if device i_device is not simulated. */
PARLA_API PARLA_MUST_USE int parla_sim_inject(parla_runtime *rt, int i_device, int64_t fail_alloc_n, int64_t fail_copy_n);

PARLA_END_DECLS

#endif
