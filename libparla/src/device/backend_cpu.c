/* backend_cpu.c - the host as a device: plain memory, and queues that do their work at once, on the calling thread.
 *
 * Bodies run on worker threads (n_queues is 0), so the runtime opens no queue here; the queues exist so that the host passes the same
 * conformance suite as every other kind, and for callers that treat all devices alike. Work is done, or has failed, before the call that
 * queues it returns; so a queue has nothing to remember and an event has always passed. Device, queue and event are therefore one token. */
#include "device/backends.h"

#include "base/error.h"
#include "base/strided.h"
#include "base/text.h"
#include "device/host_memory.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

static char host; /* the token; its address matters, not its content */

bool pl_cpu_is_handle(const void *device) { return device == NULL || device == &host; }

static int cpu_probe(void) { return 1; }

/* Cores that this process may run on: its affinity mask, which launchers and containers set, or all that are online. */
static int count_cores(void)
{
    for (int n = 1024; n <= 1 << 20; n *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        if (!set)
            break;
        size_t set_bytes = CPU_ALLOC_SIZE((size_t)n);
        int n_cores = sched_getaffinity(0, set_bytes, set) == 0 ? CPU_COUNT_S(set_bytes, set) : 0;
        CPU_FREE(set);
        if (n_cores > 0)
            return n_cores;
    }
    long n_online = sysconf(_SC_NPROCESSORS_ONLN);
    return n_online > 0 ? (int)n_online : 1;
}

static int cpu_open(void **out_device, const parla_device_spec *spec, parla_device_traits *out_traits)
{
    struct utsname machine;
    int n_cores = count_cores();
    *out_traits = (parla_device_traits){.arch = PARLA_ARCH_CPU, .is_host_memory = true};
    out_traits->memory_bytes = spec->memory_bytes > 0 ? spec->memory_bytes : pl_host_memory_bytes();
    pl_text_format(out_traits->name, sizeof out_traits->name, "%s, %d core%s", uname(&machine) == 0 ? machine.machine : "host",
                   n_cores, n_cores == 1 ? "" : "s");
    *out_device = &host;
    return 0;
}

static void cpu_close(void *device) { (void)device; }

static int cpu_alloc(void *device, void **out, size_t n_bytes)
{
    (void)device;
    void *memory = pl_host_alloc(n_bytes);
    if (!memory)
        return pl_error_set(PARLA_E_DEVICE_MEMORY, "the host has no %zu bytes left", n_bytes);
    *out = memory;
    return 0;
}

static void cpu_free(void *device, void *memory, size_t n_bytes)
{
    (void)device;
    (void)n_bytes;
    free(memory);
}

static int cpu_copy(void *queue, void *dst_device, const parla_strided *dst, void *src_device, const parla_strided *src)
{
    (void)queue;
    (void)dst_device;
    (void)src_device;
    return parla_strided_copy(dst, src);
}

static int cpu_fill(void *queue, const parla_strided *dst, unsigned char value)
{
    (void)queue;
    int rc = pl_strided_check_written(dst);
    if (rc == 0)
        pl_strided_fill_checked(dst, value);
    return rc;
}

static int cpu_queue_open(void *device, void **out_queue)
{
    *out_queue = device;
    return 0;
}

static void cpu_queue_close(void *queue) { (void)queue; }

static int cpu_queue_call(void *queue, void (*function)(void *arg), void *arg)
{
    (void)queue;
    function(arg);
    return 0;
}

static int cpu_event_record(void *queue, void **out_event)
{
    *out_event = queue;
    return 0;
}

static int cpu_event_passed(void *event)
{
    (void)event;
    return 0;
}

static int cpu_queue_wait(void *queue, void *event)
{
    (void)queue;
    (void)event;
    return 0;
}

static void cpu_event_free(void *event) { (void)event; }

static void *cpu_queue_native(void *queue) { return queue; }

const parla_backend pl_backend_cpu = {
    .abi = PARLA_BACKEND_ABI,
    .kind = "cpu",
    .probe = cpu_probe,
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .queue_alloc = cpu_alloc, /* its queues are the device */
    .queue_free = cpu_free,
    .host_alloc = cpu_alloc,
    .host_free = cpu_free,
    .copy = cpu_copy,
    .fill = cpu_fill,
    .queue_open = cpu_queue_open,
    .queue_close = cpu_queue_close,
    .queue_call = cpu_queue_call,
    .event_record = cpu_event_record,
    .event_query = cpu_event_passed,
    .queue_wait = cpu_queue_wait,
    .event_wait = cpu_event_passed,
    .event_free = cpu_event_free,
    .queue_native = cpu_queue_native,
};
