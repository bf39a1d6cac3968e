/* task_stress.c - many tasks at once, in the shapes that strain the protocols: recycled objects, wide edges, storms of wake-ups, bodies that
 * block, threads outside that end tasks. Each case counts what ran, so a lost or doubled task shows. */
#include "../unit/runtime_fixture.h"
#include "base/compiler.h"

#include <stdlib.h>

/* --- Recycling: names of tasks that are long gone, as dependencies ------------------------------------------------------------ */

enum { N_PRODUCERS = 3, MEMORY = 512 };

typedef struct producer {
    pthread_t thread;
    uint64_t seed, n;
    _Atomic uint64_t n_run;
} producer;

static int run_link(parla_context *context, void *arg)
{
    (void)context;
    pl_add_acq_rel(&(*(producer **)arg)->n_run, 1);
    return 0;
}

static void *produce(void *arg)
{
    producer *self = arg;
    t_rng rng = {self->seed};
    parla_task recent[MEMORY] = {PARLA_TASK_NONE};
    for (uint64_t i = 0; i < self->n; i++) {
        parla_task deps[8];
        size_t n_deps = t_below(&rng, 9);
        for (size_t k = 0; k < n_deps; k++) /* mostly ended and recycled, sometimes the newest */
            deps[k] = recent[t_below(&rng, 4) ? t_below(&rng, MEMORY) : (i + MEMORY - 1) % MEMORY];
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = run_link;
        options.arg = &self;
        options.arg_bytes = sizeof self;
        options.deps = deps;
        options.n_deps = n_deps;
        T_OK(parla_task_spawn(rt, &recent[i % MEMORY], &options));
        if (t_below(&rng, 64) == 0)
            T_OK(parla_task_wait(rt, &recent[t_below(&rng, MEMORY)], 1, PARLA_FOREVER));
    }
    return NULL;
}

T_TEST(old_names_stay_meaningful)
{
    static producer all[N_PRODUCERS];
    open_runtime(2);
    for (int i = 0; i < N_PRODUCERS; i++) {
        all[i] = (producer){.seed = t_seed() + (uint64_t)i, .n = t_scale(100000)};
        all[i].thread = start_thread(produce, &all[i]);
    }
    for (int i = 0; i < N_PRODUCERS; i++)
        pthread_join(all[i].thread, NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < N_PRODUCERS; i++)
        T_EQ(all[i].n_run, all[i].n);
    parla_runtime_info info = counts();
    T_EQ(info.n_spawned, info.n_ended);
    T_EQ(info.n_failed + info.n_cancelled, 0);
    close_runtime();
}

/* --- One to many to one ------------------------------------------------------------------------------------------------------- */

typedef struct fan {
    _Atomic int n_first, n_middle, n_last, n_early;
    int n;
} fan;

static int run_first(parla_context *context, void *arg)
{
    (void)context;
    pl_add_acq_rel(&((fan *)arg)->n_first, 1);
    return 0;
}

static int run_middle(parla_context *context, void *arg)
{
    fan *self = arg;
    (void)context;
    pl_add_acq_rel(&self->n_early, pl_load_acquire(&self->n_first) != 1);
    pl_add_acq_rel(&self->n_middle, 1);
    return 0;
}

static int run_last(parla_context *context, void *arg)
{
    fan *self = arg;
    (void)context;
    pl_add_acq_rel(&self->n_early, pl_load_acquire(&self->n_middle) != self->n);
    pl_add_acq_rel(&self->n_last, 1);
    return 0;
}

T_TEST(one_to_many_to_one)
{
    int n = (int)t_scale(100000);
    parla_task *middle = calloc((size_t)n, sizeof *middle);
    T_TRUE(middle != NULL);
    for (int n_workers = 1; n_workers <= 3; n_workers++) {
        fan self = {.n = n};
        open_runtime(n_workers);
        parla_task first = create_name("first");
        for (int i = 0; i < n; i++)
            middle[i] = spawn(run_middle, &self, &first, 1);
        parla_task last = spawn(run_last, &self, middle, (size_t)n);
        spawn_as(first, NULL, run_first, &self, NULL, 0);
        T_OK(wait_for(last));
        T_EQ(self.n_early, 0);
        T_EQ(self.n_last, 1);
        parla_task_unref(first);
        close_runtime();
    }
    free(middle);
}

/* --- Waits inside of waits ---------------------------------------------------------------------------------------------------- */

typedef struct fib {
    int n;
    long value;
} fib;

static int fib_body(parla_context *context, void *arg)
{
    fib *self = arg, parts[2] = {{self->n - 1, 0}, {self->n - 2, 0}};
    parla_task children[2];
    if (self->n < 2) {
        self->value = self->n;
        return 0;
    }
    for (int i = 0; i < 2; i++)
        T_OK(parla_spawn(parla_context_runtime(context), &children[i], fib_body, &parts[i], NULL, 0));
    int code = parla_task_wait(parla_context_runtime(context), children, 2, PARLA_FOREVER);
    while (code == PARLA_E_RESOURCES) /* too many bodies wait already: look again until the others have done it */
        code = parla_task_wait(parla_context_runtime(context), children, 2, PARLA_FOREVER);
    T_OK(code);
    self->value = parts[0].value + parts[1].value;
    return 0;
}

T_TEST(waits_inside_of_waits)
{
    for (int n_workers = 1; n_workers <= 4; n_workers++) {
        for (uint64_t i = 0; i < t_scale(20); i++) {
            fib self = {.n = 16};
            open_runtime(n_workers);
            spawn(fib_body, &self, NULL, 0);
            T_OK(parla_runtime_wait(rt, PARLA_FOREVER)); /* never told that anything is stuck */
            T_EQ(self.value, 987);
            close_runtime();
        }
    }
}

/* --- Suspending and resuming, by threads outside ------------------------------------------------------------------------------ */

enum { N_OUTSIDE = 2, N_EVENTS = 3, N_STEPS = 4 };

typedef struct sleeper {
    parla_task events[N_STEPS][N_EVENTS];
    int n_steps;
    _Atomic bool is_inside, is_doubled;
    _Atomic int *n_done;
} sleeper;

typedef struct storm {
    sleeper *sleepers;
    int n;
    _Atomic int n_done;
} storm;

static int sleep_body(parla_context *context, void *arg)
{
    sleeper *self = arg;
    if (pl_exchange_acq_rel(&self->is_inside, true))
        pl_store_release(&self->is_doubled, true);
    int step = self->n_steps++;
    if (step > 0)
        for (int k = 0; k < N_EVENTS; k++)
            T_TRUE(parla_task_has_ended(self->events[step - 1][k]));
    if (step == N_STEPS)
        pl_add_acq_rel(self->n_done, 1);
    else
        T_OK(parla_suspend_on(context, self->events[step], N_EVENTS));
    pl_store_release(&self->is_inside, false);
    return step == N_STEPS ? 0 : PARLA_SUSPENDED;
}

/* Thread i completes the events i, i + N_OUTSIDE, … of each step, so that several meet at each task. */
static void *complete(void *arg)
{
    storm *all = ((void **)arg)[0];
    int first = (int)(intptr_t)((void **)arg)[1];
    for (int step = 0; step < N_STEPS; step++)
        for (int i = 0; i < all->n; i++)
            for (int k = first; k < N_EVENTS; k += N_OUTSIDE)
                T_OK(parla_event_complete(all->sleepers[i].events[step][k], 0, NULL));
    return NULL;
}

T_TEST(a_storm_of_resumptions)
{
    storm all = {.n = (int)t_scale(3000)};
    pthread_t threads[N_OUTSIDE];
    void *args[N_OUTSIDE][2];
    all.sleepers = calloc((size_t)all.n, sizeof *all.sleepers);
    T_TRUE(all.sleepers != NULL);
    open_runtime(2);
    for (int i = 0; i < all.n; i++) {
        all.sleepers[i].n_done = &all.n_done;
        for (int k = 0; k < N_STEPS * N_EVENTS; k++)
            all.sleepers[i].events[k / N_EVENTS][k % N_EVENTS] = create_event("e");
    }
    for (int i = 0; i < N_OUTSIDE; i++) {
        args[i][0] = &all;
        args[i][1] = (void *)(intptr_t)i;
        threads[i] = start_thread(complete, args[i]);
    }
    for (int i = 0; i < all.n; i++)
        spawn(sleep_body, &all.sleepers[i], NULL, 0);
    for (int i = 0; i < N_OUTSIDE; i++)
        pthread_join(threads[i], NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(all.n_done, all.n);
    for (int i = 0; i < all.n; i++) {
        T_FALSE(all.sleepers[i].is_doubled);
        T_EQ(all.sleepers[i].n_steps, N_STEPS + 1);
        for (int k = 0; k < N_STEPS * N_EVENTS; k++)
            parla_task_unref(all.sleepers[i].events[k / N_EVENTS][k % N_EVENTS]);
    }
    close_runtime();
    free(all.sleepers);
}

/* --- Bodies that block on each other, in chains longer than there are workers ------------------------------------------------- */

typedef struct blocker {
    parla_task before;
    _Atomic int *n_done;
} blocker;

static int block_body(parla_context *context, void *arg)
{
    blocker *self = arg;
    T_OK(parla_task_wait(parla_context_runtime(context), &self->before, 1, PARLA_FOREVER));
    pl_add_acq_rel(self->n_done, 1);
    return 0;
}

T_TEST(bodies_that_block_in_chains)
{
    enum { LENGTH = 30 };
    blocker all[LENGTH];
    for (int n_workers = 1; n_workers <= 3; n_workers++) {
        open_runtime(n_workers);
        for (uint64_t round = 0; round < t_scale(60); round++) {
            _Atomic int n_done = 0;
            parla_task event = create_event("start"), task = event;
            for (int i = 0; i < LENGTH; i++) {
                all[i] = (blocker){.before = task, .n_done = &n_done};
                task = spawn(block_body, &all[i], NULL, 0);
            }
            T_OK(parla_event_complete(event, 0, NULL));
            T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
            T_EQ(n_done, LENGTH);
            parla_task_unref(event);
        }
        close_runtime();
    }
}

/* --- Holds released from outside while bodies still run ----------------------------------------------------------------------- */

typedef struct held {
    _Atomic bool is_held;
    parla_task task;
    _Atomic int n_ends;
} held;

typedef struct holds {
    held *all;
    int n;
} holds;

static int hold_body(parla_context *context, void *arg)
{
    held *self = arg;
    T_OK(parla_hold(context, 2));
    pl_store_release(&self->is_held, true);
    return 0;
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    T_EQ(outcome->status, 0);
    pl_add_acq_rel(&((held *)arg)->n_ends, 1);
}

static void *release_holds(void *arg)
{
    holds *self = arg;
    for (int i = 0; i < self->n; i++) {
        T_EVENTUALLY(pl_load_acquire(&self->all[i].is_held), 60000);
        T_OK(parla_release(self->all[i].task, 0, NULL));
    }
    return NULL;
}

T_TEST(holds_released_while_bodies_return)
{
    holds self = {.n = (int)t_scale(20000)};
    self.all = calloc((size_t)self.n, sizeof *self.all);
    open_runtime(2);
    for (int i = 0; i < self.n; i++)
        self.all[i].task = create_name("held");
    pthread_t a = start_thread(release_holds, &self), b = start_thread(release_holds, &self);
    for (int i = 0; i < self.n; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.task = self.all[i].task;
        options.body = hold_body;
        options.arg = &self.all[i];
        options.on_end = note_end;
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < self.n; i++) {
        T_EQ(self.all[i].n_ends, 1);
        parla_task_unref(self.all[i].task);
    }
    close_runtime();
    free(self.all);
}

/* --- Cancelling against spawning, running and ending -------------------------------------------------------------------------- */

typedef struct target {
    parla_task task;
    _Atomic int n_runs, n_ends, n_cancels;
    int status;
} target;

typedef struct targets {
    target *all;
    int n;
} targets;

static int run_target(parla_context *context, void *arg) { return count_body(context, (void *)&((target *)arg)->n_runs); }

static void end_target(void *arg, const parla_outcome *outcome)
{
    target *self = arg;
    self->status = outcome->status;
    pl_add_acq_rel(&self->n_ends, 1);
}

static void *cancel_targets(void *arg)
{
    targets *self = arg;
    for (int i = 0; i < self->n; i++) {
        int code = parla_task_cancel(self->all[i].task);
        T_TRUE(code == 0 || code == PARLA_PENDING || code == PARLA_E_STATE);
        pl_add_acq_rel(&self->all[i].n_cancels, code == 0);
    }
    return NULL;
}

T_TEST(cancelling_against_everything)
{
    targets self = {.n = (int)t_scale(20000)};
    self.all = calloc((size_t)self.n, sizeof *self.all);
    open_runtime(2);
    for (int i = 0; i < self.n; i++)
        self.all[i].task = create_name("target");
    pthread_t a = start_thread(cancel_targets, &self), b = start_thread(cancel_targets, &self);
    int n_spawned = 0;
    for (int i = 0; i < self.n; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.task = self.all[i].task;
        options.body = run_target;
        options.arg = &self.all[i];
        options.on_end = end_target;
        options.deps = i > 0 && i % 3 ? &self.all[i - 1].task : NULL;
        options.n_deps = options.deps ? 1 : 0;
        int code = parla_task_spawn(rt, NULL, &options);
        T_TRUE(code == 0 || code == PARLA_E_STATE); /* cancelled before */
        n_spawned += code == 0;
        if (code)
            pl_store_release(&self.all[i].n_ends, -1);
    }
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < self.n; i++) {
        target *one = &self.all[i];
        T_TRUE(parla_task_has_ended(one->task));
        T_LE(one->n_cancels, 1);
        T_EQ(one->n_runs, one->n_ends == 1 && one->status == 0);
        T_TRUE(one->n_ends == 1 || one->n_ends == -1);
        T_TRUE(one->n_cancels == 0 || one->n_runs == 0);
        parla_task_unref(one->task);
    }
    T_EQ(counts().n_spawned, n_spawned);
    T_EQ(counts().n_ended, n_spawned);
    close_runtime();
    free(self.all);
}

/* --- Cancelling what runs ----------------------------------------------------------------------------------------------------- */

/* Each has the whole CPU for itself, so a share that was given back while a body still runs would let another one in. */
typedef struct sole {
    parla_task task;
    _Atomic bool is_inside;
    _Atomic int n_ends;
    bool has_run;
    int status;
} sole;

static _Atomic int n_soles_inside, n_soles_asked;

static int run_alone(parla_context *context, void *arg)
{
    sole *self = arg;
    T_EQ(pl_add_acq_rel(&n_soles_inside, 1), 0);
    pl_store_release(&self->is_inside, true);
    self->has_run = true;
    for (int i = 0; i < 2000 && !parla_context_is_cancelled(context); i++)
        pl_cpu_relax();
    bool was_asked = parla_context_is_cancelled(context);
    pl_add_acq_rel(&n_soles_asked, was_asked);
    pl_store_release(&self->is_inside, false);
    pl_sub_acq_rel(&n_soles_inside, 1);
    return was_asked ? PARLA_E_CANCELLED : 0;
}

static void end_alone(void *arg, const parla_outcome *outcome)
{
    sole *self = arg;
    T_FALSE(pl_load_acquire(&self->is_inside));
    self->status = outcome->status;
    pl_add_acq_rel(&self->n_ends, 1);
}

typedef struct soles {
    sole *all;
    int n;
} soles;

/* Follows the bodies, so that most are asked while they run; what is said to have ended is not inside. */
static void *cancel_soles(void *arg)
{
    soles *self = arg;
    for (int i = 0; i < self->n; i++) {
        sole *one = &self->all[i];
        if (i % 2)
            T_EVENTUALLY(pl_load_acquire(&one->is_inside) || parla_task_has_ended(one->task), 60000);
        int code = parla_task_cancel(one->task);
        T_TRUE(code == 0 || code == PARLA_PENDING || code == PARLA_E_STATE);
        if (code != PARLA_PENDING)
            T_FALSE(pl_load_acquire(&one->is_inside));
    }
    return NULL;
}

T_TEST(a_cancelled_body_has_its_share_until_it_has_returned)
{
    soles self = {.n = (int)t_scale(3000)};
    self.all = calloc((size_t)self.n, sizeof *self.all);
    parla_demand whole = {PARLA_ARCH_CPU, PARLA_ANY_NUMBER, 1, 0};
    parla_choice choice = {&whole, 1};
    open_runtime(3);
    for (int i = 0; i < self.n; i++)
        self.all[i].task = create_name("sole");
    for (int i = 0; i < self.n; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.task = self.all[i].task;
        options.body = run_alone;
        options.arg = &self.all[i];
        options.on_end = end_alone;
        options.choices = &choice;
        options.n_choices = 1;
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
    pthread_t a = start_thread(cancel_soles, &self), b = start_thread(cancel_soles, &self);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < self.n; i++) {
        T_EQ(self.all[i].n_ends, 1);
        T_TRUE(self.all[i].has_run || self.all[i].status == PARLA_E_CANCELLED);
        parla_task_unref(self.all[i].task);
    }
    t_count((uint64_t)n_soles_asked, "bodies cancelled while they run");
    close_runtime();
    free(self.all);
}
