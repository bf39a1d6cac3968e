/* conformance.c - what every kind of device must do, checked through its table alone.
 *
 * A check is a function of a rig: one to four devices of one kind with two queues each. Memory of devices is looked at through copies only.
 * CONFORM turns it into one case for each kind: cpu; sim; "silent", which is sim without queue_call; and, where a driver is found, one
 * logical CUDA device, four on one card, and two cards. A new backend joins by a line in CONFORM. */
#include "base/atomic.h"
#include "device/backends.h"
#include "fakecuda/fakecuda.h"
#include "gate.h"
#include "random_box.h"
#include "test.h"

#include <parla/error.h>

enum { MAX_DEVICES = 4 };

typedef struct rig {
    const parla_backend *b;
    int n; /* devices, each with two queues */
    void *device[MAX_DEVICES];
    void *queue[MAX_DEVICES];
    void *other_queue[MAX_DEVICES];
    bool is_immediate; /* work is done before the call that queues it returns */
    bool is_slow;      /* a piece of work takes microseconds: fewer of them */
} rig;

static void open_device(rig *r, int i, int ordinal, int n_sharing)
{
    parla_device_traits traits;
    parla_device_spec spec = {.kind = r->b->kind, .ordinal = ordinal, .n_sharing = n_sharing};
    T_OK(r->b->open(&r->device[i], &spec, &traits));
    T_GT(traits.memory_bytes, 0);
    T_TRUE(traits.name[0] != '\0');
    T_OK(r->b->queue_open(r->device[i], &r->queue[i]));
    T_OK(r->b->queue_open(r->device[i], &r->other_queue[i]));
    T_TRUE(r->b->queue_native(r->queue[i]) != NULL);
    r->is_immediate = traits.n_queues == 0;
}

static void rig_close(rig *r)
{
    for (int i = 0; i < r->n; i++) {
        if (r->queue[i])
            r->b->queue_close(r->queue[i]);
        r->b->queue_close(r->other_queue[i]);
    }
    for (int i = 0; i < r->n; i++)
        r->b->close(r->device[i]);
}

/* `n` devices on as many cards as there are, or all on the first. */
static void run_check(void (*check)(rig *r), const parla_backend *backend, int n, bool on_one_card)
{
    if (!backend)
        T_SKIP("there is no driver for this kind of device");
    rig r = {.b = backend, .n = n, .is_slow = strcmp(backend->kind, "cuda") == 0};
    int n_cards = backend->probe() < n ? backend->probe() : n;
    if (n_cards < 1 || (!on_one_card && n_cards < n && r.is_slow))
        T_SKIP("there are not as many cards");
    for (int i = 0; i < n; i++)
        open_device(&r, i, on_one_card ? 0 : i % n_cards, on_one_card ? n : 1);
    check(&r);
    rig_close(&r);
}

static const parla_backend *silent(void)
{
    static parla_backend b;
    b = pl_backend_sim;
    b.kind = "silent";
    b.queue_call = NULL;
    return &b;
}

#define CONFORM(name)                                                                                                              \
    static void name(rig *r);                                                                                                      \
    T_TEST(cpu_##name) { run_check(name, &pl_backend_cpu, 2, true); }                                                              \
    T_TEST(sim_##name) { run_check(name, &pl_backend_sim, 2, false); }                                                             \
    T_TEST(silent_##name) { run_check(name, silent(), 2, false); }                                                                 \
    T_TEST(cuda_##name) { run_check(name, parla_backend_find("cuda"), 1, true); }                                                  \
    T_TEST(cuda4_##name) { run_check(name, parla_backend_find("cuda"), 4, true); }                                                 \
    T_TEST(cards_##name) { run_check(name, parla_backend_find("cuda"), 2, false); }                                                \
    static void name(rig *r)

static int finish_queue(rig *r, void *queue)
{
    void *event;
    T_OK(r->b->event_record(queue, &event));
    int status = r->b->event_wait(event);
    T_EQ(r->b->event_query(event), status);
    r->b->event_free(event);
    return status;
}

static int finish(rig *r, int i) { return finish_queue(r, r->queue[i]); }

static parla_strided bytes_at(void *base, size_t n_bytes)
{
    return (parla_strided){.base = base, .item_bytes = 1, .ndim = 1, .extent = {(int64_t)n_bytes}, .stride = {1}};
}

static void *alloc_on(rig *r, int i, size_t n_bytes)
{
    void *memory;
    T_OK(r->b->alloc(r->device[i], &memory, n_bytes));
    return memory;
}

/* Copies bytes to and from a device and waits: the only way in which these checks look at its memory. */
static void put(rig *r, int i, void *to, const void *from, size_t n_bytes)
{
    parla_strided dst = bytes_at(to, n_bytes), src = bytes_at((void *)from, n_bytes);
    T_OK(r->b->copy(r->queue[i], r->device[i], &dst, NULL, &src));
    T_EQ(finish(r, i), 0);
}

static void get(rig *r, int i, void *to, const void *from, size_t n_bytes)
{
    parla_strided dst = bytes_at(to, n_bytes), src = bytes_at((void *)from, n_bytes);
    T_OK(r->b->copy(r->queue[i], NULL, &dst, r->device[i], &src));
    T_EQ(finish(r, i), 0);
}

CONFORM(memory_is_aligned_and_ones_own)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 1000003};
    static unsigned char seen[1000003];
    unsigned char *memory[MAX_DEVICES][7];
    for (int d = 0; d < r->n; d++) {
        for (int i = 0; i < 7; i++) {
            memory[d][i] = alloc_on(r, d, sizes[i]);
            T_EQ((uintptr_t)memory[d][i] % 64, 0);
            parla_strided all = bytes_at(memory[d][i], sizes[i]);
            T_OK(r->b->fill(r->queue[d], &all, (unsigned char)(10 * d + i)));
        }
    }
    for (int d = 0; d < r->n; d++) {
        T_EQ(finish(r, d), 0);
        for (int i = 0; i < 7; i++) {
            get(r, d, seen, memory[d][i], sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++)
                T_EQ(seen[k], 10 * d + i);
            r->b->free(r->device[d], memory[d][i], sizes[i]);
        }
    }
}

/* Memory in the order of a queue is given back behind work that uses it, and taken again at once. */
CONFORM(memory_follows_its_queue)
{
    enum { N = 4096, N_TIMES = 50 };
    static unsigned char seen[N_TIMES][N];
    for (int i = 0; i < N_TIMES; i++) {
        void *memory;
        T_OK(r->b->queue_alloc(r->queue[0], &memory, N));
        T_EQ((uintptr_t)memory % 64, 0);
        parla_strided there = bytes_at(memory, N), here = bytes_at(seen[i], N);
        T_OK(r->b->fill(r->queue[0], &there, (unsigned char)i));
        T_OK(r->b->copy(r->queue[0], NULL, &here, r->device[0], &there));
        r->b->queue_free(r->queue[0], memory, N);
    }
    T_EQ(finish(r, 0), 0);
    for (int i = 0; i < N_TIMES; i++)
        for (int k = 0; k < N; k++)
            T_EQ(seen[i][k], i);
}

CONFORM(host_memory_for_staging_is_host_memory)
{
    void *memory[3];
    static const size_t sizes[] = {0, 100, 1 << 20};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            T_OK(r->b->host_alloc(r->device[0], &memory[i], sizes[i]));
            T_EQ((uintptr_t)memory[i] % 64, 0);
            memset(memory[i], i, sizes[i]);
        }
        unsigned char *there = alloc_on(r, 0, sizes[2]);
        put(r, 0, there, memory[2], sizes[2]);
        get(r, 0, memory[1], there + 5, 100);
        T_EQ(*(unsigned char *)memory[1], 2);
        r->b->free(r->device[0], there, sizes[2]);
        for (int i = 0; i < 3; i++)
            r->b->host_free(r->device[0], memory[i], sizes[i]);
    }
}

/* host -> device 0 -> device 1 -> ... -> host with a different layout at each end. A declined peer route is allowed, and then not taken. */
static void check_round_trip(rig *r, t_rng *rng)
{
    parla_strided shape = random_shape(rng, r->is_slow ? 4 : 6), box[MAX_DEVICES];
    random_box from = random_layout(rng, &shape, true), to = random_layout(rng, &shape, false);
    void *memory[MAX_DEVICES];
    size_t n_bytes = parla_strided_bytes(&shape);
    for (int d = 0; d < r->n; d++) {
        memory[d] = alloc_on(r, d, n_bytes);
        T_OK(parla_strided_contiguous(&box[d], memory[d], shape.item_bytes, shape.ndim, shape.extent));
    }
    T_OK(r->b->copy(r->queue[0], r->device[0], &box[0], NULL, &from.box));
    T_EQ(finish(r, 0), 0);
    int last = 0;
    for (int d = 1; d < r->n && last == d - 1; d++) {
        int rc = r->b->copy(r->queue[d], r->device[d], &box[d], r->device[d - 1], &box[d - 1]);
        T_TRUE(rc == 0 || rc == PARLA_E_UNSUPPORTED);
        T_EQ(finish(r, d), 0);
        last = rc == 0 ? d : last;
    }
    T_OK(r->b->copy(r->queue[last], NULL, &to.box, r->device[last], &box[last]));
    T_EQ(finish(r, last), 0);
    check_same(&to.box, &from.box);
    for (int d = 0; d < r->n; d++)
        r->b->free(r->device[d], memory[d], n_bytes);
    free(from.memory);
    free(to.memory);
}

CONFORM(copies_of_strided_boxes)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = t_scale(r->is_slow ? 60 : 300); i > 0; i--)
        check_round_trip(r, &rng);
}

/* The same between two random layouts in memory of devices, the gaps untouched. */
static void check_layouts(rig *r, t_rng *rng)
{
    parla_strided shape = random_shape(rng, 4);
    random_box from = random_layout(rng, &shape, true), to = random_layout(rng, &shape, false);
    int last = r->n - 1;
    unsigned char *there = alloc_on(r, last, to.n_bytes), *here = alloc_on(r, 0, from.n_bytes);
    put(r, last, there, to.memory, to.n_bytes);
    put(r, 0, here, from.memory, from.n_bytes);
    parla_strided dst = to.box, src = from.box;
    dst.base = there + ((unsigned char *)to.box.base - to.memory);
    src.base = here + ((unsigned char *)from.box.base - from.memory);
    int rc = r->b->copy(r->queue[last], r->device[last], &dst, r->device[0], &src);
    T_EQ(finish(r, last), 0);
    if (rc != PARLA_E_UNSUPPORTED) {
        T_EQ(rc, 0);
        naive_copy(&to.box, &from.box);
        unsigned char *seen = malloc(to.n_bytes);
        T_TRUE(seen != NULL);
        get(r, last, seen, there, to.n_bytes);
        T_EQ_MEM(seen, to.memory, to.n_bytes);
        free(seen);
    }
    r->b->free(r->device[last], there, to.n_bytes);
    r->b->free(r->device[0], here, from.n_bytes);
    free(from.memory);
    free(to.memory);
}

CONFORM(copies_between_strided_boxes_of_devices)
{
    t_rng rng = {t_seed() + 1};
    for (uint64_t i = t_scale(r->is_slow ? 60 : 300); i > 0; i--)
        check_layouts(r, &rng);
}

CONFORM(copies_of_unequal_boxes_are_refused)
{
    char b[64] = {0};
    char *a = alloc_on(r, 0, 64);
    parla_strided dst = {.base = a, .item_bytes = 4, .ndim = 1, .extent = {3}, .stride = {4}};
    parla_strided src = {.base = b, .item_bytes = 4, .ndim = 1, .extent = {2}, .stride = {4}};
    T_EQ(r->b->copy(r->queue[0], r->device[0], &dst, NULL, &src), PARLA_E_INVALID);
    src.extent[0] = 3;
    dst.stride[0] = 0;
    T_EQ(r->b->copy(r->queue[0], r->device[0], &dst, NULL, &src), PARLA_E_INVALID);
    T_EQ(r->b->fill(r->queue[0], &dst, 1), PARLA_E_INVALID);
    T_EQ(finish(r, 0), 0); /* a refusal leaves the queue as it was */
    r->b->free(r->device[0], a, 64);
}

CONFORM(more_memory_than_there_is_is_refused)
{
    void *memory = r;
    size_t too_much = (size_t)1 << 63;
    T_EQ(r->b->alloc(r->device[0], &memory, too_much), PARLA_E_DEVICE_MEMORY);
    T_EQ_PTR(memory, r);
    T_EQ(r->b->queue_alloc(r->queue[0], &memory, too_much), PARLA_E_DEVICE_MEMORY);
    T_EQ_PTR(memory, r);
    T_TRUE(parla_error_detail()[0] != '\0');
    void *some = alloc_on(r, 0, 100);
    r->b->free(r->device[0], some, 100);
}

CONFORM(fills_touch_the_box_only)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = t_scale(r->is_slow ? 40 : 100); i > 0; i--) {
        parla_strided shape = random_shape(&rng, r->is_slow ? 4 : 5);
        random_box expected = random_layout(&rng, &shape, false);
        unsigned char *there = alloc_on(r, 0, expected.n_bytes), *seen = malloc(expected.n_bytes);
        T_TRUE(seen != NULL);
        put(r, 0, there, expected.memory, expected.n_bytes);
        parla_strided dst = expected.box;
        dst.base = there + ((unsigned char *)expected.box.base - expected.memory);
        for (int64_t k = parla_strided_items(&shape) - 1; k >= 0; k--)
            memset(element(&expected.box, k), 0x33, shape.item_bytes);
        T_OK(r->b->fill(r->queue[0], &dst, 0x33));
        get(r, 0, seen, there, expected.n_bytes);
        T_EQ_MEM(seen, expected.memory, expected.n_bytes);
        r->b->free(r->device[0], there, expected.n_bytes);
        free(seen);
        free(expected.memory);
    }
}

/* Copies one cell of a device to the next one. */
static void relay(rig *r, void *queue, int64_t *cells, int i)
{
    parla_strided src = {.base = &cells[i], .item_bytes = 8}, dst = {.base = &cells[i + 1], .item_bytes = 8};
    T_OK(r->b->copy(queue, r->device[0], &dst, r->device[0], &src));
}

/* Each copy reads what the one before it wrote. */
CONFORM(a_queue_works_in_order)
{
    enum { N = 500 };
    int64_t first = 42, last = 0;
    int64_t *cells = alloc_on(r, 0, (N + 1) * sizeof *cells);
    put(r, 0, cells, &first, sizeof first);
    for (int i = 0; i < N; i++)
        relay(r, r->queue[0], cells, i);
    get(r, 0, &last, &cells[N], sizeof last);
    T_EQ(last, 42);
    r->b->free(r->device[0], cells, (N + 1) * sizeof *cells);
}

/* A relay of copies that hops between two queues, held together by events alone. */
CONFORM(events_order_queues)
{
    enum { N = 200 };
    int64_t first = 43, last = 0;
    int64_t *cells = alloc_on(r, 0, (N + 1) * sizeof *cells);
    void *queues[2] = {r->queue[0], r->other_queue[0]};
    put(r, 0, cells, &first, sizeof first);
    for (int i = 0; i < N; i++) {
        void *event;
        relay(r, queues[i % 2], cells, i);
        T_OK(r->b->event_record(queues[i % 2], &event));
        T_OK(r->b->queue_wait(queues[(i + 1) % 2], event));
        r->b->event_free(event); /* the queue that waits keeps what it needs */
    }
    T_EQ(finish_queue(r, queues[N % 2]), 0);
    get(r, 0, &last, &cells[N], sizeof last);
    T_EQ(last, 43);
    r->b->free(r->device[0], cells, (N + 1) * sizeof *cells);
}

/* The same across devices: each reads what the one before it has. */
CONFORM(events_order_devices)
{
    enum { N = 64 };
    unsigned char *memory[MAX_DEVICES], seen[N];
    for (int d = 0; d < r->n; d++)
        memory[d] = alloc_on(r, d, N);
    parla_strided first = bytes_at(memory[0], N);
    T_OK(r->b->fill(r->queue[0], &first, 0x5a));
    int last = 0;
    for (int d = 1; d < r->n && last == d - 1; d++) {
        void *event;
        parla_strided dst = bytes_at(memory[d], N), src = bytes_at(memory[d - 1], N);
        T_OK(r->b->event_record(r->queue[d - 1], &event));
        T_OK(r->b->queue_wait(r->queue[d], event));
        r->b->event_free(event);
        int rc = r->b->copy(r->queue[d], r->device[d], &dst, r->device[d - 1], &src);
        last = rc == 0 ? d : last;
        T_TRUE(rc == 0 || rc == PARLA_E_UNSUPPORTED);
    }
    get(r, last, seen, memory[last], N);
    T_EQ(seen[N - 1], 0x5a);
    for (int d = 0; d < r->n; d++)
        r->b->free(r->device[d], memory[d], N);
}

CONFORM(events_of_idle_queues_pass)
{
    for (int i = 0; i < r->n; i++)
        T_EQ(finish(r, i), 0);
}

CONFORM(events_are_pending_until_their_work_is_done)
{
    if (!r->b->queue_call || r->is_immediate)
        return; /* nothing can hold such a queue up */
    gate g = GATE_INIT;
    void *before, *after, *other;
    T_OK(r->b->event_record(r->queue[0], &before));
    T_OK(r->b->queue_call(r->queue[0], gate_pass, &g));
    T_OK(r->b->event_record(r->queue[0], &after));
    T_OK(r->b->queue_wait(r->other_queue[0], after));
    T_OK(r->b->event_record(r->other_queue[0], &other));
    T_EQ(r->b->event_wait(before), 0);
    T_EQ(r->b->event_query(after), PARLA_PENDING);
    T_EQ(r->b->event_query(other), PARLA_PENDING);
    gate_open(&g);
    T_EQ(r->b->event_wait(other), 0);
    T_EQ(r->b->event_query(after), 0);
    r->b->event_free(before);
    r->b->event_free(after);
    r->b->event_free(other);
}

static void add_one(void *arg) { pl_add_relaxed((_Atomic int *)arg, 1); }

/* Everything queued is done when the queue has been closed, an event that nobody has any more included. */
CONFORM(closing_waits_for_the_work)
{
    enum { N = 100 };
    static int64_t from[N], to[N];
    static _Atomic int n_calls;
    int64_t *there = alloc_on(r, 0, sizeof from);
    for (int i = 0; i < N; i++) {
        from[i] = i;
        parla_strided src = {.base = &from[i], .item_bytes = 8}, dst = {.base = &to[i], .item_bytes = 8};
        parla_strided between = {.base = &there[i], .item_bytes = 8};
        void *event;
        T_OK(r->b->copy(r->queue[0], r->device[0], &between, NULL, &src));
        T_OK(r->b->copy(r->queue[0], NULL, &dst, r->device[0], &between));
        T_OK(r->b->event_record(r->queue[0], &event));
        r->b->event_free(event);
        if (r->b->queue_call)
            T_OK(r->b->queue_call(r->queue[0], add_one, &n_calls));
    }
    r->b->queue_close(r->queue[0]);
    r->queue[0] = NULL;
    T_EQ_MEM(to, from, sizeof to);
    T_EQ(pl_load_relaxed(&n_calls), r->b->queue_call ? N : 0);
    r->b->free(r->device[0], there, sizeof from);
}

/* Several threads queue calls on one queue: all are made, those of one thread in its order. */
typedef struct caller {
    rig *rig;
    int last; /* written on the queue's thread */
} caller;

typedef struct numbered {
    caller *caller;
    int i;
} numbered;

static void expect_next(void *arg)
{
    numbered *n = arg;
    T_EQ(n->caller->last, n->i - 1);
    n->caller->last = n->i;
    free(n);
}

static void *call_often(void *arg)
{
    caller *c = arg;
    for (int i = 1; i <= 300; i++) {
        numbered *n = malloc(sizeof *n);
        T_TRUE(n != NULL);
        *n = (numbered){c, i};
        T_OK(c->rig->b->queue_call(c->rig->queue[0], expect_next, n));
    }
    return NULL;
}

CONFORM(many_threads_may_share_a_queue)
{
    if (!r->b->queue_call)
        return;
    pthread_t threads[3];
    caller callers[3];
    for (int i = 0; i < 3; i++) {
        callers[i] = (caller){r, 0};
        T_EQ(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    T_EQ(finish(r, 0), 0);
    for (int i = 0; i < 3; i++)
        T_EQ(callers[i].last, 300);
}

/* Faults can be had from simulated devices, and from a driver that only plays one; that they reach events as any device's failure does is
 * for every user of the table. */
T_TEST(sim_failures_reach_the_next_event)
{
    rig r = {.b = &pl_backend_sim, .n = 1};
    open_device(&r, 0, 0, 1);
    int64_t from = 1, to = 0;
    parla_strided src = {.base = &from, .item_bytes = 8}, dst = {.base = &to, .item_bytes = 8};
    pl_sim_inject(r.device[0], 0, 1);
    T_OK(r.b->copy(r.queue[0], NULL, &dst, NULL, &src));
    T_EQ(finish(&r, 0), PARLA_E_DEVICE);
    T_EQ(to, 0);
    T_OK(r.b->copy(r.queue[0], NULL, &dst, NULL, &src));
    T_EQ(finish(&r, 0), 0);
    T_EQ(to, 1);
    rig_close(&r);
}

T_TEST(cuda_failures_reach_every_event_with_the_drivers_words)
{
    if (!fakecuda())
        T_SKIP("a real driver does not fail on request");
    rig r = {.b = parla_backend_find("cuda"), .n = 1};
    open_device(&r, 0, 0, 1);
    void *memory = alloc_on(&r, 0, 8);
    parla_strided there = bytes_at(memory, 8);
    void *event;
    fakecuda()->fail_work(1, 719);
    fakecuda()->pause(true);
    T_OK(r.b->fill(r.queue[0], &there, 1));
    T_OK(r.b->event_record(r.queue[0], &event));
    T_EQ(r.b->event_query(event), PARLA_PENDING);
    fakecuda()->pause(false);
    T_EQ(r.b->event_wait(event), PARLA_E_DEVICE);
    T_HAS_STR(parla_error_detail(), "CUDA_ERROR_LAUNCH_FAILED (719): unspecified launch failure");
    T_EQ(r.b->event_query(event), PARLA_E_DEVICE);
    r.b->event_free(event);
    T_EQ(r.b->fill(r.queue[0], &there, 1), PARLA_E_DEVICE); /* the context is lost */
    r.b->free(r.device[0], memory, 8);
    rig_close(&r);
}
