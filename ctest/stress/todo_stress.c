/* todo_stress.c - what is decided under the lock of the placed path and done after it, by many threads at once: chains through shared arrays
 * whose tasks end, fail and are cancelled, so that ending one launches, moves or fails the next, on whatever thread that is. Each task ends
 * once, none that is cancelled has run, and none that follows a failed one is done. */
#include "../unit/placed_fixture.h"
#include "structure.h"

enum { N_ACTORS = 3, N_ARRAYS = 4 };

static parla_runtime *rt;
static parla_data *data[N_ARRAYS];
static tally all;
static uint64_t n_each;
static _Atomic uint64_t n_runs, n_ends_of_bodies;

typedef struct order {
    uint64_t number;
    bool fails;
    _Atomic int status;
    struct order *before; /* that it depends on, or NULL */
} order;

static order *orders;

static int body(parla_context *context, void *arg)
{
    const order *o = arg;
    pl_add_relaxed(&n_runs, 1);
    return o->fails ? parla_fail(context, PARLA_E_USER, "drawn") : 0;
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    order *o = arg;
    T_TRUE(!o->before || pl_load_acquire(&o->before->status) == 0 || outcome->status == PARLA_E_CANCELLED);
    pl_store_release(&o->status, outcome->status);
    T_TRUE(outcome->status == PARLA_E_CANCELLED || outcome->status == (o->fails ? PARLA_E_USER : 0));
    if (outcome->status != PARLA_E_CANCELLED)
        pl_add_relaxed(&n_ends_of_bodies, 1);
    tally_take(&all, o->number);
}

static void act(actor *self)
{
    t_rng *rng = &self->rng;
    parla_task task = PARLA_TASK_NONE;
    for (uint64_t i = 0; i < n_each; i++) {
        order *o = &orders[(uint64_t)self->index * n_each + i];
        bool follows = i > 0 && t_below(rng, 3) == 0;
        o->number = (uint64_t)self->index * n_each + i;
        o->fails = t_below(rng, 12) == 0;
        o->before = follows ? o - 1 : NULL;
        const parla_demand demand = t_below(rng, 3) ? on_gpu((int)t_below(rng, 2)) : on_cpu();
        const parla_choice choice = {&demand, 1};
        const parla_access accesses[2] = {{.data = data[t_below(rng, 2)], .mode = t_below(rng, 5) ? PARLA_OUT : PARLA_IN},
                                          {.data = data[2 + t_below(rng, 2)], .mode = PARLA_OUT}};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = body;
        options.on_end = note_end;
        options.arg = o;
        options.deps = &task;
        options.n_deps = follows;
        options.choices = &choice;
        options.n_choices = 1;
        options.accesses = accesses;
        options.n_accesses = 2;
        T_OK(parla_task_spawn(rt, &task, &options));
        if (t_below(rng, 20) == 0)
            (void)!parla_task_cancel(task);
    }
}

T_TEST(each_thing_is_done_once)
{
    static unsigned char memory[N_ARRAYS][64];
    n_each = t_scale(1500);
    rt = start("sim:2,mem=160");
    for (int i = 0; i < N_ARRAYS; i++)
        data[i] = make_array("x", memory[i], 64);
    tally_open(&all, N_ACTORS * n_each);
    orders = calloc(N_ACTORS * n_each, sizeof *orders);
    T_TRUE(orders != NULL);
    act_all(N_ACTORS, act);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_runs, n_ends_of_bodies);
    for (int i = 0; i < N_ARRAYS; i++)
        parla_data_unref(data[i]);
    parla_runtime_destroy(rt);
    free(orders);
    tally_close(&all);
}
