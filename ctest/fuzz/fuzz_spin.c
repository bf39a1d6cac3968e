/* fuzz_spin.c - workers that spin before they sleep: who pushes a task meanwhile wakes nobody, and the task runs all the same while a worker
 * is free. Bodies wait for one another without the runtime's knowledge, no more of them than there are workers, so that one which is left
 * behind is a deadlock, which the conductor sees. */
#include "conductor.h"
#include "seeds.h"
#include "test.h"

#include <parla/parla.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static uint64_t seed_of_scenario;

/* Where bodies meet. */
typedef struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t complete;
    int n_missing;
} meeting;

static void come(meeting *self, int n)
{
    pthread_mutex_lock(&self->mutex);
    self->n_missing -= n;
    if (self->n_missing == 0)
        pthread_cond_broadcast(&self->complete);
    while (self->n_missing > 0)
        pthread_cond_wait(&self->complete, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
}

static int meet(parla_context *context, void *arg)
{
    (void)context;
    come(arg, 1);
    return 0;
}

static void spawn_placed(parla_runtime *rt, meeting *where)
{
    static const parla_demand demand = {PARLA_ARCH_CPU, 0, 0, 0};
    const parla_choice choice = {&demand, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = meet;
    options.arg = where;
    options.choices = &choice;
    options.n_choices = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
}

static void scenario(void)
{
    t_rng rng = {seed_of_scenario};
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2 + (int)t_below(&rng, 3);
    T_OK(parla_runtime_create(&rt, &options));
    for (uint64_t n = 2 + t_below(&rng, 3); n > 0; n--) {
        meeting where = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, options.n_workers};
        for (int i = 0; i < options.n_workers; i++) {
            if (t_below(&rng, 3) == 0)
                (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 100000}, NULL); /* spinners fall asleep */
            spawn_placed(rt, &where);
        }
        come(&where, 0); /* in the runtime's own waits this thread would run bodies, too */
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    }
    parla_runtime_destroy(rt);
}

static void prepare(void)
{
    cd_prepare();
    setenv("PARLA_SPIN_US", "20", 1);
}

static void run_seed(uint64_t seed, t_run *out)
{
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, scenario);
    out->trace = cd_trace();
}

static const t_seeds spinners = {"who_spins_leaves_nothing_behind", run_seed, prepare};

T_TEST_TIMEOUT(who_spins_leaves_nothing_behind, 120) { t_each_seed(&spinners, t_seed() * 100000, t_scale(500)); }

T_TEST_TIMEOUT(kept_seeds, 120) { t_kept_seeds(&spinners); }
