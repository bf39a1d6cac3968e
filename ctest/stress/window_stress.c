/* window_stress.c - several threads spawn through a narrow window: plain tasks, tasks behind names that are spawned later or dropped, and
 * bodies that spawn. Each task ends once, nobody stays for good, and no name counts any task when all is over. */
#include "sched/runtime.h"

#include "../unit/runtime_fixture.h"
#include "structure.h"

enum { N_ACTORS = 4, WINDOW = 24, N_NAMES = 6 };

static tally all;
static uint64_t n_each;
static _Atomic int n_children;

typedef struct order {
    uint64_t number;
    bool spawns;
} order;

static int body(parla_context *context, void *arg)
{
    const order *o = arg;
    if (o->spawns)
        T_OK(parla_spawn(parla_context_runtime(context), NULL, count_body, (void *)&n_children, NULL, 0));
    return 0;
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    T_TRUE(outcome->status == 0 || outcome->status == PARLA_E_CANCELLED);
    tally_take(&all, ((const order *)arg)->number);
}

static void spawn_one(actor *self, uint64_t *number, parla_task name, const parla_task *deps, size_t n_deps)
{
    order o = {(uint64_t)self->index * n_each + (*number)++, t_below(&self->rng, 10) == 0};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.on_end = note_end;
    options.arg = &o;
    options.arg_bytes = sizeof o;
    options.task = name;
    options.deps = deps;
    options.n_deps = n_deps;
    T_OK(parla_task_spawn(rt, NULL, &options));
}

/* Some names, many tasks behind them and beside them, then the names: spawned, cancelled or dropped. */
static void act(actor *self)
{
    t_rng *rng = &self->rng;
    uint64_t number = 0;
    while (number < n_each) {
        parla_task names[N_NAMES];
        for (int i = 0; i < N_NAMES; i++)
            names[i] = create_name("a name");
        for (uint64_t n = t_below(rng, 3 * WINDOW); n > 0 && number + N_NAMES < n_each; n--) {
            size_t first = t_below(rng, N_NAMES), n_deps = t_below(rng, 2) ? 1 + t_below(rng, N_NAMES - first) : 0;
            spawn_one(self, &number, PARLA_TASK_NONE, names + first, n_deps);
        }
        for (int i = 0; i < N_NAMES; i++) {
            uint64_t how = t_below(rng, 8);
            if (how == 0)
                T_OK(parla_task_cancel(names[i]));
            else if (how > 1 && number < n_each)
                spawn_one(self, &number, names[i], NULL, 0);
            parla_task_unref(names[i]);
        }
    }
}

T_TEST(each_task_passes_once)
{
    parla_options options = PARLA_OPTIONS_INIT;
    n_each = t_scale(30000);
    options.n_workers = 2;
    options.window = WINDOW;
    T_OK(parla_runtime_create(&rt, &options));
    tally_open(&all, N_ACTORS * n_each);
    act_all(N_ACTORS, act);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(pl_load_relaxed(&rt->n_held), 0);
    close_runtime();
    tally_close(&all);
}
