/* device.h - what a runtime has to run on. Device 0 is the CPU; the others follow in the order in which they were named. */
#ifndef PARLA_DEVICE_H
#define PARLA_DEVICE_H

#include <parla/strided.h>
#include <parla/task.h>

PARLA_BEGIN_DECLS

typedef struct parla_device_info {
    size_t size; /* sizeof(parla_device_info), set by the caller */
    int index;   /* in this runtime */
    parla_arch arch;
    int number;            /* among the devices of its architecture */
    const char *kind;      /* backend: "cpu", "sim", "cuda"; static */
    const char *name;      /* "cpu[0]", "gpu[1] (sim)"; valid while the runtime lives */
    size_t memory_bytes;   /* limit for arrays and reservations */
    size_t used_bytes;     /* array instances and blocks (native.h) there now */
    size_t reserved_bytes; /* held by running tasks */
    double free_vcus;      /* 0 to 1 */
    uint64_t n_tasks;      /* tasks ended there */
    uint64_t busy_ns;      /* time in bodies there */
    int ordinal;           /* which device of its kind it is, as the kind counts them: several may be the same one */
    uint64_t last_ns; /* when a body, or a copy in the device's queue, last ended there: since the start, in the devices' time */
    size_t staging_bytes;      /* host memory in which copies to and from it are held on their way now */
    size_t most_staging_bytes; /* the most that it ever was */
} parla_device_info;

PARLA_API int parla_device_count(const parla_runtime *rt);

/* How many devices of one architecture. */
PARLA_API int parla_device_count_arch(const parla_runtime *rt, parla_arch arch);

/* Errors: PARLA_E_NO_DEVICE. */
PARLA_API PARLA_MUST_USE int parla_device_query(const parla_runtime *rt, int i_device, parla_device_info *out);

/* Whether any thread of the host may read and write memory of the device: the CPU's and that of simulated devices. Negative: whether that holds
 * for all devices. False for one that there is not. */
PARLA_API bool parla_device_is_host_memory(const parla_runtime *rt, int i_device);

/* The index of device `number` of an architecture. Errors: PARLA_E_NO_DEVICE, whose detail lists what exists. */
PARLA_API PARLA_MUST_USE int parla_device_find(const parla_runtime *rt, parla_arch arch, int number, int *out);

typedef struct parla_link_info {
    size_t size; /* sizeof(parla_link_info), set by the caller */
    uint64_t n_copies;
    uint64_t n_bytes; /* payload bytes copied from `src` to `dst` since the start */
    uint64_t busy_ns;
} parla_link_info;

/* Traffic between two devices. Errors: PARLA_E_NO_DEVICE. */
PARLA_API PARLA_MUST_USE int parla_link_query(const parla_runtime *rt, int i_src, int i_dst, parla_link_info *out);

/* What parla_options.devices and PARLA_DEVICES take, for error messages and help. Static text. */
PARLA_API const char *parla_devices_grammar(void);

PARLA_END_DECLS

#endif
