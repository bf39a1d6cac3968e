/* test_replay.c - graphs recorded once and run many times: order, arguments, failures, cancellation, and what bodies may do inside. */
#include "replay_fixture.h"

#include <stdlib.h>

enum { N = 2000 };

/* Each body checks that what it follows has run in this round, and then counts its own. */
typedef struct cell {
    _Atomic int round;
    const struct cell *before[4];
    int n_before;
    bool fails;
} cell;

static cell cells[N];
static _Atomic int n_wrong;

static int cell_body(parla_context *context, void *arg)
{
    cell *self = arg;
    int round = *(int *)parla_context_replay_arg(context);
    for (int i = 0; i < self->n_before; i++)
        if (pl_load_acquire(&self->before[i]->round) != round)
            pl_add_relaxed(&n_wrong, 1);
    if (pl_load_relaxed(&self->round) != round - 1)
        pl_add_relaxed(&n_wrong, 1);
    pl_store_release(&self->round, round);
    return self->fails ? parla_fail(context, PARLA_E_USER, "cell %zu", parla_context_index(context)) : 0;
}

/* Up to four random predecessors for each of n cells, among the last `reach`. */
static parla_replay *capture_cells(t_rng *rng, int n, int reach)
{
    static parla_task tasks[N];
    T_OK(parla_capture_begin(rt));
    for (int i = 0; i < n; i++) {
        parla_task deps[4];
        cells[i] = (cell){.n_before = i == 0 ? 0 : (int)t_below(rng, 5)};
        for (int k = 0; k < cells[i].n_before; k++) {
            int at = i - 1 - (int)t_below(rng, (uint64_t)(i < reach ? i : reach));
            cells[i].before[k] = &cells[at];
            deps[k] = tasks[at];
        }
        tasks[i] = spawn(cell_body, &cells[i], deps, (size_t)cells[i].n_before);
    }
    for (int i = 0; i < n; i++)
        T_EQ(pl_load_relaxed(&cells[i].round), 0); /* nothing has run */
    return end_capture();
}

T_TEST_TIMEOUT(random_graphs_run_in_order_again_and_again, 60)
{
    t_rng rng = {t_seed()};
    for (int k = 0; k < 12; k++) {
        open_runtime(1 + k % 3);
        int n = 1 + (int)t_below(&rng, N);
        parla_replay *replay = capture_cells(&rng, n, 1 + (int)t_below(&rng, 100));
        T_EQ(parla_replay_size(replay), (size_t)n);
        for (int round = 1; round <= 20; round++) {
            T_OK(wait_for(run(replay, &round)));
            for (int i = 0; i < n; i++)
                T_EQ(pl_load_acquire(&cells[i].round), round);
        }
        T_EQ(n_wrong, 0);
        parla_replay_destroy(replay);
        close_runtime();
    }
}

T_TEST_TIMEOUT(what_follows_a_failure_is_left_out_and_nothing_else, 60)
{
    t_rng rng = {t_seed() + 1};
    open_runtime(2);
    for (int k = 0; k < 20; k++) {
        int n = 2 + (int)t_below(&rng, 300), round = 1;
        bool is_out[300] = {false};
        parla_replay *replay = capture_cells(&rng, n, 20);
        int bad = (int)t_below(&rng, (uint64_t)n);
        cells[bad].fails = true;
        is_out[bad] = true;
        T_EQ(wait_for(run(replay, &round)), PARLA_E_USER);
        for (int i = bad + 1; i < n; i++)
            for (int j = 0; j < cells[i].n_before; j++)
                is_out[i] |= is_out[cells[i].before[j] - cells];
        for (int i = 0; i < n; i++)
            T_EQ(pl_load_acquire(&cells[i].round), i == bad || !is_out[i] ? 1 : 0);
        /* The next run is whole again. */
        for (int i = 0; i < n; i++)
            pl_store_relaxed(&cells[i].round, 1);
        cells[bad].fails = false;
        round = 2;
        T_OK(wait_for(run(replay, &round)));
        for (int i = 0; i < n; i++)
            T_EQ(pl_load_acquire(&cells[i].round), 2);
        parla_replay_destroy(replay);
    }
    close_runtime();
}

static int write_index(parla_context *context, void *arg)
{
    *(size_t *)arg = parla_context_index(context) + 1;
    return 0;
}

T_TEST(arguments_change_between_runs)
{
    size_t first[3] = {0}, second[3] = {0};
    open_runtime(2);
    T_OK(parla_capture_begin(rt));
    for (int i = 0; i < 3; i++)
        (void)spawn(write_index, &first[i], NULL, 0);
    parla_replay *replay = end_capture();
    T_OK(wait_for(run(replay, NULL)));
    for (size_t i = 0; i < 3; i++) {
        T_EQ(first[i], i + 1);
        first[i] = 0;
        T_OK(parla_replay_set_arg(replay, i, &second[i]));
    }
    T_OK(wait_for(run(replay, NULL)));
    for (size_t i = 0; i < 3; i++) {
        T_EQ(first[i], 0);
        T_EQ(second[i], i + 1);
    }
    T_EQ(parla_replay_set_arg(replay, 3, NULL), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "3 were recorded");
    parla_replay_destroy(replay);
    close_runtime();
}

T_TEST(a_run_is_a_task_among_others)
{
    _Atomic int n = 0;
    stopper stop = {0};
    open_runtime(2);
    T_OK(parla_capture_begin(rt));
    parla_task a = spawn(count_body, &n, NULL, 0);
    (void)spawn(count_body, &n, &a, 1);
    parla_replay *replay = end_capture();
    T_TRUE(parla_task_has_ended(a)); /* the name of the record */
    parla_task before = spawn(stop_body, &stop, NULL, 0), runs;
    T_OK(parla_replay_run(replay, &runs, NULL, &before, 1));
    parla_task after = spawn(count_body, &n, &runs, 1);
    T_EQ(parla_replay_run(replay, NULL, NULL, NULL, 0), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "under way");
    T_EQ(parla_replay_set_arg(replay, 0, NULL), PARLA_E_STATE);
    parla_replay_destroy(replay); /* the run goes on */
    T_EQ(pl_load_acquire(&n), 0);
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(after));
    T_EQ(n, 3);
    close_runtime();
}

T_TEST(a_failed_dependency_cancels_the_run_and_the_next_one_works)
{
    _Atomic int n = 0;
    open_runtime(1);
    T_OK(parla_capture_begin(rt));
    (void)spawn(count_body, &n, NULL, 0);
    parla_replay *replay = end_capture();
    parla_task bad = spawn(fail_body, NULL, NULL, 0), task;
    T_OK(parla_replay_run(replay, &task, NULL, &bad, 1));
    T_EQ(wait_for(task), PARLA_E_CANCELLED);
    T_EQ(n, 0);
    T_OK(wait_for(run(replay, NULL)));
    T_EQ(n, 1);
    parla_replay_destroy(replay);
    close_runtime();
}

T_TEST(a_cancelled_run_leaves_out_what_has_not_begun)
{
    _Atomic int n = 0;
    stopper stop = {0};
    open_runtime(1);
    T_OK(parla_capture_begin(rt));
    parla_task first = spawn(stop_body, &stop, NULL, 0);
    for (int i = 0; i < 50; i++)
        first = spawn(count_body, &n, &first, 1);
    parla_replay *replay = end_capture();
    parla_task task = run(replay, NULL);
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 20000);
    T_EQ(parla_task_cancel(task), PARLA_PENDING);
    pl_store_release(&stop.may_go, true);
    T_EQ(wait_for(task), PARLA_E_CANCELLED);
    T_EQ(n, 0);
    T_OK(wait_for(run(replay, NULL)));
    T_EQ(n, 50);
    parla_replay_destroy(replay);
    close_runtime();
}

/* Children, a wait for them, and a hold that another task releases. */
static int nesting_body(parla_context *context, void *arg)
{
    parla_task children[2];
    parla_runtime *here = parla_context_runtime(context);
    for (int i = 0; i < 2; i++)
        T_OK(parla_spawn(here, &children[i], count_body, arg, NULL, 0));
    return parla_task_wait(here, children, 2, PARLA_FOREVER);
}

T_TEST_TIMEOUT(bodies_spawn_and_wait, 60)
{
    _Atomic int n = 0;
    for (int workers = 1; workers <= 2; workers++) {
        open_runtime(workers);
        T_OK(parla_capture_begin(rt));
        parla_task last = PARLA_TASK_NONE;
        for (int i = 0; i < 30; i++)
            last = spawn(nesting_body, &n, &last, (size_t)(i % 3 > 0));
        parla_replay *replay = end_capture();
        n = 0;
        for (int i = 0; i < 5; i++)
            T_OK(wait_for(run(replay, NULL)));
        T_EQ(n, 300);
        parla_replay_destroy(replay);
        close_runtime();
    }
}

static parla_replay *inner;

static int run_inner(parla_context *context, void *arg)
{
    parla_task task;
    parla_runtime *here = parla_context_runtime(context);
    (void)arg;
    T_OK(parla_replay_run(inner, &task, NULL, NULL, 0));
    return parla_task_wait(here, &task, 1, PARLA_FOREVER);
}

T_TEST(a_replay_runs_another_one)
{
    _Atomic int n = 0;
    open_runtime(1);
    T_OK(parla_capture_begin(rt));
    for (int i = 0; i < 10; i++)
        (void)spawn(count_body, &n, NULL, 0);
    inner = end_capture();
    T_OK(parla_capture_begin(rt));
    parla_task last = PARLA_TASK_NONE;
    for (int i = 0; i < 5; i++)
        last = spawn(run_inner, NULL, &last, 1);
    parla_replay *outer = end_capture();
    for (int i = 0; i < 4; i++)
        T_OK(wait_for(run(outer, NULL)));
    T_EQ(n, 200);
    parla_replay_destroy(outer);
    parla_replay_destroy(inner);
    close_runtime();
}

/* A graph of one source, many in the middle, one sink. */
T_TEST_TIMEOUT(fan_out_and_in, 60)
{
    enum { WIDE = 20000 };
    _Atomic int n = 0;
    open_runtime(2);
    parla_task *tasks = calloc(WIDE, sizeof *tasks);
    T_OK(parla_capture_begin(rt));
    parla_task first = spawn(count_body, &n, NULL, 0);
    for (int i = 0; i < WIDE; i++)
        tasks[i] = spawn(count_body, &n, &first, 1);
    (void)spawn(count_body, &n, tasks, WIDE);
    parla_replay *replay = end_capture();
    for (int i = 1; i <= 5; i++) {
        T_OK(wait_for(run(replay, NULL)));
        T_EQ(n, i * (WIDE + 2));
    }
    parla_replay_destroy(replay);
    free(tasks);
    close_runtime();
}
