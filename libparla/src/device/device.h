/* device.h - the devices of one runtime: what they are, their memory, their queues, and the copies between them.
 *
 * A pl_devices is opened and closed by the runtime, and does not move in between. The list itself is constant; every function may be called
 * from any thread, without locks, unless its comment says otherwise. Accounting (used_bytes and its neighbours) belongs to the scheduler. */
#ifndef PL_DEVICE_DEVICE_H
#define PL_DEVICE_DEVICE_H

#include "device/sim_clock.h"
#include "device/staging.h"

#include <parla/backend.h>
#include <parla/data.h>
#include <parla/device.h>

#include <pthread.h>

/* Public snapshots name valid instances in a 64-bit mask, so a runtime has no more devices than that, the CPU included. */
#define PL_MAX_DEVICES 64

/* Traffic from one device to another since the start, and what was known of it before (links.h). */
typedef struct pl_link {
    /* Read them with pl_load_relaxed. */
    _Atomic uint64_t n_copies;
    _Atomic uint64_t n_bytes;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t n_small, small_bytes, small_ns; /* those of them that are short */
    /* Constant; 0: not known. */
    double kept_bytes_per_s, kept_latency_ns;
} pl_link;

struct pl_watch;

typedef struct pl_device {
    /* Constant while the runtime lives. */
    int index;
    parla_arch arch;
    int number; /* among the devices of its architecture */
    const parla_backend *backend;
    void *handle; /* the backend's device */
    parla_device_traits traits;
    char name[96]; /* "cpu[0]", "gpu[1] (sim)" */
    void **queues; /* n_queues compute queues */
    int n_queues;
    void *copy_queue;       /* NULL on the host */
    struct pl_lease *lease; /* keeps it open for blocks (lease.h) */
    int ordinal;            /* see parla_device_info */
    struct pl_watch *watch; /* finds the end of copies where the backend cannot call back; else NULL */

    pthread_mutex_t copy_lock; /* keeps a copy, its event and its call next to each other in the copy queue */
    pl_staging staging;        /* of copies to and from it that cannot go directly */
    uint64_t copy_done_ns;     /* when the copy queue last finished a copy; only for the thread that ends its copies */

    /* Guarded by the scheduler's placed lock. */
    size_t used_bytes;
    size_t reserved_bytes;
    double free_vcus;

    /* Atomic. */
    _Atomic uint64_t n_tasks;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t last_ns; /* since origin_ns, when a body or a copy into it last ended there */
} pl_device;

typedef struct pl_devices {
    pl_device *list; /* [0] is the CPU */
    int n;
    pl_link *links; /* n * n, [src * n + dst] */
    int n_arch[2];  /* indexed by parla_arch */

    pthread_mutex_t flight_lock; /* guards n_flying */
    pthread_cond_t flight_over;  /* n_flying fell to 0 */
    int n_flying;                /* copies accepted whose done callback has not returned */
    parla_memory_source memory;  /* its functions are NULL if there is none */
    uint64_t origin_ns;          /* when they were opened, in their time */
    pl_sim_clock *clock;         /* all but the CPU live in modelled time; NULL: in real time */
} pl_devices;

/* Opens the devices that `spec` names (parla_devices_grammar); NULL and "" mean "cpu".
 * Errors: PARLA_E_CONFIG for a malformed string (what was found, where, and what is taken); PARLA_E_NO_DEVICE for a kind or an index that
 * does not exist (what exists); PARLA_E_NOMEM, PARLA_E_SYSTEM, PARLA_E_DEVICE from the backend. */
PARLA_MUST_USE int pl_devices_open(pl_devices *out, const char *spec);

/* The same; arrays on simulated devices lie in memory from a source, which is copied and may be NULL. */
PARLA_MUST_USE int pl_devices_open_in(pl_devices *out, const char *spec, const parla_memory_source *memory);

/* Waits for the work in all queues and for all copies, then closes everything. Memory must have been freed, and nobody but that work may
 * still use the devices. From: no queue's thread. */
void pl_devices_close(pl_devices *devices);

/* The time that work on devices is measured in: modelled, or pl_now_ns. */
uint64_t pl_devices_now_ns(const pl_devices *devices);

/* Something of a device has just ended. */
void pl_device_note_end(const pl_devices *devices, pl_device *device);

/* Memory of a device, aligned to 64 bytes; no accounting. `n_bytes` 0 gives a pointer that can be freed.
 * Errors: PARLA_E_DEVICE_MEMORY. */
PARLA_MUST_USE int pl_device_alloc(pl_device *device, void **out, size_t n_bytes);
void pl_device_free(pl_device *device, void *memory, size_t n_bytes);

/* Copies between two instances of equal shape, which must stay allocated until done. On success done(arg, status) is called exactly once:
 * on a thread of the device's, or, between two boxes of the host and for copies that fail while they begin, on this thread before the call
 * returns. done must not block; it may start further copies and queue bodies. On error done is not called.
 * From:   any thread that holds no lock which done takes.
 * Errors: PARLA_E_INVALID if the shapes differ or a device does not exist; PARLA_E_UNSUPPORTED; PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_copy_async(pl_devices *devices, const parla_instance *dst, const parla_instance *src,
                                 void (*done)(void *arg, int status), void *arg);

/* Events that a copy waits for in the queues of its devices: of one backend; queues of others have nothing to do with them. */
typedef struct pl_copy_order {
    const parla_backend *backend;
    void **events;
    size_t n;
} pl_copy_order;

/* The same behind events, which stay until done. */
PARLA_MUST_USE int pl_copy_async_behind(pl_devices *devices, const parla_instance *dst, const parla_instance *src,
                                        const pl_copy_order *order, void (*done)(void *arg, int status), void *arg);

/* True if the device runs bodies on the threads of its own queues (simulated devices do): use pl_queue_run for them. */
bool pl_device_runs_bodies(const pl_device *device);
/* True if bodies run on workers and leave work in the device's queues. */
bool pl_device_is_filled(const pl_device *device);

/* Runs function(arg) on the thread of compute queue i_queue, in order. Errors: PARLA_E_UNSUPPORTED unless pl_device_runs_bodies. */
PARLA_MUST_USE int pl_queue_run(pl_device *device, int i_queue, void (*function)(void *arg), void *arg);

/* What parla_device_query, parla_device_find, parla_link_query and parla_sim_inject do, once the runtime is known. pl_devices_query reads the
 * accounting: call it with the placed lock held. */
PARLA_MUST_USE int pl_devices_query(const pl_devices *devices, int i_device, parla_device_info *out);
PARLA_MUST_USE int pl_devices_find(const pl_devices *devices, parla_arch arch, int number, int *out);
PARLA_MUST_USE int pl_devices_link(const pl_devices *devices, int i_src, int i_dst, parla_link_info *out);
PARLA_MUST_USE int pl_devices_inject(pl_devices *devices, int i_device, int64_t fail_alloc_n, int64_t fail_copy_n);

/* Writes the names of all devices, "cpu[0], gpu[0] (sim)", for messages. */
void pl_devices_list(const pl_devices *devices, char *out, size_t n_bytes);

#endif
