/* reserve_stress.c - shares and memory of devices, taken and given back by tasks that end, fail, are tried again, suspend and are cancelled,
 * from several threads: never more is out than there is, each task ends once, and at rest everything is back. */
#include "../unit/placed_fixture.h"
#include "base/compiler.h"
#include "structure.h"

enum { N_ACTORS = 3, N_GPUS = 2, MEMORY = 1 << 20, PARTS = 16 };

static parla_runtime *rt;
static tally all;
static uint64_t n_each;
static _Atomic int n_parts[N_GPUS + 1];
static _Atomic int64_t n_bytes[N_GPUS + 1];

typedef struct order {
    uint64_t number;
    int parts;
    int64_t bytes;
    unsigned char n_members, what;
} order;

enum { FAIL = 1, SUSPEND = 2 };

static void take(parla_context *context, const order *o, int sign)
{
    for (size_t k = 0; k < o->n_members; k++) {
        int i = parla_context_device(context, k);
        int parts = pl_add_acq_rel(&n_parts[i], sign * o->parts) + sign * o->parts;
        int64_t bytes = pl_add_acq_rel(&n_bytes[i], sign * o->bytes) + sign * o->bytes;
        T_TRUE(parts >= 0 && parts <= PARTS);
        T_TRUE(bytes >= 0 && (i == 0 || bytes <= MEMORY));
    }
}

static int body(parla_context *context, void *arg)
{
    order *o = arg;
    T_EQ(parla_context_n_devices(context), o->n_members);
    take(context, o, 1);
    for (int i = 0; i < 200; i++)
        pl_cpu_relax();
    take(context, o, -1);
    if (o->what == FAIL && parla_context_attempt(context) < 2)
        return parla_fail(context, PARLA_E_USER, "once more");
    if (o->what == SUSPEND) {
        parla_task child;
        o->what = 0;
        T_OK(parla_spawn(rt, &child, do_nothing, NULL, NULL, 0));
        T_OK(parla_suspend_on(context, &child, 1));
        return PARLA_SUSPENDED;
    }
    return 0;
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    const order *o = arg;
    T_TRUE(outcome->status == 0 || outcome->status == PARLA_E_CANCELLED || outcome->status == PARLA_E_USER);
    tally_take(&all, o->number);
}

static void act(actor *self)
{
    t_rng *rng = &self->rng;
    for (uint64_t i = 0; i < n_each; i++) {
        order o = {.number = (uint64_t)self->index * n_each + i, .parts = 1 + (int)t_below(rng, PARTS), .n_members = 1};
        parla_demand members[N_GPUS];
        parla_choice choice = {members, 1};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        parla_task task;
        bool on_host = t_below(rng, 4) == 0;
        o.bytes = on_host ? 0 : (int64_t)t_below(rng, MEMORY);
        o.what = (unsigned char)t_below(rng, 4);
        choice.n_members = o.n_members = !on_host && t_below(rng, 4) == 0 ? 2 : 1;
        for (size_t k = 0; k < choice.n_members; k++) {
            members[k] = on_host ? on_cpu() : on_gpu(PARLA_ANY_NUMBER);
            members[k].vcus = (double)o.parts / PARTS;
            members[k].memory_bytes = (size_t)o.bytes;
        }
        options.body = body;
        options.on_end = note_end;
        options.arg = &o;
        options.arg_bytes = sizeof o;
        options.choices = &choice;
        options.n_choices = 1;
        options.n_retries = o.what == FAIL ? 1 + (int)t_below(rng, 2) : 0;
        options.priority = (int)t_below(rng, 3);
        T_OK(parla_task_spawn(rt, &task, &options));
        if (t_below(rng, 8) == 0)
            (void)!parla_task_cancel(task);
    }
}

T_TEST(never_more_than_there_is)
{
    n_each = t_scale(2000);
    rt = start_with("sim:2,mem=1MiB", "eager", 2);
    tally_open(&all, N_ACTORS * n_each);
    act_all(N_ACTORS, act);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i <= N_GPUS; i++) {
        T_EVENTUALLY(device_info(rt, i).free_vcus == 1 && device_info(rt, i).reserved_bytes == 0, 5000);
        T_EQ(n_parts[i], 0);
    }
    parla_runtime_destroy(rt);
    tally_close(&all);
}
