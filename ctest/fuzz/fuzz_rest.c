/* fuzz_rest.c - who waits is not told that it waits in vain while somebody still works (sched/wait.c): small programs, so that many schedules
 * of the few steps that matter are seen. */
#include "conductor.h"
#include "seeds.h"
#include "test.h"

#include <errno.h>
#include <parla/parla.h>
#include <pthread.h>
#include <time.h>

static uint64_t seed_of_scenario;

static int do_nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

/* Waits on its thread for a task of its own. */
static int wait_for_one(parla_context *context, void *arg)
{
    parla_task task;
    T_OK(parla_spawn(parla_context_runtime(context), &task, do_nothing, arg, NULL, 0));
    T_OK(parla_task_wait(parla_context_runtime(context), &task, 1, PARLA_FOREVER));
    return 0;
}

/* Threads that release what bodies hold; joined at the end of a scenario. */
enum { MOST_RELEASERS = 16 };
static pthread_t releasers[MOST_RELEASERS];
static parla_task held[MOST_RELEASERS];
static int n_releasers; /* written by bodies that follow one another */

static void *let_go(void *arg)
{
    T_OK(parla_release(*(const parla_task *)arg, 0, NULL));
    return NULL;
}

/* Ends only when another thread says so: its worker rests meanwhile. */
static int end_later(parla_context *context, void *arg)
{
    (void)arg;
    int i = n_releasers++;
    held[i] = parla_context_task(context);
    T_OK(parla_hold(context, 1));
    T_EQ(pthread_create(&releasers[i], NULL, let_go, &held[i]), 0);
    return 0;
}

static void scenario(void)
{
    static const parla_body bodies[] = {do_nothing, end_later, wait_for_one, end_later};
    t_rng rng = {seed_of_scenario};
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1 + (t_below(&rng, 4) == 0);
    n_releasers = 0;
    T_OK(parla_runtime_create(&rt, &options));
    for (int round = 0; round < 4; round++) {
        parla_task task = PARLA_TASK_NONE;
        for (uint64_t n = 1 + t_below(&rng, 3); n > 0; n--)
            T_OK(parla_spawn(rt, &task, bodies[t_below(&rng, 4)], NULL, &task, 1));
        if (t_below(&rng, 2))
            T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    }
    for (int i = 0; i < n_releasers; i++)
        T_EQ(pthread_join(releasers[i], NULL), 0);
    parla_runtime_destroy(rt);
}

static void run_bodies(uint64_t seed, t_run *out)
{
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, scenario);
    out->trace = cd_trace();
}

static const t_seeds with_bodies = {"nobody_waits_in_vain", run_bodies, cd_prepare};

T_TEST_TIMEOUT(nobody_waits_in_vain, 120) { t_each_seed(&with_bodies, t_seed() * 100000, t_scale(1500)); }

/* --- Two threads of the application ---------------------------------------------------------------------------------------------- */

/* What one of them waits for is spawned by the other, which waits itself between its spawns: it comes back from there, and goes on. */
typedef struct relay {
    parla_runtime *rt;
    parla_task baton;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool has_spawned; /* the library knows the other thread as one that spawns */
} relay;

static void tell_that_it_spawns(relay *self)
{
    pthread_mutex_lock(&self->mutex);
    self->has_spawned = true;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

static void *pass_it_on(void *arg)
{
    relay *self = arg;
    t_rng rng = {seed_of_scenario};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    for (uint64_t n = 1 + t_below(&rng, 3); n > 0; n--) {
        parla_task task;
        T_OK(parla_spawn(self->rt, &task, do_nothing, NULL, NULL, 0));
        tell_that_it_spawns(self);
        T_OK(parla_task_wait(self->rt, &task, 1, PARLA_FOREVER));
    }
    options.body = do_nothing;
    options.task = self->baton;
    T_OK(parla_task_spawn(self->rt, NULL, &options));
    return NULL;
}

static void relay_scenario(void)
{
    relay self = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pthread_t other;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1;
    T_OK(parla_runtime_create(&self.rt, &options));
    T_OK(parla_task_create(self.rt, &self.baton, "baton"));
    T_EQ(pthread_create(&other, NULL, pass_it_on, &self), 0);
    pthread_mutex_lock(&self.mutex);
    while (!self.has_spawned)
        pthread_cond_wait(&self.changed, &self.mutex);
    pthread_mutex_unlock(&self.mutex);
    T_OK(parla_task_wait(self.rt, &self.baton, 1, PARLA_FOREVER));
    T_EQ(pthread_join(other, NULL), 0);
    parla_task_unref(self.baton);
    parla_runtime_destroy(self.rt);
}

static void run_relay(uint64_t seed, t_run *out)
{
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, relay_scenario);
    out->trace = cd_trace();
}

static const t_seeds with_relay = {"another_thread_may_go_on", run_relay, cd_prepare};

T_TEST_TIMEOUT(another_thread_may_go_on, 120) { t_each_seed(&with_relay, t_seed() * 100000, t_scale(1500)); }

/* --- Threads that wait for everything --------------------------------------------------------------------------------------------- */

/* Takes some time, in which nothing else can go on. */
static int take_time(parla_context *context, void *arg)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec until;
    (void)context;
    (void)arg;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 500000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&mutex);
    T_EQ(pthread_cond_timedwait(&never, &mutex, &until), ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    return 0;
}

static void *wait_for_all(void *rt)
{
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    return NULL;
}

/* Time passes only while all sleep: threads that wake each other for nothing would do so for ever. */
static void idle_scenario(void)
{
    t_rng rng = {seed_of_scenario};
    parla_runtime *rt;
    pthread_t other;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2;
    T_OK(parla_runtime_create(&rt, &options));
    for (uint64_t n = 1 + t_below(&rng, 3); n > 0; n--)
        T_OK(parla_spawn(rt, NULL, take_time, NULL, NULL, 0));
    T_EQ(pthread_create(&other, NULL, wait_for_all, rt), 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(pthread_join(other, NULL), 0);
    parla_runtime_destroy(rt);
}

static void run_idle(uint64_t seed, t_run *out)
{
    enum { MOST_STEPS = 20000 };
    seed_of_scenario = t_variant_base(seed);
    out->n_steps = cd_perturb(seed, idle_scenario);
    out->trace = cd_trace();
    T_LT(out->n_steps, MOST_STEPS);
}

static const t_seeds while_idle = {"waiting_threads_let_each_other_sleep", run_idle, cd_prepare};

T_TEST_TIMEOUT(waiting_threads_let_each_other_sleep, 120) { t_each_seed(&while_idle, t_seed() * 100000, t_scale(500)); }

T_TEST_TIMEOUT(kept_seeds, 120)
{
    t_kept_seeds(&with_bodies);
    t_kept_seeds(&with_relay);
    t_kept_seeds(&while_idle);
}
