/* test_end.c - how tasks end: who is told when, what is cancelled with them, and that all of it happens once. */
#include "runtime_fixture.h"

#include <stdlib.h>

enum { CHAIN = 20000 };

typedef struct record {
    _Atomic int n_runs, n_ends;
    int status;
    bool was_ended;  /* seen by on_end */
    int n_runs_then; /* of the next in line */
    struct record *next;
} record;

static int run_body(parla_context *context, void *arg) { return count_body(context, (void *)&((record *)arg)->n_runs); }

static int fail_counted(parla_context *context, void *arg)
{
    run_body(context, arg);
    return parla_fail(context, PARLA_E_DEVICE, "lost");
}

static void on_end(void *arg, const parla_outcome *outcome)
{
    record *self = arg;
    T_EQ(pl_add_acq_rel(&self->n_ends, 1), 0);
    self->status = outcome->status;
    self->was_ended = parla_task_has_ended(outcome->task);
    self->n_runs_then = self->next ? pl_load_acquire(&self->next->n_runs) : 0;
    T_EQ(outcome->failure == NULL, outcome->status == 0);
}

static parla_task spawn_record(record *self, parla_body body, const parla_task *deps, size_t n_deps)
{
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = self;
    options.on_end = on_end;
    options.name = "record";
    options.deps = deps;
    options.n_deps = n_deps;
    T_OK(parla_task_spawn(rt, &task, &options));
    return task;
}

T_TEST(on_end_comes_before_dependents_and_waiters)
{
    static record records[100];
    open_runtime(2);
    parla_task task = PARLA_TASK_NONE;
    for (int i = 0; i < 100; i++) {
        records[i].next = i < 99 ? &records[i + 1] : NULL;
        task = spawn_record(&records[i], run_body, &task, 1);
    }
    T_OK(wait_for(task));
    for (int i = 0; i < 100; i++) {
        T_EQ(records[i].n_ends, 1);
        T_EQ(records[i].n_runs_then, 0);
        T_FALSE(records[i].was_ended);
        T_EQ(records[i].status, 0);
    }
    close_runtime();
}

T_TEST(a_failure_cancels_all_that_follows_and_nothing_else)
{
    static record first, left, right, join, apart;
    open_runtime(2);
    parla_task name = create_name("record");
    parla_task l = spawn_record(&left, run_body, &name, 1), r = spawn_record(&right, run_body, &name, 1);
    parla_task j = spawn_record(&join, run_body, (parla_task[]){l, r}, 2);
    parla_task a = spawn_record(&apart, run_body, NULL, 0);
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.task = name;
    options.body = fail_counted;
    options.arg = &first;
    options.on_end = on_end;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(first.status, PARLA_E_DEVICE);
    T_EQ(parla_task_query(name), PARLA_TASK_FAILED);
    record *cancelled[] = {&left, &right, &join};
    parla_task tasks[] = {l, r, j};
    for (int i = 0; i < 3; i++) {
        T_EQ(cancelled[i]->n_runs, 0);
        T_EQ(cancelled[i]->n_ends, 1);
        T_EQ(cancelled[i]->status, PARLA_E_CANCELLED);
        T_EQ(parla_task_query(tasks[i]), PARLA_TASK_CANCELLED);
        T_HAS_STR(failure_text(tasks[i]), "lost");
    }
    T_EQ(apart.n_runs, 1);
    T_EQ(parla_task_query(a), PARLA_TASK_DONE);
    parla_runtime_info info = counts();
    T_EQ(info.n_spawned, 5);
    T_EQ(info.n_ended, 5);
    T_EQ(info.n_failed, 1);
    T_EQ(info.n_cancelled, 3);
    parla_task_unref(name);
    close_runtime();
}

T_TEST(long_chains_are_cancelled_without_recursion)
{
    record *records = calloc(CHAIN, sizeof *records);
    open_runtime(1);
    parla_task name = create_name("head"), task = name;
    for (int i = 0; i < CHAIN; i++)
        task = spawn_record(&records[i], run_body, &task, 1);
    T_OK(parla_task_cancel(name));
    T_EQ(wait_for(task), PARLA_E_CANCELLED);
    for (int i = 0; i < CHAIN; i++) {
        T_EQ(records[i].n_runs, 0);
        T_EQ(records[i].n_ends, 1);
    }
    parla_task_unref(name);
    close_runtime();
    free(records);
}

T_TEST(long_chains_run_without_recursion)
{
    record *records = calloc(CHAIN, sizeof *records);
    open_runtime(1);
    parla_task name = create_name("head"), task = name;
    for (int i = 0; i < CHAIN; i++)
        task = spawn_record(&records[i], run_body, &task, 1);
    _Atomic int n = 0;
    spawn_as(name, NULL, count_body, (void *)&n, NULL, 0);
    T_OK(wait_for(task));
    for (int i = 0; i < CHAIN; i++)
        T_EQ(records[i].n_runs, 1);
    parla_task_unref(name);
    close_runtime();
    free(records);
}

T_TEST(a_queued_task_can_be_cancelled)
{
    static record queued, after;
    stopper stop = {0};
    open_runtime(1);
    parla_task running = spawn(stop_body, &stop, NULL, 0);
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000);
    parla_task task = spawn_record(&queued, run_body, NULL, 0), next = spawn_record(&after, run_body, &task, 1);
    T_EQ(parla_task_query(task), PARLA_TASK_READY);
    T_OK(parla_task_cancel(task));
    T_EQ(parla_task_query(task), PARLA_TASK_CANCELLED); /* at once, though its worker is busy */
    T_EQ(queued.n_ends, 1);
    T_EQ(after.n_ends, 1);
    T_EQ(parla_task_cancel(task), PARLA_E_STATE);
    T_EQ(parla_task_cancel(running), PARLA_PENDING);
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(running)); /* it did not look */
    T_EQ(wait_for(next), PARLA_E_CANCELLED);
    T_EQ(queued.n_runs + after.n_runs, 0);
    close_runtime();
}

/* --- Cancelling everything ---------------------------------------------------------------------------------------------------- */

T_TEST(cancel_all_counts_what_follows_too)
{
    static record records[30];
    _Atomic int n = 0;
    stopper stop = {0};
    open_runtime(1);
    parla_task running = spawn(stop_body, &stop, NULL, 0);
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000);
    parla_task name = create_name("later"), event = create_event("event"), task = running;
    for (int i = 0; i < 30; i++)
        task = spawn_record(&records[i], run_body, &task, 1);
    T_EQ(parla_runtime_cancel_all(rt), 30);
    T_EQ(parla_runtime_cancel_all(rt), 0);
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(running));
    T_EQ(counts().n_cancelled, 30);
    T_EQ(parla_task_query(name), PARLA_TASK_CREATED); /* names and events are no tasks that wait to start */
    T_OK(wait_for(spawn_as(name, NULL, count_body, (void *)&n, NULL, 0)));
    T_EQ(n, 1);
    T_OK(parla_event_complete(event, 0, NULL));
    parla_task_unref(name);
    parla_task_unref(event);
    close_runtime();
}

static int suspend_body(parla_context *context, void *arg)
{
    parla_task *awaited = arg;
    if (!parla_task_has_ended(*awaited)) {
        T_OK(parla_suspend_on(context, awaited, 1));
        return PARLA_SUSPENDED;
    }
    return parla_task_query(*awaited) == PARLA_TASK_DONE ? 0 : parla_fail(context, PARLA_E_USER, "what it waited for failed");
}

T_TEST(a_suspended_task_is_not_cancelled_but_asked)
{
    open_runtime(1);
    parla_task event = create_event("event");
    parla_task task = spawn(suspend_body, &event, NULL, 0);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_SUSPENDED, 10000);
    T_EQ(parla_task_cancel(task), PARLA_PENDING);
    T_EQ(parla_runtime_cancel_all(rt), 0);
    T_OK(parla_event_complete(event, PARLA_E_TRANSPORT, "peer is gone"));
    T_EQ(wait_for(task), PARLA_E_USER);
    T_EQ_STR(parla_error_detail(), "what it waited for failed");
    parla_task_unref(event);
    close_runtime();
}

/* Two bodies suspended on each other can never go on; the runtime ends all the same, and each is told once. */
typedef struct knot {
    parla_task *other;
    _Atomic int n_steps, n_ends;
} knot;

static int knot_body(parla_context *context, void *arg)
{
    knot *self = arg;
    if (pl_add_acq_rel(&self->n_steps, 1) > 0)
        return 0;
    T_OK(parla_suspend_on(context, self->other, 1));
    return PARLA_SUSPENDED;
}

static void knot_ends(void *arg, const parla_outcome *outcome)
{
    (void)outcome;
    pl_add_acq_rel(&((knot *)arg)->n_ends, 1);
}

T_TEST(destroy_undoes_a_knot_of_suspended_tasks)
{
    parla_task tasks[2];
    knot knots[2] = {{.other = &tasks[1]}, {.other = &tasks[0]}};
    open_runtime(2);
    for (int i = 0; i < 2; i++)
        tasks[i] = create_name(i ? "b" : "a");
    for (int i = 0; i < 2; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.task = tasks[i];
        options.body = knot_body;
        options.arg = &knots[i];
        options.on_end = knot_ends;
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
    T_EQ(parla_runtime_wait(rt, PARLA_FOREVER), PARLA_E_STUCK);
    T_HAS_STR(parla_error_detail(), "a cycle");
    close_runtime();
    T_EQ(knots[0].n_ends, 1);
    T_EQ(knots[1].n_ends, 1);
    T_EQ(knots[0].n_steps + knots[1].n_steps, 3); /* one was cancelled, the other resumed */
}
