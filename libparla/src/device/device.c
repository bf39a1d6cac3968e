/* device.c - opens and closes the devices of a runtime, and answers questions about them.
 *
 * Opening goes device by device: the backend's device, its compute queues, and (but for the host) a queue for copies, with a watch where the
 * backend cannot call back. Closing runs the other way round, in steps over all devices, because work of one may still use another:
 *   1. wait until no copy is in flight     their callbacks may queue bodies and start copies
 *   2. close the compute queues            which waits for the bodies; these may start copies
 *   3. wait until no copy is in flight
 *   4. close copy queues and watches       a thread of one device may just be leaving the copy_lock of another
 *   5. close the devices
 * The list is constant in between, so only the count of flying copies (in copy.c) needs a lock. */
#include "device/device.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "device/backends.h"
#include "device/copy.h"
#include "device/lease.h"
#include "device/links.h"
#include "device/spec.h"
#include "device/watch.h"

#include <stdlib.h>
#include <string.h>

#define LIST_BYTES 512

static const char *arch_name(parla_arch arch) { return arch == PARLA_ARCH_CPU ? "cpu" : "gpu"; }

static void close_compute_queues(pl_device *device)
{
    if (device->lease)
        pl_lease_begin_close(device->lease);
    while (device->n_queues > 0)
        device->backend->queue_close(device->queues[--device->n_queues]);
    if (device->lease)
        pl_lease_end_close(device->lease);
    free(device->queues);
    device->queues = NULL;
}

/* Ends the threads behind the device's copies. */
static void close_copies(pl_device *device)
{
    if (device->copy_queue)
        device->backend->queue_close(device->copy_queue);
    if (device->watch)
        pl_watch_close(device->watch);
}

static void close_device(pl_device *device)
{
    pthread_mutex_destroy(&device->copy_lock);
    pl_staging_fini(&device->staging);
    if (device->lease)
        pl_lease_unref(device->lease);
    else
        device->backend->close(device->handle);
}

static int open_queues(pl_device *device)
{
    int n = device->traits.n_queues;
    device->queues = calloc(n > 0 ? (size_t)n : 1, sizeof device->queues[0]);
    if (!device->queues)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the queues of %s", device->name);
    while (device->n_queues < n) {
        int rc = device->backend->queue_open(device->handle, &device->queues[device->n_queues]);
        if (rc < 0)
            return rc;
        device->n_queues++;
    }
    if (device->index == 0)
        return 0;
    int rc = device->backend->queue_open(device->handle, &device->copy_queue);
    if (rc == 0 && !device->backend->queue_call)
        rc = pl_watch_open(&device->watch, device->backend);
    return rc;
}

/* On error the device is closed again. */
static int open_device(pl_devices *devices, const pl_spec_item *item)
{
    pl_device *device = &devices->list[devices->n];
    *device = (pl_device){.index = devices->n, .backend = item->backend, .free_vcus = 1.0};
    parla_device_spec spec = item->spec;
    spec.memory = devices->memory.alloc ? &devices->memory : NULL;
    spec.clock = item->backend == &pl_backend_sim ? devices->clock : NULL;
    int rc = item->backend->open(&device->handle, &spec, &device->traits);
    if (rc < 0)
        return rc;
    pthread_mutex_init(&device->copy_lock, NULL);
    pl_staging_init(&device->staging, device->backend, device->handle, &device->traits.staging);
    device->arch = device->traits.arch;
    device->ordinal = item->spec.ordinal;
    device->number = devices->n_arch[device->arch];
    if (device->arch == PARLA_ARCH_CPU)
        pl_text_format(device->name, sizeof device->name, "cpu[%d]", device->number);
    else
        pl_text_format(device->name, sizeof device->name, "%s[%d] (%s)", arch_name(device->arch), device->number,
                       item->backend->kind);
    rc = open_queues(device);
    if (rc == 0)
        rc = pl_lease_create(&device->lease, device);
    if (rc < 0) {
        close_compute_queues(device);
        close_copies(device);
        close_device(device);
        return rc;
    }
    devices->n_arch[device->arch]++;
    devices->n++;
    return 0;
}

static int open_all(pl_devices *devices, const pl_spec *spec)
{
    size_t n = (size_t)spec->n;
    devices->list = calloc(n, sizeof devices->list[0]);
    devices->links = calloc(n * n, sizeof devices->links[0]);
    if (!devices->list || !devices->links)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the list of devices");
    int rc = spec->is_virtual ? pl_sim_clock_create(&devices->clock) : 0;
    devices->origin_ns = rc == 0 ? pl_devices_now_ns(devices) : 0;
    for (int i = 0; i < spec->n && rc == 0; i++)
        rc = open_device(devices, &spec->items[i]);
    return rc;
}

int pl_devices_open(pl_devices *out, const char *spec) { return pl_devices_open_in(out, spec, NULL); }

int pl_devices_open_in(pl_devices *out, const char *spec, const parla_memory_source *memory)
{
    pl_spec parsed;
    int rc = pl_spec_parse(&parsed, spec);
    if (rc < 0)
        return rc;
    *out = (pl_devices){0};
    if (memory)
        out->memory = *memory;
    pthread_mutex_init(&out->flight_lock, NULL);
    pthread_cond_init(&out->flight_over, NULL);
    rc = open_all(out, &parsed);
    if (rc < 0)
        pl_devices_close(out);
    else
        pl_links_recall(out);
    return rc;
}

void pl_devices_close(pl_devices *devices)
{
    pl_sim_clock_force(devices->clock); /* nobody is left who could rest */
    pl_copy_drain(devices);
    for (int i = 0; i < devices->n; i++)
        close_compute_queues(&devices->list[i]);
    pl_copy_drain(devices);
    for (int i = 0; i < devices->n; i++)
        close_copies(&devices->list[i]);
    if (devices->links)
        pl_links_keep(devices);
    while (devices->n > 0)
        close_device(&devices->list[--devices->n]);
    pl_sim_clock_destroy(devices->clock);
    free(devices->links);
    free(devices->list);
    pthread_cond_destroy(&devices->flight_over);
    pthread_mutex_destroy(&devices->flight_lock);
    *devices = (pl_devices){0};
}

uint64_t pl_devices_now_ns(const pl_devices *devices) { return devices->clock ? pl_sim_clock_now_ns(devices->clock) : pl_now_ns(); }

void pl_device_note_end(const pl_devices *devices, pl_device *device)
{
    pl_store_relaxed(&device->last_ns, pl_devices_now_ns(devices) - devices->origin_ns);
}

int pl_device_alloc(pl_device *device, void **out, size_t n_bytes) { return device->backend->alloc(device->handle, out, n_bytes); }

void pl_device_free(pl_device *device, void *memory, size_t n_bytes)
{
    if (memory)
        device->backend->free(device->handle, memory, n_bytes);
}

bool pl_device_runs_bodies(const pl_device *device) { return device->n_queues > 0 && device->backend->queue_call; }
bool pl_device_is_filled(const pl_device *device) { return device->n_queues > 0 && !device->backend->queue_call; }

int pl_queue_run(pl_device *device, int i_queue, void (*function)(void *arg), void *arg)
{
    if (!pl_device_runs_bodies(device))
        return pl_error_set(PARLA_E_UNSUPPORTED, "%s does not run bodies on its queues", device->name);
    if (i_queue < 0 || i_queue >= device->n_queues)
        return pl_error_set(PARLA_E_INVALID, "%s has no queue %d; it has %d", device->name, i_queue, device->n_queues);
    return device->backend->queue_call(device->queues[i_queue], function, arg);
}

void pl_devices_list(const pl_devices *devices, char *out, size_t n_bytes)
{
    size_t n = 0;
    for (int i = 0; i < devices->n && n + 8 < n_bytes; i++)
        n += pl_text_format(out + n, n_bytes - n, "%s%s", i > 0 ? ", " : "", devices->list[i].name);
}

static int no_device(const pl_devices *devices, const char *asked)
{
    char names[LIST_BYTES];
    pl_devices_list(devices, names, sizeof names);
    return pl_error_set(PARLA_E_NO_DEVICE, "there is no %s; this runtime has %s", asked, names);
}

static int check_index(const pl_devices *devices, int i_device)
{
    char asked[32];
    if (i_device >= 0 && i_device < devices->n)
        return 0;
    pl_text_format(asked, sizeof asked, "device %d", i_device);
    return no_device(devices, asked);
}

/* Hands a snapshot to a caller whose structure has out_size bytes, its first member: an older caller gets the part that it knows. */
static int give(void *out, size_t out_size, const void *full, size_t full_size)
{
    if (out_size < sizeof(size_t))
        return pl_error_set(PARLA_E_INVALID, "the structure's member size is %zu; set it to the structure's sizeof", out_size);
    size_t n = (out_size < full_size ? out_size : full_size) - sizeof(size_t);
    memcpy((char *)out + sizeof(size_t), (const char *)full + sizeof(size_t), n);
    return 0;
}

int pl_devices_query(const pl_devices *devices, int i_device, parla_device_info *out)
{
    int rc = check_index(devices, i_device);
    if (rc < 0)
        return rc;
    pl_device *device = &devices->list[i_device];
    parla_device_info info = {
        .index = device->index,
        .arch = device->arch,
        .number = device->number,
        .kind = device->backend->kind,
        .name = device->name,
        .memory_bytes = device->traits.memory_bytes,
        .used_bytes = device->used_bytes + pl_lease_bytes(device->lease),
        .reserved_bytes = device->reserved_bytes,
        .free_vcus = device->free_vcus,
        .n_tasks = pl_load_relaxed(&device->n_tasks),
        .busy_ns = pl_load_relaxed(&device->busy_ns),
        .ordinal = device->ordinal,
        .last_ns = pl_load_relaxed(&device->last_ns),
    };
    pl_staging_query(&device->staging, &info.staging_bytes, &info.most_staging_bytes);
    return give(out, out->size, &info, sizeof info);
}

int pl_devices_find(const pl_devices *devices, parla_arch arch, int number, int *out)
{
    for (int i = 0; i < devices->n; i++) {
        if (devices->list[i].arch == arch && devices->list[i].number == number) {
            *out = i;
            return 0;
        }
    }
    char asked[32];
    pl_text_format(asked, sizeof asked, "%s[%d]", arch_name(arch), number);
    return no_device(devices, asked);
}

int pl_devices_link(const pl_devices *devices, int i_src, int i_dst, parla_link_info *out)
{
    int rc = check_index(devices, i_src);
    if (rc == 0)
        rc = check_index(devices, i_dst);
    if (rc < 0)
        return rc;
    pl_link *link = &devices->links[i_src * devices->n + i_dst];
    parla_link_info info = {
        .n_copies = pl_load_relaxed(&link->n_copies),
        .n_bytes = pl_load_relaxed(&link->n_bytes),
        .busy_ns = pl_load_relaxed(&link->busy_ns),
    };
    return give(out, out->size, &info, sizeof info);
}

int pl_devices_inject(pl_devices *devices, int i_device, int64_t fail_alloc_n, int64_t fail_copy_n)
{
    int rc = check_index(devices, i_device);
    if (rc < 0)
        return pl_error_set(PARLA_E_INVALID, "%s", parla_error_detail());
    pl_device *device = &devices->list[i_device];
    if (device->backend != &pl_backend_sim)
        return pl_error_set(PARLA_E_INVALID, "faults can be injected on simulated devices only; device %d is %s", i_device,
                            device->name);
    if (fail_alloc_n < 0 || fail_copy_n < 0)
        return pl_error_set(PARLA_E_INVALID, "faults are counted from 1; 0 is off; asked for: allocation %lld, copy %lld",
                            (long long)fail_alloc_n, (long long)fail_copy_n);
    pl_sim_inject(device->handle, fail_alloc_n, fail_copy_n);
    return 0;
}
