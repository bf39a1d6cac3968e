/* test_sim_clock.c - modelled time: who has the turn, in which order, and when the clock goes on. */
#include "base/atomic.h"
#include "device/device.h"
#include "device/sim_queue.h"
#include "test.h"

#include <parla/error.h>

enum { N_QUEUES = 3, N_PIECES = 64 };

/* What was done, in order: by which queue, and when. */
typedef struct record {
    int n;
    int queue[N_PIECES];
    uint64_t ns[N_PIECES];
} record;

typedef struct world {
    pl_sim_clock *clock;
    pl_sim_queue *queues[N_QUEUES];
    record done;
    _Atomic bool rests;
} world;

typedef struct piece {
    world *w;
    int i_queue;
    uint64_t duration_ns;
} piece;

static bool is_at_rest(void *ctx) { return pl_load_seq(&((world *)ctx)->rests); }

static void open_world(world *w)
{
    *w = (world){0};
    T_OK(pl_sim_clock_create(&w->clock));
    pl_sim_clock_on_rest(w->clock, is_at_rest, w);
    for (int i = 0; i < N_QUEUES; i++)
        T_OK(pl_sim_queue_open(&w->queues[i], "sim.q", w->clock));
}

static void close_world(world *w)
{
    for (int i = 0; i < N_QUEUES; i++)
        pl_sim_queue_close(w->queues[i]);
    pl_sim_clock_destroy(w->clock);
}

/* Everybody rests: the clock goes on until all that was pushed is done. */
static void run_all(world *w)
{
    pl_store_seq(&w->rests, true);
    pl_sim_clock_look(w->clock);
    for (int i = 0; i < N_QUEUES; i++)
        pl_sim_queue_drain(w->queues[i]);
}

static void do_piece(void *arg)
{
    const piece *p = arg;
    T_TRUE(pl_sim_queue_spend(p->duration_ns));
    p->w->done.queue[p->w->done.n] = p->i_queue;
    p->w->done.ns[p->w->done.n++] = pl_sim_clock_now_ns(p->w->clock) - pl_sim_clock_origin_ns(p->w->clock);
}

static void push(piece *p, world *w, int i_queue, uint64_t duration_ns)
{
    *p = (piece){w, i_queue, duration_ns};
    T_OK(pl_sim_queue_push(w->queues[i_queue], &(pl_sim_op){.kind = PL_SIM_CALL, .function = do_piece, .arg = p}));
}

static void expect(const world *w, int i, int i_queue, uint64_t ns)
{
    T_LT(i, w->done.n);
    T_EQ(w->done.queue[i], i_queue);
    T_EQ(w->done.ns[i], ns);
}

T_TEST(work_of_several_queues_goes_side_by_side)
{
    world w;
    piece p[4];
    open_world(&w);
    push(&p[0], &w, 0, 100);
    push(&p[1], &w, 0, 50);
    push(&p[2], &w, 1, 120);
    push(&p[3], &w, 2, UINT64_C(3600000000000)); /* an hour */
    run_all(&w);
    T_EQ(w.done.n, 4);
    expect(&w, 0, 0, 100);
    expect(&w, 1, 1, 120);
    expect(&w, 2, 0, 150);
    expect(&w, 3, 2, UINT64_C(3600000000000));
    close_world(&w);
}

T_TEST(at_the_same_time_the_queue_opened_first_goes_first)
{
    world w;
    piece p[6];
    open_world(&w);
    for (int i = 0; i < 6; i++)
        push(&p[i], &w, (5 - i) % N_QUEUES, 10);
    run_all(&w);
    for (int i = 0; i < 6; i++)
        expect(&w, i, i % N_QUEUES, i < 3 ? 10 : 20);
    close_world(&w);
}

T_TEST(nothing_moves_until_all_rest)
{
    world w;
    piece p[2];
    open_world(&w);
    push(&p[0], &w, 0, 5);
    pl_sim_clock_look(w.clock);
    T_TRUE(pl_sim_clock_stands(w.clock));
    push(&p[1], &w, 1, 3); /* later, but at the same modelled time */
    pl_sim_clock_look(w.clock);
    T_TRUE(pl_sim_clock_stands(w.clock));
    run_all(&w);
    expect(&w, 0, 1, 3);
    expect(&w, 1, 0, 5);
    close_world(&w);
}

/* Queue 0 waits for an event of queue 1, then works: 40 + 7. Queue 2 is not held up. */
T_TEST(a_queue_waits_for_anothers_event)
{
    world w;
    piece p[3];
    pl_sim_event *event;
    open_world(&w);
    T_OK(pl_sim_event_create(&event, w.clock));
    pl_sim_event_ref(event);
    pl_sim_event_ref(event);
    T_OK(pl_sim_queue_push(w.queues[0], &(pl_sim_op){.kind = PL_SIM_WAIT, .event = event}));
    push(&p[0], &w, 0, 7);
    push(&p[1], &w, 1, 40);
    T_OK(pl_sim_queue_push(w.queues[1], &(pl_sim_op){.kind = PL_SIM_RECORD, .event = event}));
    push(&p[2], &w, 2, 41);
    run_all(&w);
    expect(&w, 0, 1, 40);
    expect(&w, 1, 2, 41);
    expect(&w, 2, 0, 47);
    T_EQ(pl_sim_event_wait(event), 0);
    pl_sim_event_unref(event);
    close_world(&w);
}

/* Nobody rests, but a thread waits for the devices themselves. */
T_TEST(who_waits_for_an_event_makes_time_pass)
{
    world w;
    piece p;
    pl_sim_event *event;
    open_world(&w);
    push(&p, &w, 0, 1000);
    T_OK(pl_sim_event_create(&event, w.clock));
    pl_sim_event_ref(event);
    T_OK(pl_sim_queue_push(w.queues[0], &(pl_sim_op){.kind = PL_SIM_RECORD, .event = event}));
    T_EQ(pl_sim_event_wait(event), 0);
    expect(&w, 0, 0, 1000);
    pl_sim_event_unref(event);
    close_world(&w);
}

/* Each piece pushes the next one to another queue: a chain of turns, from the threads that have it. */
typedef struct chain {
    world *w;
    int n_left;
    pl_sim_event *over;
} chain;

static void do_link(void *arg)
{
    chain *c = arg;
    T_TRUE(pl_sim_queue_spend(3));
    if (--c->n_left == 0)
        pl_sim_event_pass(c->over, 0);
    else
        T_OK(pl_sim_queue_push(c->w->queues[c->n_left % N_QUEUES],
                               &(pl_sim_op){.kind = PL_SIM_CALL, .function = do_link, .arg = c}));
}

T_TEST(work_pushed_by_work_goes_on)
{
    world w;
    open_world(&w);
    chain c = {.w = &w, .n_left = 1000};
    T_OK(pl_sim_event_create(&c.over, NULL)); /* real: waiting for it does not make time pass */
    T_OK(pl_sim_queue_push(w.queues[0], &(pl_sim_op){.kind = PL_SIM_CALL, .function = do_link, .arg = &c}));
    pl_store_seq(&w.rests, true);
    pl_sim_clock_look(w.clock);
    T_EQ(pl_sim_event_wait(c.over), 0);
    T_EQ(pl_sim_clock_now_ns(w.clock) - pl_sim_clock_origin_ns(w.clock), 3000);
    pl_sim_event_unref(c.over);
    close_world(&w);
}

static void note(void *arg, int status)
{
    T_EQ(status, 0);
    pl_store_release((_Atomic bool *)arg, true);
}

/* Bytes over the bandwidth plus the latency, to the nanosecond; nobody asks whether anybody rests. */
T_TEST(copies_take_the_time_of_their_link)
{
    static char bytes[1 << 20];
    pl_devices devices;
    T_OK(pl_devices_open(&devices, "sim,link=1GB/s,lat=5us,time=virtual"));
    uint64_t begin_ns = pl_devices_now_ns(&devices);
    parla_instance host = {.i_device = 0}, there = {.i_device = 1};
    void *memory;
    _Atomic bool is_over = false;
    T_OK(pl_device_alloc(&devices.list[1], &memory, sizeof bytes));
    int64_t n = sizeof bytes;
    T_OK(parla_strided_contiguous(&host.box, bytes, 1, 1, &n));
    T_OK(parla_strided_contiguous(&there.box, memory, 1, 1, &n));
    T_OK(pl_copy_async(&devices, &there, &host, note, &is_over));
    T_EVENTUALLY(pl_load_acquire(&is_over), 60000);
    T_EQ(pl_devices_now_ns(&devices) - begin_ns, 5000 + (1 << 20));
    T_EQ(pl_load_relaxed(&devices.links[1].busy_ns), 5000 + (1 << 20));
    pl_device_free(&devices.list[1], memory, sizeof bytes);
    pl_devices_close(&devices);
}
