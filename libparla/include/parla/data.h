/* data.h - coherent arrays: one N-d array with copies (instances) on devices, moved to where tasks use it.
 *
 * Tasks name an array in parla_task_options.accesses; that orders them and moves the array. Outside tasks the host looks at it between
 * parla_data_acquire and parla_data_release. An array is made without a runtime and attached to the one that first uses it; when that
 * runtime is destroyed its content is written back to host memory and it can be used with another. Thread-safe.
 *
 * Content is kept apart by regions (parla_access): different parts may be current on different devices. A part that was never written
 * may be read if some other part named with it was; what is found there means nothing. On a device only the regions that tasks name there
 * take memory, so an array may be larger than a device; on the host all of it does. */
#ifndef PARLA_DATA_H
#define PARLA_DATA_H

#include <parla/strided.h>
#include <parla/task.h>

PARLA_BEGIN_DECLS

typedef struct parla_data_options {
    size_t size;        /* sizeof(parla_data_options); PARLA_DATA_OPTIONS_INIT sets it */
    parla_strided host; /* shape and item size; base NULL: no content yet and the library allocates host memory when it needs some;
                               else the array starts as this memory (any strides), which must live until release is called */
    void (*release)(void *ctx); /* called once when the host memory is no longer used; may be NULL. From: any thread */
    void *ctx;
    const char *name;   /* for messages; copied; may be NULL */
    const char *source; /* where it is made ("file:line"), for messages; copied; may be NULL */
} parla_data_options;

#define PARLA_TEXT_OF(x) #x
#define PARLA_LINE_TEXT(line) PARLA_TEXT_OF(line)
#define PARLA_DATA_OPTIONS_INIT                                                                                                    \
    ((parla_data_options){.size = sizeof(parla_data_options), .source = __FILE__ ":" PARLA_LINE_TEXT(__LINE__)})

/* Owns: the caller holds one reference on *out. */
PARLA_API PARLA_MUST_USE int parla_data_create(parla_data **out, const parla_data_options *options);

/* Tasks that name the array hold references of their own. unref(NULL) is allowed. */
PARLA_API parla_data *parla_data_ref(parla_data *data);
PARLA_API void parla_data_unref(parla_data *data);

/* Shape and item size (base and strides: the host memory given, or NULL and contiguous). Borrowed. */
PARLA_API const parla_strided *parla_data_shape(const parla_data *data);
PARLA_API const char *parla_data_name(const parla_data *data);

/* A valid copy of the array, in the address space of its device. */
typedef struct parla_instance {
    parla_strided box;
    int i_device; /* 0 is the host */
} parla_instance;

/* The instance of the i-th access on the task's device; valid while the body runs. The box is to be indexed like the whole array; memory
 * lies behind the elements of the access's region, which are current (those that were ever written), but perhaps not behind others.
 * Where regions of one array on one member meet, and the task writes one of them, they are the same memory. Writing through an instance
 * accessed PARLA_IN is an error that is not detected here. Errors: PARLA_E_INVALID if there is no such access or it is PARLA_ORDER. */
PARLA_API PARLA_MUST_USE int parla_context_instance(const parla_context *context, size_t i_access, parla_instance *out);

/* For an access with PARLA_ORDER: an instance that is valid for its region, wherever it lies; if parts of the region are apart
 * they are brought together on a device that has some, or on the host. Errors: PARLA_E_STATE if nothing was ever written. */
PARLA_API PARLA_MUST_USE int parla_context_source(const parla_context *context, size_t i_access, parla_instance *out);

/* Brings the array to the host, waiting for the tasks that it depends on, and pins it there: PARLA_IN to read (tasks may read too),
 * PARLA_INOUT or PARLA_OUT to write (device copies become invalid; tasks spawned meanwhile wait for the release).
 * rt may be NULL for an array that was never attached. Pair each success with parla_data_release(data, mode).
 * Errors: as parla_task_wait for those tasks; PARLA_E_STATE when reading an array without content; PARLA_E_STATE from inside a task of the
 * same runtime (name the array in the task's accesses instead). */
PARLA_API PARLA_MUST_USE int parla_data_acquire(parla_runtime *rt, parla_data *data, int mode, int64_t timeout_ns,
                                                parla_instance *out);
PARLA_API void parla_data_release(parla_data *data, int mode);

/* The same for a region of the array (one range per dimension; NULL is the whole): waits only for the tasks that use its elements, and
 * brings only those. *out is the whole array's instance, of which the region is current. Pair with parla_data_release_region.
 * Errors: as parla_data_acquire; PARLA_E_INVALID for a region outside the array. */
PARLA_API PARLA_MUST_USE int parla_data_acquire_region(parla_runtime *rt, parla_data *data, const parla_range *region, int mode,
                                                       int64_t timeout_ns, parla_instance *out);
PARLA_API void parla_data_release_region(parla_data *data, const parla_range *region, int mode);

/* Spawns a task that copies one box into another, exactly those bytes, from wherever the source is to the device `i_device` (where dst
 * then lives), or to where dst is valid now if i_device is negative. Boxes have one range per dimension; NULL is all; equal extents.
 * `out` may be NULL. Errors: PARLA_E_INVALID for shapes or item sizes that differ; as parla_task_spawn. */
PARLA_API PARLA_MUST_USE int parla_data_copy(parla_runtime *rt, parla_task *out, parla_data *dst, const parla_range *dst_box,
                                             parla_data *src, const parla_range *src_box, int i_device);

/* The same where the dimensions differ: axes[k] is the dimension of src that runs along dimension k of dst, or -1 to repeat the source
 * along it. A dimension of src that is named nowhere has extent 1 in src_box. NULL: dimension k runs along dimension k. */
PARLA_API PARLA_MUST_USE int parla_data_copy_axes(parla_runtime *rt, parla_task *out, parla_data *dst, const parla_range *dst_box,
                                                  parla_data *src, const parla_range *src_box, const int *axes, int i_device);

typedef struct parla_data_info {
    size_t size;         /* sizeof(parla_data_info), set by the caller */
    size_t n_bytes;      /* of one instance */
    uint64_t valid_mask; /* bit i: the instance on device i (< 64) is valid for all that was ever written */
    int i_owner;         /* the only such device, or -1 */
} parla_data_info;

/* A snapshot. */
PARLA_API PARLA_MUST_USE int parla_data_query(parla_data *data, parla_data_info *out);

/* Frees device instances whose content is valid elsewhere, or after writing it back to the host, once the tasks on it have ended.
 * `i_device` negative: on all devices. Waits as parla_data_acquire. */
PARLA_API PARLA_MUST_USE int parla_data_evict(parla_runtime *rt, parla_data *data, int i_device, int64_t timeout_ns);

PARLA_END_DECLS

#endif
