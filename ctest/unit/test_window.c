/* test_window.c - the soft bound on tasks in flight: who is stopped by it, and who is not. */
#include "sched/runtime.h"

#include "runtime_fixture.h"

#include <stdlib.h>

static void open_window(int n_workers, int64_t window)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_workers;
    options.window = window;
    T_OK(parla_runtime_create(&rt, &options));
}

static uint64_t in_flight(void)
{
    parla_runtime_info info = counts();
    return info.n_spawned - info.n_ended;
}

/* The issue's own case: memory stays flat. */
T_TEST(a_million_tasks_through_a_window_of_a_thousand)
{
    _Atomic int n = 0;
    int n_tasks = (int)t_scale(1000000);
    for (int chained = 0; chained < 2; chained++) {
        open_window(2, 1000);
        parla_task last = PARLA_TASK_NONE;
        uint64_t most = 0;
        for (int i = 0; i < n_tasks; i++) {
            last = spawn(count_body, (void *)&n, &last, chained);
            if (i % 1024 == 0 && in_flight() > most)
                most = in_flight();
        }
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        T_EQ(n, (chained + 1) * n_tasks);
        T_LE(most, 10000); /* soft: on a busy machine patience may end a few times */
        T_LE(counts().task_bytes, 24 * PL_SLOTS_PER_SLAB * PL_SLOT_BYTES);
        close_runtime();
    }
    t_count(2 * (uint64_t)n_tasks, "tasks through a window of 1,000");
}

/* The workers cannot keep up, for they are not let: the thread that spawns goes on after its patience. */
T_TEST(a_body_that_waits_for_the_spawning_thread_does_not_hang_it)
{
    _Atomic int n = 0;
    stopper self = {false, false};
    open_window(1, 64);
    spawn(stop_body, &self, NULL, 0);
    T_EVENTUALLY(pl_load_acquire(&self.is_inside), 10000);
    for (int i = 0; i < 128; i++)
        spawn(count_body, (void *)&n, NULL, 0);
    pl_store_release(&self.may_go, true);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 128);
    close_runtime();
}

T_TEST(tasks_behind_a_name_do_not_count)
{
    _Atomic int n = 0;
    open_window(1, 100);
    parla_task name = create_name("later"), other = create_name("even later");
    parla_task both[2] = {name, other};
    for (int i = 0; i < 1000; i++)
        spawn(count_body, (void *)&n, both, 2);
    T_EQ(pl_load_relaxed(&rt->n_held), 1000); /* each once, though two names are missing */
    for (int i = 0; i < 1000; i++)
        spawn(count_body, (void *)&n, NULL, 0); /* goes on at full width */
    spawn_as(name, NULL, count_body, (void *)&n, NULL, 0);
    T_EQ(pl_load_relaxed(&rt->n_held), 0);
    spawn_as(other, NULL, count_body, (void *)&n, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 2002);
    parla_task_unref(name);
    parla_task_unref(other);
    close_runtime();
}

T_TEST(a_name_that_is_dropped_counts_its_tasks_no_more)
{
    _Atomic int n = 0;
    open_window(1, 100);
    parla_task name = create_name("never");
    for (int i = 0; i < 10; i++)
        spawn(count_body, (void *)&n, &name, 1);
    T_EQ(pl_load_relaxed(&rt->n_held), 10);
    parla_task_unref(name);
    T_EQ(pl_load_relaxed(&rt->n_held), 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(counts().n_cancelled, 10);
    close_runtime();
}

/* A chain of names, spawned from its end: nothing can run before the last spawn, and nobody stays. */
T_TEST(everybody_exceeds_it_when_nothing_can_run)
{
    enum { N = 2000 };
    _Atomic int n = 0;
    static parla_task names[N];
    open_window(2, 16);
    for (int i = 0; i < N; i++)
        names[i] = create_name("link");
    for (int i = N - 1; i >= 0; i--)
        spawn_as(names[i], NULL, count_body, (void *)&n, i > 0 ? &names[i - 1] : NULL, i > 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, N);
    for (int i = 0; i < N; i++)
        parla_task_unref(names[i]);
    close_runtime();
}

static int spawn_many(parla_context *context, void *arg)
{
    (void)context;
    for (int i = 0; i < 5000; i++)
        spawn(count_body, arg, NULL, 0);
    return 0;
}

T_TEST(bodies_and_event_loops_are_not_stopped)
{
    _Atomic int n = 0;
    stopper self = {false, false};
    open_window(1, 16);
    T_OK(wait_for(spawn(spawn_many, (void *)&n, NULL, 0)));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    spawn(stop_body, &self, NULL, 0);
    T_EVENTUALLY(pl_load_acquire(&self.is_inside), 10000);
    parla_thread_set_loop(true);
    for (int i = 0; i < 5000; i++)
        spawn(count_body, (void *)&n, NULL, 0);
    T_GE(in_flight(), 5000);
    parla_thread_set_loop(false);
    pl_store_release(&self.may_go, true);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 10000);
    close_runtime();
}

/* --- Runtimes of a language with a lock -------------------------------------------------------------------------------------------- */

static pthread_mutex_t language_lock = PTHREAD_MUTEX_INITIALIZER;
static int n_given_up; /* of the thread that spawns */

static int run_locked(void *ctx, parla_body body, parla_context *context, void *arg)
{
    (void)ctx;
    pthread_mutex_lock(&language_lock);
    int result = body(context, arg);
    pthread_mutex_unlock(&language_lock);
    return result;
}

/* What a binding does before a spawn. */
static void make_room(void)
{
    if (!parla_window_is_full(rt))
        return;
    pthread_mutex_unlock(&language_lock);
    n_given_up++;
    parla_window_wait(rt);
    pthread_mutex_lock(&language_lock);
}

/* Without asking, spawns go beyond the window, for the bodies cannot run. */
T_TEST(the_lock_of_a_language_is_given_up_meanwhile)
{
    _Atomic int n = 0;
    for (int asks = 0; asks < 2; asks++) {
        uint64_t most = 0;
        parla_runner runner = {.size = sizeof runner, .run = run_locked};
        parla_options options = PARLA_OPTIONS_INIT;
        options.n_workers = 2;
        options.window = 100;
        options.runner = &runner;
        T_OK(parla_runtime_create(&rt, &options));
        pthread_mutex_lock(&language_lock);
        for (int i = 0; i < 20000; i++) {
            parla_task_options task = PARLA_TASK_OPTIONS_INIT;
            task.body = count_body;
            task.arg = (void *)&n;
            task.flags = PARLA_TASK_MANAGED;
            if (asks)
                make_room();
            T_OK(parla_task_spawn(rt, NULL, &task));
            most = in_flight() > most ? in_flight() : most;
        }
        pthread_mutex_unlock(&language_lock);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        T_EQ(n, (asks + 1) * 20000);
        T_EQ(n_given_up > 0, asks);
        T_EQ(most < 1000, asks);
        close_runtime();
    }
}

/* Bodies are never held up, and neither is anybody where there is no bound. */
static int ask_body(parla_context *context, void *arg)
{
    (void)context;
    parla_window_wait(rt); /* at once */
    *(bool *)arg = parla_window_is_full(rt);
    return 0;
}

T_TEST(bodies_never_find_the_window_full)
{
    bool is_full = true;
    _Atomic int n = 0;
    parla_task name = PARLA_TASK_NONE;
    open_window(1, 4);
    name = create_event("name");
    for (int i = 0; i < 20; i++)
        spawn(count_body, (void *)&n, &name, 1);
    T_OK(wait_for(spawn(ask_body, &is_full, NULL, 0)));
    T_FALSE(is_full);
    T_OK(parla_event_complete(name, 0, NULL));
    parla_task_unref(name);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 20);
    close_runtime();
    open_window(1, -1);
    T_FALSE(parla_window_is_full(rt));
    parla_window_wait(rt);
    close_runtime();
}

T_TEST(malformed)
{
    parla_runtime *none;
    setenv("PARLA_WINDOW", "many", 1);
    T_EQ(parla_runtime_create(&none, NULL), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "PARLA_WINDOW='many'");
    setenv("PARLA_WINDOW", "12", 1);
    T_OK(parla_runtime_create(&rt, NULL));
    T_EQ(rt->window, 12);
    close_runtime();
    open_window(1, -1);
    T_EQ(rt->window, 0);
    close_runtime();
}
