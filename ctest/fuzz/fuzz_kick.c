/* fuzz_kick.c - a kick (parla_poll_kick) reaches the progress functions at whatever moment of a worker's way to sleep it comes. Who asked for
 * something waits for it without a time limit, so that a kick that is lost is a deadlock, which the conductor sees. */
#include "conductor.h"
#include "seeds.h"
#include "test.h"

#include <parla/parla.h>
#include <pthread.h>

static uint64_t seed_of_scenario;

typedef struct desk {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int n_asked, n_done;
} desk;

/* Does what was asked before the call, and has nothing more to do. */
static int do_what_is_asked(void *ctx)
{
    desk *self = ctx;
    pthread_mutex_lock(&self->mutex);
    self->n_done = self->n_asked;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    return -1;
}

static void ask(desk *self, parla_poll *poll)
{
    pthread_mutex_lock(&self->mutex);
    int number = ++self->n_asked;
    pthread_mutex_unlock(&self->mutex);
    parla_poll_kick(poll);
    pthread_mutex_lock(&self->mutex);
    while (self->n_done < number)
        pthread_cond_wait(&self->changed, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
}

static int do_nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

/* Tasks make the workers busy now and then. */
static void scenario(void)
{
    t_rng rng = {seed_of_scenario};
    desk self = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    parla_runtime *rt;
    parla_poll *poll;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1 + (t_below(&rng, 4) == 0);
    T_OK(parla_runtime_create(&rt, &options));
    T_OK(parla_poll_add(rt, &poll, do_what_is_asked, &self));
    for (uint64_t n = 2 + t_below(&rng, 4); n > 0; n--) {
        if (t_below(&rng, 2))
            T_OK(parla_spawn(rt, NULL, do_nothing, NULL, NULL, 0));
        ask(&self, poll);
    }
    parla_poll_remove(poll);
    parla_runtime_destroy(rt);
}

static void run_seed(uint64_t seed, t_run *out)
{
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, scenario);
    out->trace = cd_trace();
}

static const t_seeds kicks = {"a_kick_reaches_who_goes_to_sleep", run_seed, cd_prepare};

T_TEST_TIMEOUT(a_kick_reaches_who_goes_to_sleep, 120) { t_each_seed(&kicks, t_seed() * 100000, t_scale(500)); }

T_TEST_TIMEOUT(kept_seeds, 120) { t_kept_seeds(&kicks); }
