/* test_memory.c - memory that runs out at any place: each allocation in turn fails, alone or with all after it. Calls say so and change
 * nothing, tasks that lost theirs fail, nothing hangs, and nothing is lost (the leak sanitizer looks when the case ends).
 *
 * The program is linked with --wrap for the functions below, so that every allocation of the library comes here. */
#include "../unit/runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* The n-th allocation from now fails, with `for_ever` all after it too; 0: none does. */
static _Atomic int64_t countdown;
static _Atomic bool for_ever, is_out;

static bool must_fail(void)
{
    if (pl_load_relaxed(&is_out))
        return true;
    if (pl_load_relaxed(&countdown) <= 0 || pl_sub_acq_rel(&countdown, 1) != 1)
        return false;
    if (pl_load_relaxed(&for_ever))
        pl_store_relaxed(&is_out, true);
    return true;
}

static void fail_from(int64_t n, bool ever)
{
    pl_store_relaxed(&for_ever, ever);
    pl_store_release(&countdown, n);
}

/* True if the failure was reached. */
static bool stop_failing(void)
{
    pl_store_relaxed(&is_out, false);
    return pl_exchange_acq_rel(&countdown, 0) <= 0;
}

void *__real_malloc(size_t n_bytes);
void *__real_calloc(size_t n, size_t n_bytes);
void *__real_realloc(void *old, size_t n_bytes);
void *__real_aligned_alloc(size_t alignment, size_t n_bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n_bytes);
void *__wrap_calloc(size_t n, size_t n_bytes);
void *__wrap_realloc(void *old, size_t n_bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t n_bytes);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n_bytes) { return must_fail() ? NULL : __real_malloc(n_bytes); }
void *__wrap_calloc(size_t n, size_t n_bytes) { return must_fail() ? NULL : __real_calloc(n, n_bytes); }
void *__wrap_realloc(void *old, size_t n_bytes) { return must_fail() ? NULL : __real_realloc(old, n_bytes); }
void *__wrap_aligned_alloc(size_t alignment, size_t n_bytes)
{
    return must_fail() ? NULL : __real_aligned_alloc(alignment, n_bytes);
}
char *__wrap_strdup(const char *text) { return must_fail() ? NULL : __real_strdup(text); }

/* --- One program that uses everything ----------------------------------------------------------------------------------------- */

typedef struct tally {
    _Atomic int n_spawned, n_ends, n_runs;
} tally;

static tally sum;

/* A call either works or says that memory is out. */
static bool works(int code)
{
    if (code && (code != PARLA_E_NOMEM || parla_error_detail()[0] == '\0'))
        T_FAIL("%s: %s", parla_error_name(code), parla_error_detail());
    return code == 0;
}

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
    if (works(parla_task_spawn(one, &task, &options)))
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
    int code = parla_task_wait(one, &child, 1, PARLA_FOREVER);
    T_TRUE(code == 0 || code == PARLA_E_NOMEM);
    return parla_hold(context, 1) == 0 ? parla_release(parla_context_task(context), 0, NULL) : PARLA_E_NOMEM;
}

static int run_suspended(parla_context *context, void *arg)
{
    parla_task *events = arg;
    if (parla_task_has_ended(events[0]) && parla_task_has_ended(events[29]))
        return 0;
    return works(parla_suspend_on(context, events, 30)) ? PARLA_SUSPENDED : PARLA_E_NOMEM;
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
    if (!works(parla_data_create(&data, &array)))
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
        if (works(parla_task_spawn(one, NULL, &options)))
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
        (void)works(parla_event_create(one, &events[i], "event"));
    }
    bool is_named = works(parla_task_create(one, &name, "name"));
    for (int i = 0; i < N; i++)
        tasks[i] = try_spawn(one, PARLA_TASK_NONE, i % 7 == 3 ? fail_body : run_plain, NULL, &name, 1);
    try_spawn(one, PARLA_TASK_NONE, run_plain, NULL, tasks, N); /* blocks of edges; cancelled */
    parla_task suspended = try_spawn(one, PARLA_TASK_NONE, run_suspended, events, NULL, 0);
    try_spawn(one, PARLA_TASK_NONE, run_nested, NULL, NULL, 0);
    if (parla_device_count_arch(one, PARLA_ARCH_GPU) > 0)
        try_placed(one);
    for (int i = 0; i < MANY; i++) /* enough for a second ring of a queue, when all become ready at once */
        many[i] = try_spawn(one, PARLA_TASK_NONE, run_plain, NULL, &name, 1);
    (void)works(parla_poll_add(one, &poll, idle_poll, NULL));
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

/* Starts, uses and stops a runtime while the n-th allocation fails; false if there were fewer. */
static bool try_with(int64_t n, bool ever, const char *devices)
{
    parla_runtime *one;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2;
    options.devices = devices;
    memset(&sum, 0, sizeof sum);
    fail_from(n, ever);
    int code = parla_runtime_create(&one, &options);
    if (works(code)) {
        use(one);
        parla_runtime_destroy(one);
        T_EQ(sum.n_ends, sum.n_spawned);
    }
    return stop_failing();
}

static void fail_at_each(bool ever, const char *devices)
{
    static char text[64];
    int64_t n = 0;
    for (int n_missed = 0; n_missed < 5;) { /* threads make the last ones come and go */
        snprintf(text, sizeof text, "allocation %lld fails", (long long)++n);
        t_phase(text);
        n_missed = try_with(n, ever, devices) ? 0 : n_missed + 1;
    }
    T_GT(n, 30); /* the program does allocate */
}

T_TEST_TIMEOUT(one_allocation_fails, 120) { fail_at_each(false, "cpu"); }
T_TEST_TIMEOUT(all_allocations_fail_from_one_on, 120) { fail_at_each(true, "cpu"); }
T_TEST_TIMEOUT(one_allocation_fails_with_devices, 120) { fail_at_each(false, "sim:1"); }
