/* hold_stress.c - threads of the host take regions of arrays for themselves, with and without time limits, beside tasks on devices and on the
 * CPU that use the same regions: who writes is alone there, and no increment is lost or done twice. */
#include "../unit/placed_fixture.h"
#include "structure.h"

enum { N_ACTORS = 3, N_ARRAYS = 3, N_ITEMS = 48 };

static parla_runtime *rt;
static parla_data *data[N_ARRAYS];
static _Atomic uint32_t wanted[N_ARRAYS][N_ITEMS];
static _Atomic uint64_t n_held, n_timeouts;
static uint64_t n_each;

typedef struct region {
    int i_array;
    parla_range range;
} region;

static region draw(t_rng *rng)
{
    int64_t start = (int64_t)t_below(rng, N_ITEMS), stop = start + 1 + (int64_t)t_below(rng, (uint64_t)(N_ITEMS - start));
    return (region){(int)t_below(rng, N_ARRAYS), {start, stop, 1 + (int64_t)t_below(rng, 3)}};
}

static void add_to(uint32_t *items, const region *where)
{
    for (int64_t i = where->range.start; i < where->range.stop; i += where->range.step) {
        items[i]++;
        pl_add_relaxed(&wanted[where->i_array][i], 1);
    }
}

static int add_body(parla_context *context, void *arg)
{
    parla_instance here;
    T_OK(parla_context_instance(context, 0, &here));
    add_to(here.box.base, arg);
    return 0;
}

static void spawn_add(t_rng *rng)
{
    region where = draw(rng);
    const parla_demand demand = t_below(rng, 2) ? on_gpu(PARLA_ANY_NUMBER) : on_cpu();
    const parla_choice choice = {&demand, 1};
    const parla_access access = {.data = data[where.i_array], .mode = PARLA_INOUT, .region = &where.range};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = add_body;
    options.arg = &where;
    options.arg_bytes = sizeof where;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
}

static void use_region(t_rng *rng)
{
    region where = draw(rng);
    int mode = t_below(rng, 2) ? PARLA_IN : PARLA_INOUT;
    int64_t timeout_ns = t_below(rng, 3) ? PARLA_FOREVER : (int64_t)t_below(rng, 200000);
    parla_instance here;
    int rc = parla_data_acquire_region(rt, data[where.i_array], &where.range, mode, timeout_ns, &here);
    if (rc) {
        T_EQ(rc, PARLA_E_TIMEOUT);
        T_TRUE(timeout_ns >= 0);
        pl_add_relaxed(&n_timeouts, 1);
        return;
    }
    uint32_t *items = here.box.base;
    for (int64_t i = where.range.start; i < where.range.stop; i += where.range.step)
        T_EQ(items[i], pl_load_relaxed(&wanted[where.i_array][i])); /* nobody writes there now */
    if (mode == PARLA_INOUT)
        add_to(items, &where);
    parla_data_release_region(data[where.i_array], &where.range, mode);
    pl_add_relaxed(&n_held, 1);
}

static void act(actor *self)
{
    for (uint64_t i = 0; i < n_each; i++) {
        if (t_below(&self->rng, 3) == 0)
            spawn_add(&self->rng);
        use_region(&self->rng);
    }
}

T_TEST(who_writes_is_alone)
{
    static uint32_t memory[N_ARRAYS][N_ITEMS];
    uint64_t n_items = 0;
    n_each = t_scale(600);
    rt = start("sim:2");
    for (int i = 0; i < N_ARRAYS; i++) {
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        options.host = (parla_strided){.base = memory[i], .item_bytes = 4, .ndim = 1, .extent = {N_ITEMS}, .stride = {4}};
        T_OK(parla_data_create(&data[i], &options));
    }
    act_all(N_ACTORS, act);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int k = 0; k < N_ARRAYS; k++) {
        parla_instance here;
        T_OK(parla_data_acquire(rt, data[k], PARLA_IN, PARLA_FOREVER, &here));
        for (int i = 0; i < N_ITEMS; i++) {
            T_EQ(((uint32_t *)here.box.base)[i], pl_load_relaxed(&wanted[k][i]));
            n_items += pl_load_relaxed(&wanted[k][i]);
        }
        parla_data_release(data[k], PARLA_IN);
        parla_data_unref(data[k]);
    }
    parla_runtime_destroy(rt);
    T_EQ(n_held + n_timeouts, N_ACTORS * n_each);
    t_count(n_items, "items through structures");
}
