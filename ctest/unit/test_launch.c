/* test_launch.c - work that a body leaves in a device's queue keeps its task from ending: on "silent", which is sim without bodies of its
 * own, where a gate stands in the queue; and on CUDA devices: of the fake driver, or of a real one where that needs no judge. */
#include "base/atomic.h"
#include "fakecuda/fakecuda.h"
#include "placed_fixture.h"
#include "silent_backend.h"

#include <parla/event.h>
#include <stdlib.h>

/* A body that queues a gate, as a kernel that takes a while. */
static int queue_gate(parla_context *context, void *arg)
{
    void *queue = parla_context_queue(context, 0);
    T_TRUE(queue != NULL);
    T_OK(pl_backend_sim.queue_call(queue, gate_pass, arg));
    return 0;
}

static int queue_gate_and_fail(parla_context *context, void *arg)
{
    (void)queue_gate(context, arg);
    return parla_fail(context, PARLA_E_USER, "behind the gate");
}

static int note(parla_context *context, void *arg)
{
    (void)context;
    pl_store_release((_Atomic int *)arg, 1);
    return 0;
}

static parla_task spawn_behind(parla_runtime *rt, parla_body body, void *arg, parla_demand demand, parla_task before)
{
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    const parla_choice choice = {&demand, 1};
    options.body = body;
    options.arg = arg;
    options.name = "behind";
    options.choices = &choice;
    options.n_choices = 1;
    options.deps = &before;
    options.n_deps = 1;
    T_OK(parla_task_create(rt, &task, "behind"));
    options.task = task;
    T_OK(parla_task_spawn(rt, NULL, &options));
    return task;
}

T_TEST(a_task_is_launched_until_its_work_is_done)
{
    parla_runtime *rt = start("silent");
    gate g = GATE_INIT;
    _Atomic int has_run = 0;
    parla_task task = spawn(rt, queue_gate, &g, on_gpu(0), NULL, 0);
    parla_task after = spawn_behind(rt, note, (void *)&has_run, on_cpu(), task);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    T_EQ(parla_task_wait(rt, &task, 1, 1000000), PARLA_E_TIMEOUT);
    T_EQ(pl_load_acquire(&has_run), 0);
    gate_open(&g);
    T_EQ(finish(rt, task), 0);
    T_EQ(finish(rt, after), 0);
    T_EQ(pl_load_acquire(&has_run), 1);
    parla_runtime_destroy(rt);
}

T_TEST(a_body_that_fails_ends_when_its_work_is_done)
{
    parla_runtime *rt = start("silent");
    gate g = GATE_INIT;
    parla_task task = spawn(rt, queue_gate_and_fail, &g, on_gpu(0), NULL, 0);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    gate_open(&g);
    T_EQ(finish(rt, task), PARLA_E_USER);
    parla_runtime_destroy(rt);
}

/* --- On CUDA ------------------------------------------------------------------------------------------------------------------ */

/* Fills the array with *arg, in the task's stream. */
static int fill_there(parla_context *context, void *arg)
{
    parla_instance here;
    int (*fill)(unsigned long long dst, unsigned char value, size_t n_bytes, void *stream);
    int (*get)(const char *name, void **out, int version, uint64_t flags, int *status);
    int status;
    T_OK(parla_context_instance(context, 0, &here));
    *(void **)&get = dlsym(dlopen("libcuda.so.1", RTLD_NOW), "cuGetProcAddress_v2");
    T_EQ(get("cuMemsetD8Async", (void **)&fill, 3020, 0, &status), 0);
    int rc = fill((uintptr_t)here.box.base, *(unsigned char *)arg, (size_t)here.box.extent[0], parla_context_queue(context, 0));
    return rc == 0 ? 0 : parla_fail(context, PARLA_E_DEVICE, "cuMemsetD8Async: %d", rc);
}

/* How many cards a driver shows, real or not. */
static int n_cards(void)
{
    const parla_backend *backend = parla_backend_find("cuda");
    return backend ? backend->probe() : 0;
}

static const char *four_devices(void) { return n_cards() > 1 ? "cuda:0,cuda:0,cuda:1,cuda:1" : "cuda:0,cuda:0,cuda:0,cuda:0"; }

static void check_fill(const char *devices, int number)
{
    if (n_cards() < 1)
        T_SKIP("there is no driver with a card");
    parla_runtime *rt = start(devices);
    parla_data *data = make_array("a", NULL, 1000);
    unsigned char value = 77;
    if (fakecuda())
        fakecuda()->delay(2000);
    parla_task task = spawn(rt, fill_there, &value, on_gpu(number), data, PARLA_OUT);
    T_EQ(host_byte(rt, data), 77);
    T_EQ(finish(rt, task), 0);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(cuda_results_are_there_when_the_task_has_ended) { check_fill("cuda:0", 0); }
T_TEST(cuda_the_same_on_the_last_of_four) { check_fill(four_devices(), 3); }

T_TEST(cuda_a_task_is_launched_meanwhile)
{
    if (!fakecuda())
        T_SKIP("only the driver in host memory does that on request");
    parla_runtime *rt = start("cuda:0");
    parla_data *data = make_array("a", NULL, 10);
    unsigned char value = 1;
    fakecuda()->pause(true);
    parla_task task = spawn(rt, fill_there, &value, on_gpu(0), data, PARLA_OUT);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    fakecuda()->pause(false);
    T_EQ(finish(rt, task), 0);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(cuda_failed_work_fails_the_task_with_the_drivers_words)
{
    if (!fakecuda())
        T_SKIP("only the driver in host memory does that on request");
    parla_runtime *rt = start("cuda:0");
    parla_data *data = make_array("a", NULL, 10);
    unsigned char value = 1;
    fakecuda()->pause(true);
    parla_task task = spawn(rt, fill_there, &value, on_gpu(0), data, PARLA_OUT);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_LAUNCHED, 10000);
    fakecuda()->fail_work(1, 700);
    fakecuda()->pause(false);
    T_EQ(parla_task_wait(rt, &task, 1, PARLA_FOREVER), PARLA_E_DEVICE);
    parla_failure *failure = parla_task_failure(task);
    T_HAS_STR(parla_failure_message(failure), "CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was encountered");
    T_HAS_STR(parla_failure_message(failure), "gpu[0] (cuda)");
    parla_failure_unref(failure);
    parla_task_unref(task);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* Arrays wander between the host and four devices; the driver judges every copy. */
T_TEST(cuda_arrays_wander)
{
    if (n_cards() < 1)
        T_SKIP("there is no driver with a card");
    parla_runtime *rt = start(four_devices());
    parla_data *data[3];
    unsigned char value[60];
    parla_task task[60];
    for (int i = 0; i < 3; i++)
        data[i] = make_array("a", NULL, 100 + i);
    for (int i = 0; i < 60; i++) {
        value[i] = (unsigned char)(i + 1);
        task[i] = spawn(rt, fill_there, &value[i], on_gpu(i % 4), data[i % 3], i < 3 ? PARLA_OUT : PARLA_INOUT);
    }
    for (int i = 0; i < 60; i++)
        T_EQ(finish(rt, task[i]), 0);
    for (int i = 0; i < 3; i++) {
        T_EQ(host_byte(rt, data[i]), 58 + i);
        parla_data_unref(data[i]);
    }
    parla_runtime_destroy(rt);
}
