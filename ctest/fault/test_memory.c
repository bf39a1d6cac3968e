/* test_memory.c - memory that runs out at any place: each allocation in turn fails, alone or with all after it. Calls say so and change
 * nothing, tasks that lost theirs fail, nothing hangs, and nothing is lost (the leak sanitizer looks when the case ends). Here a program
 * that starts, uses and stops a runtime; parts of the library one by one are in test_parts.c. */
#include "../unit/runtime_fixture.h"
#include "refuse.h"

#include <stdio.h>
#include <stdlib.h>

/* --- One program that uses everything ----------------------------------------------------------------------------------------- */

typedef struct tally {
    _Atomic int n_spawned, n_ends, n_runs;
} tally;

static tally sum;

static void note_end(void *arg, const parla_outcome *outcome)
{
    (void)arg;
    T_EQ(outcome->failure == NULL, outcome->status == 0);
    pl_add_acq_rel(&sum.n_ends, 1);
}

static parla_task try_spawn(parla_runtime *one, parla_task name, parla_body body, void *arg, const parla_task *deps, size_t n_deps)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task task = PARLA_TASK_NONE;
    options.body = body;
    options.arg = arg;
    options.on_end = note_end;
    options.name = "task";
    options.task = name;
    options.deps = deps;
    options.n_deps = n_deps;
    if (refuse_allows(parla_task_spawn(one, &task, &options)))
        pl_add_acq_rel(&sum.n_spawned, 1);
    return task;
}

static int run_plain(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    pl_add_acq_rel(&sum.n_runs, 1);
    return 0;
}

static int run_nested(parla_context *context, void *arg)
{
    parla_runtime *one = parla_context_runtime(context);
    parla_task child = try_spawn(one, PARLA_TASK_NONE, run_plain, arg, NULL, 0);
    (void)refuse_allows(parla_task_wait(one, &child, 1, PARLA_FOREVER));
    return parla_hold(context, 1) == 0 ? parla_release(parla_context_task(context), 0, NULL) : PARLA_E_NOMEM;
}

static int run_suspended(parla_context *context, void *arg)
{
    parla_task *events = arg;
    if (parla_task_has_ended(events[0]) && parla_task_has_ended(events[29]))
        return 0;
    return refuse_allows(parla_suspend_on(context, events, 30)) ? PARLA_SUSPENDED : PARLA_E_NOMEM;
}

/* Tasks on a simulated device and on the host, one after the other because of the regions of one array that they share. */
static void try_placed(parla_runtime *one)
{
    enum { N_ITEMS = 100 };
    static double memory[N_ITEMS];
    static const parla_range odds = {1, N_ITEMS, 2}, head = {0, 60, 1}, middle = {30, 70, 3};
    parla_data *data;
    parla_data_options array = PARLA_DATA_OPTIONS_INIT;
    array.name = "array";
    array.host = (parla_strided){.base = memory, .item_bytes = 8, .ndim = 1, .extent = {N_ITEMS}, .stride = {8}};
    if (!refuse_allows(parla_data_create(&data, &array)))
        return;
    const parla_access accesses[][2] = {{{data, PARLA_OUT, 0, NULL}, {data, PARLA_IN, 0, &head}},
                                        {{data, PARLA_INOUT, 0, &odds}, {data, PARLA_IN, 0, &middle}},
                                        {{data, PARLA_IN, 0, &head}, {data, PARLA_IN, 0, &middle}},
                                        {{data, PARLA_OUT, 0, &middle}, {data, PARLA_INOUT, 0, &head}}};
    for (int i = 0; i < 8; i++) {
        parla_demand demand = {
            .arch = i % 3 == 2 ? PARLA_ARCH_CPU : PARLA_ARCH_GPU, .number = PARLA_ANY_NUMBER, .memory_bytes = 64};
        parla_choice choice = {&demand, 1};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = run_plain;
        options.on_end = note_end;
        options.choices = &choice;
        options.n_choices = 1;
        options.accesses = accesses[i % 4];
        options.n_accesses = i == 0 ? 1 : 2;
        if (refuse_allows(parla_task_spawn(one, NULL, &options)))
            pl_add_acq_rel(&sum.n_spawned, 1);
    }
    parla_data_unref(data);
}

static int idle_poll(void *ctx)
{
    (void)ctx;
    return -1;
}

static void use(parla_runtime *one)
{
    enum { N = 30, MANY = 400 };
    parla_task tasks[N], events[N], many[MANY];
    parla_task name = PARLA_TASK_NONE;
    parla_poll *poll = NULL;
    parla_failure *failure;
    for (int i = 0; i < N; i++) {
        events[i] = PARLA_TASK_NONE;
        (void)refuse_allows(parla_event_create(one, &events[i], "event"));
    }
    bool is_named = refuse_allows(parla_task_create(one, &name, "name"));
    for (int i = 0; i < N; i++)
        tasks[i] = try_spawn(one, PARLA_TASK_NONE, i % 7 == 3 ? fail_body : run_plain, NULL, &name, 1);
    try_spawn(one, PARLA_TASK_NONE, run_plain, NULL, tasks, N); /* blocks of edges; cancelled */
    parla_task suspended = try_spawn(one, PARLA_TASK_NONE, run_suspended, events, NULL, 0);
    try_spawn(one, PARLA_TASK_NONE, run_nested, NULL, NULL, 0);
    if (parla_device_count_arch(one, PARLA_ARCH_GPU) > 0)
        try_placed(one);
    for (int i = 0; i < MANY; i++) /* enough for a second ring of a queue, when all become ready at once */
        many[i] = try_spawn(one, PARLA_TASK_NONE, run_plain, NULL, &name, 1);
    (void)refuse_allows(parla_poll_add(one, &poll, idle_poll, NULL));
    if (is_named)
        try_spawn(one, name, run_plain, NULL, NULL, 0);
    for (int i = 0; i < N; i++)
        if (!parla_task_is_none(events[i]))
            T_OK(parla_event_complete(events[i], i == 5 ? PARLA_E_TRANSPORT : 0, "peer is gone"));
    int code = parla_task_wait(one, &suspended, 1, PARLA_FOREVER);
    T_TRUE(code == 0 || code == PARLA_E_NOMEM || code == PARLA_E_STUCK);
    code = parla_runtime_wait(one, PARLA_FOREVER); /* stuck if the name could not be spawned */
    T_TRUE(code == 0 || code == PARLA_E_STUCK);
    (void)!parla_task_cancel(many[MANY - 1]);
    code = parla_task_wait(one, tasks, N, 0);
    T_TRUE(code == 0 || code == PARLA_E_USER || code == PARLA_E_NOMEM || code == PARLA_E_CANCELLED || code == PARLA_E_TIMEOUT ||
           code == PARLA_E_STUCK);
    while (parla_runtime_take_failure(one, &failure) == 0)
        parla_failure_unref(failure);
    parla_poll_remove(poll);
    for (int i = 0; i < N; i++)
        parla_task_unref(events[i]);
    parla_task_unref(name);
}

/* Starts, uses and stops a runtime while the n-th allocation is refused. Returns how many were. */
static int64_t try_with(int64_t n, bool for_ever, const parla_options *options)
{
    parla_runtime *one;
    memset(&sum, 0, sizeof sum);
    refuse_from(n, for_ever);
    int code = parla_runtime_create(&one, options);
    if (refuse_allows(code)) {
        use(one);
        parla_runtime_destroy(one);
        T_EQ(sum.n_ends, sum.n_spawned);
    }
    return refuse_stop();
}

static void refuse_each(bool for_ever, const parla_options *options)
{
    static char text[64];
    int64_t n = 0, n_refused = 0;
    for (int n_missed = 0; n_missed < 5;) { /* threads make the last ones come and go */
        snprintf(text, sizeof text, "allocation %lld is refused", (long long)++n);
        t_phase(text);
        int64_t refused = try_with(n, for_ever, options);
        n_missed = refused ? 0 : n_missed + 1;
        n_refused += refused > 0;
    }
    T_GT(n_refused, 50); /* the program does allocate */
    t_count((uint64_t)n_refused, "allocations refused");
}

static const parla_options plain = {.size = sizeof plain, .n_workers = 2, .devices = "cpu"};
static const parla_options with_devices = {.size = sizeof plain, .n_workers = 2, .devices = "sim:1"};
/* Workers on cores of their own, which may be the same, a watchdog, and a trace from the start. */
static const parla_options with_all = {
    .size = sizeof plain, .n_workers = 3, .devices = "cpu", .bind = "core", .stall_ns = 60000000000, .trace = "/dev/null"};

T_TEST_TIMEOUT(one_allocation_fails, 120) { refuse_each(false, &plain); }
T_TEST_TIMEOUT(all_allocations_fail_from_one_on, 120) { refuse_each(true, &plain); }
T_TEST_TIMEOUT(one_allocation_fails_with_devices, 120) { refuse_each(false, &with_devices); }

T_TEST_TIMEOUT(one_allocation_fails_with_a_watchdog_and_a_trace, 120)
{
    parla_log_set_level(PARLA_LOG_OFF); /* a trace that is not written */
    refuse_each(false, &with_all);
    refuse_each(true, &with_all);
}
