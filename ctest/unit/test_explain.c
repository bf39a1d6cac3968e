/* test_explain.c - variants, hints, repeated tasks, run times that decide, and the answers to "why this device". */
#include "base/atomic.h"
#include "base/clock.h"
#include "placed_fixture.h"
#include "sched/placed.h"

#include <math.h>
#include <stdlib.h>

static parla_task spawn_with(parla_runtime *rt, parla_task_options *options)
{
    parla_task task;
    T_OK(parla_task_create(rt, &task, "task"));
    options->task = task;
    T_OK(parla_task_spawn(rt, NULL, options));
    return task;
}

/* Where a task ran, and which choice that was. */
typedef struct place {
    int i_device;
    size_t i_choice;
    const char *variant;
} place;

static int note(parla_context *context, void *arg)
{
    *(place *)arg = (place){parla_context_device(context, 0), parla_context_choice(context), "body"};
    return 0;
}

static int note_variant(parla_context *context, void *arg)
{
    note(context, arg);
    ((place *)arg)->variant = "variant";
    return 0;
}

static place place_of(parla_runtime *rt, parla_task_options *options)
{
    place where;
    options->body = note;
    options->arg = &where;
    T_OK(finish(rt, spawn_with(rt, options)));
    return where;
}

T_TEST(the_variant_of_the_choice_that_was_taken_runs)
{
    parla_runtime *rt = start_with("sim:1", "eager", 1);
    parla_demand gpu = on_gpu(0), cpu = on_cpu(), missing = on_gpu(7);
    parla_choice choices[3] = {{&missing, 1}, {&gpu, 1}, {&cpu, 1}};
    parla_body variants[3] = {NULL, note_variant, NULL};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.choices = choices;
    options.variants = variants;
    options.n_choices = 3;
    options.prefer = 1 << 1;
    place where = place_of(rt, &options);
    T_EQ(where.i_device, 1);
    T_EQ(where.i_choice, 1);
    T_EQ_STR(where.variant, "variant");
    options.prefer = 1 << 0;
    where = place_of(rt, &options);
    T_EQ(where.i_device, 0);
    T_EQ(where.i_choice, 2);
    T_EQ_STR(where.variant, "body");
    parla_runtime_destroy(rt);
}

T_TEST(a_body_is_needed_for_every_choice)
{
    parla_runtime *rt = start("sim:1");
    parla_demand gpu = on_gpu(0), cpu = on_cpu();
    parla_choice choices[2] = {{&gpu, 1}, {&cpu, 1}};
    parla_body variants[2] = {note_variant, NULL};
    place where;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.arg = &where;
    options.choices = choices;
    options.variants = variants;
    options.n_choices = 2;
    T_EQ(parla_task_spawn(rt, NULL, &options), PARLA_E_INVALID);
    variants[1] = note_variant;
    T_OK(finish(rt, spawn_with(rt, &options)));
    T_EQ_STR(where.variant, "variant");
    parla_runtime_destroy(rt);
}

T_TEST(a_hint_decides_between_equals_and_gives_way)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start_with("sim:3", "eager", 1);
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_choice choice = {&any, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.choices = &choice;
    options.n_choices = 1;
    for (int i = 3; i >= 1; i--) {
        options.prefer = UINT64_C(1) << i;
        T_EQ(place_of(rt, &options).i_device, i);
    }
    parla_demand whole = on_gpu(0);
    whole.vcus = 1;
    any.vcus = 0.5;
    parla_task busy = spawn(rt, pass_gate, &closed, whole, NULL, 0);
    T_EVENTUALLY(device_info(rt, 1).free_vcus == 0, 5000);
    T_NE(place_of(rt, &options).i_device, 1); /* the preferred device is full: the hint gives way */
    gate_open(&closed);
    T_OK(finish(rt, busy));
    parla_runtime_destroy(rt);
}

/* --- Run times ------------------------------------------------------------------------------------------------------------------ */

/* Returns once the clock has moved on by *arg. */
static int take_time(parla_context *context, void *arg)
{
    (void)context;
    for (uint64_t end = pl_now_ns() + *(uint64_t *)arg; pl_now_ns() < end;) {
    }
    return 0;
}

static pl_expectation known_of(parla_runtime *rt, const void *kernel, int i_device)
{
    pl_place_lock(rt);
    pl_expectation known = pl_history_find(&rt->place.history, kernel, i_device, 0);
    pl_place_unlock(rt);
    return known;
}

T_TEST(run_times_are_remembered)
{
    uint64_t ns = 1000000;
    parla_runtime *rt = start("sim:2");
    T_EQ(known_of(rt, (const void *)take_time, 1).n_runs, 0);
    for (int i = 0; i < 3; i++)
        T_OK(finish(rt, spawn(rt, take_time, &ns, on_gpu(0), NULL, 0)));
    T_EQ(known_of(rt, (const void *)take_time, 1).n_runs, 3);
    T_TRUE(known_of(rt, (const void *)take_time, 1).median_ns >= (double)ns);
    T_EQ(known_of(rt, (const void *)take_time, 2).n_runs, 0);
    parla_runtime_destroy(rt);
}

/* What is remembered says that one device is slow. Four runs more, however long they take here, do not move a median of nine. */
T_TEST(locality_goes_where_a_kernel_is_fast)
{
    static const int kernel;
    parla_runtime *rt = start("sim:2");
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_choice choice = {&any, 1};
    parla_explanation why = {.size = sizeof why};
    pl_place_lock(rt);
    for (int i = 0; i < PL_HISTORY_RUNS; i++) {
        pl_history_add(&rt->place.history, &kernel, 1, 0, 20e6);
        pl_history_add(&rt->place.history, &kernel, 2, 0, 1e3);
    }
    pl_place_unlock(rt);
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = do_nothing;
    options.kernel = &kernel;
    options.choices = &choice;
    options.n_choices = 1;
    for (int i = 0; i < 4; i++) {
        int i_device;
        parla_task task = spawn_with(rt, &options);
        T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
        T_EQ(parla_task_devices(task, &i_device, 1), 1);
        T_EQ(i_device, 2);
        T_OK(parla_task_explain(task, &why, NULL, 0));
        T_NEAR(why.expected_ns, 1e3, 0);
        T_EQ_STR(why.policy, "locality");
        parla_task_unref(task);
    }
    parla_runtime_destroy(rt);
}

/* --- Why ------------------------------------------------------------------------------------------------------------------------ */

T_TEST(the_decision_is_told)
{
    parla_runtime *rt = start_with("sim:2", "eager", 1);
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_choice choice = {&any, 1};
    parla_explanation why = {.size = sizeof why};
    parla_judgement judgements[4];
    place where;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.choices = &choice;
    options.n_choices = 1;
    options.prefer = 1 << 2;
    options.body = note;
    options.arg = &where;
    parla_task task = spawn_with(rt, &options);
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    T_OK(parla_task_explain(task, &why, judgements, 4));
    T_EQ(why.i_choice, 0);
    T_EQ(why.n_judgements, 2);
    T_EQ(judgements[0].i_device, 1);
    T_EQ(judgements[0].verdict, PARLA_VERDICT_COSTS_MORE);
    T_EQ(judgements[1].i_device, 2);
    T_EQ(judgements[1].verdict, PARLA_VERDICT_CHOSEN);
    T_TRUE(judgements[1].cost < judgements[0].cost);
    T_OK(parla_task_explain(task, &why, judgements, 1)); /* no more than there is room for */
    T_EQ(why.n_judgements, 2);
    T_EQ(parla_task_explain(task, &why, NULL, 1), PARLA_E_INVALID);
    why.size = 1;
    T_EQ(parla_task_explain(task, &why, NULL, 0), PARLA_E_INVALID);
    parla_task_unref(task);
    parla_runtime_destroy(rt);
}

T_TEST(why_a_task_does_not_run_yet)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1,mem=1MB");
    parla_demand whole = on_gpu(0), large = on_gpu(0);
    whole.vcus = 1;
    parla_explanation why = {.size = sizeof why};
    parla_judgement judgement;
    parla_task busy = spawn(rt, pass_gate, &closed, whole, NULL, 0);
    T_EVENTUALLY(parla_task_query(busy) == PARLA_TASK_RUNNING, 5000);
    parla_task second = spawn(rt, do_nothing, NULL, whole, NULL, 0);
    T_OK(parla_task_explain(second, &why, &judgement, 1));
    T_EQ(why.i_choice, -1);
    T_EQ(why.n_judgements, 1);
    T_EQ(judgement.verdict, PARLA_VERDICT_NO_SHARE);
    T_TRUE(isnan(judgement.cost));
    gate_open(&closed);
    T_OK(finish(rt, busy));
    T_OK(finish(rt, second));

    gate again = GATE_INIT;
    large.memory_bytes = 800000;
    busy = spawn(rt, pass_gate, &again, large, NULL, 0);
    T_EVENTUALLY(parla_task_query(busy) == PARLA_TASK_RUNNING, 5000);
    second = spawn(rt, do_nothing, NULL, large, NULL, 0);
    T_OK(parla_task_explain(second, &why, &judgement, 1));
    T_EQ(judgement.verdict, PARLA_VERDICT_NO_MEMORY);
    gate_open(&again);
    T_OK(finish(rt, busy));
    T_OK(finish(rt, second));
    parla_runtime_destroy(rt);
}

static int explain_second_step(parla_context *context, void *arg)
{
    parla_judgement *judgement = arg;
    parla_explanation why = {.size = sizeof why};
    if (judgement->i_device < 0) {
        parla_task event;
        judgement->i_device = 0;
        T_OK(parla_event_create(parla_context_runtime(context), &event, "at once"));
        T_OK(parla_suspend_on(context, &event, 1));
        T_OK(parla_event_complete(event, 0, NULL));
        parla_task_unref(event);
        return PARLA_SUSPENDED;
    }
    T_OK(parla_task_explain(parla_context_task(context), &why, judgement, 1));
    return 0;
}

static parla_verdict verdict_of(parla_task task)
{
    parla_explanation why = {.size = sizeof why};
    parla_judgement judgement;
    T_OK(parla_task_explain(task, &why, &judgement, 1));
    T_EQ(why.n_judgements, 1);
    return judgement.verdict;
}

T_TEST(busy_kept_and_fixed_devices_are_told_apart)
{
    enum { N = 20, PASSED = 64 };
    gate closed = GATE_INIT, again = GATE_INIT;
    parla_task queued[N];
    parla_judgement judgement = {.i_device = -1};
    parla_runtime *rt = start("sim:1");
    parla_task first = spawn(rt, pass_gate, &closed, on_gpu(0), NULL, 0);
    for (int i = 0; i < N; i++)
        queued[i] = spawn(rt, do_nothing, NULL, on_gpu(0), NULL, 0);
    T_EQ(verdict_of(queued[N - 1]), PARLA_VERDICT_BUSY);
    gate_open(&closed);
    T_OK(finish(rt, first));
    for (int i = 0; i < N; i++)
        T_OK(finish(rt, queued[i]));
    T_OK(finish(rt, spawn(rt, explain_second_step, &judgement, on_gpu(0), NULL, 0)));
    T_EQ(judgement.i_device, 1);
    T_EQ(judgement.verdict, PARLA_VERDICT_FIXED);

    parla_demand half = on_cpu(), whole = on_cpu();
    half.vcus = 0.5;
    whole.vcus = 1;
    parla_task busy = spawn(rt, pass_gate, &again, half, NULL, 0);
    T_EVENTUALLY(device_info(rt, 0).free_vcus == 0.5, 5000);
    parla_task large = spawn(rt, do_nothing, NULL, whole, NULL, 0);
    for (int i = 0; i < PASSED; i++)
        T_OK(finish(rt, spawn(rt, do_nothing, NULL, half, NULL, 0)));
    parla_task late = spawn(rt, do_nothing, NULL, half, NULL, 0);
    T_EQ(verdict_of(large), PARLA_VERDICT_NO_SHARE);
    T_EQ(verdict_of(late), PARLA_VERDICT_KEPT);
    gate_open(&again);
    T_OK(finish(rt, busy));
    T_OK(finish(rt, large));
    T_OK(finish(rt, late));
    parla_runtime_destroy(rt);
}

/* A device that refuses memory with nothing there to make room is no choice any more, for this task; where all do, the task fails. */
static void check_hopeless(int n_refusing)
{
    parla_runtime *rt = start_with("sim:2,mem=4096", "eager", 2);
    parla_data *data = make_array("x", NULL, 1024);
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_choice choice = {&any, 1};
    parla_access access = {.data = data, .mode = PARLA_OUT};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_explanation why = {.size = sizeof why};
    parla_judgement judgements[2];
    options.body = do_nothing;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = 1;
    options.prefer = 1 << 1;
    for (int i = 1; i <= n_refusing; i++)
        T_OK(parla_sim_inject(rt, i, 1, 0));
    parla_task task = spawn_with(rt, &options);
    T_EQ(parla_task_wait(rt, &task, 1, PARLA_FOREVER), n_refusing == 2 ? PARLA_E_DEVICE_MEMORY : 0);
    T_OK(parla_task_explain(task, &why, judgements, 2));
    T_EQ(why.n_judgements, 2);
    T_EQ(why.i_choice, n_refusing == 2 ? -1 : 0);
    for (int i = 0; i < 2; i++) {
        bool is_hopeless = judgements[i].i_device <= n_refusing;
        T_EQ(judgements[i].verdict, is_hopeless ? PARLA_VERDICT_HOPELESS : PARLA_VERDICT_CHOSEN);
        T_EQ(isnan(judgements[i].cost) != 0, is_hopeless);
    }
    T_HAS_STR(parla_verdict_text(PARLA_VERDICT_HOPELESS), "cannot");
    parla_task_unref(task);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_device_that_has_no_memory_to_give_is_hopeless) { check_hopeless(1); }
T_TEST(where_all_devices_are_hopeless_the_task_fails) { check_hopeless(2); }

/* A program's own: the second GPU is cheapest, the third is left out, whatever the load. */
static double own_cost(void *ctx, const parla_candidate *candidate)
{
    ++*(int *)ctx;
    T_EQ(candidate->n_devices, 4);
    return candidate->i_device == 3 ? NAN : 10 - candidate->i_device;
}

T_TEST(a_policy_of_the_program_decides)
{
    static int n_asked;
    static const parla_policy own = {.size = sizeof own, .name = "own", .ctx = &n_asked, .cost = own_cost};
    T_OK(parla_policy_register(&own));
    parla_runtime *rt = start_with("sim:3", "own", 2);
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_choice choice = {&any, 1};
    parla_explanation why = {.size = sizeof why};
    parla_judgement judgements[4];
    place where;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.choices = &choice;
    options.n_choices = 1;
    options.body = note;
    options.arg = &where;
    for (int i = 0; i < 10; i++) {
        parla_task task = spawn_with(rt, &options);
        T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
        T_EQ(where.i_device, 2);
        T_OK(parla_task_explain(task, &why, judgements, 4));
        T_EQ_STR(why.policy, "own");
        T_EQ(why.n_judgements, 3);
        T_NEAR(judgements[0].cost, 9, 0);
        T_NEAR(judgements[1].cost, 8, 0);
        T_EQ(judgements[1].verdict, PARLA_VERDICT_CHOSEN);
        parla_task_unref(task);
    }
    T_GE(n_asked, 30);
    parla_runtime_destroy(rt);
}

T_TEST(plain_tasks_and_names_have_little_to_tell)
{
    parla_runtime *rt = start("cpu");
    parla_explanation why = {.size = sizeof why};
    parla_task name;
    T_OK(parla_task_create(rt, &name, "name"));
    T_EQ(parla_task_explain(name, &why, NULL, 0), PARLA_E_STATE);
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = do_nothing;
    parla_task plain = spawn_with(rt, &options);
    T_OK(parla_task_explain(plain, &why, NULL, 0));
    T_EQ(why.n_judgements, 0);
    T_HAS_STR(why.policy, "plain");
    T_OK(finish(rt, plain));
    parla_task_unref(name);
    parla_runtime_destroy(rt);
}

/* --- Once more ------------------------------------------------------------------------------------------------------------------ */

typedef struct tries {
    int n_failures; /* before it succeeds */
    _Atomic int n_tries, n_ends;
    int last_attempt, devices[8];
} tries;

static int try_it(parla_context *context, void *arg)
{
    tries *t = arg;
    t->last_attempt = parla_context_attempt(context);
    t->devices[t->last_attempt] = parla_context_device(context, 0);
    pl_add_acq_rel(&t->n_tries, 1);
    return t->last_attempt < t->n_failures ? parla_fail(context, PARLA_E_USER, "try %d", t->last_attempt) : 0;
}

static void count_end(void *arg, const parla_outcome *outcome)
{
    (void)outcome;
    pl_add_acq_rel(&((tries *)arg)->n_ends, 1);
}

static parla_task spawn_tries(parla_runtime *rt, tries *t, int n_retries, parla_demand *demand)
{
    parla_choice choice = {demand, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = try_it;
    options.arg = t;
    options.on_end = count_end;
    options.n_retries = n_retries;
    options.choices = demand ? &choice : NULL;
    options.n_choices = demand ? 1 : 0;
    return spawn_with(rt, &options);
}

T_TEST(a_task_is_repeated_until_it_succeeds)
{
    parla_runtime *rt = start("sim:2");
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_failure *none;
    for (int on_device = 0; on_device < 2; on_device++) {
        tries t = {.n_failures = 2};
        T_OK(finish(rt, spawn_tries(rt, &t, 3, on_device ? &any : NULL)));
        T_EQ(t.n_tries, 3);
        T_EQ(t.last_attempt, 2);
        T_EQ(t.n_ends, 1);
    }
    T_EQ(parla_runtime_take_failure(rt, &none), PARLA_PENDING);
    for (int i = 0; i < 3; i++) {
        T_EVENTUALLY(device_info(rt, i).free_vcus == 1, 5000);
    }
    parla_runtime_destroy(rt);
}

T_TEST(the_last_failure_counts)
{
    parla_runtime *rt = start("cpu");
    tries t = {.n_failures = 9};
    parla_task task = spawn_tries(rt, &t, 2, NULL);
    T_EQ(parla_task_wait(rt, &task, 1, PARLA_FOREVER), PARLA_E_USER);
    T_HAS_STR(parla_error_detail(), "try 2");
    T_EQ(t.n_tries, 3);
    T_EQ(t.n_ends, 1);
    parla_task_unref(task);
    parla_runtime_destroy(rt);
}

T_TEST(a_task_that_updates_an_array_is_not_repeated)
{
    parla_runtime *rt = start("cpu");
    parla_data *data = make_array("x", NULL, 16);
    parla_access both[2] = {{.data = data, .mode = PARLA_IN}, {.data = data, .mode = PARLA_OUT}};
    parla_access updates = {.data = data, .mode = PARLA_INOUT};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = do_nothing;
    options.n_retries = 1;
    options.accesses = &updates;
    options.n_accesses = 1;
    T_EQ(parla_task_spawn(rt, NULL, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "x is updated");
    options.accesses = both;
    options.n_accesses = 2;
    T_EQ(parla_task_spawn(rt, NULL, &options), PARLA_E_INVALID);
    options.n_retries = -1;
    options.n_accesses = 0;
    T_EQ(parla_task_spawn(rt, NULL, &options), PARLA_E_INVALID);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

static int overwrite(parla_context *context, void *arg)
{
    int attempt = parla_context_attempt(context);
    bytes_of(context, 0)[0] = (unsigned char)(10 + attempt);
    return attempt < *(int *)arg ? parla_fail(context, PARLA_E_USER, "half-way") : 0;
}

/* Readers behind a task that is repeated see what its last try wrote, and nothing of the others. */
T_TEST(arrays_of_a_repeated_task)
{
    int n_failures = 2;
    unsigned char seen = 0;
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", NULL, 16);
    parla_access access = {.data = data, .mode = PARLA_OUT};
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_choice choice = {&any, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = overwrite;
    options.arg = &n_failures;
    options.n_retries = 2;
    options.accesses = &access;
    options.n_accesses = 1;
    options.choices = &choice;
    options.n_choices = 1;
    parla_task writer = spawn_with(rt, &options);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, any, data, PARLA_IN)));
    T_EQ(seen, 12);
    T_OK(finish(rt, writer));
    T_EQ(host_byte(rt, data), 12);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

static int hold_it(parla_context *context, void *arg)
{
    pl_store_release((_Atomic int *)arg, parla_context_attempt(context) + 1);
    return parla_hold(context, 1);
}

T_TEST(a_hold_that_fails_repeats_the_task)
{
    parla_runtime *rt = start("cpu");
    _Atomic int n_begun = 0;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = hold_it;
    options.arg = &n_begun;
    options.n_retries = 1;
    parla_task task = spawn_with(rt, &options);
    for (int i = 1; i <= 2; i++) {
        T_EVENTUALLY(pl_load_acquire(&n_begun) == i && parla_task_query(task) == PARLA_TASK_LAUNCHED, 5000);
        T_OK(parla_release(task, i == 1 ? PARLA_E_DEVICE : 0, "the device said no"));
    }
    T_OK(finish(rt, task));
    parla_runtime_destroy(rt);
}

static int fail_when_cancelled(parla_context *context, void *arg)
{
    pl_store_release((_Atomic bool *)arg, true);
    T_EVENTUALLY(parla_context_is_cancelled(context), 20000);
    return parla_fail(context, PARLA_E_USER, "gave up");
}

T_TEST(a_task_that_was_asked_to_cancel_is_not_repeated)
{
    parla_runtime *rt = start("cpu");
    _Atomic bool is_inside = false;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = fail_when_cancelled;
    options.arg = &is_inside;
    options.n_retries = 1000;
    parla_task task = spawn_with(rt, &options);
    T_EVENTUALLY(pl_load_acquire(&is_inside), 5000);
    T_EQ(parla_task_cancel(task), PARLA_PENDING);
    T_EQ(finish(rt, task), PARLA_E_USER);
    parla_runtime_destroy(rt);
}

static int always_fail(parla_context *context, void *arg)
{
    pl_add_acq_rel((_Atomic int *)arg, 1);
    return parla_fail(context, PARLA_E_USER, "again");
}

/* A cancel that comes at any moment between tries ends the task once, and the runtime comes to rest. */
T_TEST(cancels_between_tries)
{
    parla_runtime *rt = start("sim:1");
    parla_demand any = on_gpu(PARLA_ANY_NUMBER);
    parla_choice choice = {&any, 1};
    for (uint64_t i = 0; i < t_scale(200); i++) {
        _Atomic int n_tries = 0;
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = always_fail;
        options.arg = &n_tries;
        options.n_retries = 1 << 30;
        options.choices = i % 2 ? &choice : NULL;
        options.n_choices = i % 2;
        parla_task task = spawn_with(rt, &options);
        int n_wanted = (int)(i % 4);
        T_EVENTUALLY(pl_load_acquire(&n_tries) >= n_wanted, 20000);
        int rc = parla_task_cancel(task);
        T_TRUE(rc == 0 || rc == PARLA_PENDING);
        rc = finish(rt, task);
        T_TRUE(rc == PARLA_E_CANCELLED || rc == PARLA_E_USER);
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_destroy(rt);
}
