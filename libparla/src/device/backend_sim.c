/* backend_sim.c - simulated GPUs: everything that a GPU asks of the runtime, in host memory.
 *
 * Each device has a memory limit of its own, queues that are threads (sim_queue.c), events, and a link to the rest of the machine with an
 * optional bandwidth and latency: a copy then takes at least the latency plus its bytes over the bandwidth, of the slower of the two
 * devices. In modelled time (time=virtual) nobody sleeps: copies and kernels take theirs on the runtime's clock (sim_clock.h). What it does
 * not imitate: a separate address space; a body that touches memory of another simulated device is not caught, except that debug builds
 * overwrite freed memory.
 *
 * Faults are injected by count, by the device's string or parla_sim_inject: an allocation or a copy that fails, a copy that is late. A device
 * that is lost refuses all memory and all bodies, and its copies move nothing and fail. What its copy queue has to tell about earlier
 * copies is still told, and memory can be given back.
 *
 * Lock: the device's, a leaf; it guards the memory count and the fault counters. */
#include "device/backends.h"

#include "base/error.h"
#include "base/strided.h"
#include "base/text.h"
#include "device/host_memory.h"
#include "device/sim_queue.h"

#include <parla/log.h>

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MEMORY_BYTES ((size_t)1 << 30)
#define POISON 0xDB

typedef struct sim_device {
    /* Constant. */
    int ordinal;
    size_t memory_bytes;
    double link_bytes_per_s; /* 0: as fast as memcpy */
    int64_t link_latency_ns;
    const parla_memory_source *source; /* of its arena; NULL: plain memory */
    pl_sim_clock *clock;               /* NULL: real time */

    pthread_mutex_t lock; /* guards what follows */
    size_t used_bytes;    /* <= memory_bytes */
    int64_t fail_alloc_n; /* counts down; the allocation or copy that reaches 0 fails; 0 is off */
    int64_t fail_copy_n;
    int64_t late_copy_n, lost_n;
    int64_t late_ns; /* constant */
    bool is_lost;
    int n_queues_opened;
} sim_device;

/* A queue as the core sees it: the thread and whose it is. */
typedef struct sim_stream {
    sim_device *device;
    pl_sim_queue *queue;
    bool has_copies; /* a copy queue; under the device's lock */
} sim_stream;

static int sim_probe(void) { return INT_MAX; }

static int sim_open(void **out_device, const parla_device_spec *spec, parla_device_traits *out_traits)
{
    sim_device *device = calloc(1, sizeof *device);
    if (!device)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a simulated device");
    device->ordinal = spec->ordinal;
    device->memory_bytes = spec->memory_bytes > 0 ? spec->memory_bytes : DEFAULT_MEMORY_BYTES;
    device->link_bytes_per_s = spec->link_bytes_per_s;
    device->link_latency_ns = spec->link_latency_ns;
    device->source = spec->memory;
    device->clock = spec->clock;
    device->fail_alloc_n = spec->fail_alloc_n;
    device->fail_copy_n = spec->fail_copy_n;
    device->late_copy_n = spec->late_copy_n;
    device->late_ns = spec->late_ns;
    device->lost_n = spec->lost_n;
    pthread_mutex_init(&device->lock, NULL);

    *out_traits =
        (parla_device_traits){.arch = PARLA_ARCH_GPU, .memory_bytes = device->memory_bytes, .n_queues = 1, .is_host_memory = true};
    out_traits->link_bytes_per_s = spec->link_bytes_per_s;
    out_traits->link_latency_ns = spec->link_latency_ns;
    pl_text_format(out_traits->name, sizeof out_traits->name, "simulated GPU in host memory");
    *out_device = device;
    return 0;
}

static void sim_close(void *handle)
{
    sim_device *device = handle;
    if (device->used_bytes > 0)
        parla_log(PARLA_LOG_WARN, "simulated device %d is closed with %zu bytes still allocated", device->ordinal,
                  device->used_bytes);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

/* Counts one event towards a fault; true if this is the one that fails. Needs the lock. */
static bool count_down_locked(int64_t *n_left) { return *n_left > 0 && --*n_left == 0; }

/* Counts one operation towards the loss of the device; true if it is lost. Needs the lock. */
static bool is_lost_locked(sim_device *device)
{
    device->is_lost = count_down_locked(&device->lost_n) || device->is_lost;
    return device->is_lost;
}

static int lost(const sim_device *device)
{
    return pl_error_set(PARLA_E_DEVICE, "simulated device %d is lost, as its string asked (lost=)", device->ordinal);
}

static int take_memory_locked(sim_device *device, size_t n_bytes)
{
    if (is_lost_locked(device))
        return lost(device);
    if (count_down_locked(&device->fail_alloc_n))
        return pl_error_set(PARLA_E_DEVICE_MEMORY,
                            "an allocation of %zu bytes on simulated device %d failed, as a fault was injected", n_bytes,
                            device->ordinal);
    if (n_bytes > device->memory_bytes - device->used_bytes)
        return pl_error_set(PARLA_E_DEVICE_MEMORY, "simulated device %d has %zu of its %zu bytes left; %zu were asked for",
                            device->ordinal, device->memory_bytes - device->used_bytes, device->memory_bytes, n_bytes);
    device->used_bytes += n_bytes;
    return 0;
}

static void give_memory(sim_device *device, size_t n_bytes)
{
    pthread_mutex_lock(&device->lock);
    device->used_bytes -= n_bytes;
    pthread_mutex_unlock(&device->lock);
}

static int sim_alloc(void *handle, void **out, size_t n_bytes)
{
    sim_device *device = handle;
    pthread_mutex_lock(&device->lock);
    int rc = take_memory_locked(device, n_bytes);
    pthread_mutex_unlock(&device->lock);
    if (rc < 0)
        return rc;

    void *memory = pl_host_alloc_from(device->source, n_bytes);
    if (!memory) {
        give_memory(device, n_bytes);
        return pl_error_set(PARLA_E_DEVICE_MEMORY, "the host has no %zu bytes left for simulated device %d", n_bytes,
                            device->ordinal);
    }
    *out = memory;
    return 0;
}

static void sim_free(void *handle, void *memory, size_t n_bytes)
{
#ifndef NDEBUG
    memset(memory, POISON, n_bytes); /* late readers then see nonsense in every build, not only under a sanitizer */
#endif
    pl_host_free_to(((sim_device *)handle)->source, memory);
    give_memory(handle, n_bytes);
}

typedef struct sim_freed {
    sim_device *device;
    void *memory;
    size_t n_bytes;
} sim_freed;

static void sim_free_queued(void *arg)
{
    sim_freed *freed = arg;
    sim_free(freed->device, freed->memory, freed->n_bytes);
    free(freed);
}

/* Memory in the order of a queue is there at once; it goes when the queue's thread comes to it. */
static int sim_queue_alloc(void *handle, void **out, size_t n_bytes)
{
    sim_stream *stream = handle;
    return sim_alloc(stream->device, out, n_bytes);
}

/* Out of host memory for an entry, it waits for the queue instead. */
static void sim_queue_free(void *handle, void *memory, size_t n_bytes)
{
    sim_stream *stream = handle;
    sim_freed *freed = malloc(sizeof *freed);
    if (freed) {
        *freed = (sim_freed){stream->device, memory, n_bytes};
        if (pl_sim_queue_push(stream->queue, &(pl_sim_op){.kind = PL_SIM_CALL, .function = sim_free_queued, .arg = freed}) == 0)
            return;
        free(freed);
    }
    pl_sim_queue_drain(stream->queue);
    sim_free(stream->device, memory, n_bytes);
}

static int sim_host_alloc(void *handle, void **out, size_t n_bytes)
{
    (void)handle;
    *out = pl_host_alloc(n_bytes);
    return *out ? 0 : pl_error_set(PARLA_E_NOMEM, "the host has no %zu bytes left", n_bytes);
}

static void sim_host_free(void *handle, void *memory, size_t n_bytes)
{
    (void)handle;
    (void)n_bytes;
    free(memory);
}

/* How long a copy between two devices takes at least; the other one is simulated too, or the host. */
static int64_t link_time_ns(const sim_device *device, const void *other, size_t n_bytes)
{
    int64_t latency_ns = 0;
    double bytes_per_s = 0;
    const sim_device *ends[2] = {device, pl_cpu_is_handle(other) ? device : other};
    for (int i = 0; i < 2; i++) {
        if (ends[i]->link_latency_ns > latency_ns)
            latency_ns = ends[i]->link_latency_ns;
        if (ends[i]->link_bytes_per_s > 0 && (bytes_per_s == 0 || ends[i]->link_bytes_per_s < bytes_per_s))
            bytes_per_s = ends[i]->link_bytes_per_s;
    }
    return latency_ns + (bytes_per_s > 0 ? (int64_t)((double)n_bytes / bytes_per_s * 1e9) : 0);
}

static int sim_copy(void *handle, void *dst_device, const parla_strided *dst, void *src_device, const parla_strided *src)
{
    sim_stream *stream = handle;
    int rc = pl_strided_check(dst, src);
    if (rc < 0)
        return rc;
    sim_device *device = stream->device;
    void *other = dst_device == device ? src_device : dst_device;
    pl_sim_op op = {.kind = PL_SIM_COPY, .dst = *dst, .src = *src};
    op.least_ns = link_time_ns(device, other, parla_strided_bytes(dst));

    pthread_mutex_lock(&device->lock);
    stream->has_copies = true;
    op.is_faulty = count_down_locked(&device->fail_copy_n);
    op.is_faulty = is_lost_locked(device) || op.is_faulty;
    op.least_ns += count_down_locked(&device->late_copy_n) ? device->late_ns : 0;
    pthread_mutex_unlock(&device->lock);
    return pl_sim_queue_push(stream->queue, &op);
}

static int sim_fill(void *handle, const parla_strided *dst, unsigned char value)
{
    sim_stream *stream = handle;
    int rc = pl_strided_check_written(dst);
    if (rc < 0)
        return rc;
    return pl_sim_queue_push(stream->queue, &(pl_sim_op){.kind = PL_SIM_FILL, .dst = *dst, .value = value});
}

static int sim_queue_open(void *handle, void **out_queue)
{
    sim_device *device = handle;
    sim_stream *stream = malloc(sizeof *stream);
    if (!stream)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a queue");
    pthread_mutex_lock(&device->lock);
    int i_queue = device->n_queues_opened++;
    pthread_mutex_unlock(&device->lock);

    char name[16];
    pl_text_format(name, sizeof name, "sim%d.q%d", device->ordinal, i_queue);
    stream->device = device;
    stream->has_copies = false;
    int rc = pl_sim_queue_open(&stream->queue, name, device->clock);
    if (rc < 0) {
        free(stream);
        return rc;
    }
    *out_queue = stream;
    return 0;
}

static void sim_queue_close(void *handle)
{
    sim_stream *stream = handle;
    pl_sim_queue_close(stream->queue);
    free(stream);
}

static int sim_queue_call(void *handle, void (*function)(void *arg), void *arg)
{
    sim_stream *stream = handle;
    sim_device *device = stream->device;
    pthread_mutex_lock(&device->lock);
    bool is_refused = !stream->has_copies && is_lost_locked(device); /* what a copy queue calls is how its copies went */
    pthread_mutex_unlock(&device->lock);
    return is_refused ? lost(device)
                      : pl_sim_queue_push(stream->queue, &(pl_sim_op){.kind = PL_SIM_CALL, .function = function, .arg = arg});
}

/* Pushes an operation on an event with a reference for the queue. */
static int push_event(sim_stream *stream, pl_sim_op op)
{
    pl_sim_event_ref(op.event);
    int rc = pl_sim_queue_push(stream->queue, &op);
    if (rc < 0)
        pl_sim_event_unref(op.event);
    return rc;
}

static int sim_event_record(void *handle, void **out_event)
{
    pl_sim_event *event;
    int rc = pl_sim_event_create(&event, ((sim_stream *)handle)->device->clock);
    if (rc < 0)
        return rc;
    rc = push_event(handle, (pl_sim_op){.kind = PL_SIM_RECORD, .event = event});
    if (rc < 0) {
        pl_sim_event_unref(event);
        return rc;
    }
    *out_event = event;
    return 0;
}

static int sim_queue_wait(void *handle, void *event)
{
    return push_event(handle, (pl_sim_op){.kind = PL_SIM_WAIT, .event = event});
}

static int sim_event_query(void *event) { return pl_sim_event_query(event); }
static int sim_event_wait(void *event) { return pl_sim_queue_wait_for(event); }
static void sim_event_free(void *event) { pl_sim_event_unref(event); }
static void *sim_queue_native(void *queue) { return queue; }

void pl_sim_inject(void *sim_device_handle, int64_t fail_alloc_n, int64_t fail_copy_n)
{
    sim_device *device = sim_device_handle;
    pthread_mutex_lock(&device->lock);
    device->fail_alloc_n = fail_alloc_n;
    device->fail_copy_n = fail_copy_n;
    pthread_mutex_unlock(&device->lock);
}

const parla_backend pl_backend_sim = {
    .abi = PARLA_BACKEND_ABI,
    .kind = "sim",
    .probe = sim_probe,
    .open = sim_open,
    .close = sim_close,
    .alloc = sim_alloc,
    .free = sim_free,
    .queue_alloc = sim_queue_alloc,
    .queue_free = sim_queue_free,
    .host_alloc = sim_host_alloc,
    .host_free = sim_host_free,
    .copy = sim_copy,
    .fill = sim_fill,
    .queue_open = sim_queue_open,
    .queue_close = sim_queue_close,
    .queue_call = sim_queue_call,
    .event_record = sim_event_record,
    .event_query = sim_event_query,
    .queue_wait = sim_queue_wait,
    .event_wait = sim_event_wait,
    .event_free = sim_event_free,
    .queue_native = sim_queue_native,
};
