/* test_space.c - names for tasks: before they exist, spawned again, from several threads, outliving their space. */
#include <parla/parla.h>

#include "base/atomic.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static parla_runtime *rt;
static parla_space *space;

static void open_space(const char *name)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2;
    T_OK(parla_runtime_create(&rt, &options));
    T_OK(parla_space_create(&space, rt, name));
}

static void close_space(void)
{
    parla_space_destroy(space);
    parla_runtime_destroy(rt);
}

static parla_task at(int64_t i, int64_t j)
{
    parla_task task;
    T_OK(parla_space_at(space, (int64_t[]){i, j}, 2, &task));
    return task;
}

static int count(parla_context *context, void *arg)
{
    (void)context;
    pl_add_acq_rel((_Atomic int *)arg, 1);
    return 0;
}

static _Atomic int ignored; /* a counter that nobody reads */

static int fail(parla_context *context, void *arg)
{
    (void)arg;
    return parla_fail(context, PARLA_E_USER, "on purpose");
}

static int spawn_under(parla_task task, parla_body body, void *arg, const parla_task *deps, size_t n_deps)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.task = task;
    options.body = body;
    options.arg = arg;
    options.deps = deps;
    options.n_deps = n_deps;
    return parla_task_spawn(rt, NULL, &options);
}

T_TEST(a_name_is_one_task)
{
    parla_task found = PARLA_TASK_NONE;
    open_space("T");
    parla_task a = at(1, 2), b = at(2, 1);
    T_FALSE(parla_task_equal(a, b));
    T_TRUE(parla_task_equal(a, at(1, 2)));
    T_EQ(parla_task_query(a), PARLA_TASK_CREATED);
    T_OK(parla_space_find(space, (int64_t[]){1, 2}, 2, &found));
    T_TRUE(parla_task_equal(a, found));
    T_EQ(parla_space_find(space, (int64_t[]){1}, 1, &found), PARLA_PENDING);
    T_EQ(parla_space_find(space, (int64_t[]){1, 2, 0}, 3, &found), PARLA_PENDING);
    T_TRUE(parla_task_equal(a, found));
    close_space();
}

T_TEST(wrong_number_of_indices)
{
    int64_t index[PARLA_SPACE_MAX_NDIM + 1] = {0};
    parla_task task;
    open_space("T");
    T_EQ(parla_space_at(space, index, 0, &task), PARLA_E_INVALID);
    T_EQ(parla_space_at(space, index, PARLA_SPACE_MAX_NDIM + 1, &task), PARLA_E_INVALID);
    T_EQ(parla_space_find(space, index, -1, &task), PARLA_E_INVALID);
    T_EQ(parla_space_renew(space, index, 0, &task), PARLA_E_INVALID);
    T_OK(parla_space_at(space, index, PARLA_SPACE_MAX_NDIM, &task));
    close_space();
}

T_TEST(dependents_of_names_that_are_not_spawned_yet)
{
    _Atomic int n = 0;
    open_space("T");
    parla_task first = at(0, 0);
    T_OK(spawn_under(at(0, 1), count, &n, &first, 1));
    T_OK(spawn_under(at(0, 2), count, &n, (parla_task[]){first, at(0, 1)}, 2));
    T_EQ(pl_load_acquire(&n), 0);
    T_OK(spawn_under(first, count, &n, NULL, 0));
    T_OK(parla_space_wait(space, PARLA_FOREVER));
    T_EQ(pl_load_acquire(&n), 3);
    T_TRUE(parla_task_has_ended(at(0, 2)));
    close_space();
}

static void check_name(const char *space_name, const int64_t *index, int n_index, const char *wanted)
{
    parla_space *named;
    parla_task task;
    T_OK(parla_space_create(&named, rt, space_name));
    T_OK(parla_space_at(named, index, n_index, &task));
    T_OK(spawn_under(task, fail, NULL, NULL, 0));
    T_EQ(parla_task_wait(rt, &task, 1, PARLA_FOREVER), PARLA_E_USER);
    parla_failure *failure = parla_task_failure(task);
    T_EQ_STR(parla_failure_task_name(failure), wanted);
    parla_failure_unref(failure);
    parla_space_destroy(named);
}

T_TEST(names)
{
    open_space("T");
    check_name("grid", (int64_t[]){1, 2}, 2, "grid_1_2");
    check_name(NULL, (int64_t[]){7}, 1, "task_7");
    check_name("x", (int64_t[]){INT64_MIN, -1, INT64_MAX}, 3, "x_-9223372036854775808_-1_9223372036854775807");
    close_space();
}

T_TEST(renew_after_the_end_only)
{
    _Atomic int n = 0;
    parla_task task, again;
    int64_t index = 5;
    open_space("T");
    T_OK(parla_space_renew(space, &index, 1, &task)); /* creates it */
    T_OK(parla_space_renew(space, &index, 1, &again));
    T_TRUE(parla_task_equal(task, again));
    for (int round = 1; round <= 3; round++) {
        T_OK(parla_space_renew(space, &index, 1, &task));
        T_OK(spawn_under(task, count, &n, NULL, 0));
        T_OK(parla_space_wait(space, PARLA_FOREVER));
        T_EQ(pl_load_acquire(&n), round);
        T_NE(spawn_under(task, count, &n, NULL, 0), 0); /* an ended task is not spawned twice */
    }
    T_EQ(parla_space_tasks(space, NULL, 0), 1);
    close_space();
}

T_TEST(outcomes_stay)
{
    open_space("T");
    parla_task bad = at(0, 0), after = at(0, 1);
    T_OK(spawn_under(after, fail, NULL, &bad, 1));
    T_OK(spawn_under(bad, fail, NULL, NULL, 0));
    T_EQ(parla_space_wait(space, PARLA_FOREVER), PARLA_E_USER);
    for (int i = 0; i < 1000; i++) { /* other tasks do not take their place */
        T_OK(parla_spawn(rt, NULL, count, &ignored, NULL, 0));
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    }
    T_EQ(parla_task_query(bad), PARLA_TASK_FAILED);
    T_EQ(parla_task_query(after), PARLA_TASK_CANCELLED);
    parla_failure *failure = parla_task_failure(after);
    T_EQ_STR(parla_failure_task_name(parla_failure_cause(failure)), "T_0_0");
    parla_failure_unref(failure);
    close_space();
}

T_TEST(tasks_in_order_of_creation)
{
    parla_task tasks[10];
    open_space("T");
    for (int64_t i = 9; i >= 0; i--) {
        at(i, 0);
    }
    at(5, 0);
    tasks[5] = PARLA_TASK_NONE;
    T_EQ(parla_space_tasks(space, tasks, 5), 10);
    T_TRUE(parla_task_is_none(tasks[5]));
    T_EQ(parla_space_tasks(space, tasks, 10), 10);
    for (int64_t i = 0; i < 10; i++) {
        T_TRUE(parla_task_equal(tasks[i], at(9 - i, 0)));
    }
    close_space();
}

T_TEST(empty_space)
{
    open_space("T");
    T_EQ(parla_space_tasks(space, NULL, 0), 0);
    T_OK(parla_space_wait(space, 0));
    parla_space_destroy(NULL);
    close_space();
}

/* The names of tasks that go on are read after the space was destroyed; the address sanitizer watches. */
T_TEST(tasks_outlive_their_space)
{
    parla_task gate;
    open_space("T");
    T_OK(parla_event_create(rt, &gate, "gate"));
    for (int round = 0; round < 20; round++) {
        parla_space *short_lived;
        parla_task task, before = gate;
        T_OK(parla_space_create(&short_lived, rt, "short"));
        for (int64_t i = 0; i < 20; i++) {
            T_OK(parla_space_at(short_lived, &i, 1, &task));
            T_OK(spawn_under(task, i == 10 ? fail : count, &ignored, &before, 1));
            before = i < 10 ? gate : task;
        }
        parla_space_destroy(short_lived);
    }
    T_EQ(parla_runtime_wait(rt, 0), PARLA_E_TIMEOUT);
    T_OK(parla_event_complete(gate, 0, NULL));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    int n_failures = 0;
    for (parla_failure *failure; parla_runtime_take_failure(rt, &failure) == 0; n_failures++) {
        T_EQ_STR(parla_failure_task_name(failure), "short_10");
        parla_failure_unref(failure);
    }
    T_EQ(n_failures, 20);
    parla_task_unref(gate);
    close_space();
}

T_TEST(dropped_names_cancel_who_waits_for_them)
{
    _Atomic int n = 0;
    parla_task after;
    open_space("T");
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count;
    options.arg = &n;
    options.deps = (parla_task[]){at(0, 0)};
    options.n_deps = 1;
    T_OK(parla_task_create(rt, &after, "after"));
    options.task = after;
    T_OK(parla_task_spawn(rt, NULL, &options));
    parla_space_destroy(space);
    T_EQ(parla_task_wait(rt, &after, 1, PARLA_FOREVER), PARLA_E_CANCELLED);
    T_EQ(pl_load_acquire(&n), 0);
    parla_task_unref(after);
    parla_runtime_destroy(rt);
}

/* --- Several threads --------------------------------------------------------------------------------------------------------- */

enum { N_THREADS = 4, SIDE = 30 };

static _Atomic int n_run;

/* Each thread spawns every fourth name and names all neighbours as dependencies, in an order of its own. */
static void *spawn_part(void *arg)
{
    int64_t me = *(int *)arg;
    for (int64_t k = 0; k < SIDE * SIDE; k++) {
        int64_t at_k = (k * 7 + me * 13) % (SIDE * SIDE);
        int64_t i = at_k / SIDE, j = at_k % SIDE;
        if (at_k % N_THREADS == me) {
            parla_task deps[2] = {i > 0 ? at(i - 1, j) : PARLA_TASK_NONE, j > 0 ? at(i, j - 1) : PARLA_TASK_NONE};
            T_OK(spawn_under(at(i, j), count, (void *)&n_run, deps, 2));
        }
    }
    return NULL;
}

T_TEST(threads_name_and_spawn_together)
{
    pthread_t threads[N_THREADS];
    int numbers[N_THREADS];
    open_space("T");
    for (int i = 0; i < N_THREADS; i++) {
        numbers[i] = i;
        T_EQ(pthread_create(&threads[i], NULL, spawn_part, &numbers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    T_EQ(parla_space_tasks(space, NULL, 0), SIDE * SIDE);
    T_OK(parla_space_wait(space, PARLA_FOREVER));
    T_EQ(pl_load_acquire(&n_run), SIDE * SIDE);
    close_space();
}

static void *name_on_and_on(void *arg)
{
    while (!pl_load_acquire((_Atomic bool *)arg))
        at(1, 2);
    return NULL;
}

/* Whenever the fork is, another thread may be inside of the space. */
T_TEST(a_forked_child_is_refused)
{
    _Atomic bool is_over = false;
    pthread_t thread;
    open_space("T");
    T_EQ(pthread_create(&thread, NULL, name_on_and_on, (void *)&is_over), 0);
    for (int i = 0; i < 30; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            parla_task task;
            int64_t index = 1;
            T_EQ(parla_space_at(space, &index, 1, &task), PARLA_E_FORKED);
            T_EQ(parla_space_find(space, &index, 1, &task), PARLA_E_FORKED);
            T_EQ(parla_space_tasks(space, NULL, 0), 0);
            T_EQ(parla_space_wait(space, 0), PARLA_E_FORKED);
            _exit(0);
        }
        T_EQ(waitpid(child, &status, 0), child);
        T_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    pl_store_release(&is_over, true);
    T_EQ(pthread_join(thread, NULL), 0);
    close_space();
}
