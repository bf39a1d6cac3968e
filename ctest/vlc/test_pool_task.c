/* test_pool_task.c - tasks whose bodies run inside contexts. */
#include "fake_loader.h"
#include "runtime_fixture.h"
#include "vlc_fixture.h"

static parla_vlc_pool *pool;
static _Atomic int n_running, n_done, n_ended;

static void open_all(int n_contexts, int n_workers)
{
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    pl_vlc_loader_set(&fake_loader);
    options.n_cpus = 1;
    options.flags = PARLA_VLC_SHARE;
    T_OK(parla_vlc_pool_create(&pool, n_contexts, &options));
    open_runtime(n_workers);
}

static void close_all(void)
{
    close_runtime();
    parla_vlc_pool_destroy(pool);
    T_EQ(limits_now().n_contexts, 0);
    T_EQ(pl_load_acquire(&fake_inside), 0);
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    (void)arg;
    (void)outcome;
    pl_add_acq_rel(&n_ended, 1);
}

static void spawn_inside(parla_body body, void *arg, parla_task *out)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = arg;
    options.on_end = note_end;
    T_OK(parla_vlc_spawn(rt, pool, 1, out, &options));
}

static int work(parla_context *context, void *arg)
{
    pl_cpus now;
    (void)context;
    T_LT(pl_add_acq_rel(&n_running, 1), *(int *)arg);
    T_TRUE(parla_vlc_current() != NULL);
    T_EQ(pl_thread_cpus(&now), 0);
    T_EQ(pl_cpus_count(&now), 1);
    pl_sub_acq_rel(&n_running, 1);
    pl_add_acq_rel(&n_done, 1);
    return 0;
}

T_TEST(no_more_bodies_run_than_there_are_contexts)
{
    int n_contexts = 2, n = (int)t_scale(2000);
    open_all(n_contexts, 4);
    for (int i = 0; i < n; i++)
        spawn_inside(work, &n_contexts, NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_done, n);
    T_EQ(n_ended, n);
    close_all();
}

/* Each step may have another context; the inner task needs the only one while the outer waits for it. */
static int outer_body(parla_context *context, void *arg)
{
    parla_task *inner = arg;
    T_TRUE(parla_vlc_current() != NULL);
    if (parla_task_is_none(*inner)) {
        static int most = 1;
        spawn_inside(work, &most, inner);
        T_OK(parla_suspend_on(context, inner, 1));
        return PARLA_SUSPENDED;
    }
    return parla_task_has_ended(*inner) ? 0 : -1;
}

T_TEST(a_body_that_suspends_gives_its_context_back)
{
    parla_task inner = PARLA_TASK_NONE, outer;
    open_all(1, 2);
    spawn_inside(outer_body, &inner, &outer);
    T_OK(parla_task_wait(rt, &outer, 1, PARLA_FOREVER));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_ended, 2);
    close_all();
}

T_TEST(failures_pass_through_and_more_cpus_than_there_are_are_refused)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task task;
    open_all(1, 1);
    spawn_inside(fail_body, NULL, &task);
    T_EQ(parla_task_wait(rt, &task, 1, PARLA_FOREVER), PARLA_E_USER);
    options.body = fail_body;
    T_EQ(parla_vlc_spawn(rt, pool, 2, NULL, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "the contexts of the pool have 1");
    close_all();
}

T_TEST(the_end_of_the_runtime_gives_everything_back)
{
    stopper stop = {false, false};
    parla_vlc *lent;
    open_all(1, 2);
    T_OK(parla_vlc_pool_acquire(pool, &lent, 0));
    int most = 1;
    for (int i = 0; i < 10; i++)
        spawn_inside(work, &most, NULL);
    spawn(stop_body, &stop, NULL, 0);
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000);
    parla_vlc_pool_release(pool, lent);
    pl_store_release(&stop.may_go, true);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_ended, 10);
    close_all();
}

/* Tasks stand in the queue when their runtime goes: they end without having run, and the context is free for the next who asks. */
T_TEST(tasks_leave_the_queue_with_their_runtime)
{
    parla_task waiting[3];
    parla_vlc *lent, *again = NULL;
    int most = 1;
    open_all(1, 2);
    T_OK(parla_vlc_pool_acquire(pool, &lent, 0));
    for (int i = 0; i < 3; i++)
        spawn_inside(work, &most, &waiting[i]);
    for (int i = 0; i < 3; i++)
        T_EVENTUALLY(parla_task_query(waiting[i]) == PARLA_TASK_SUSPENDED, 10000);
    close_runtime();
    T_EQ(n_ended, 3);
    T_EQ(n_done, 0);
    parla_vlc_pool_release(pool, lent);
    T_OK(parla_vlc_pool_acquire(pool, &again, 0));
    T_EQ_PTR(again, lent);
    parla_vlc_pool_release(pool, again);
    parla_vlc_pool_destroy(pool);
    T_EQ(limits_now().n_contexts, 0);
}
