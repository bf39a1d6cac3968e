/* test_help.c - who runs tasks while it waits, and which. */
#include "sched/runtime.h"

#include "runtime_fixture.h"

#include <stdlib.h>

static int note_thread(parla_context *context, void *arg)
{
    (void)context;
    *(pthread_t *)arg = pthread_self();
    return 0;
}

static bool ran_here(pthread_t thread) { return pthread_equal(thread, pthread_self()) != 0; }

/* Keeps workers busy: n bodies that stay inside. */
static void occupy(stopper *stoppers, int n)
{
    for (int i = 0; i < n; i++) {
        spawn(stop_body, &stoppers[i], NULL, 0);
        T_EVENTUALLY(pl_load_acquire(&stoppers[i].is_inside), 10000);
    }
}

static void let_go(stopper *stoppers, int n)
{
    for (int i = 0; i < n; i++)
        pl_store_release(&stoppers[i].may_go, true);
}

/* --- Bodies that wait ----------------------------------------------------------------------------------------------------------- */

typedef struct parent {
    int depth;
    pthread_t last_ran;
    bool was_last_here, was_unrelated_done;
    _Atomic int *n_unrelated; /* may be raised after the parent has ended */
} parent;

static int do_nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

/* Waits for the end of a chain of tasks: this thread can run them all, and the unrelated one that lies on top of its deque stays there. */
static int wait_for_chain(parla_context *context, void *arg)
{
    parent *self = arg;
    (void)context;
    parla_task last = PARLA_TASK_NONE;
    for (int i = 0; i < self->depth; i++)
        last = spawn(i < self->depth - 1 ? do_nothing : note_thread, &self->last_ran, &last, 1);
    spawn(count_body, (void *)self->n_unrelated, NULL, 0);
    T_OK(wait_for(last));
    self->was_last_here = ran_here(self->last_ran);
    self->was_unrelated_done = pl_load_acquire(self->n_unrelated) > 0;
    return 0;
}

/* One worker: whoever else runs the chain would be a spare, on another thread. */
static parent run_parent(int depth)
{
    _Atomic int n_unrelated = 0;
    parent self = {.depth = depth, .n_unrelated = &n_unrelated};
    open_runtime(1);
    parla_task task = spawn(wait_for_chain, &self, NULL, 0);
    T_EVENTUALLY(parla_task_has_ended(task), 10000);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    close_runtime();
    T_EQ(n_unrelated, 1);
    return self;
}

T_TEST(a_body_runs_what_it_waits_for)
{
    for (int depth = 1; depth <= 17; depth++) {
        parent self = run_parent(depth);
        T_TRUE(self.was_last_here);
        T_FALSE(self.was_unrelated_done);
    }
}

T_TEST(deeper_chains_are_left_to_others)
{
    parent self = run_parent(100);
    T_FALSE(self.was_last_here);
}

/* The stale entries of tasks that were run from the middle of a deque leave nothing behind. */
static _Atomic int n_others;

static int many_chains(parla_context *context, void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        parent self = {.depth = 3, .n_unrelated = &n_others};
        T_OK(wait_for_chain(context, &self));
    }
    return 0;
}

T_TEST(entries_and_references_stay_equal)
{
    int n = (int)t_scale(2000);
    for (int n_workers = 1; n_workers <= 3; n_workers++) {
        open_runtime(n_workers);
        uint64_t n_bytes = counts().task_bytes;
        for (int i = 0; i < n_workers; i++)
            spawn(many_chains, &n, NULL, 0);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        T_EQ(counts().n_ended, (uint64_t)n_workers * (1 + 4 * (uint64_t)n));
        T_LE(counts().task_bytes, n_bytes + 64 * PL_SLOTS_PER_SLAB * PL_SLOT_BYTES);
        close_runtime();
    }
}

/* --- Threads that are no workers -------------------------------------------------------------------------------------------------- */

/* While the only worker stays asleep the waiting thread does its work; it says so by its thread. Whether the worker is faster is open, so
 * the wait is repeated until this thread has run one. */
T_TEST(a_thread_that_waits_for_all_works_in_the_place_of_a_sleeping_worker)
{
    pthread_t ran;
    open_runtime(1);
    bool was_here = false;
    for (int i = 0; i < 100000 && !was_here; i++) {
        spawn(note_thread, &ran, NULL, 0);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        was_here = ran_here(ran);
    }
    T_TRUE(was_here);
    close_runtime();
}

T_TEST(a_thread_that_waits_for_one_task_runs_it)
{
    pthread_t ran;
    open_runtime(1);
    bool was_here = false;
    for (int i = 0; i < 100000 && !was_here; i++) {
        T_OK(wait_for(spawn(note_thread, &ran, NULL, 0)));
        was_here = ran_here(ran);
    }
    T_TRUE(was_here);
    close_runtime();
}

/* All workers are inside bodies: the waiting thread must not be one more. */
T_TEST(no_more_bodies_than_workers)
{
    stopper stoppers[2] = {{false, false}, {false, false}};
    pthread_t ran;
    open_runtime(2);
    occupy(stoppers, 2);
    parla_task task = spawn(note_thread, &ran, NULL, 0);
    T_EQ(parla_task_wait(rt, &task, 1, 20000000), PARLA_E_TIMEOUT);
    pl_worker *self = pl_self(rt);
    pl_help_for(rt, self, &task, 1);
    T_FALSE(pl_help_any(rt, self));
    T_FALSE(parla_task_has_ended(task));
    let_go(stoppers, 2);
    T_OK(wait_for(task));
    close_runtime();
}

T_TEST(waits_with_a_limit_and_event_loops_never_help)
{
    pthread_t ran;
    open_runtime(1);
    for (int i = 0; i < 500; i++) {
        parla_task task = spawn(note_thread, &ran, NULL, 0);
        T_OK(parla_task_wait(rt, &task, 1, INT64_C(60000000000)));
        T_FALSE(ran_here(ran));
        spawn(note_thread, &ran, NULL, 0);
        T_OK(parla_runtime_wait(rt, INT64_C(60000000000)));
        T_FALSE(ran_here(ran));
    }
    parla_thread_set_loop(true);
    for (int i = 0; i < 500; i++) {
        T_OK(wait_for(spawn(note_thread, &ran, NULL, 0)));
        T_FALSE(ran_here(ran));
    }
    parla_thread_set_loop(false);
    close_runtime();
}

static int run_as_it_is(void *ctx, parla_body body, parla_context *context, void *arg)
{
    (void)ctx;
    return body(context, arg);
}

T_TEST(a_runner_is_asked_first)
{
    for (int guests_help = 0; guests_help < 2; guests_help++) {
        parla_runner runner = {.size = sizeof runner, .run = run_as_it_is, .guests_help = guests_help};
        parla_options options = PARLA_OPTIONS_INIT;
        options.n_workers = 1;
        options.runner = &runner;
        T_OK(parla_runtime_create(&rt, &options));
        T_EQ(pl_may_help(rt, pl_self(rt)), guests_help);
        close_runtime();
    }
}

/* A body that a waiting thread runs may wait itself, in vain as well: both learn it. */
static int wait_for_arg(parla_context *context, void *arg)
{
    (void)context;
    return wait_for(*(parla_task *)arg);
}

T_TEST(bodies_on_waiting_threads_that_wait)
{
    for (uint64_t i = 0; i < t_scale(300); i++) {
        _Atomic int n = 0;
        open_runtime(1);
        parla_task name = create_name("never"), inner = spawn(count_body, (void *)&n, NULL, 0);
        parla_task outer = spawn(wait_for_arg, &inner, NULL, 0);
        T_OK(wait_for(outer));
        parla_task vain = spawn(wait_for_arg, &name, NULL, 0);
        T_EQ(wait_for(vain), PARLA_E_STUCK);
        parla_task_unref(name);
        close_runtime();
        T_EQ(n, 1);
    }
}
