/* test_watch.c - the thread that waits for events in turn. */
#include "device/backends.h"
#include "device/watch.h"
#include "gate.h"
#include "test.h"

typedef struct rig {
    void *device, *queue;
    pl_watch *watch;
    int n_called;
} rig;

typedef struct item {
    pl_watch_item base;
    rig *rig;
    int i;
    struct item *follower; /* pushed by this one's call */
} item;

static rig rig_open(void)
{
    rig r = {0};
    parla_device_traits traits;
    T_OK(pl_backend_sim.open(&r.device, &(parla_device_spec){.kind = "sim"}, &traits));
    T_OK(pl_backend_sim.queue_open(r.device, &r.queue));
    T_OK(pl_watch_open(&r.watch, &pl_backend_sim));
    return r;
}

static void rig_close(rig *r)
{
    pl_watch_close(r->watch);
    pl_backend_sim.queue_close(r->queue);
    pl_backend_sim.close(r->device);
}

static void called(void *arg)
{
    item *self = arg;
    T_EQ(pl_backend_sim.event_query(self->base.event), 0);
    pl_backend_sim.event_free(self->base.event);
    T_EQ(self->rig->n_called, self->i);
    self->rig->n_called++;
    if (self->follower)
        pl_watch_push(self->rig->watch, &self->follower->base);
}

static void prepare(rig *r, item *it, int i)
{
    *it = (item){.base = {.function = called, .arg = it}, .rig = r, .i = i};
    T_OK(pl_backend_sim.event_record(r->queue, &it->base.event));
}

T_TEST(calls_in_order_and_closing_waits)
{
    rig r = rig_open();
    gate g = GATE_INIT;
    item items[50];
    T_OK(pl_backend_sim.queue_call(r.queue, gate_pass, &g));
    for (int i = 0; i < 50; i++) {
        prepare(&r, &items[i], i);
        pl_watch_push(r.watch, &items[i].base);
    }
    T_EQ(r.n_called, 0); /* all of them are behind the gate */
    gate_open(&g);
    rig_close(&r);
    T_EQ(r.n_called, 50);
}

T_TEST(calls_may_push)
{
    rig r = rig_open();
    item first, second;
    prepare(&r, &first, 0);
    prepare(&r, &second, 1);
    first.follower = &second;
    pl_watch_push(r.watch, &first.base);
    rig_close(&r);
    T_EQ(r.n_called, 2);
}
