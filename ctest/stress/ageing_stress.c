/* ageing_stress.c - large tasks and gangs under streams of small ones that never end by themselves: each large one starts after a bounded
 * number has passed it, whatever they demand, and nobody is left over.
 *
 * Each seed draws devices, streams and large tasks. A small body spawns its successor before it ends, so at every moment something small is
 * queued for the device, and the streams end only when all large tasks have run: starving would be for ever. */
#include "../unit/placed_fixture.h"
#include "base/atomic.h"

enum { MAX_STREAMS = 16, MAX_LARGE = 8, MAX_GPUS = 4, MEMORY = 1000000 };

/* After so many the devices are kept (pump.c). Where bodies block others pass meanwhile, one at a time; then only starting counts. */
enum { BOUND = 64 };

static struct {
    parla_runtime *rt;
    _Atomic int n_large_left, n_small, n_large_run;
    int n_gpus;
    bool has_waiting; /* a stream on the CPU whose bodies wait for children */
} all;

typedef struct stream {
    parla_demand demand;
    bool waits; /* its body blocks until a child of its own has run there: only on the CPU */
} stream;

static int small_body(parla_context *context, void *arg);

static void spawn_small(stream *self)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_choice choice = {&self->demand, 1};
    options.body = small_body;
    options.arg = self;
    options.choices = &choice;
    options.n_choices = 1;
    T_OK(parla_task_spawn(all.rt, NULL, &options));
}

static int small_body(parla_context *context, void *arg)
{
    stream *self = arg;
    (void)context;
    pl_add_acq_rel(&all.n_small, 1);
    if (self->waits)
        T_OK(finish(all.rt, spawn(all.rt, do_nothing, NULL, self->demand, NULL, 0)));
    if (pl_load_acquire(&all.n_large_left) > 0)
        spawn_small(self);
    return 0;
}

typedef struct large {
    parla_demand members[MAX_GPUS];
    size_t n;
} large;

/* It has what it demanded, alone, and was not passed more often than the rule says. */
static int large_body(parla_context *context, void *arg)
{
    const large *self = arg;
    parla_explanation why = {.size = sizeof why};
    T_OK(parla_task_explain(parla_context_task(context), &why, NULL, 0));
    if (!all.has_waiting || self->members[0].arch == PARLA_ARCH_GPU)
        T_LE(why.n_passed, BOUND);
    T_EQ(parla_context_n_devices(context), self->n);
    for (size_t i = 0; i < self->n; i++) {
        int i_device = parla_context_device(context, i);
        for (size_t k = 0; k < i; k++)
            T_NE(i_device, parla_context_device(context, k));
        if (self->members[i].vcus == 1)
            T_TRUE(device_info(all.rt, i_device).free_vcus < 1e-6);
        T_GE(device_info(all.rt, i_device).reserved_bytes, self->members[i].memory_bytes);
    }
    pl_add_acq_rel(&all.n_large_run, 1);
    pl_sub_acq_rel(&all.n_large_left, 1);
    return 0;
}

static void spawn_large(large *self)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_choice choice = {self->members, self->n};
    options.body = large_body;
    options.arg = self;
    options.name = "large";
    options.choices = &choice;
    options.n_choices = 1;
    T_OK(parla_task_spawn(all.rt, NULL, &options));
}

/* A whole device, most of its memory, or several devices at once, named or not. */
static large draw_large(t_rng *rng)
{
    large self = {.n = 1};
    if (t_below(rng, 4) == 0) {
        self.members[0] = on_cpu();
        self.members[0].vcus = 1;
        return self;
    }
    if (all.n_gpus > 1 && t_below(rng, 3))
        self.n = 2 + t_below(rng, (uint64_t)all.n_gpus - 1);
    bool is_named = t_below(rng, 2);
    for (size_t i = 0; i < self.n; i++) {
        self.members[i] = on_gpu(is_named ? (int)i : PARLA_ANY_NUMBER);
        if (t_below(rng, 3))
            self.members[i].vcus = 1;
        else
            self.members[i].memory_bytes = MEMORY - 50000 * (size_t)t_below(rng, 3);
    }
    return self;
}

static stream draw_stream(t_rng *rng)
{
    stream self = {on_cpu(), t_below(rng, 3) == 0};
    if (t_below(rng, 4)) {
        self.waits = false;
        self.demand = on_gpu(t_below(rng, 2) ? (int)t_below(rng, (uint64_t)all.n_gpus) : PARLA_ANY_NUMBER);
    }
    self.demand.vcus = 0.05 + 0.05 * (double)t_below(rng, 5); /* a body and its child find room together */
    if (self.demand.arch == PARLA_ARCH_GPU)
        self.demand.memory_bytes = 1000 * (size_t)t_below(rng, 200);
    return self;
}

static void run_seed(uint64_t seed)
{
    static const char *const devices[] = {"sim:1,mem=1MB", "sim:2,mem=1MB", "sim:3,mem=1MB", "sim:4,mem=1MB"};
    static const char *const policies[] = {"locality", "eager", "round_robin"};
    t_rng rng = {seed};
    stream streams[MAX_STREAMS];
    large larges[MAX_LARGE];
    all.n_gpus = 1 + (int)t_below(&rng, MAX_GPUS);
    int n_streams = 1 + (int)t_below(&rng, MAX_STREAMS), n_large = 1 + (int)t_below(&rng, MAX_LARGE);
    all.n_small = all.n_large_run = 0;
    all.n_large_left = n_large;
    all.has_waiting = false;
    all.rt = start_with(devices[all.n_gpus - 1], policies[t_below(&rng, 3)], 1 + (int)t_below(&rng, 3));
    for (int i = 0; i < n_streams; i++) {
        streams[i] = draw_stream(&rng);
        streams[i].waits = streams[i].waits && !all.has_waiting;
        all.has_waiting = all.has_waiting || streams[i].waits;
    }
    for (int i = 0; i < n_streams; i++)
        spawn_small(&streams[i]);
    for (int i = 0; i < n_large; i++) {
        int n_before = pl_load_acquire(&all.n_small) + (int)t_below(&rng, 50);
        T_EVENTUALLY(pl_load_acquire(&all.n_small) >= n_before, 20000);
        larges[i] = draw_large(&rng);
        spawn_large(&larges[i]);
    }
    T_OK(parla_runtime_wait(all.rt, PARLA_FOREVER));
    T_EQ(all.n_large_run, n_large);
    parla_failure *failure;
    T_EQ(parla_runtime_take_failure(all.rt, &failure), PARLA_PENDING);
    parla_runtime_destroy(all.rt);
}

T_TEST_TIMEOUT(large_tasks_and_gangs_under_streams, 300)
{
    uint64_t n = t_scale(300);
    for (uint64_t i = 0; i < n; i++)
        run_seed(t_seed() + i);
    t_count(n, "ageing seeds");
}
