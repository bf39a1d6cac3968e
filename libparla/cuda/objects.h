/* objects.h - devices, queues and events of this module, and who implements what of the backend's table.
 *
 *   driver.c   the driver's functions     device.c   contexts, limits, peers     memory.c   pools, host memory
 *   queue.c    streams                    event.c    events                      copy.c     copies and fills
 *   nvtx.c     ranges for profilers
 *
 * A logical device retains the primary context of its card, so that CuPy, PyTorch and cuBLAS in the same process share it, and several
 * logical devices may sit on one card: each has a memory pool, streams and a limit of its own. Every call of the driver is made with the
 * context current (pl_cuda_enter), whatever thread it comes from. */
#ifndef PL_CUDA_OBJECTS_H
#define PL_CUDA_OBJECTS_H

#include "driver.h"

#include <parla/backend.h>

#include <pthread.h>

typedef struct pl_cuda_queue {
    struct pl_cuda_device *device;
    pl_cu_stream stream;
    bool is_borrowed;           /* somebody else has made the stream, and closes it */
    struct pl_cuda_queue *next; /* among the device's spare ones */
} pl_cuda_queue;

typedef struct pl_cuda_event {
    struct pl_cuda_device *device;
    pl_cu_event event;
    struct pl_cuda_event *next; /* among the device's spare ones */
} pl_cuda_event;

/* The smallest block of page-locked memory. */
#define PL_CUDA_LEAST_PINNED_BYTES ((size_t)64 << 10)

typedef struct pl_cuda_pinned pl_cuda_pinned;

typedef struct pl_cuda_device {
    /* Constant while it is open. */
    int ordinal;
    pl_cu_device card;
    pl_cu_context context;
    size_t limit_bytes;
    size_t max_pitch_bytes;
    pl_cu_pool pool;
    pl_cu_stream memory_stream; /* orders pl_cuda_alloc and pl_cuda_free; nothing else is queued there */

    pthread_mutex_t lock; /* a leaf; guards what follows */
    size_t used_bytes;    /* <= limit_bytes */
    pl_cuda_queue *spare_queues;
    pl_cuda_event *spare_events;
    pl_cuda_pinned *spare_pinned;
    size_t spare_pinned_bytes;
} pl_cuda_device;

/* Makes the device's context current on this thread until pl_cuda_leave; these nest. */
PARLA_MUST_USE int pl_cuda_enter(const pl_cuda_device *device);
void pl_cuda_leave(const pl_cuda_device *device);

/* The functions of the table, see <parla/backend.h>. */
int pl_cuda_open(void **out_device, const parla_device_spec *spec, parla_device_traits *out_traits);
void pl_cuda_close(void *device);
int pl_cuda_body_begin(void *device, const char *task_name);
void pl_cuda_body_end(void *device);

int pl_cuda_alloc(void *device, void **out, size_t n_bytes);
void pl_cuda_free(void *device, void *memory, size_t n_bytes);
int pl_cuda_queue_alloc(void *queue, void **out, size_t n_bytes);
void pl_cuda_queue_free(void *queue, void *memory, size_t n_bytes);
int pl_cuda_locate(const void *memory, int *out_ordinal);
int pl_cuda_host_alloc(void *device, void **out, size_t n_bytes);
void pl_cuda_host_free(void *device, void *memory, size_t n_bytes);
bool pl_cuda_is_page_locked(void *device, const void *memory);

int pl_cuda_queue_open(void *device, void **out_queue);
int pl_cuda_queue_over(void *device, void *native, void **out_queue);
void pl_cuda_queue_close(void *queue);
int pl_cuda_queue_wait(void *queue, void *event);
void *pl_cuda_queue_native(void *queue);

int pl_cuda_event_record(void *queue, void **out_event);
int pl_cuda_event_query(void *event);
int pl_cuda_event_wait(void *event);
void pl_cuda_event_free(void *event);

int pl_cuda_copy(void *queue, void *dst_device, const parla_strided *dst, void *src_device, const parla_strided *src);
int pl_cuda_fill(void *queue, const parla_strided *dst, unsigned char value);

/* The device behind a handle, or NULL if it is none of this module's: host memory. */
pl_cuda_device *pl_cuda_device_of(void *handle);

/* What a device that closes still has of these. Its context is current. */
int pl_cuda_memory_open(pl_cuda_device *device);
void pl_cuda_memory_close(pl_cuda_device *device);
void pl_cuda_queues_close(pl_cuda_device *device);
void pl_cuda_events_close(pl_cuda_device *device);

#endif
