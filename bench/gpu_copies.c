/* gpu_copies.c - copies between the host and a card, beside the driver's own copy of page-locked memory: what the link gives. ci/gpu runs this.
 *
 *   pinned.to_device, pinned.to_host   the backend's copy of its page-locked memory
 *   pageable.to_device, .to_host       the same of ordinary memory
 *   array.to_device, array.to_host     an array in ordinary memory that a task uses on the device, and the host then
 * A value is the bandwidth in GB/s; ratio is the share of the link. */
#include "bench.h"
#include "gpu_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_RUNS = 5 };

static size_t n_bytes;

/* An open device of the backend, apart from any runtime. */
typedef struct side {
    const parla_backend *b;
    void *device, *queue, *there, *pinned, *pageable;
} side;

static parla_strided bytes_at(void *base)
{
    return (parla_strided){.base = base, .item_bytes = 1, .ndim = 1, .extent = {(int64_t)n_bytes}, .stride = {1}};
}

static double by_backend(const side *s, void *host, bool to_device)
{
    parla_strided near = bytes_at(host), far = bytes_at(s->there);
    void *event;
    double begin_ns = bench_now_ns();
    check(to_device ? s->b->copy(s->queue, s->device, &far, NULL, &near) : s->b->copy(s->queue, NULL, &near, s->device, &far),
          "a copy");
    check(s->b->event_record(s->queue, &event), "an event");
    check(s->b->event_wait(event), "a copy");
    s->b->event_free(event);
    return bench_now_ns() - begin_ns;
}

static double by_driver(const side *s, bool to_device)
{
    void *stream = s->b->queue_native(s->queue);
    uint64_t there = (uint64_t)(uintptr_t)s->there;
    double begin_ns = bench_now_ns();
    gpu_check(to_device ? cu.cuMemcpyHtoDAsync(there, s->pinned, n_bytes, stream)
                        : cu.cuMemcpyDtoHAsync(s->pinned, there, n_bytes, stream),
              "cuMemcpyAsync");
    gpu_check(cu.cuStreamSynchronize(stream), "cuStreamSynchronize");
    return bench_now_ns() - begin_ns;
}

static double least(double a, double b) { return a < b ? a : b; }

/* GB/s, with its share of the link. */
static void report(const char *name, double ns, double link_ns)
{
    double value = (double)n_bytes / ns, link = (double)n_bytes / link_ns;
    printf("{\"bench\": \"gpu_copies\", \"case\": \"%s@1\", \"metric\": \"bandwidth\", \"unit\": \"GB/s\", \"value\": %.2f, "
           "\"peer\": \"the driver, page-locked\", \"peer_value\": %.2f, \"ratio\": %.3f}\n",
           name, value, link, value / link);
    fflush(stdout);
}

static int nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

static void run_task(parla_runtime *rt, parla_data *data, int mode)
{
    static const parla_demand demand = {PARLA_ARCH_GPU, 0, 0, 0};
    const parla_choice choice = {&demand, 1};
    const parla_access access = {.data = data, .mode = mode};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = nothing;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = 1;
    check(parla_task_spawn(rt, NULL, &options), "a task");
    check(parla_runtime_wait(rt, PARLA_FOREVER), "a task");
}

/* Times of a task that fetches the array, and of the host that fetches it back; the least of a few. */
static void by_arrays(void *memory, double *to_device_ns, double *to_host_ns)
{
    parla_runtime *rt = gpu_runtime("cuda:0");
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = bytes_at(memory);
    check(parla_data_create(&data, &options), "an array");
    run_task(rt, data, PARLA_INOUT); /* takes the memory there */
    for (int i = 0; i < (bench_is_smoke() ? 1 : N_RUNS); i++) {
        parla_instance here;
        double begin_ns = bench_now_ns();
        check(parla_data_acquire(rt, data, PARLA_INOUT, PARLA_FOREVER, &here), "the array");
        parla_data_release(data, PARLA_INOUT);
        double middle_ns = bench_now_ns();
        run_task(rt, data, PARLA_INOUT);
        double end_ns = bench_now_ns();
        *to_host_ns = least(*to_host_ns, middle_ns - begin_ns);
        *to_device_ns = least(*to_device_ns, end_ns - middle_ns);
    }
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

int main(int argc, char **argv)
{
    side s = {0};
    parla_device_traits traits;
    parla_device_spec spec = {.kind = "cuda", .n_sharing = 2};
    double link_ns[2] = {1e18, 1e18}, pinned_ns[2] = {1e18, 1e18}, pageable_ns[2] = {1e18, 1e18}, array_ns[2] = {1e18, 1e18};
    bench_begin("gpu_copies", argc, argv);
    gpu_open();
    n_bytes = bench_is_smoke() ? 1 << 20 : 256 << 20;
    s.b = parla_backend_find("cuda");
    if (s.b == NULL) {
        bench_skip("the CUDA module does not open: %s", parla_error_detail());
    }
    check(s.b->open(&s.device, &spec, &traits), "a device");
    check(s.b->queue_open(s.device, &s.queue), "a queue");
    check(s.b->alloc(s.device, &s.there, n_bytes), "memory of the device");
    check(s.b->host_alloc(s.device, &s.pinned, n_bytes), "page-locked memory");
    s.pageable = malloc(n_bytes);
    if (s.pageable == NULL) {
        bench_die("no memory");
    }
    memset(s.pageable, 1, n_bytes);
    memset(s.pinned, 1, n_bytes);
    gpu_card card;
    gpu_card_open(&card, 0); /* the driver's own calls want a current context */
    (void)by_driver(&s, true);
    (void)by_driver(&s, false);
    for (int i = 0; i < (bench_is_smoke() ? 1 : N_RUNS); i++) {
        for (int to_device = 0; to_device < 2; to_device++) {
            link_ns[to_device] = least(link_ns[to_device], by_driver(&s, to_device));
            pinned_ns[to_device] = least(pinned_ns[to_device], by_backend(&s, s.pinned, to_device));
            pageable_ns[to_device] = least(pageable_ns[to_device], by_backend(&s, s.pageable, to_device));
        }
    }
    gpu_card_close(&card);
    by_arrays(s.pageable, &array_ns[1], &array_ns[0]);
    report("pinned.to_device", pinned_ns[1], link_ns[1]);
    report("pinned.to_host", pinned_ns[0], link_ns[0]);
    report("pageable.to_device", pageable_ns[1], link_ns[1]);
    report("pageable.to_host", pageable_ns[0], link_ns[0]);
    report("array.to_device", array_ns[1], link_ns[1]);
    report("array.to_host", array_ns[0], link_ns[0]);
    s.b->host_free(s.device, s.pinned, n_bytes);
    s.b->free(s.device, s.there, n_bytes);
    s.b->queue_close(s.queue);
    s.b->close(s.device);
    free(s.pageable);
    return 0;
}
