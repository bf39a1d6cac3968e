/* fetch_stress.c - many readers of regions of one array, on several devices at once, from several threads: each reads what was written, and
 * what is read on a device is copied there exactly once, however many ask for it, piece by piece. */
#include "../unit/placed_fixture.h"
#include "structure.h"

enum { N_ACTORS = 3, N_GPUS = 3, N_ITEMS = 200 };

static parla_runtime *rt;
static parla_data *data;
static uint64_t n_each, n_fetched;
static unsigned char model[N_ITEMS];
static _Atomic unsigned char is_read[N_GPUS][N_ITEMS];
static _Atomic uint64_t n_read;

typedef struct reader {
    int i_gpu;
    parla_range range;
} reader;

static int read_body(parla_context *context, void *arg)
{
    const reader *r = arg;
    const unsigned char *bytes = bytes_of(context, 0);
    T_EQ(parla_context_device(context, 0), 1 + r->i_gpu);
    for (int64_t i = r->range.start; i < r->range.stop; i += r->range.step)
        T_EQ(bytes[i], model[i]);
    pl_add_relaxed(&n_read, 1);
    return 0;
}

static void act(actor *self)
{
    t_rng *rng = &self->rng;
    for (uint64_t i = 0; i < n_each; i++) {
        int64_t first = (int64_t)t_below(rng, N_ITEMS), stop = first + 1 + (int64_t)t_below(rng, (uint64_t)(N_ITEMS - first));
        reader r = {(int)t_below(rng, N_GPUS), {first, stop, 1 + (int64_t)t_below(rng, 4)}};
        parla_demand demand = on_gpu(r.i_gpu);
        const parla_choice choice = {&demand, 1};
        const parla_access access = {.data = data, .mode = PARLA_IN, .region = &r.range};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        for (int64_t k = r.range.start; k < r.range.stop; k += r.range.step)
            pl_store_relaxed(&is_read[r.i_gpu][k], (unsigned char)1);
        options.body = read_body;
        options.arg = &r;
        options.arg_bytes = sizeof r;
        options.choices = &choice;
        options.n_choices = 1;
        options.accesses = &access;
        options.n_accesses = 1;
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
}

static uint64_t bytes_to(int i_device)
{
    uint64_t n = 0;
    for (int i = 0; i <= N_GPUS; i++) {
        parla_link_info info = {.size = sizeof info};
        T_OK(parla_link_query(rt, i, i_device, &info));
        n += i == i_device ? 0 : info.n_bytes;
    }
    return n;
}

/* Everything is written anew in one place, then read in all. */
static void run_round(t_rng *rng)
{
    uint64_t n_before[N_GPUS];
    int i_writer = (int)t_below(rng, N_GPUS + 1);
    unsigned char value = (unsigned char)t_next(rng);
    parla_demand where = i_writer == N_GPUS ? on_cpu() : on_gpu(i_writer);
    T_OK(finish(rt, spawn(rt, store_byte, &value, where, data, PARLA_OUT)));
    parla_instance here;
    T_OK(parla_data_acquire(rt, data, PARLA_OUT, PARLA_FOREVER, &here)); /* from here on only the host has it */
    for (int i = 0; i < N_ITEMS; i++)
        model[i] = ((unsigned char *)here.box.base)[i] = (unsigned char)t_next(rng);
    parla_data_release(data, PARLA_OUT);
    for (int k = 0; k < N_GPUS; k++) {
        n_before[k] = bytes_to(1 + k);
        for (int i = 0; i < N_ITEMS; i++)
            pl_store_relaxed(&is_read[k][i], (unsigned char)0);
    }
    act_all(N_ACTORS, act);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int k = 0; k < N_GPUS; k++) {
        uint64_t n_wanted = 0;
        for (int i = 0; i < N_ITEMS; i++)
            n_wanted += pl_load_relaxed(&is_read[k][i]);
        T_EQ(bytes_to(1 + k) - n_before[k], n_wanted);
        n_fetched += n_wanted;
    }
}

T_TEST(each_byte_is_fetched_once)
{
    static unsigned char memory[N_ITEMS];
    t_rng rng = {t_seed()};
    n_each = 20;
    uint64_t n_rounds = t_scale(40);
    rt = start("sim:3");
    data = make_array("x", memory, N_ITEMS);
    for (uint64_t round = 0; round < n_rounds; round++)
        run_round(&rng);
    T_EQ(n_read, n_rounds * N_ACTORS * n_each);
    t_count(n_fetched, "items through structures");
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}
