/* launch_stress.c - bodies that leave work in queues of devices, from several threads, some of them failing or suspending behind it: a task
 * ends exactly once, and not before the last piece of its work is done. On "silent", which is sim without bodies of its own. */
#include "../unit/placed_fixture.h"
#include "base/compiler.h"
#include "device/backends.h"
#include "structure.h"

#include <parla/event.h>

enum { N_ACTORS = 3, MAX_PIECES = 6 };

static parla_backend silent;
static parla_runtime *rt;
static tally all;
static uint64_t n_each;
static _Atomic uint64_t n_pieces_done;

__attribute__((constructor)) static void register_silent(void)
{
    silent = pl_backend_sim;
    silent.kind = "silent";
    silent.queue_call = NULL;
    T_OK(parla_backend_register(&silent));
}

typedef struct order {
    uint64_t number;
    int n_pieces;
    bool fails, suspends;
    _Atomic int n_done, n_queued;
} order;

static order *orders;

static void work(void *arg)
{
    order *o = arg;
    for (int i = 0; i < 50; i++)
        pl_cpu_relax();
    pl_add_acq_rel(&o->n_done, 1);
    pl_add_relaxed(&n_pieces_done, 1);
}

static int body(parla_context *context, void *arg)
{
    order *o = arg;
    for (int i = 0; i < o->n_pieces; i++) {
        pl_add_acq_rel(&o->n_queued, 1);
        T_OK(pl_backend_sim.queue_call(parla_context_queue(context, 0), work, o));
    }
    if (o->suspends) {
        parla_task child;
        o->suspends = false;
        T_OK(parla_spawn(rt, &child, do_nothing, NULL, NULL, 0));
        T_OK(parla_suspend_on(context, &child, 1));
        return PARLA_SUSPENDED;
    }
    return o->fails ? parla_fail(context, PARLA_E_USER, "behind its work") : 0;
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    order *o = arg;
    T_EQ(outcome->status, o->fails ? PARLA_E_USER : 0);
    T_EQ(pl_load_acquire(&o->n_done), pl_load_acquire(&o->n_queued));
    T_GE(pl_load_acquire(&o->n_done), o->n_pieces);
    tally_take(&all, o->number);
}

static void act(actor *self)
{
    t_rng *rng = &self->rng;
    for (uint64_t i = 0; i < n_each; i++) {
        order *o = &orders[(uint64_t)self->index * n_each + i];
        parla_demand demand = on_gpu(t_below(rng, 2) ? PARLA_ANY_NUMBER : (int)t_below(rng, 2));
        const parla_choice choice = {&demand, 1};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        o->number = (uint64_t)self->index * n_each + i;
        o->n_pieces = (int)t_below(rng, MAX_PIECES);
        o->fails = t_below(rng, 10) == 0;
        o->suspends = t_below(rng, 10) == 0;
        options.body = body;
        options.on_end = note_end;
        options.arg = o;
        options.choices = &choice;
        options.n_choices = 1;
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
}

T_TEST(no_task_ends_before_its_work)
{
    uint64_t n_queued = 0;
    n_each = t_scale(1500);
    rt = start("silent:2");
    tally_open(&all, N_ACTORS * n_each);
    orders = calloc(N_ACTORS * n_each, sizeof *orders);
    T_TRUE(orders != NULL);
    act_all(N_ACTORS, act);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_destroy(rt);
    for (uint64_t i = 0; i < N_ACTORS * n_each; i++)
        n_queued += (uint64_t)pl_load_relaxed(&orders[i].n_queued);
    T_EQ(n_pieces_done, n_queued);
    free(orders);
    tally_close(&all);
}
