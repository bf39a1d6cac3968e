/* start_stop_stress.c - runtimes that come and go, empty, busy and in the middle of things, from one thread and from several. */
#include "../unit/runtime_fixture.h"

/* Leaves a few tasks in each state behind. */
static void leave_something(parla_runtime *one, t_rng *rng, _Atomic int *n_ends)
{
    parla_task tasks[8] = {PARLA_TASK_NONE};
    parla_task event = PARLA_TASK_NONE, name = PARLA_TASK_NONE;
    size_t n = t_below(rng, 8);
    if (t_below(rng, 4) == 0)
        T_OK(parla_event_create(one, &event, "pending"));
    if (t_below(rng, 4) == 0)
        T_OK(parla_task_create(one, &name, "never"));
    for (size_t i = 0; i < n; i++) {
        parla_task deps[] = {t_below(rng, 4) ? PARLA_TASK_NONE : event, t_below(rng, 4) ? PARLA_TASK_NONE : name,
                             tasks[t_below(rng, 8)]};
        T_OK(parla_spawn(one, &tasks[i], t_below(rng, 6) ? count_body : fail_body, (void *)n_ends, deps, 3));
    }
    if (t_below(rng, 2))
        (void)!parla_task_wait(one, tasks, n, (int64_t)t_below(rng, 100000));
    if (t_below(rng, 2))
        parla_task_unref(event);
    if (t_below(rng, 2))
        parla_task_unref(name);
}

static void cycle(t_rng *rng)
{
    _Atomic int n = 0;
    parla_runtime *one;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1 + (int)t_below(rng, 4);
    T_OK(parla_runtime_create(&one, &options));
    leave_something(one, rng, &n);
    parla_runtime_info info = {.size = sizeof info};
    T_OK(parla_runtime_query(one, &info));
    T_LE(info.n_ended, info.n_spawned);
    parla_runtime_destroy(one);
}

T_TEST_TIMEOUT(two_thousand_runtimes, 120)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(2000); i++)
        cycle(&rng);
    t_count(t_scale(2000), "runtimes started and stopped");
}

static void *cycle_often(void *arg)
{
    t_rng rng = {t_seed() + (uintptr_t)arg};
    for (uint64_t i = 0; i < t_scale(300); i++)
        cycle(&rng);
    return NULL;
}

T_TEST_TIMEOUT(several_threads_start_and_stop, 120)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        threads[i] = start_thread(cycle_often, (void *)(i + 1));
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* Threads that used a runtime end while it is destroyed, and use the next one. */
typedef struct visitor {
    _Atomic int n_ready, n_runs;
    _Atomic bool may_end;
} visitor;

static void *visit(void *arg)
{
    visitor *self = arg;
    spawn(count_body, (void *)&self->n_runs, NULL, 0);
    pl_add_acq_rel(&self->n_ready, 1);
    T_EVENTUALLY(pl_load_acquire(&self->may_end), 20000);
    return NULL;
}

T_TEST_TIMEOUT(visitors_leave_while_it_stops, 120)
{
    for (uint64_t i = 0; i < t_scale(300); i++) {
        visitor self = {0};
        pthread_t threads[4];
        open_runtime(2);
        for (int k = 0; k < 4; k++)
            threads[k] = start_thread(visit, &self);
        T_EVENTUALLY(pl_load_acquire(&self.n_ready) == 4, 20000);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        pl_store_release(&self.may_end, true);
        close_runtime();
        for (int k = 0; k < 4; k++)
            pthread_join(threads[k], NULL);
        T_EQ(self.n_runs, 4);
    }
}
