/* test_pump.c - from queued to launched: priorities, backfill, ageing, suspension. */
#include "placed_fixture.h"

enum { KIB = 1024, N_ORDER = 24 };

static int order[N_ORDER];
static _Atomic int n_in_order;

static int note_order(parla_context *context, void *arg)
{
    (void)context;
    order[atomic_fetch_add(&n_in_order, 1)] = *(int *)arg;
    return 0;
}

/* While the device is busy tasks queue up; the most urgent start first. The three that stand before the queue already keep
 * their turn. */
T_TEST(urgent_tasks_start_first)
{
    int priorities[N_ORDER];
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1");
    parla_task first = spawn(rt, pass_gate, &closed, on_gpu(0), NULL, 0);
    parla_demand gpu = on_gpu(0);
    parla_choice choice = {&gpu, 1};
    for (int i = 0; i < N_ORDER; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        priorities[i] = i * 7 % N_ORDER;
        options.body = note_order;
        options.arg = &priorities[i];
        options.choices = &choice;
        options.n_choices = 1;
        options.priority = priorities[i];
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
    gate_open(&closed);
    T_OK(finish(rt, first));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    int n_late = 0;
    for (int i = 1; i < N_ORDER; i++)
        n_late += order[i] > order[i - 1];
    T_LE(n_late, 3);
    parla_runtime_destroy(rt);
}

T_TEST(small_tasks_pass_a_large_one)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start_with("cpu", NULL, 2);
    parla_demand half = on_cpu(), whole = on_cpu();
    half.vcus = 0.5;
    whole.vcus = 1;
    parla_task busy = spawn(rt, pass_gate, &closed, half, NULL, 0);
    parla_task large = spawn(rt, do_nothing, NULL, whole, NULL, 0);
    for (int i = 0; i < 10; i++)
        T_OK(finish(rt, spawn(rt, do_nothing, NULL, half, NULL, 0)));
    T_FALSE(parla_task_has_ended(large));
    gate_open(&closed);
    T_OK(finish(rt, busy));
    T_OK(finish(rt, large));
    parla_runtime_destroy(rt);
}

/* After 64 have passed it nobody passes any more. */
T_TEST(a_large_task_cannot_starve)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start_with("cpu", NULL, 2);
    parla_demand half = on_cpu(), whole = on_cpu();
    half.vcus = 0.5;
    whole.vcus = 1;
    parla_task busy = spawn(rt, pass_gate, &closed, half, NULL, 0);
    T_EVENTUALLY(device_info(rt, 0).free_vcus == 0.5, 5000);
    parla_task large = spawn(rt, do_nothing, NULL, whole, NULL, 0);
    for (int i = 0; i < 64; i++)
        T_OK(finish(rt, spawn(rt, do_nothing, NULL, half, NULL, 0)));
    parla_task late = spawn(rt, do_nothing, NULL, half, NULL, 0);
    T_EQ(parla_task_wait(rt, &late, 1, 2000000), PARLA_E_TIMEOUT);
    T_EQ(parla_task_query(late), PARLA_TASK_READY);
    gate_open(&closed);
    T_OK(finish(rt, busy));
    T_OK(finish(rt, large));
    T_OK(finish(rt, late));
    parla_runtime_destroy(rt);
}

typedef struct parent {
    gate may_spawn;
    int child_result;
} parent;

static int wait_for_child(parla_context *context, void *arg)
{
    parent *self = arg;
    parla_demand half = on_cpu();
    half.vcus = 0.5;
    gate_pass(&self->may_spawn);
    self->child_result =
        finish(parla_context_runtime(context), spawn(parla_context_runtime(context), do_nothing, NULL, half, NULL, 0));
    return 0;
}

/* A device is kept for a large task. What runs there waits for its child, which needs the device too: the child passes, for the large one waits
 * for it, whatever it does. */
T_TEST(a_kept_device_takes_whom_its_holders_wait_for)
{
    parent self = {.may_spawn = GATE_INIT, .child_result = 1};
    parla_runtime *rt = start_with("cpu", NULL, 2);
    parla_demand half = on_cpu(), whole = on_cpu();
    half.vcus = 0.5;
    whole.vcus = 1;
    parla_task holder = spawn(rt, wait_for_child, &self, half, NULL, 0);
    T_EVENTUALLY(device_info(rt, 0).free_vcus == 0.5, 5000);
    parla_task large = spawn(rt, do_nothing, NULL, whole, NULL, 0);
    for (int i = 0; i < 64; i++)
        T_OK(finish(rt, spawn(rt, do_nothing, NULL, half, NULL, 0)));
    gate_open(&self.may_spawn);
    T_OK(finish(rt, holder));
    T_EQ(self.child_result, 0);
    T_OK(finish(rt, large));
    parla_runtime_destroy(rt);
}

T_TEST(queued_tasks_can_be_cancelled)
{
    gate closed = GATE_INIT;
    parla_task tasks[20];
    parla_runtime *rt = start("sim:1");
    parla_task first = spawn(rt, pass_gate, &closed, on_gpu(0), NULL, 0);
    for (int i = 0; i < 20; i++)
        tasks[i] = spawn(rt, do_nothing, NULL, on_gpu(0), NULL, 0);
    int n_cancelled = 0;
    for (int i = 0; i < 20; i += 2)
        n_cancelled += parla_task_cancel(tasks[i]) == 0;
    T_GE(n_cancelled, 7); /* all but those handed over already */
    gate_open(&closed);
    T_OK(finish(rt, first));
    for (int i = 0; i < 20; i++) {
        int rc = finish(rt, tasks[i]);
        n_cancelled -= rc == PARLA_E_CANCELLED;
    }
    T_EQ(n_cancelled, 0);
    parla_runtime_destroy(rt);
}

/* --- Suspension --------------------------------------------------------------------------------------------------------------- */

typedef struct nap {
    parla_task event;
    int n_calls;
    int i_device[2];
} nap;

static int nap_body(parla_context *context, void *arg)
{
    nap *n = arg;
    n->i_device[n->n_calls] = parla_context_device(context, 0);
    bytes_of(context, 0)[0]++;
    if (n->n_calls++ > 0)
        return 0;
    T_OK(parla_suspend_on(context, &n->event, 1));
    return PARLA_SUSPENDED;
}

T_TEST(a_suspended_task_gives_back_and_reserves_anew)
{
    unsigned char memory[40 * KIB] = {10}, value = 1;
    nap n = {.n_calls = 0};
    parla_runtime *rt = start("sim:2,mem=64KiB");
    parla_data *data = make_array("x", memory, sizeof memory), *other = make_array("other", NULL, 60 * KIB);
    parla_demand demand = on_gpu(1);
    demand.memory_bytes = 20 * KIB;
    demand.vcus = 1;
    T_OK(parla_event_create(rt, &n.event, "alarm"));
    parla_task task = spawn(rt, nap_body, &n, demand, data, PARLA_INOUT);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_SUSPENDED, 5000);
    T_EQ(device_info(rt, 2).reserved_bytes, 0);
    T_NEAR(device_info(rt, 2).free_vcus, 1, 0);
    /* Another task takes all of the device: the first one's array is written back. */
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(1), other, PARLA_OUT)));
    T_OK(parla_event_complete(n.event, 0, NULL));
    parla_task_unref(n.event);
    T_OK(finish(rt, task));
    T_EQ(n.n_calls, 2);
    T_EQ(n.i_device[0], 2);
    T_EQ(n.i_device[1], 2);
    T_EQ(host_byte(rt, data), 12);
    T_EQ(host_byte(rt, other), 1);
    parla_data_unref(data);
    parla_data_unref(other);
    parla_runtime_destroy(rt);
}
