/* choose_stress.c - tasks with random choices, gangs, hints and priorities under a policy that answers at random, from several threads: each
 * runs once, on devices that its choice allows, of which no gang has one twice; the device taken is the cheapest of those that fitted, as
 * the explanation tells; and the policy is asked by one thread at a time. */
#include "../unit/placed_fixture.h"
#include "structure.h"

enum { N_ACTORS = 3, N_GPUS = 3, MAX_CHOICES = 3, MAX_MEMBERS = 3 };

static parla_runtime *rt;
static tally all;
static uint64_t n_each;
static struct order *orders; /* by number */

static struct {
    _Atomic int n_inside;
    t_rng rng;
} drawn;

static double draw_cost(void *ctx, const parla_candidate *candidate)
{
    (void)ctx;
    T_EQ(pl_add_acq_rel(&drawn.n_inside, 1), 0);
    T_TRUE(candidate->i_device >= 0 && candidate->i_device < candidate->n_devices);
    double cost = (double)t_below(&drawn.rng, 1000);
    pl_sub_acq_rel(&drawn.n_inside, 1);
    return cost;
}

static const parla_policy policy = {.size = sizeof policy, .name = "drawn", .cost = draw_cost};

typedef struct order {
    uint64_t number;
    unsigned char n_choices, n_members[MAX_CHOICES];
    signed char gpu[MAX_CHOICES][MAX_MEMBERS]; /* -1: any */
    bool on_cpu[MAX_CHOICES];
} order;

static void check_devices(const parla_context *context, const order *o, size_t i_choice)
{
    T_LT(i_choice, o->n_choices);
    T_EQ(parla_context_n_devices(context), o->n_members[i_choice]);
    for (size_t k = 0; k < o->n_members[i_choice]; k++) {
        int i = parla_context_device(context, k);
        T_EQ(i == 0, o->on_cpu[i_choice]);
        T_TRUE(o->on_cpu[i_choice] || o->gpu[i_choice][k] < 0 || o->gpu[i_choice][k] + 1 == i);
        for (size_t j = 0; j < k; j++)
            T_NE(parla_context_device(context, j), i);
    }
}

/* Of choices of one device each: nothing that fitted was cheaper. */
static void check_cost(parla_context *context, const order *o)
{
    parla_judgement judgements[32];
    parla_explanation why = {.size = sizeof why};
    double chosen = -1;
    T_OK(parla_task_explain(parla_context_task(context), &why, judgements, 32));
    T_LE(why.n_judgements, 32);
    T_EQ(why.i_choice, parla_context_choice(context));
    T_EQ_STR(why.policy, "drawn");
    for (size_t i = 0; i < why.n_judgements; i++)
        if (judgements[i].verdict == PARLA_VERDICT_CHOSEN && judgements[i].i_choice == why.i_choice && judgements[i].i_member == 0)
            chosen = judgements[i].cost;
    T_TRUE(chosen >= 0);
    for (size_t i = 0; i < why.n_judgements; i++)
        if (judgements[i].verdict == PARLA_VERDICT_COSTS_MORE && o->n_members[judgements[i].i_choice] == 1 &&
            o->n_members[why.i_choice] == 1)
            T_TRUE(judgements[i].cost >= chosen);
}

static int body(parla_context *context, void *arg)
{
    const order *o = arg;
    check_devices(context, o, parla_context_choice(context));
    check_cost(context, o);
    return 0;
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    T_EQ(outcome->status, 0);
    tally_take(&all, ((const order *)arg)->number);
}

static void act(actor *self)
{
    t_rng *rng = &self->rng;
    for (uint64_t i = 0; i < n_each; i++) {
        uint64_t number = (uint64_t)self->index * n_each + i;
        order *o = &orders[number];
        parla_demand members[MAX_CHOICES][MAX_MEMBERS];
        parla_choice choices[MAX_CHOICES];
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        o->number = number;
        o->n_choices = 1 + (unsigned char)t_below(rng, MAX_CHOICES);
        for (int c = 0; c < o->n_choices; c++) {
            o->on_cpu[c] = t_below(rng, 4) == 0;
            o->n_members[c] = o->on_cpu[c] ? 1 : 1 + (unsigned char)(t_below(rng, 3) == 0 ? t_below(rng, MAX_MEMBERS) : 0);
            for (int k = 0; k < o->n_members[c]; k++) {
                o->gpu[c][k] = (signed char)(t_below(rng, 2) ? -1 : k); /* of different numbers: no two ask for the same */
                members[c][k] = o->on_cpu[c] ? on_cpu() : on_gpu(o->gpu[c][k]);
                members[c][k].vcus = 0.125 * (double)t_below(rng, 5);
            }
            choices[c] = (parla_choice){members[c], o->n_members[c]};
        }
        options.body = body;
        options.on_end = note_end;
        options.arg = o;
        options.choices = choices;
        options.n_choices = o->n_choices;
        options.prefer = t_below(rng, 1 << (N_GPUS + 1));
        options.priority = (int)t_below(rng, 3);
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
}

T_TEST(each_task_where_it_may_be_and_cheapest)
{
    drawn.rng.state = t_seed();
    n_each = t_scale(2000);
    T_OK(parla_policy_register(&policy));
    rt = start_with("sim:3", "drawn", 2);
    tally_open(&all, N_ACTORS * n_each);
    orders = calloc(N_ACTORS * n_each, sizeof *orders);
    T_TRUE(orders != NULL);
    act_all(N_ACTORS, act);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_destroy(rt);
    free(orders);
    tally_close(&all);
}
