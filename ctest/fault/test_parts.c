/* test_parts.c - memory that runs out in each part of the library: names, traces, captures and replays, ranges, a policy of the program with
 * placed tasks, arrays and the host's access to them, events and holds.
 *
 * A part is used three times in one runtime: once in full, while the n-th allocation is refused, or all from there on; and once in full
 * again. In between calls and tasks may fail, with words, but each task that was spawned ends once and nothing hangs; afterwards everything
 * works as if nothing had been. The leak sanitizer looks when a case ends. */
#include "../unit/runtime_fixture.h"
#include "refuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    _Atomic int n_spawned, n_ends, n_done, n_failed;
    bool is_calm; /* nothing is refused: everything has to work */
} sum;

/* A call that may fail for lack of memory, in words, but only while memory is lacking. What should have written an array may have failed. */
static bool works(int code)
{
    if (code == PARLA_E_STATE && !sum.is_calm && strstr(parla_error_detail(), "has no content"))
        return false;
    bool has_worked = refuse_allows(code);
    T_TRUE(has_worked || !sum.is_calm);
    return has_worked;
}

/* A wait for tasks of which some may have failed or may never have been spawned. */
static void wait_all(int code)
{
    if (sum.is_calm)
        T_OK(code);
    T_TRUE(code == 0 || parla_error_detail()[0] != '\0');
    T_TRUE(code == 0 || code == PARLA_E_NOMEM || code == PARLA_E_CANCELLED || code == PARLA_E_STUCK || code == PARLA_E_SYSTEM ||
           code == PARLA_E_STATE || code == PARLA_E_DEVICE_MEMORY || code == PARLA_E_DEVICE);
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    (void)arg;
    T_EQ(outcome->failure == NULL, outcome->status == 0);
    if (outcome->failure)
        T_TRUE(parla_failure_message(outcome->failure)[0] != '\0');
    T_TRUE(outcome->status == 0 || !sum.is_calm);
    pl_add_acq_rel(outcome->status == 0 ? &sum.n_done : &sum.n_failed, 1);
    pl_add_acq_rel(&sum.n_ends, 1);
}

static parla_task_options options_of(parla_body body, void *arg)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = arg;
    options.on_end = note_end;
    options.name = "task";
    return options;
}

static bool try_spawn(parla_runtime *one, parla_task *out, const parla_task_options *options)
{
    bool is_spawned = works(parla_task_spawn(one, out, options));
    pl_add_acq_rel(&sum.n_spawned, is_spawned);
    return is_spawned;
}

/* --- The parts ------------------------------------------------------------------------------------------------------------------ */

enum { N = 40 };

/* A chain of names, spawned from its end, then renewed; all of them as a list; and one that nobody spawns. */
static void use_spaces(parla_runtime *one)
{
    parla_space *space;
    _Atomic int n = 0;
    if (!works(parla_space_create(&space, one, "a name")))
        return;
    for (int round = 0; round < 2; round++) {
        for (int64_t i = N - 1; i >= 0; i--) {
            parla_task_options options = options_of(count_body, (void *)&n);
            parla_task before = PARLA_TASK_NONE;
            int64_t index[2] = {i, -1}, index_before[2] = {i - 1, -1};
            if (i > 0 && !works(parla_space_renew(space, index_before, 2, &before)))
                continue;
            if (!works(parla_space_renew(space, index, 2, &options.task)))
                continue;
            if (parla_task_query(options.task) != PARLA_TASK_CREATED) { /* it still waits for a name that was not to be had */
                T_FALSE(sum.is_calm);
                continue;
            }
            options.name = NULL;
            options.deps = &before;
            options.n_deps = 1;
            try_spawn(one, NULL, &options);
        }
        wait_all(parla_space_wait(space, PARLA_FOREVER));
    }
    parla_task some[7], never;
    size_t n_names = parla_space_tasks(space, some, 7);
    T_TRUE(n_names == N || (!sum.is_calm && n_names < N));
    (void)works(parla_space_at(space, (int64_t[]){1, 2, 3, 4, 5, 6, 7, 8}, 8, &never));
    parla_space_destroy(space);
    wait_all(parla_runtime_wait(one, PARLA_FOREVER));
}

static char trace_file[] = "/tmp/parla-refused-XXXXXX";

static void check_trace(int code)
{
    static char text[1 << 22];
    if (sum.is_calm)
        T_OK(code);
    FILE *file = code == 0 ? fopen(trace_file, "re") : NULL;
    T_TRUE(file || !sum.is_calm);
    if (!file)
        return;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    T_EQ(text[0], '{');
    T_HAS_STR(text, "\"dropped\":"); /* the last thing in it */
    if (sum.is_calm)
        T_HAS_STR(text, "a part of the program");
}

/* More records than the first piece of a row takes, with many names. */
static void use_trace(parla_runtime *one)
{
    static char names[N][16];
    _Atomic int n = 0;
    for (int i = 0; i < N; i++) /* no task has them now */
        snprintf(names[i], sizeof names[i], "name %d", i);
    if (!works(parla_trace_start(one)))
        return;
    parla_trace_begin(one, "a part of the program");
    for (int i = 0; i < 1100; i++) {
        parla_trace_begin(one, "a step of it");
        parla_trace_end(one);
    }
    for (int i = 0; i < 2 * N; i++) {
        parla_task_options options = options_of(count_body, (void *)&n);
        options.name = names[i % N];
        try_spawn(one, NULL, &options);
    }
    wait_all(parla_runtime_wait(one, PARLA_FOREVER));
    parla_trace_end(one);
    parla_trace_stop(one);
    int code = parla_trace_write(one, trace_file);
    check_trace(code == PARLA_E_STATE && !sum.is_calm ? PARLA_E_STATE : works(code) ? 0 : PARLA_E_NOMEM);
}

static int add_bytes(parla_context *context, void *arg)
{
    const int *increments = arg;
    pl_add_acq_rel((_Atomic int *)parla_context_replay_arg(context), increments[0]);
    return 0;
}

static int fail_in_replay(parla_context *context, void *arg)
{
    (void)arg;
    return parla_fail(context, PARLA_E_NOMEM, "as if there were no memory");
}

/* A triangle of dependencies with arguments of their own; what was recorded runs, all of it or nothing. */
static void use_replay(parla_runtime *one)
{
    parla_task tasks[N], run;
    parla_replay *replay;
    int n_recorded = 0;
    if (!works(parla_capture_begin(one)))
        return;
    for (int i = 0; i < N; i++) {
        const int ones[10] = {1};
        parla_task_options options = options_of(add_bytes, (void *)ones);
        options.on_end = NULL;
        options.arg_bytes = sizeof ones;
        options.deps = tasks;
        options.n_deps = (size_t)n_recorded;
        n_recorded += works(parla_task_spawn(one, &tasks[n_recorded], &options));
    }
    if (!works(parla_capture_end(one, &replay)))
        return;
    T_EQ(parla_replay_size(replay), n_recorded);
    for (int round = 0; round < 3; round++) {
        _Atomic int total = 0;
        if (!works(parla_replay_run(replay, &run, (void *)&total, NULL, 0)))
            continue;
        int code = parla_task_wait(one, &run, 1, PARLA_FOREVER);
        wait_all(code);
        wait_all(parla_runtime_wait(one, PARLA_FOREVER)); /* the wait above may have found no memory for itself */
        T_TRUE(total == n_recorded || (total == 0 && !sum.is_calm));
        T_TRUE(code != 0 || total == n_recorded);
    }
    parla_replay_destroy(replay);
}

/* Follows a failure inside of a replay: its record may be what finds no memory. */
static void use_failing_replay(parla_runtime *one)
{
    parla_replay *replay;
    parla_task first, run;
    _Atomic int n = 0;
    if (!works(parla_capture_begin(one)))
        return;
    bool is_whole = works(parla_spawn(one, &first, fail_in_replay, NULL, NULL, 0)) &&
                    works(parla_spawn(one, NULL, count_body, (void *)&n, &first, 1)) &&
                    works(parla_spawn(one, NULL, count_body, (void *)&n, NULL, 0));
    if (!works(parla_capture_end(one, &replay)))
        return;
    if (works(parla_replay_run(replay, &run, NULL, NULL, 0)) && is_whole) {
        T_TRUE(parla_task_wait(one, &run, 1, PARLA_FOREVER) != 0);
        wait_all(parla_runtime_wait(one, PARLA_FOREVER));
        T_TRUE(n == 1 || (n == 0 && !sum.is_calm));
    }
    wait_all(parla_runtime_wait(one, PARLA_FOREVER));
    parla_replay_destroy(replay);
}

enum { N_INDICES = 3000 };

static _Atomic unsigned char n_calls[N_INDICES];

static int call_index(parla_context *context, void *arg)
{
    (void)arg;
    T_EQ(pl_add_relaxed(&n_calls[parla_context_index(context)], 1), 0);
    if (parla_context_index(context) % 500 == 0) {
        static _Atomic int n;
        parla_task_options options = options_of(count_body, (void *)&n);
        try_spawn(parla_context_runtime(context), NULL, &options);
    }
    return 0;
}

/* Each index at most once; and once if the range is done. */
static void use_ranges(parla_runtime *one)
{
    parla_task_options options = options_of(call_index, NULL);
    for (int round = 0; round < 2; round++) {
        parla_task range;
        for (int i = 0; i < N_INDICES; i++)
            pl_store_relaxed(&n_calls[i], (unsigned char)0);
        bool is_spawned = works(parla_task_spawn_n(one, &range, N_INDICES, &options));
        pl_add_acq_rel(&sum.n_spawned, is_spawned);
        wait_all(parla_runtime_wait(one, PARLA_FOREVER));
        for (int i = 0; i < N_INDICES && is_spawned && parla_task_query(range) == PARLA_TASK_DONE; i++)
            T_EQ(pl_load_relaxed(&n_calls[i]), 1);
    }
}

/* Costs whatever the address of the program's table says. */
static double alternate(void *ctx, const parla_candidate *candidate)
{
    _Atomic int *n_asked = ctx;
    return (candidate->i_device + pl_add_acq_rel(n_asked, 1)) % 3;
}

static _Atomic int n_asked;
static const parla_policy policy = {.size = sizeof policy, .name = "alternate", .ctx = (void *)&n_asked, .cost = alternate};

__attribute__((constructor)) static void register_policy(void) { T_OK(parla_policy_register(&policy)); }

/* Placed tasks in the order of the arrays that they share, with choices, demands, a gang and retries; the host reads the result. */
static void use_placed(parla_runtime *one)
{
    enum { N_ITEMS = 100 };
    static double memory[N_ITEMS];
    _Atomic int n = 0;
    parla_data *data, *other;
    parla_data_options array = PARLA_DATA_OPTIONS_INIT;
    array.name = "array";
    array.host = (parla_strided){.base = memory, .item_bytes = 8, .ndim = 1, .extent = {N_ITEMS}, .stride = {8}};
    if (!works(parla_data_create(&data, &array)))
        return;
    array.host.base = NULL;
    if (works(parla_data_create(&other, &array))) {
        const parla_range head = {0, 60, 1}, odds = {1, N_ITEMS, 2};
        const parla_access accesses[2][2] = {{{data, PARLA_IN, 0, &head}, {other, PARLA_OUT, 0, NULL}},
                                             {{data, PARLA_OUT, 0, &odds}, {other, PARLA_IN, 0, &odds}}};
        for (int i = 0; i < 12; i++) {
            const parla_demand gpus[2] = {{PARLA_ARCH_GPU, PARLA_ANY_NUMBER, 0.4, 64}, {PARLA_ARCH_GPU, PARLA_ANY_NUMBER, 0, 0}};
            const parla_demand any = {PARLA_ARCH_ANY, PARLA_ANY_NUMBER, 0, 0};
            const parla_choice choices[2] = {{gpus, i % 4 == 3 ? 2 : 1}, {&any, 1}};
            parla_task_options options = options_of(count_body, (void *)&n);
            options.choices = choices;
            options.n_choices = 1 + (size_t)(i % 3 > 0);
            options.accesses = accesses[i % 2];
            options.n_accesses = 2;
            options.priority = i % 5;
            options.n_retries = i % 2;
            try_spawn(one, NULL, &options);
        }
        for (int i = 0; i < 3; i++) {
            parla_instance here;
            const parla_range part = {i, 50 + i, 1};
            int code = parla_data_acquire_region(one, data, &part, i ? PARLA_IN : PARLA_INOUT, PARLA_FOREVER, &here);
            wait_all(code);
            if (code == 0)
                parla_data_release_region(data, &part, i ? PARLA_IN : PARLA_INOUT);
        }
        (void)works(parla_data_copy(one, NULL, other, NULL, data, NULL, 0));
        wait_all(parla_runtime_wait(one, PARLA_FOREVER));
        parla_data_unref(other);
    }
    parla_data_unref(data);
    T_TRUE(!sum.is_calm || n == 12);
}

static int take_holds(parla_context *context, void *arg)
{
    (void)arg;
    if (!works(parla_hold(context, 3)))
        return parla_fail(context, PARLA_E_NOMEM, "no hold, no work");
    for (int i = 0; i < 3; i++)
        T_OK(parla_release(parla_context_task(context), 0, NULL));
    return 0;
}

static int await_events(parla_context *context, void *arg)
{
    parla_task *events = arg;
    bool has_ended = true;
    for (int i = 0; i < N; i++)
        has_ended = has_ended && parla_task_has_ended(events[i]);
    if (has_ended)
        return 0;
    return works(parla_suspend_on(context, events, N)) ? PARLA_SUSPENDED : PARLA_E_NOMEM;
}

/* Tasks behind events in every way that there is: by dependency, suspended, blocked, and with holds of their own. */
static void use_events(parla_runtime *one)
{
    parla_task events[N];
    _Atomic int n = 0;
    for (int i = 0; i < N; i++) {
        parla_task_options options = options_of(i % 2 ? take_holds : count_body, (void *)&n);
        events[i] = PARLA_TASK_NONE;
        if (works(parla_event_create(one, &events[i], "event"))) {
            options.deps = events;
            options.n_deps = (size_t)i + 1;
            try_spawn(one, NULL, &options);
        }
    }
    parla_task_options options = options_of(await_events, events);
    try_spawn(one, NULL, &options);
    for (int i = 0; i < N; i++)
        if (!parla_task_is_none(events[i]))
            T_OK(parla_event_complete(events[i], 0, NULL));
    wait_all(parla_runtime_wait(one, PARLA_FOREVER));
    for (int i = 0; i < N; i++)
        parla_task_unref(events[i]);
}

/* --- Each allocation ------------------------------------------------------------------------------------------------------------ */

static void check_ends(void)
{
    T_EQ(sum.n_ends, sum.n_spawned);
    T_EQ(sum.n_ends, sum.n_done + sum.n_failed);
}

static void drop_failures(parla_runtime *one)
{
    parla_failure *failure;
    while (parla_runtime_take_failure(one, &failure) == 0)
        parla_failure_unref(failure);
}

static int64_t try_with(void (*use)(parla_runtime *one), int64_t n, bool for_ever, const char *devices)
{
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *one;
    options.n_workers = 2;
    options.devices = devices;
    options.policy = policy.name;
    parla_log_set_level(PARLA_LOG_OFF); /* records that a trace lacks */
    T_OK(parla_runtime_create(&one, &options));
    sum.is_calm = false;
    refuse_from(n, for_ever);
    use(one);
    check_ends();
    int64_t n_refused = refuse_stop();
    drop_failures(one);
    sum.is_calm = true;
    use(one);
    check_ends();
    parla_runtime_destroy(one);
    return n_refused;
}

static void refuse_each(void (*use)(parla_runtime *one), bool for_ever, const char *devices, int64_t least)
{
    static char text[64];
    int64_t n = 0, n_refused = 0;
    for (int n_missed = 0; n_missed < 3;) { /* threads make the last ones come and go */
        snprintf(text, sizeof text, "allocation %lld is refused", (long long)++n);
        t_phase(text);
        int64_t refused = try_with(use, n, for_ever, devices);
        n_missed = refused ? 0 : n_missed + 1;
        n_refused += refused > 0; /* each is one to begin with; for how long it goes on depends on what is tried again */
    }
    T_GE(n_refused, least);
    t_count((uint64_t)n_refused, "allocations refused");
}

static void refuse_both(void (*use)(parla_runtime *one), int64_t least)
{
    refuse_each(use, false, "cpu", least);
    refuse_each(use, true, "cpu", least);
}

T_TEST(names) { refuse_both(use_spaces, 100); }

T_TEST(traces)
{
    int handle = mkstemp(trace_file);
    T_TRUE(handle >= 0);
    close(handle);
    refuse_both(use_trace, 10);
    unlink(trace_file);
}

T_TEST(captures_and_replays) { refuse_both(use_replay, 10); }
T_TEST(replays_that_fail) { refuse_both(use_failing_replay, 5); }
T_TEST(ranges) { refuse_both(use_ranges, 2); }
T_TEST(events_and_holds) { refuse_both(use_events, 10); }

T_TEST(a_policy_of_the_program_and_arrays)
{
    refuse_each(use_placed, false, "sim:2", 100);
    T_GT(n_asked, 0);
}
