/* test_poll.c - progress functions: called while anything is pending, asleep when idle, awake after a kick, and gone when removed. */
#include "base/compiler.h"
#include "runtime_fixture.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct pending {
    _Atomic int n_calls, n_at_once, n_asked, n_done;
    parla_poll *poll;
    parla_task event;
    int complete_at; /* completes `event` at this call */
    int n_callers;   /* other than `caller` before */
    pthread_t caller;
} pending;

static void enter(pending *self)
{
    T_EQ(pl_add_acq_rel(&self->n_at_once, 1), 0); /* one worker at a time */
    pl_add_acq_rel(&self->n_calls, 1);
}

static void leave(pending *self) { pl_sub_acq_rel(&self->n_at_once, 1); }

static int always_pending(void *ctx)
{
    enter(ctx);
    leave(ctx);
    return 0;
}

static int always_idle(void *ctx)
{
    always_pending(ctx);
    return -1;
}

T_TEST(idle_workers_poll_while_something_is_pending)
{
    pending self = {0};
    open_runtime(2);
    T_OK(parla_poll_add(rt, &self.poll, always_pending, &self));
    T_EVENTUALLY(pl_load_acquire(&self.n_calls) > 20, 10000);
    parla_poll_remove(self.poll);
    int n = self.n_calls;
    _Atomic int n_run = 0;
    for (int i = 0; i < 100; i++)
        T_OK(wait_for(spawn(count_body, (void *)&n_run, NULL, 0)));
    T_EQ(self.n_calls, n); /* never after its removal */
    close_runtime();
}

static int spin_body(parla_context *context, void *arg)
{
    parla_task next;
    pending *self = arg;
    if (pl_load_acquire(&self->n_calls) > 20)
        return 0;
    return parla_spawn(parla_context_runtime(context), &next, spin_body, arg, NULL, 0);
}

T_TEST(busy_workers_poll_between_tasks)
{
    pending self = {0};
    open_runtime(1);
    T_OK(parla_poll_add(rt, &self.poll, always_idle, &self));
    spawn(spin_body, &self, NULL, 0); /* ends when there were enough calls */
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_poll_remove(self.poll);
    close_runtime();
}

/* Does what was asked before the call. */
static int do_what_is_asked(void *ctx)
{
    pending *self = ctx;
    enter(self);
    pl_store_release(&self->n_done, pl_load_acquire(&self->n_asked));
    leave(self);
    return -1;
}

/* A kick may come at any moment of a worker's way to sleep: also when it has looked at the function, but has not announced itself. */
T_TEST(no_kick_is_lost)
{
    pending self = {0};
    t_rng rng = {t_seed()};
    open_runtime(1);
    T_OK(parla_poll_add(rt, &self.poll, do_what_is_asked, &self));
    for (int i = 1; i <= (int)t_scale(2000); i++) {
        for (uint64_t k = t_below(&rng, 600); k > 0; k--)
            pl_cpu_relax();
        pl_store_release(&self.n_asked, i);
        parla_poll_kick(self.poll);
        T_EVENTUALLY(pl_load_acquire(&self.n_done) == i, 20000);
    }
    parla_poll_remove(self.poll);
    close_runtime();
}

T_TEST(an_idle_function_lets_workers_sleep)
{
    pending self = {0};
    open_runtime(1);
    T_OK(parla_poll_add(rt, &self.poll, always_idle, &self));
    T_EVENTUALLY(pl_load_acquire(&self.n_calls) > 0, 10000);
    stopper stop = {.may_go = true};
    T_OK(wait_for(spawn(stop_body, &stop, NULL, 0)));
    parla_poll_remove(self.poll);
    close_runtime();
    T_LT(self.n_calls, 100); /* at its beginning, and around the task; not every 50 µs */
}

static int complete_later(void *ctx)
{
    pending *self = ctx;
    enter(self);
    if (self->n_calls == self->complete_at)
        T_OK(parla_event_complete(self->event, 0, NULL));
    leave(self);
    return self->n_calls < self->complete_at ? 0 : -1;
}

T_TEST(a_function_completes_events)
{
    _Atomic int n = 0;
    open_runtime(2);
    for (int i = 1; i < 30; i++) {
        pending self = {.complete_at = i, .event = create_event("request")};
        parla_task task = spawn(count_body, (void *)&n, &self.event, 1);
        T_OK(parla_poll_add(rt, &self.poll, complete_later, &self));
        T_OK(wait_for(task));
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        parla_poll_remove(self.poll);
        parla_task_unref(self.event);
        T_EQ(n, i);
    }
    close_runtime();
}

static int meet(parla_context *context, void *arg)
{
    (void)context;
    pthread_barrier_wait(arg);
    return 0;
}

/* From the 100th call on, when those of the start are over, by one thread. */
static int by_whom(void *ctx)
{
    pending *self = ctx;
    enter(self);
    if (self->n_calls > 100 && !pthread_equal(self->caller, pthread_self()))
        self->n_callers++;
    self->caller = self->n_calls >= 100 ? pthread_self() : 0;
    leave(self);
    return 0;
}

/* All workers go idle while something is pending. */
T_TEST(one_idle_worker_watches)
{
    enum { N_WORKERS = 4 };
    pending self = {0};
    pthread_barrier_t all;
    open_runtime(N_WORKERS);
    pthread_barrier_init(&all, NULL, N_WORKERS + 1);
    for (int i = 0; i < N_WORKERS; i++)
        spawn(meet, &all, NULL, 0);
    T_OK(parla_poll_add(rt, &self.poll, by_whom, &self));
    pthread_barrier_wait(&all);
    T_EVENTUALLY(pl_load_acquire(&self.n_calls) > 500, 60000);
    parla_poll_remove(self.poll);
    T_LT(self.n_callers, 50); /* a late one looks once before it sleeps */
    close_runtime();
    pthread_barrier_destroy(&all);
}

T_TEST(functions_come_and_go)
{
    enum { N = 8 };
    t_rng rng = {t_seed()};
    pending *all[N] = {NULL};
    open_runtime(2);
    for (uint64_t i = 0; i < t_scale(5000); i++) {
        pending **one = &all[t_below(&rng, N)];
        if (*one) {
            parla_poll_remove((*one)->poll);
            free(*one); /* a call after this would be seen by the sanitizer */
            *one = NULL;
        } else {
            *one = calloc(1, sizeof **one);
            T_OK(parla_poll_add(rt, &(*one)->poll, always_pending, *one));
        }
    }
    for (int i = 0; i < N; i++)
        if (all[i])
            parla_poll_remove(all[i]->poll);
    close_runtime();
    for (int i = 0; i < N; i++)
        free(all[i]);
}

T_TEST(refusals)
{
    parla_poll *poll = (parla_poll *)&poll;
    open_runtime(1);
    T_EQ(parla_poll_add(NULL, &poll, always_idle, NULL), PARLA_E_INVALID);
    T_EQ(parla_poll_add(rt, &poll, NULL, NULL), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "function");
    T_EQ_PTR(poll, (parla_poll *)&poll);
    parla_poll_remove(NULL);
    close_runtime();
}
