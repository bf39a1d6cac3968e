/* test_copy.c - copies between devices by every route: on the host, direct, staged, watched, failing, pending at the end. */
#include "base/atomic.h"
#include "device/backends.h"
#include "device/copy.h"
#include "random_box.h"
#include "test.h"

#include <parla/error.h>
#include <pthread.h>

#define N_BYTES 4096

typedef struct outcome {
    _Atomic int n_done;
    int status;
    pthread_t thread;
} outcome;

static void done(void *arg, int status)
{
    outcome *o = arg;
    o->status = status;
    o->thread = pthread_self();
    pl_add_acq_rel(&o->n_done, 1);
}

static parla_instance bytes(int i_device, void *base)
{
    return (parla_instance){.i_device = i_device,
                            .box = {.base = base, .item_bytes = 1, .ndim = 1, .extent = {N_BYTES}, .stride = {1}}};
}

/* Copies and waits; returns the status. */
static int copy(pl_devices *devices, const parla_instance *dst, const parla_instance *src)
{
    outcome o = {0};
    T_OK(pl_copy_async(devices, dst, src, done, &o));
    T_EVENTUALLY(pl_load_acquire(&o.n_done) > 0, 10000);
    pl_copy_drain(devices);
    T_EQ(pl_load_acquire(&o.n_done), 1);
    return o.status;
}

/* Sends random bytes along the chain host, device 1, device 2, host, and checks links and content. */
static void check_chain(const char *spec)
{
    pl_devices devices;
    T_OK(pl_devices_open(&devices, spec));
    static unsigned char from[N_BYTES], to[N_BYTES];
    t_rng rng = {t_seed()};
    for (int i = 0; i < N_BYTES; i++)
        from[i] = (unsigned char)t_next(&rng);
    void *memory[2];
    parla_instance chain[4] = {[0] = bytes(0, from), [3] = bytes(0, to)};
    for (int i = 0; i < 2; i++) {
        T_OK(pl_device_alloc(&devices.list[i + 1], &memory[i], N_BYTES));
        chain[i + 1] = bytes(i + 1, memory[i]);
    }
    for (int i = 0; i < 3; i++)
        T_EQ(copy(&devices, &chain[i + 1], &chain[i]), 0);
    T_EQ_MEM(to, from, N_BYTES);
    for (int src = 0; src < 3; src++) {
        for (int dst = 0; dst < 3; dst++) {
            parla_link_info link = {.size = sizeof link};
            T_OK(pl_devices_link(&devices, src, dst, &link));
            bool is_used = dst == (src + 1) % 3;
            T_EQ(link.n_copies, is_used ? 1 : 0);
            T_EQ(link.n_bytes, is_used ? N_BYTES : 0);
            T_EQ(link.busy_ns > 0, is_used);
        }
    }
    for (int i = 0; i < 2; i++)
        pl_device_free(&devices.list[i + 1], memory[i], N_BYTES);
    pl_devices_close(&devices);
}

/* Kinds made from sim: one that cannot call back, one that declines copies between its devices, one whose events fail at first. */
static parla_backend silent, distant, poor, dying;
static _Atomic int n_events_refused;

static int distant_copy(void *queue, void *dst_device, const parla_strided *dst, void *src_device, const parla_strided *src)
{
    if (!pl_cpu_is_handle(dst_device) && !pl_cpu_is_handle(src_device))
        return PARLA_E_UNSUPPORTED;
    return pl_backend_sim.copy(queue, dst_device, dst, src_device, src);
}

static int poor_event_record(void *queue, void **out)
{
    if (pl_add_relaxed(&n_events_refused, 1) % 3 != 2)
        return PARLA_E_NOMEM;
    return pl_backend_sim.event_record(queue, out);
}

static int dying_event_record(void *queue, void **out)
{
    (void)queue;
    (void)out;
    return PARLA_E_DEVICE;
}

static void register_kinds(void)
{
    silent = distant = poor = dying = pl_backend_sim;
    silent.kind = "silent";
    silent.queue_call = NULL;
    distant.kind = "distant";
    distant.copy = distant_copy;
    poor.kind = "poor";
    poor.event_record = poor_event_record;
    dying.kind = "dying";
    dying.event_record = dying_event_record;
    T_OK(parla_backend_register(&silent));
    T_OK(parla_backend_register(&distant));
    T_OK(parla_backend_register(&poor));
    T_OK(parla_backend_register(&dying));
}

T_TEST(direct) { check_chain("sim:2"); }
T_TEST(direct_on_slow_links) { check_chain("sim:2,link=10MB/s,lat=100us"); }

T_TEST(staged_between_kinds)
{
    register_kinds();
    check_chain("sim,distant");
    check_chain("silent,sim");
    check_chain("sim,silent");
}

T_TEST(staged_when_declined)
{
    register_kinds();
    check_chain("distant:2");
}

T_TEST(watched_without_calls)
{
    register_kinds();
    check_chain("silent:2");
}

T_TEST(memory_that_comes_back_delays_a_copy)
{
    register_kinds();
    check_chain("poor:2");
    T_GT(pl_load_relaxed(&n_events_refused), 3);
}

T_TEST(a_lost_device_refuses)
{
    register_kinds();
    pl_devices devices;
    static char a[N_BYTES], b[N_BYTES];
    outcome o = {0};
    T_OK(pl_devices_open(&devices, "dying"));
    parla_instance dst = bytes(1, a), src = bytes(0, b);
    T_EQ(pl_copy_async(&devices, &dst, &src, done, &o), PARLA_E_DEVICE);
    pl_devices_close(&devices);
    T_EQ(pl_load_relaxed(&o.n_done), 0);
}

T_TEST(on_the_host_at_once)
{
    pl_devices devices;
    static char a[N_BYTES], b[N_BYTES];
    memset(b, 7, sizeof b);
    outcome o = {0};
    T_OK(pl_devices_open(&devices, NULL));
    parla_instance dst = bytes(0, a), src = bytes(0, b);
    T_OK(pl_copy_async(&devices, &dst, &src, done, &o));
    T_EQ(pl_load_relaxed(&o.n_done), 1);
    T_EQ(o.status, 0);
    T_TRUE(pthread_equal(o.thread, pthread_self()));
    T_EQ_MEM(a, b, N_BYTES);
    parla_link_info link = {.size = sizeof link};
    T_OK(pl_devices_link(&devices, 0, 0, &link));
    T_EQ(link.n_bytes, N_BYTES);
    pl_devices_close(&devices);
}

T_TEST(nonsense_is_refused)
{
    pl_devices devices;
    static char a[N_BYTES], b[N_BYTES];
    outcome o = {0};
    T_OK(pl_devices_open(&devices, "sim:1"));
    parla_instance dst = bytes(1, a), src = bytes(0, b);
    src.box.extent[0]--;
    T_EQ(pl_copy_async(&devices, &dst, &src, done, &o), PARLA_E_INVALID);
    src = bytes(2, b);
    T_EQ(pl_copy_async(&devices, &dst, &src, done, &o), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "devices 0 to 1");
    src = bytes(-1, b);
    T_EQ(pl_copy_async(&devices, &dst, &src, done, &o), PARLA_E_INVALID);
    pl_devices_close(&devices);
    T_EQ(pl_load_relaxed(&o.n_done), 0);
}

/* Of five copies in a row the third fails, alone, and is not counted. */
static void check_fault(const char *spec, int i_faulty, int i_src, int i_dst)
{
    pl_devices devices;
    static char a[N_BYTES], b[N_BYTES];
    T_OK(pl_devices_open(&devices, spec));
    T_OK(pl_devices_inject(&devices, i_faulty, 0, 3));
    parla_instance dst = bytes(i_dst, a), src = bytes(i_src, b);
    for (int i = 1; i <= 5; i++) {
        memset(b, i, sizeof b);
        T_EQ(copy(&devices, &dst, &src), i == 3 ? PARLA_E_DEVICE : 0);
        T_EQ(a[N_BYTES - 1], i == 3 ? 2 : i);
    }
    parla_link_info link = {.size = sizeof link};
    T_OK(pl_devices_link(&devices, i_src, i_dst, &link));
    T_EQ(link.n_copies, 4);
    pl_devices_close(&devices);
}

T_TEST(a_fault_is_the_copys_own)
{
    register_kinds();
    check_fault("sim:1", 1, 0, 1);
    check_fault("sim:1", 1, 1, 0);
    check_fault("sim:2", 2, 1, 2);
    check_fault("sim,distant", 1, 1, 2); /* in the first leg */
    check_fault("distant,sim", 2, 1, 2); /* in the second */
}

/* A copy whose end starts the next one, from the queue's own thread. */
typedef struct relay {
    pl_devices *devices;
    parla_instance here, there;
    int n_left;
    outcome last;
} relay;

static void run_on(void *arg, int status)
{
    relay *r = arg;
    parla_instance from = r->there;
    r->there = r->here;
    r->here = from;
    if (status < 0 || --r->n_left == 0)
        done(&r->last, status);
    else
        T_OK(pl_copy_async(r->devices, &r->there, &r->here, run_on, r));
}

/* Closing waits for copies that are started by the ends of others. */
T_TEST(closing_waits_for_chains_of_copies)
{
    register_kinds();
    static const char *const specs[] = {"sim:2", "sim,distant", "silent:2"};
    for (int i = 0; i < 3; i++) {
        pl_devices devices;
        static char a[N_BYTES], b[N_BYTES];
        T_OK(pl_devices_open(&devices, specs[i]));
        relay r = {.devices = &devices, .here = bytes(1, a), .there = bytes(2, b), .n_left = 50};
        T_OK(pl_copy_async(&devices, &r.there, &r.here, run_on, &r));
        pl_devices_close(&devices);
        T_EQ(pl_load_relaxed(&r.last.n_done), 1);
        T_EQ(r.last.status, 0);
    }
}

/* Each thread sends random strided boxes round its own chain of instances while the others do the same. */
typedef struct traveller {
    pl_devices *devices;
    t_rng rng;
} traveller;

static void travel(traveller *t)
{
    parla_strided shape = random_shape(&t->rng, 6);
    random_box from = random_layout(&t->rng, &shape, true), to = random_layout(&t->rng, &shape, false);
    parla_instance at = {.box = from.box, .i_device = 0};
    void *held = NULL;
    size_t n_bytes = parla_strided_bytes(&shape);
    for (int hop = 0; hop < 4; hop++) {
        parla_instance next = {.i_device = hop == 3 ? 0 : 1 + (int)t_below(&t->rng, (uint64_t)t->devices->n - 1)};
        void *memory = NULL;
        next.box = to.box;
        if (hop < 3) {
            T_OK(pl_device_alloc(&t->devices->list[next.i_device], &memory, n_bytes));
            T_OK(parla_strided_contiguous(&next.box, memory, shape.item_bytes, shape.ndim, shape.extent));
        }
        outcome o = {0};
        T_OK(pl_copy_async(t->devices, &next, &at, done, &o));
        T_EVENTUALLY(pl_load_acquire(&o.n_done) == 1, 10000);
        T_EQ(o.status, 0);
        if (held)
            pl_device_free(&t->devices->list[at.i_device], held, n_bytes);
        held = memory;
        at = next;
    }
    check_same(&to.box, &from.box);
    free(from.memory);
    free(to.memory);
}

static void *travel_often(void *arg)
{
    for (uint64_t i = t_scale(300); i > 0; i--)
        travel(arg);
    return NULL;
}

T_TEST(many_threads_at_once)
{
    register_kinds();
    pl_devices devices;
    T_OK(pl_devices_open(&devices, "sim:2,distant,silent"));
    pthread_t threads[3];
    traveller travellers[3];
    for (int i = 0; i < 3; i++) {
        travellers[i] = (traveller){&devices, {t_seed() + (uint64_t)i}};
        T_EQ(pthread_create(&threads[i], NULL, travel_often, &travellers[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    pl_devices_close(&devices);
}

/* Threads copy through one queue while faults strike at random: a copy's status tells what happened to that copy, not to its neighbour. */
typedef struct victim {
    pl_devices *devices;
    _Atomic uint64_t *n_tried; /* by all threads */
    uint64_t n_failed;
} victim;

static void *copy_under_faults(void *arg)
{
    victim *v = arg;
    char from[N_BYTES], to[N_BYTES] = {0};
    parla_instance dst = bytes(1, to), src = bytes(0, from);
    for (uint64_t i = 1; i <= t_scale(2000); i++) {
        memset(from, (int)(i & 127), sizeof from);
        to[N_BYTES - 1] = -1;
        outcome o = {0};
        T_OK(pl_copy_async(v->devices, &dst, &src, done, &o));
        T_EVENTUALLY(pl_load_acquire(&o.n_done) == 1, 10000);
        T_EQ(to[N_BYTES - 1], o.status == 0 ? (int)(i & 127) : -1);
        v->n_failed += o.status == PARLA_E_DEVICE;
        pl_add_relaxed(v->n_tried, 1);
    }
    return NULL;
}

T_TEST(faults_keep_to_their_copies_among_threads)
{
    pl_devices devices;
    T_OK(pl_devices_open(&devices, "sim:1"));
    _Atomic uint64_t n_tried = 0;
    pthread_t threads[3];
    victim victims[3];
    for (int i = 0; i < 3; i++) {
        victims[i] = (victim){&devices, &n_tried, 0};
        T_EQ(pthread_create(&threads[i], NULL, copy_under_faults, &victims[i]), 0);
    }
    t_rng rng = {t_seed()};
    uint64_t n_copies = 3 * t_scale(2000);
    while (pl_load_relaxed(&n_tried) < n_copies / 2)
        T_OK(pl_devices_inject(&devices, 1, 0, 1 + (int64_t)t_below(&rng, 3)));
    T_OK(pl_devices_inject(&devices, 1, 0, 0));
    uint64_t n_failed = 0;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        n_failed += victims[i].n_failed;
    }
    parla_link_info link = {.size = sizeof link};
    T_OK(pl_devices_link(&devices, 0, 1, &link));
    T_EQ(link.n_copies + n_failed, n_copies);
    pl_devices_close(&devices);
}
