/* conformance.c - what every kind of device must do, checked through its table alone.
 *
 * A check is a function of a rig: two devices of one kind with a queue each. CONFORM turns it into one case for each kind: cpu, sim, and
 * "silent", which is sim without queue_call. A new backend joins by a line in CONFORM. */
#include "base/atomic.h"
#include "device/backends.h"
#include "gate.h"
#include "random_box.h"
#include "test.h"

#include <parla/error.h>

typedef struct rig {
    const parla_backend *b;
    void *device[2];
    void *queue[2];
    bool is_immediate; /* work is done before the call that queues it returns */
} rig;

static void rig_open(rig *r, const parla_backend *backend)
{
    *r = (rig){.b = backend};
    for (int i = 0; i < 2; i++) {
        parla_device_traits traits;
        T_OK(backend->open(&r->device[i], &(parla_device_spec){.kind = backend->kind, .ordinal = i}, &traits));
        T_GT(traits.memory_bytes, 0);
        T_TRUE(traits.name[0] != '\0');
        T_OK(backend->queue_open(r->device[i], &r->queue[i]));
        T_TRUE(backend->queue_native(r->queue[i]) != NULL);
        r->is_immediate = traits.n_queues == 0;
    }
}

static void rig_close(rig *r)
{
    for (int i = 0; i < 2; i++)
        if (r->queue[i])
            r->b->queue_close(r->queue[i]);
    for (int i = 0; i < 2; i++)
        r->b->close(r->device[i]);
}

static void run_check(void (*check)(rig *r), const parla_backend *backend)
{
    rig r;
    rig_open(&r, backend);
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
    T_TEST(cpu_##name) { run_check(name, &pl_backend_cpu); }                                                                       \
    T_TEST(sim_##name) { run_check(name, &pl_backend_sim); }                                                                       \
    T_TEST(silent_##name) { run_check(name, silent()); }                                                                           \
    static void name(rig *r)

static int finish(rig *r, int i_queue)
{
    void *event;
    T_OK(r->b->event_record(r->queue[i_queue], &event));
    int status = r->b->event_wait(event);
    T_EQ(r->b->event_query(event), status);
    r->b->event_free(event);
    return status;
}

CONFORM(memory_is_aligned_and_ones_own)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 1000003};
    unsigned char *memory[2][7];
    for (int d = 0; d < 2; d++) {
        for (int i = 0; i < 7; i++) {
            T_OK(r->b->alloc(r->device[d], (void **)&memory[d][i], sizes[i]));
            T_EQ((uintptr_t)memory[d][i] % 64, 0);
            parla_strided all = {.base = memory[d][i], .item_bytes = 1, .ndim = 1, .extent = {(int64_t)sizes[i]}, .stride = {1}};
            T_OK(r->b->fill(r->queue[d], &all, (unsigned char)(10 * d + i)));
        }
    }
    for (int d = 0; d < 2; d++) {
        T_EQ(finish(r, d), 0);
        for (int i = 0; i < 7; i++) {
            for (size_t k = 0; k < sizes[i]; k++)
                T_EQ(memory[d][i][k], 10 * d + i);
            r->b->free(r->device[d], memory[d][i], sizes[i]);
        }
    }
}

/* host -> device 0 -> device 1 -> host with a different layout at each stop. A declined peer route is allowed, and then not taken. */
static void check_round_trip(rig *r, t_rng *rng)
{
    parla_strided shape = random_shape(rng, 6), box[2];
    random_box from = random_layout(rng, &shape, true), to = random_layout(rng, &shape, false);
    void *memory[2];
    size_t n_bytes = parla_strided_bytes(&shape);
    for (int d = 0; d < 2; d++) {
        T_OK(r->b->alloc(r->device[d], &memory[d], n_bytes));
        T_OK(parla_strided_contiguous(&box[d], memory[d], shape.item_bytes, shape.ndim, shape.extent));
    }
    T_OK(r->b->copy(r->queue[0], r->device[0], &box[0], NULL, &from.box));
    T_EQ(finish(r, 0), 0);
    int rc = r->b->copy(r->queue[1], r->device[1], &box[1], r->device[0], &box[0]);
    T_TRUE(rc == 0 || rc == PARLA_E_UNSUPPORTED);
    int last = rc == 0 ? 1 : 0;
    T_OK(r->b->copy(r->queue[last], NULL, &to.box, r->device[last], &box[last]));
    T_EQ(finish(r, last), 0);
    check_same(&to.box, &from.box);
    for (int d = 0; d < 2; d++)
        r->b->free(r->device[d], memory[d], n_bytes);
    free(from.memory);
    free(to.memory);
}

CONFORM(copies_of_strided_boxes)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = t_scale(300); i > 0; i--)
        check_round_trip(r, &rng);
}

CONFORM(copies_of_unequal_boxes_are_refused)
{
    char a[64] = {0}, b[64] = {0};
    parla_strided dst = {.base = a, .item_bytes = 4, .ndim = 1, .extent = {3}, .stride = {4}};
    parla_strided src = {.base = b, .item_bytes = 4, .ndim = 1, .extent = {2}, .stride = {4}};
    T_EQ(r->b->copy(r->queue[0], NULL, &dst, NULL, &src), PARLA_E_INVALID);
    src.extent[0] = 3;
    dst.stride[0] = 0;
    T_EQ(r->b->copy(r->queue[0], NULL, &dst, NULL, &src), PARLA_E_INVALID);
    T_EQ(r->b->fill(r->queue[0], &dst, 1), PARLA_E_INVALID);
    T_EQ(finish(r, 0), 0); /* a refusal leaves the queue as it was */
}

CONFORM(fills_touch_the_box_only)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = t_scale(100); i > 0; i--) {
        parla_strided shape = random_shape(&rng, 5);
        random_box dst = random_layout(&rng, &shape, false), expected = dst;
        expected.memory = malloc(dst.n_bytes);
        T_TRUE(expected.memory != NULL);
        memcpy(expected.memory, dst.memory, dst.n_bytes);
        expected.box.base = expected.memory + ((unsigned char *)dst.box.base - dst.memory);
        for (int64_t k = parla_strided_items(&shape) - 1; k >= 0; k--)
            memset(element(&expected.box, k), 0x33, shape.item_bytes);
        T_OK(r->b->fill(r->queue[0], &dst.box, 0x33));
        T_EQ(finish(r, 0), 0);
        T_EQ_MEM(dst.memory, expected.memory, dst.n_bytes);
        free(dst.memory);
        free(expected.memory);
    }
}

/* Each copy reads what the one before it wrote. */
CONFORM(a_queue_works_in_order)
{
    enum { N = 500 };
    static int64_t cells[N + 1];
    cells[0] = 42;
    for (int i = 0; i < N; i++) {
        parla_strided src = {.base = &cells[i], .item_bytes = 8}, dst = {.base = &cells[i + 1], .item_bytes = 8};
        T_OK(r->b->copy(r->queue[0], NULL, &dst, NULL, &src));
    }
    T_EQ(finish(r, 0), 0);
    T_EQ(cells[N], 42);
}

/* A relay of copies that hops between two queues, held together by events alone. */
CONFORM(events_order_queues)
{
    enum { N = 200 };
    static int64_t cells[N + 1];
    cells[0] = 43;
    for (int i = 0; i < N; i++) {
        parla_strided src = {.base = &cells[i], .item_bytes = 8}, dst = {.base = &cells[i + 1], .item_bytes = 8};
        void *event;
        T_OK(r->b->copy(r->queue[i % 2], NULL, &dst, NULL, &src));
        T_OK(r->b->event_record(r->queue[i % 2], &event));
        T_OK(r->b->queue_wait(r->queue[(i + 1) % 2], event));
        r->b->event_free(event); /* the queue that waits keeps what it needs */
    }
    T_EQ(finish(r, N % 2), 0);
    T_EQ(cells[N], 43);
}

CONFORM(events_of_idle_queues_pass)
{
    T_EQ(finish(r, 0), 0);
    T_EQ(finish(r, 1), 0);
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
    T_OK(r->b->queue_wait(r->queue[1], after));
    T_OK(r->b->event_record(r->queue[1], &other));
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
    for (int i = 0; i < N; i++) {
        from[i] = i;
        parla_strided src = {.base = &from[i], .item_bytes = 8}, dst = {.base = &to[i], .item_bytes = 8};
        void *event;
        T_OK(r->b->copy(r->queue[0], NULL, &dst, NULL, &src));
        T_OK(r->b->event_record(r->queue[0], &event));
        r->b->event_free(event);
        if (r->b->queue_call)
            T_OK(r->b->queue_call(r->queue[0], add_one, &n_calls));
    }
    r->b->queue_close(r->queue[0]);
    r->queue[0] = NULL;
    T_EQ_MEM(to, from, sizeof to);
    T_EQ(pl_load_relaxed(&n_calls), r->b->queue_call ? N : 0);
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

/* Faults exist on simulated devices only; that they reach events as any device's failure does is for every user of the table. */
T_TEST(sim_failures_reach_the_next_event)
{
    rig r;
    rig_open(&r, &pl_backend_sim);
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
