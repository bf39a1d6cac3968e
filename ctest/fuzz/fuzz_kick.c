/* fuzz_kick.c - a kick (parla_poll_kick) reaches the progress functions at whatever moment of a worker's way to sleep it comes. Who asked for
 * something waits for it without a time limit, so that a kick that is lost is a deadlock, which the conductor sees. */
#include "conductor.h"
#include "seeds.h"
#include "test.h"

#include <parla/parla.h>
#include <pthread.h>
#include <stdlib.h>

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

/* Do workers spin before they sleep? */
static void set_spinning(t_rng *rng) { setenv("PARLA_SPIN_US", t_below(rng, 2) ? "20" : "0", 1); }

/* Tasks make the workers busy now and then. */
static void scenario(void)
{
    t_rng rng = {seed_of_scenario};
    desk self = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    parla_runtime *rt;
    parla_poll *poll;
    parla_options options = PARLA_OPTIONS_INIT;
    set_spinning(&rng);
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

/* --- Without a kick ------------------------------------------------------------------------------------------------------------- */

/* As do_what_is_asked, of one that always has something to do. */
static int look_on(void *ctx)
{
    (void)do_what_is_asked(ctx);
    return 0;
}

/* Waits, in its body, for a look at what it asks. */
static int ask_quietly(parla_context *context, void *arg)
{
    desk *self = arg;
    (void)context;
    pthread_mutex_lock(&self->mutex);
    int number = ++self->n_asked;
    while (self->n_done < number)
        pthread_cond_wait(&self->changed, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
    return 0;
}

/* A body has one worker, another is idle: whichever of them watched before. */
static void quiet_scenario(void)
{
    t_rng rng = {seed_of_scenario};
    desk self = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    parla_runtime *rt;
    parla_poll *poll;
    parla_options options = PARLA_OPTIONS_INIT;
    set_spinning(&rng);
    options.n_workers = 2 + (t_below(&rng, 4) == 0);
    T_OK(parla_runtime_create(&rt, &options));
    T_OK(parla_poll_add(rt, &poll, look_on, &self));
    for (uint64_t n = 2 + t_below(&rng, 4); n > 0; n--) {
        parla_task task;
        if (t_below(&rng, 2))
            T_OK(parla_spawn(rt, NULL, do_nothing, NULL, NULL, 0));
        T_OK(parla_spawn(rt, &task, ask_quietly, &self, NULL, 0));
        T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    }
    parla_poll_remove(poll);
    parla_runtime_destroy(rt);
}

static void run_quiet(uint64_t seed, t_run *out)
{
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, quiet_scenario);
    out->trace = cd_trace();
}

static const t_seeds quiet = {"somebody_watches_while_a_body_waits", run_quiet, cd_prepare};

T_TEST_TIMEOUT(somebody_watches_while_a_body_waits, 120) { t_each_seed(&quiet, t_seed() * 100000, t_scale(500)); }

/* --- Cases ---------------------------------------------------------------------------------------------------------------------- */

static const t_seeds kicks = {"a_kick_reaches_who_goes_to_sleep", run_seed, cd_prepare};

T_TEST_TIMEOUT(a_kick_reaches_who_goes_to_sleep, 120) { t_each_seed(&kicks, t_seed() * 100000, t_scale(500)); }

T_TEST_TIMEOUT(kept_seeds, 120)
{
    t_kept_seeds(&kicks);
    t_kept_seeds(&quiet);
}
