/* test_ahead.c - tasks that start behind the work of others before that is done: on "silent", which is sim without bodies of its own, where a
 * gate stands in the first task's queue; and on CUDA devices of the fake driver, which is paused, and which judges the order of all accesses.
 *
 * A chain of copies inside one array tells whether the order is right: the value that the first step writes must arrive at its end. */
#include "base/atomic.h"
#include "fakecuda/fakecuda.h"
#include "placed_fixture.h"
#include "sched/runtime.h"
#include "silent_backend.h"

#include <parla/event.h>
#include <parla/native.h>

enum { N_STEPS = 20, VALUE = 77 };

/* --- Work that waits until the test lets it go -------------------------------------------------------------------------------- */

typedef struct rig {
    parla_runtime *rt;
    bool is_cuda;
    gate g;
    parla_task go; /* an event, so that what is spawned starts only when all of it is known */
    unsigned char value;
    _Atomic int n_bodies;
} rig;

static void rig_open(rig *r, const char *devices, bool is_cuda)
{
    *r = (rig){.rt = start(devices), .is_cuda = is_cuda, .g = GATE_INIT, .value = VALUE};
    T_OK(parla_event_create(r->rt, &r->go, "go"));
    if (is_cuda)
        fakecuda()->pause(true);
}

static void let_start(rig *r)
{
    T_OK(parla_event_complete(r->go, 0, NULL));
    parla_task_unref(r->go);
}

static void let_work(rig *r)
{
    if (r->is_cuda)
        fakecuda()->pause(false);
    gate_open(&r->g);
}

#define ON_BOTH(name, n_devices)                                                                                                   \
    static void name(rig *r);                                                                                                      \
    T_TEST(silent_##name)                                                                                                          \
    {                                                                                                                              \
        rig r;                                                                                                                     \
        rig_open(&r, n_devices > 1 ? "silent:2" : "silent", false);                                                                \
        name(&r);                                                                                                                  \
        parla_runtime_destroy(r.rt);                                                                                               \
    }                                                                                                                              \
    T_TEST(cuda_##name)                                                                                                            \
    {                                                                                                                              \
        if (!fakecuda())                                                                                                           \
            T_SKIP("the fake driver is not there");                                                                                \
        rig r;                                                                                                                     \
        rig_open(&r, n_devices > 1 ? "cuda:0,cuda:1" : "cuda:0", true);                                                            \
        name(&r);                                                                                                                  \
        parla_runtime_destroy(r.rt);                                                                                               \
        T_EQ(fakecuda_n_wrong(), 0);                                                                                               \
    }                                                                                                                              \
    static void name(rig *r)

/* --- Bodies ------------------------------------------------------------------------------------------------------------------- */

typedef struct step {
    rig *r;
    int from, to; /* elements of the array; from < 0: the value */
    bool is_first, holds;
} step;

static parla_strided byte_at(unsigned char *base)
{
    return (parla_strided){.base = base, .item_bytes = 1, .ndim = 1, .extent = {1}, .stride = {1}};
}

static int step_body(parla_context *context, void *arg)
{
    const step *s = arg;
    int i_device = parla_context_device(context, 0);
    if (s->is_first && !s->r->is_cuda)
        T_OK(pl_backend_sim.queue_call(parla_context_queue(context, 0), gate_pass, &s->r->g));
    if (s->holds)
        T_OK(parla_hold(context, 1));
    if (s->to >= 0) {
        unsigned char *bytes = bytes_of(context, 0);
        parla_strided dst = byte_at(bytes + s->to), src = byte_at(s->from < 0 ? &s->r->value : bytes + s->from);
        T_OK(parla_context_copy(context, 0, &dst, i_device, &src, s->from < 0 ? 0 : i_device));
    }
    pl_add_acq_rel(&s->r->n_bodies, 1);
    return 0;
}

static step first_step(rig *r) { return (step){r, -1, 0, true, false}; }

static parla_task spawn_step(step *s, parla_demand demand, parla_data *data, int mode, const parla_task *before, unsigned flags)
{
    parla_task task, deps[2] = {s->r->go, before ? *before : PARLA_TASK_NONE};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    const parla_choice choice = {&demand, 1};
    const parla_access access = {.data = data, .mode = mode};
    options.body = step_body;
    options.arg = s;
    options.name = s->is_first ? "first" : "step";
    options.flags = flags;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = data ? 1 : 0;
    options.deps = deps;
    options.n_deps = 2;
    T_OK(parla_task_create(s->r->rt, &task, options.name));
    options.task = task;
    T_OK(parla_task_spawn(s->r->rt, NULL, &options));
    return task;
}

static int n_bodies(rig *r) { return pl_load_acquire(&r->n_bodies); }

/* --- Who runs ahead ----------------------------------------------------------------------------------------------------------- */

ON_BOTH(a_chain_on_an_array_is_launched_without_a_wait, 1)
{
    step steps[N_STEPS];
    parla_task tasks[N_STEPS];
    parla_data *data = make_array("a", NULL, N_STEPS);
    for (int i = 0; i < N_STEPS; i++) {
        steps[i] = (step){r, i - 1, i, i == 0, false};
        tasks[i] = spawn_step(&steps[i], on_gpu(0), data, i == 0 ? PARLA_OUT : PARLA_INOUT, NULL, 0);
    }
    let_start(r);
    T_EVENTUALLY(n_bodies(r) == N_STEPS, 20000);
    for (int i = 0; i < N_STEPS; i++)
        T_FALSE(parla_task_has_ended(tasks[i]));
    let_work(r);
    for (int i = 0; i < N_STEPS; i++)
        T_EQ(finish(r->rt, tasks[i]), 0);
    parla_instance here;
    T_OK(parla_data_acquire(r->rt, data, PARLA_IN, PARLA_FOREVER, &here));
    T_EQ(((unsigned char *)here.box.base)[N_STEPS - 1], VALUE);
    parla_data_release(data, PARLA_IN);
    parla_data_unref(data);
}

ON_BOTH(a_chain_of_names_is_launched_without_a_wait, 1)
{
    step first = first_step(r), more = {r, -1, -1, false, false};
    parla_task tasks[N_STEPS];
    parla_data *data = make_array("a", NULL, 1);
    tasks[0] = spawn_step(&first, on_gpu(0), data, PARLA_OUT, NULL, 0);
    for (int i = 1; i < N_STEPS; i++)
        tasks[i] = spawn_step(&more, on_gpu(0), NULL, 0, &tasks[i - 1], 0);
    let_start(r);
    T_EVENTUALLY(n_bodies(r) == N_STEPS, 20000);
    T_FALSE(parla_task_has_ended(tasks[N_STEPS - 1]));
    let_work(r);
    for (int i = 0; i < N_STEPS; i++)
        T_EQ(finish(r->rt, tasks[i]), 0);
    parla_data_unref(data);
}

ON_BOTH(names_are_followed_on_another_device, 2)
{
    step first = first_step(r), more = {r, -1, -1, false, false};
    parla_data *data = make_array("a", NULL, 1);
    parla_task a = spawn_step(&first, on_gpu(0), data, PARLA_OUT, NULL, 0), b = spawn_step(&more, on_gpu(1), NULL, 0, &a, 0);
    let_start(r);
    T_EVENTUALLY(n_bodies(r) == 2, 20000);
    T_FALSE(parla_task_has_ended(a) || parla_task_has_ended(b));
    let_work(r);
    T_EQ(finish(r->rt, b), 0);
    T_EQ(finish(r->rt, a), 0);
    parla_data_unref(data);
}

/* The first of two readers gets the queue of what they follow; that of the other one waits for an event. */
ON_BOTH(two_follow_one, 1)
{
    step write = first_step(r), read[2] = {{r, 0, 1, false, false}, {r, 0, 2, false, false}};
    parla_data *data = make_array("a", NULL, 3);
    parla_task a = spawn_step(&write, on_gpu(0), data, PARLA_OUT, NULL, 0), readers[2];
    for (int i = 0; i < 2; i++)
        readers[i] = spawn_step(&read[i], on_gpu(0), data, PARLA_IN, NULL, 0);
    let_start(r);
    T_EVENTUALLY(n_bodies(r) == 3, 20000);
    let_work(r);
    for (int i = 0; i < 2; i++)
        T_EQ(finish(r->rt, readers[i]), 0);
    T_EQ(finish(r->rt, a), 0);
    parla_instance here;
    T_OK(parla_data_acquire(r->rt, data, PARLA_IN, PARLA_FOREVER, &here));
    T_EQ(((unsigned char *)here.box.base)[1], VALUE);
    T_EQ(((unsigned char *)here.box.base)[2], VALUE);
    parla_data_release(data, PARLA_IN);
    parla_data_unref(data);
}

/* The copy is queued behind the work at once; the body is called when it has come. */
ON_BOTH(copies_to_another_device_wait_in_their_queue, 2)
{
    step first = first_step(r), more = {r, 0, 1, false, false};
    parla_data *data = make_array("a", NULL, 2);
    uint64_t n_before = copies_between(r->rt, 1, 2);
    parla_task a = spawn_step(&first, on_gpu(0), data, PARLA_OUT, NULL, 0);
    parla_task b = spawn_step(&more, on_gpu(1), data, PARLA_INOUT, NULL, 0);
    let_start(r);
    T_EVENTUALLY(parla_task_query(b) >= PARLA_TASK_RESERVED, 20000);
    T_EQ(parla_task_query(b), PARLA_TASK_RESERVED); /* not in its body yet, nor failed because the driver refused the copy */
    T_FALSE(parla_task_has_ended(a));
    let_work(r);
    T_EQ(finish(r->rt, b), 0);
    T_EQ(finish(r->rt, a), 0);
    T_EQ(copies_between(r->rt, 1, 2), n_before + 1);
    parla_instance here;
    T_OK(parla_data_acquire(r->rt, data, PARLA_IN, PARLA_FOREVER, &here));
    T_EQ(((unsigned char *)here.box.base)[1], VALUE);
    parla_data_release(data, PARLA_IN);
    parla_data_unref(data);
}

/* A writer behind a reader, whose content it does not need, on the same device and on another. */
static void check_writer_behind_reader(rig *r, int number)
{
    step write = {r, -1, 0, false, false}, read = {r, 0, 1, true, false}, again = {r, -1, 0, false, false};
    parla_data *data = make_array("a", NULL, 2);
    parla_task a = spawn_step(&write, on_gpu(0), data, PARLA_OUT, NULL, 0);
    parla_task b = spawn_step(&read, on_gpu(0), data, PARLA_IN, NULL, 0);
    parla_task c = spawn_step(&again, on_gpu(number), data, PARLA_OUT, NULL, 0);
    let_start(r);
    T_EVENTUALLY(n_bodies(r) == 3, 20000);
    T_FALSE(parla_task_has_ended(c));
    let_work(r);
    T_EQ(finish(r->rt, c), 0);
    T_EQ(finish(r->rt, b), 0);
    T_EQ(finish(r->rt, a), 0);
    T_EQ(host_byte(r->rt, data), VALUE);
    parla_data_unref(data);
}

ON_BOTH(a_writer_follows_a_reader, 1) { check_writer_behind_reader(r, 0); }
ON_BOTH(a_writer_follows_a_reader_elsewhere, 2) { check_writer_behind_reader(r, 1); }

/* --- Who does not ------------------------------------------------------------------------------------------------------------- */

/* Spawns `first`, and a task that would follow it; its body must not be called before the work of the first is done. */
static void check_waits(rig *r, step *first, parla_demand demand, unsigned flags)
{
    step more = {r, -1, -1, false, false};
    parla_data *data = make_array("a", NULL, 1);
    parla_task a = spawn_step(first, on_gpu(0), data, PARLA_OUT, NULL, flags), b = spawn_step(&more, demand, NULL, 0, &a, 0);
    let_start(r);
    T_EVENTUALLY(parla_task_query(a) == PARLA_TASK_LAUNCHED, 20000);
    T_EQ(parla_task_query(b), PARLA_TASK_WAITING);
    let_work(r);
    if (first->holds) {
        T_EQ(parla_task_query(b), PARLA_TASK_WAITING);
        T_OK(parla_release(a, 0, NULL));
    }
    T_EQ(finish(r->rt, b), 0);
    T_EQ(finish(r->rt, a), 0);
    parla_data_unref(data);
}

ON_BOTH(the_host_waits, 1)
{
    step first = first_step(r);
    check_waits(r, &first, on_cpu(), 0);
}

ON_BOTH(what_could_run_on_the_host_waits, 1)
{
    step first = first_step(r);
    check_waits(r, &first, (parla_demand){PARLA_ARCH_ANY, PARLA_ANY_NUMBER, 0, 0}, 0);
}

ON_BOTH(nothing_follows_who_asks_for_that, 1)
{
    step first = first_step(r);
    check_waits(r, &first, on_gpu(0), PARLA_TASK_NO_RUNAHEAD);
}

ON_BOTH(nothing_follows_a_hold, 1)
{
    step first = first_step(r);
    first.holds = true;
    check_waits(r, &first, on_gpu(0), 0);
}

/* --- Failures ----------------------------------------------------------------------------------------------------------------- */

/* The first of a chain fails when the rest is launched; what only the order put behind it does not mind. */
ON_BOTH(a_failure_reaches_all_that_ran_ahead, 1)
{
    enum { N = 6 };
    step steps[N], other = {r, -1, -1, false, false};
    parla_task tasks[N];
    parla_data *data = make_array("a", NULL, N);
    for (int i = 0; i < N; i++) {
        steps[i] = (step){r, i - 1, i, i == 0, false};
        tasks[i] = spawn_step(&steps[i], on_gpu(0), data, i == 0 ? PARLA_OUT : PARLA_INOUT, NULL, 0);
    }
    parla_task after = spawn_step(&other, on_cpu(), NULL, 0, &tasks[N - 1], 0);
    if (!r->is_cuda)
        pl_sim_inject(r->rt->place.devices.list[1].handle, 0, 1);
    let_start(r);
    T_EVENTUALLY(n_bodies(r) == N, 20000);
    if (r->is_cuda)
        fakecuda()->fail_work(1, 700);
    let_work(r);
    T_EQ(parla_task_wait(r->rt, &after, 1, PARLA_FOREVER), PARLA_E_CANCELLED);
    T_EQ(n_bodies(r), N);
    for (int i = 0; i < N; i++) {
        T_EQ(parla_task_query(tasks[i]), i == 0 ? PARLA_TASK_FAILED : PARLA_TASK_CANCELLED);
        parla_failure *failure = parla_task_failure(tasks[i]);
        T_EQ(parla_failure_code(failure), i == 0 ? PARLA_E_DEVICE : PARLA_E_CANCELLED);
        parla_failure_unref(failure);
        parla_task_unref(tasks[i]);
    }
    parla_task_unref(after);
    parla_data_unref(data);
}
