/* task_model.c - tasks in every schedule: an edge that is linked while its predecessor ends, fails, is recycled or cancelled; a task that
 * suspends on one that ends. It is the library's own code that runs (spawn.c, run.c, end.c, task.c), on workers without threads of their own:
 * each thread of a scenario is one of them for a while.
 *
 * Checked in each schedule: every task ends once, runs once or not at all, after its predecessors, and sees what they wrote; the outcome is
 * one that the scenario allows; and nothing is left over: every slot is free again. */
#include "../unit/bare_runtime.h"
#include "model.h"

#include <parla/error.h>
#include <stdlib.h>

enum { MAX_TASKS = 6 };

/* One task of a scenario. */
typedef struct job {
    int n_runs, n_ends, status;
    int result; /* written by the body, plainly */
    bool fails;
    parla_task awaits; /* suspends on this in its first step */
    const struct job *after[2];
    parla_task task;
} job;

static job jobs[MAX_TASKS];

static int body(parla_context *context, void *arg)
{
    job *self = arg;
    self->n_runs++;
    if (self->n_runs == 1 && !parla_task_is_none(self->awaits)) {
        context->awaited = malloc(sizeof *context->awaited);
        context->awaited[0] = self->awaits;
        context->n_awaited = 1;
        context->is_suspending = true;
        return PARLA_SUSPENDED;
    }
    for (int i = 0; i < 2 && self->after[i]; i++)
        T_EQ(self->after[i]->result, 1);
    self->result = 1;
    return self->fails ? PARLA_E_USER : 0;
}

static void on_end(void *arg, const parla_outcome *outcome)
{
    job *self = arg;
    self->n_ends++;
    self->status = outcome->status;
}

static void spawn(pl_worker *self, job *one, const parla_task *deps, size_t n_deps)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = one;
    options.on_end = on_end;
    options.deps = deps;
    options.n_deps = n_deps;
    T_OK(pl_spawn(&rt, self, &one->task, &options));
}

static void open_runtime(void)
{
    memset(jobs, 0, sizeof jobs);
    bare_open();
}

static void close_runtime(void)
{
    for (int i = 0; i < N_WORKERS; i++)
        bare_drain(&workers[i]);
    for (int i = 0; i < MAX_TASKS; i++) {
        T_LE(jobs[i].n_runs, 1 + !parla_task_is_none(jobs[i].awaits));
        T_EQ(jobs[i].n_ends, !parla_task_is_none(jobs[i].task));
    }
    bare_close();
}

static pl_worker *worker_of(void *arg) { return &workers[(intptr_t)arg]; }
static void *runs_its_tasks(void *arg) { return bare_drain(worker_of(arg)), arg; }

/* Job 0 lies in worker 0's deque, job 1 depends on it. */
static void *spawns_1_after_0(void *arg)
{
    spawn(worker_of(arg), &jobs[1], &jobs[0].task, 1);
    bare_drain(worker_of(arg));
    return arg;
}

static void *cancels_1(void *arg)
{
    if (pl_pin(&rt, worker_of(arg), jobs[1].task)) {
        (void)pl_cancel(&rt, worker_of(arg), pl_task_of(jobs[1].task), "cancelled");
        pl_unpin(&rt, worker_of(arg), pl_task_of(jobs[1].task));
    }
    return arg;
}

/* --- Scenarios -------------------------------------------------------------------------------------------------------------- */

static void link_while_it_ends(void)
{
    open_runtime();
    jobs[1].after[0] = &jobs[0];
    spawn(&workers[0], &jobs[0], NULL, 0);
    m_run(2, (const m_body[]){runs_its_tasks, spawns_1_after_0});
    T_EQ(jobs[1].n_ends, 1);
    T_EQ(jobs[1].status, 0);
    close_runtime();
}

static void link_while_it_fails(void)
{
    open_runtime();
    jobs[0].fails = true;
    spawn(&workers[0], &jobs[0], NULL, 0);
    m_run(2, (const m_body[]){runs_its_tasks, spawns_1_after_0});
    T_EQ(jobs[0].status, PARLA_E_USER);
    T_EQ(jobs[1].n_runs, 0);
    T_EQ(jobs[1].status, PARLA_E_CANCELLED);
    close_runtime();
}

/* Ends job 0, and puts job 2, which stays, in its slot. */
static void *runs_and_recycles(void *arg)
{
    bare_drain(worker_of(arg));
    spawn(worker_of(arg), &jobs[2], NULL, 0);
    return arg;
}

static int n_recycled;

static void link_while_it_is_recycled(void)
{
    open_runtime();
    jobs[1].after[0] = &jobs[0];
    spawn(&workers[0], &jobs[0], NULL, 0);
    parla_task old = jobs[0].task;
    m_run(2, (const m_body[]){runs_and_recycles, spawns_1_after_0});
    n_recycled += jobs[2].task.object == old.object;
    T_EQ(jobs[1].n_ends, 1); /* it waits for the old task there, not for the new one */
    T_EQ(jobs[2].n_ends, 0);
    close_runtime();
}

static void *runs_recycles_and_runs_again(void *arg)
{
    pl_worker *self = worker_of(arg);
    bare_drain(self);
    jobs[2].fails = true;
    spawn(self, &jobs[2], NULL, 0);
    bare_drain(self);
    return arg;
}

static void link_while_its_slot_fails(void)
{
    open_runtime();
    jobs[1].after[0] = &jobs[0];
    spawn(&workers[0], &jobs[0], NULL, 0);
    m_run(2, (const m_body[]){runs_recycles_and_runs_again, spawns_1_after_0});
    T_EQ(jobs[1].status, 0); /* the failure of the new task there is none of its business */
    close_runtime();
}

static void cancel_while_it_becomes_ready(void)
{
    open_runtime();
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[0], &jobs[1], &jobs[0].task, 1);
    m_run(2, (const m_body[]){runs_its_tasks, cancels_1});
    T_EQ(jobs[1].n_ends, 1);
    T_EQ(jobs[1].status, jobs[1].n_runs ? 0 : PARLA_E_CANCELLED);
    close_runtime();
}

static void cancel_while_it_is_cancelled(void)
{
    open_runtime();
    jobs[0].fails = true;
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[0], &jobs[1], &jobs[0].task, 1);
    m_run(2, (const m_body[]){runs_its_tasks, cancels_1});
    T_EQ(jobs[1].n_runs, 0);
    T_EQ(jobs[1].status, PARLA_E_CANCELLED);
    close_runtime();
}

static void two_end_at_once(void)
{
    open_runtime();
    jobs[2].after[0] = &jobs[0];
    jobs[2].after[1] = &jobs[1];
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[1], &jobs[1], NULL, 0);
    spawn(&workers[2], &jobs[2], (const parla_task[]){jobs[0].task, jobs[1].task}, 2);
    m_run(2, (const m_body[]){runs_its_tasks, runs_its_tasks});
    T_EQ(jobs[2].n_ends, 1);
    T_EQ(jobs[2].status, 0);
    close_runtime();
}

static void one_fails_one_ends(void)
{
    open_runtime();
    jobs[0].fails = true;
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[1], &jobs[1], NULL, 0);
    spawn(&workers[2], &jobs[2], (const parla_task[]){jobs[0].task, jobs[1].task}, 2);
    m_run(2, (const m_body[]){runs_its_tasks, runs_its_tasks});
    T_EQ(jobs[2].n_runs, 0);
    T_EQ(jobs[2].status, PARLA_E_CANCELLED);
    close_runtime();
}

static void both_fail(void)
{
    open_runtime();
    jobs[0].fails = jobs[1].fails = true;
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[1], &jobs[1], NULL, 0);
    spawn(&workers[2], &jobs[2], (const parla_task[]){jobs[0].task, jobs[1].task}, 2);
    m_run(2, (const m_body[]){runs_its_tasks, runs_its_tasks});
    T_EQ(jobs[2].status, PARLA_E_CANCELLED);
    close_runtime();
}

static void *spawns_2_after_0(void *arg)
{
    spawn(worker_of(arg), &jobs[2], &jobs[0].task, 1);
    bare_drain(worker_of(arg));
    return arg;
}

static void two_link_while_it_ends(void)
{
    open_runtime();
    jobs[1].after[0] = jobs[2].after[0] = &jobs[0];
    spawn(&workers[0], &jobs[0], NULL, 0);
    m_run(3, (const m_body[]){runs_its_tasks, spawns_1_after_0, spawns_2_after_0});
    T_EQ(jobs[1].status, 0);
    T_EQ(jobs[2].status, 0);
    close_runtime();
}

static void *spawns_2_after_both(void *arg)
{
    spawn(worker_of(arg), &jobs[2], (const parla_task[]){jobs[0].task, jobs[1].task}, 2);
    bare_drain(worker_of(arg));
    return arg;
}

static void link_two_while_they_end(void)
{
    open_runtime();
    jobs[2].after[0] = &jobs[0];
    jobs[2].after[1] = &jobs[1];
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[0], &jobs[1], &jobs[0].task, 1); /* in hand when job 0 has ended */
    m_run(2, (const m_body[]){runs_its_tasks, spawns_2_after_both});
    T_EQ(jobs[2].n_ends, 1);
    T_EQ(jobs[2].status, 0);
    close_runtime();
}

static void link_two_while_one_fails(void)
{
    open_runtime();
    jobs[1].fails = true;
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[0], &jobs[1], &jobs[0].task, 1);
    m_run(2, (const m_body[]){runs_its_tasks, spawns_2_after_both});
    T_EQ(jobs[2].n_runs, 0);
    T_EQ(jobs[2].status, PARLA_E_CANCELLED);
    close_runtime();
}

static void *cancels_2(void *arg)
{
    if (pl_pin(&rt, worker_of(arg), jobs[2].task)) {
        (void)pl_cancel(&rt, worker_of(arg), pl_task_of(jobs[2].task), "cancelled");
        pl_unpin(&rt, worker_of(arg), pl_task_of(jobs[2].task));
    }
    return arg;
}

static void cancel_while_two_end(void)
{
    open_runtime();
    spawn(&workers[0], &jobs[0], NULL, 0);
    spawn(&workers[1], &jobs[1], NULL, 0);
    spawn(&workers[3], &jobs[2], (const parla_task[]){jobs[0].task, jobs[1].task}, 2);
    m_run(3, (const m_body[]){runs_its_tasks, runs_its_tasks, cancels_2});
    T_EQ(jobs[2].n_ends, 1);
    T_EQ(jobs[2].status, jobs[2].n_runs ? 0 : PARLA_E_CANCELLED);
    close_runtime();
}

static void suspend_while_it_ends(void)
{
    open_runtime();
    spawn(&workers[0], &jobs[0], NULL, 0);
    jobs[1].after[0] = &jobs[0];
    jobs[1].awaits = jobs[0].task;
    spawn(&workers[1], &jobs[1], NULL, 0);
    m_run(2, (const m_body[]){runs_its_tasks, runs_its_tasks});
    T_EQ(jobs[1].n_runs, 2);
    T_EQ(jobs[1].status, 0);
    close_runtime();
}

T_TEST(an_edge_is_linked_while_its_predecessor_ends) { m_explore(link_while_it_ends); }
T_TEST(an_edge_is_linked_while_its_predecessor_fails) { m_explore(link_while_it_fails); }
T_TEST(an_edge_is_linked_while_its_predecessor_is_recycled)
{
    m_explore(link_while_it_is_recycled);
    T_GT(n_recycled, 0);
}
T_TEST(an_edge_is_linked_while_another_fails_in_the_same_slot) { m_explore(link_while_its_slot_fails); }
T_TEST(a_task_is_cancelled_while_it_becomes_ready) { m_explore(cancel_while_it_becomes_ready); }
T_TEST(a_task_is_cancelled_twice) { m_explore(cancel_while_it_is_cancelled); }
T_TEST(two_predecessors_end_at_once) { m_explore(two_end_at_once); }
T_TEST(one_predecessor_fails_and_one_ends) { m_explore(one_fails_one_ends); }
T_TEST(two_predecessors_fail_at_once) { m_explore(both_fail); }
T_TEST_TIMEOUT(two_edges_are_linked_while_their_predecessor_ends, 120) { m_explore(two_link_while_it_ends); }
T_TEST_TIMEOUT(two_edges_are_linked_while_both_predecessors_end, 120) { m_explore(link_two_while_they_end); }
T_TEST_TIMEOUT(two_edges_are_linked_while_one_predecessor_fails, 120) { m_explore(link_two_while_one_fails); }
T_TEST(a_task_is_cancelled_while_two_predecessors_end) { m_explore(cancel_while_two_end); }
T_TEST(a_task_suspends_on_one_that_ends) { m_explore(suspend_while_it_ends); }
