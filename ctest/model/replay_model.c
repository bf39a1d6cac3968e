/* replay_model.c - runs of a small recorded graph in every schedule of two workers: who brings a count to zero, who ends the run, and that
 * the next run finds everything as the first one did. */
#include "../unit/bare_runtime.h"
#include "model.h"
#include "sched/replay.h"

#include <parla/error.h>
#include <stdlib.h>

enum { MAX_NODES = 3 };

static parla_replay *replay;

static struct {
    int n_runs, result;
    bool fails;
} jobs[MAX_NODES];

static uint32_t n_deps_of_last; /* the last node follows so many of those before it */
static int n_nodes;

static int body(parla_context *context, void *arg)
{
    intptr_t i = (intptr_t)arg;
    (void)context;
    jobs[i].n_runs++;
    if (i == n_nodes - 1)
        for (uint32_t k = 0; k < n_deps_of_last; k++)
            T_EQ(jobs[k].result, 1);
    jobs[i].result = 1;
    return jobs[i].fails ? PARLA_E_USER : 0;
}

/* Runs what lies in the worker's deque, and steals once. */
static void work(pl_worker *self)
{
    bool lost;
    void *entry = pl_deque_steal(&workers[self == &workers[0]].deque, &lost);
    if (entry)
        pl_run(&rt, self, entry);
    while ((entry = pl_deque_pop(&self->deque)))
        pl_run(&rt, self, entry);
}

static void *run_thread(void *arg)
{
    work(&workers[(intptr_t)arg]);
    return NULL;
}

static void close_runtime(void)
{
    parla_replay_destroy(replay);
    bare_close();
}

static void record(int n, uint32_t n_deps)
{
    static uint32_t deps[MAX_NODES] = {0, 1};
    pl_recorded tasks[MAX_NODES];
    memset(tasks, 0, sizeof tasks);
    memset(jobs, 0, sizeof jobs);
    n_nodes = n;
    n_deps_of_last = n_deps;
    for (int i = 0; i < n; i++) {
        tasks[i].body = body;
        tasks[i].arg = (void *)(intptr_t)i;
    }
    pl_capture capture = {.tasks = tasks, .deps = deps, .n_tasks = (size_t)n, .n_deps = n_deps};
    replay = pl_replay_create(&rt, &capture);
    T_TRUE(replay != NULL);
}

/* One run: worker 0 hands out the sources, then both work. Returns how it ended. */
static int run(bool with_threads)
{
    parla_task task;
    T_OK(pl_replay_spawn(&workers[0], replay, &task, NULL, NULL, 0));
    T_TRUE(pl_pin(&rt, &workers[0], task));
    pl_task *whole = pl_deque_pop(&workers[0].deque);
    T_EQ_PTR(whole, task.object);
    pl_run(&rt, &workers[0], whole);
    if (with_threads)
        m_run(2, (const m_body[]){run_thread, run_thread});
    work(&workers[0]);
    work(&workers[1]);
    parla_task_state state = pl_task_state(whole);
    pl_unpin(&rt, &workers[0], whole);
    return state;
}

static void run_twice(int n, uint32_t n_deps, bool fails)
{
    bare_open();
    record(n, n_deps);
    jobs[0].fails = fails;
    T_EQ(run(true), fails ? PARLA_TASK_FAILED : PARLA_TASK_DONE);
    for (int i = 0; i < n; i++)
        T_EQ(jobs[i].n_runs, i == n - 1 && fails ? 0 : 1);
    jobs[0].fails = false;
    T_EQ(run(false), PARLA_TASK_DONE);
    for (int i = 0; i < n; i++)
        T_EQ(jobs[i].n_runs, i == n - 1 && fails ? 1 : 2);
    close_runtime();
}

static void join(void) { run_twice(3, 2, false); }
static void join_of_a_failure(void) { run_twice(3, 2, true); }
static void apart(void) { run_twice(2, 0, false); }

T_TEST_TIMEOUT(two_predecessors_end_at_once, 60) { m_explore(join); }
T_TEST_TIMEOUT(one_of_two_predecessors_fails, 60) { m_explore(join_of_a_failure); }
T_TEST_TIMEOUT(two_last_nodes_end_at_once, 60) { m_explore(apart); }
