/* test_plain.c - the short way of tasks that have only dependencies: what goes it, and that each step leaves a task as the long way would. On
 * workers without threads, so that each state can be looked at. */
#include "sched/plain.h"

#include "bare_runtime.h"

typedef struct job {
    parla_task task;
    parla_task awaits; /* suspends on it in its first step */
    int n_runs, n_ends, status;
    bool fails;
} job;

static pl_worker *const worker = &workers[0];

static int body(parla_context *context, void *arg)
{
    job *self = arg;
    self->n_runs++;
    if (self->n_runs == 1 && !parla_task_is_none(self->awaits)) {
        T_OK(parla_suspend_on(context, &self->awaits, 1));
        return PARLA_SUSPENDED;
    }
    return self->fails ? parla_fail(context, PARLA_E_USER, "on purpose") : 0;
}

static void on_end(void *arg, const parla_outcome *outcome)
{
    job *self = arg;
    self->n_ends++;
    self->status = outcome->status;
}

static parla_task spawn(pl_worker *self, job *one, const parla_task *deps, size_t n_deps)
{
    pl_plain plain = {.body = body, .arg = one, .on_end = on_end, .name = "job", .deps = deps, .n_deps = n_deps};
    T_OK(pl_plain_spawn(&rt, self, &one->task, &plain));
    return one->task;
}

static int pending(parla_task task) { return pl_load_relaxed(&pl_task_of(task)->pending_shared); }

/* --- Which tasks ---------------------------------------------------------------------------------------------------------------- */

T_TEST(only_what_has_nothing_but_dependencies)
{
    bare_open();
    parla_demand demand = {.arch = PARLA_ARCH_CPU, .number = PARLA_ANY_NUMBER};
    parla_choice choice = {&demand, 1};
    parla_task deps[PL_INLINE_EDGES + 1] = {PARLA_TASK_NONE};
    parla_task_options plain = PARLA_TASK_OPTIONS_INIT;
    plain.body = body;
    plain.name = "name";
    plain.on_end = on_end;
    plain.flags = PARLA_TASK_MANAGED;
    plain.deps = deps;
    plain.n_deps = PL_INLINE_EDGES;
    parla_task_options options = plain;
    T_TRUE(pl_plain_is_enough(&rt, &options));
    options.n_deps++;
    T_FALSE(pl_plain_is_enough(&rt, &options));
    options = plain;
    options.priority = 1;
    T_FALSE(pl_plain_is_enough(&rt, &options));
    options = plain;
    options.n_retries = 1;
    T_FALSE(pl_plain_is_enough(&rt, &options));
    options = plain;
    options.choices = &choice;
    options.n_choices = 1;
    T_FALSE(pl_plain_is_enough(&rt, &options));
    options = plain;
    job named = {0};
    options.task = spawn(worker, &named, NULL, 0);
    T_FALSE(pl_plain_is_enough(&rt, &options));
    pl_store_relaxed(&rt.is_traced, true);
    T_FALSE(pl_plain_is_enough(&rt, &plain));
    pl_store_relaxed(&rt.is_traced, false);
    bare_drain(worker);
    bare_close();
}

/* --- Spawn ---------------------------------------------------------------------------------------------------------------------- */

static int n_predecessors;

static bool is_first(void *ctx, parla_task predecessor)
{
    T_TRUE(parla_task_equal(predecessor, *(parla_task *)ctx));
    n_predecessors++;
    return true;
}

T_TEST(a_task_is_ready_or_waiting_from_its_first_moment)
{
    job first = {0}, second = {0};
    bare_open();
    spawn(worker, &first, NULL, 0);
    T_EQ(pl_task_state(pl_task_of(first.task)), PARLA_TASK_READY);
    spawn(worker, &second, &first.task, 1);
    T_EQ(pl_task_state(pl_task_of(second.task)), PARLA_TASK_WAITING);
    T_EQ(pending(second.task), 1);
    pl_task_each_edge(&rt.slabs, pl_task_of(second.task), is_first, &first.task);
    T_EQ(n_predecessors, 1);
    bare_drain(worker);
    T_EQ(first.n_runs + second.n_runs, 2);
    bare_close();
}

typedef enum before { NOTHING, ENDED, FAILED, PENDING, N_BEFORE } before;

static void spawn_after(const before kinds[PL_INLINE_EDGES])
{
    job ended = {0}, failed = {.fails = true}, open = {0}, last = {0};
    parla_task deps[PL_INLINE_EDGES];
    int n_pending = 0;
    bool is_cancelled = false;
    bare_open();
    spawn(worker, &ended, NULL, 0);
    spawn(worker, &failed, NULL, 0);
    bare_drain(worker);
    spawn(worker, &open, NULL, 0);
    for (int i = 0; i < PL_INLINE_EDGES; i++) {
        const parla_task all[] = {PARLA_TASK_NONE, ended.task, failed.task, open.task};
        deps[i] = all[kinds[i]];
        n_pending += kinds[i] == PENDING;
        is_cancelled = is_cancelled || kinds[i] == FAILED;
    }
    spawn(worker, &last, deps, PL_INLINE_EDGES);
    if (is_cancelled) {
        T_EQ(last.status, PARLA_E_CANCELLED);
    } else if (n_pending > 0) {
        T_EQ(pl_task_state(pl_task_of(last.task)), PARLA_TASK_WAITING);
        T_EQ(pending(last.task), n_pending);
    } else {
        T_EQ(pl_task_state(pl_task_of(last.task)), PARLA_TASK_READY);
    }
    bare_drain(worker);
    T_EQ(last.n_ends, 1);
    T_EQ(last.n_runs, !is_cancelled);
    bare_close();
}

T_TEST(every_mix_of_dependencies)
{
    int n_mixes = 1;
    for (int i = 0; i < PL_INLINE_EDGES; i++)
        n_mixes *= N_BEFORE;
    for (int mix = 0; mix < n_mixes; mix++) {
        before kinds[PL_INLINE_EDGES];
        for (int i = 0, rest = mix; i < PL_INLINE_EDGES; i++, rest /= N_BEFORE)
            kinds[i] = (before)(rest % N_BEFORE);
        spawn_after(kinds);
    }
    t_count((uint64_t)n_mixes, "mixes of dependencies");
}

T_TEST(a_dependency_of_another_runtime_is_refused)
{
    static pl_slabs slabs;
    pl_slab_cache cache = {0};
    parla_runtime *other = (parla_runtime *)&slabs; /* only its address is looked at */
    bare_open();
    T_OK(pl_slabs_init(&slabs, other));
    pl_task *foreign = pl_task_alloc(&slabs, &cache);
    parla_task deps[] = {PARLA_TASK_NONE, pl_task_handle(foreign)}, out = {&slabs, 42};
    pl_plain plain = {.body = body, .deps = deps, .n_deps = 2};
    T_EQ(pl_plain_spawn(&rt, worker, &out, &plain), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "dependency 1 belongs to another runtime");
    T_EQ(out.generation, 42u);
    T_EQ(pl_load_relaxed(&worker->n_spawned_shared), 0u);
    bare_close();
    pl_slabs_fini(&slabs);
}

/* --- Run ------------------------------------------------------------------------------------------------------------------------ */

/* A worker has a successor in hand; somebody cancels it before its turn. */
T_TEST(a_successor_in_hand_can_be_cancelled)
{
    job first = {0}, second = {0};
    bare_open();
    spawn(worker, &first, NULL, 0);
    spawn(worker, &second, &first.task, 1);
    pl_run(&rt, worker, pl_deque_pop(&worker->deque));
    T_EQ_PTR(worker->next, second.task.object);
    T_EQ(pl_task_state(pl_task_of(second.task)), PARLA_TASK_WAITING);
    T_TRUE(pl_cancel(&rt, &workers[1], pl_task_of(second.task), "before its turn"));
    T_EQ(second.status, PARLA_E_CANCELLED);
    bare_drain(worker);
    T_EQ(second.n_runs, 0);
    T_EQ(second.n_ends, 1);
    bare_close();
}

/* A guest that helps stops after some tasks, whatever it has in hand then: one that waits for its first turn, or one that is resumed. */
static void stop_after(int n_fillers)
{
    static job fillers[200], resumed, earlier, awaited;
    pl_worker *guest = &workers[1];
    bare_open();
    rt.n_workers = 1;
    pl_store_relaxed(&rt.n_active, 1);
    pl_store_relaxed(&rt.n_idle, 1); /* a worker sleeps: the guest may take its place */
    guest->index = -1;
    guest->may_chain = false;
    pl_store_relaxed(&rt.guests, guest);
    earlier = (job){0};
    awaited = (job){0};
    resumed = (job){.task = PARLA_TASK_NONE};
    /* In this order in the guest's deque: what suspends on `awaited`, fillers, and `earlier`, whose end makes `awaited` ready. */
    spawn(&workers[2], &earlier, NULL, 0);
    spawn(&workers[2], &awaited, &earlier.task, 1);
    resumed.awaits = awaited.task;
    spawn(guest, &resumed, NULL, 0);
    for (int i = 0; i < n_fillers; i++) {
        fillers[i] = (job){0};
        spawn(guest, &fillers[i], NULL, 0);
    }
    T_OK(pl_deque_push(&guest->deque, pl_deque_pop(&workers[2].deque)));
    while (pl_help_any(&rt, guest)) {
    }
    T_EQ(awaited.n_ends, 1);
    T_EQ(resumed.n_runs, 2);
    T_EQ(resumed.n_ends, 1);
    T_EQ_PTR(guest->next, NULL);
    bare_close();
}

T_TEST(a_helper_that_stops_loses_nothing)
{
    for (int n_fillers = 0; n_fillers < 200; n_fillers++)
        stop_after(n_fillers);
}

static int run_managed(void *ctx, parla_body function, parla_context *context, void *arg)
{
    ++*(int *)ctx;
    return function(context, arg);
}

T_TEST(a_managed_body_goes_through_the_runner)
{
    int n_managed = 0;
    job one = {0}, other = {0};
    bare_open();
    rt.has_runner = true;
    rt.runner = (parla_runner){.size = sizeof rt.runner, .run = run_managed, .ctx = &n_managed};
    spawn(worker, &one, NULL, 0);
    pl_plain managed = {.body = body, .arg = &other, .on_end = on_end, .flags = PL_FLAG_MANAGED};
    T_OK(pl_plain_spawn(&rt, worker, &other.task, &managed));
    bare_drain(worker);
    T_EQ(n_managed, 1);
    T_EQ(one.n_runs + other.n_runs, 2);
    bare_close();
}

static int fail_softly(parla_context *context, void *arg)
{
    (void)arg;
    (void)!parla_fail(context, PARLA_E_USER, "and yet it goes on");
    return 0;
}

/* A body that calls parla_fail and returns 0 is done; its record is freed (the address sanitizer looks). */
T_TEST(a_failure_that_is_not_returned_is_none)
{
    bare_open();
    pl_plain plain = {.body = fail_softly};
    parla_task task;
    T_OK(pl_plain_spawn(&rt, worker, &task, &plain));
    bare_drain(worker);
    T_TRUE(pl_handle_has_ended(task));
    T_EQ(pl_load_relaxed(&worker->n_failed_shared), 0u);
    T_EQ(pl_load_relaxed(&worker->n_ended_shared), 1u);
    bare_close();
}
