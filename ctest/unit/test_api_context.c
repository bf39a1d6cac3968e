/* test_api_context.c - what a body learns from its context, and what it can ask of it. */
#include "runtime_fixture.h"

#include <stdlib.h>

T_TEST(outside_of_bodies_there_is_no_context)
{
    open_runtime(1);
    T_TRUE(parla_current() == NULL);
    close_runtime();
}

typedef struct seen {
    parla_context *context;
    parla_task task;
    size_t n_devices;
    int device;
} seen;

static int look(parla_context *context, void *arg)
{
    seen *self = arg;
    T_TRUE(parla_current() == context);
    T_TRUE(parla_context_runtime(context) == rt);
    self->context = context;
    self->task = parla_context_task(context);
    self->n_devices = parla_context_n_devices(context);
    self->device = parla_context_device(context, 0);
    T_EQ(parla_context_device(context, 1), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "member 1");
    T_TRUE(parla_context_queue(context, 0) == NULL);
    T_FALSE(parla_context_is_cancelled(context));
    return 0;
}

T_TEST(a_cpu_task_is_on_device_0)
{
    seen self = {0};
    open_runtime(1);
    parla_task task = spawn(look, &self, NULL, 0);
    T_OK(wait_for(task));
    T_TRUE(parla_task_equal(self.task, task));
    T_EQ(self.n_devices, 1);
    T_EQ(self.device, 0);
    close_runtime();
}

static int wait_for_inner(parla_context *context, void *arg)
{
    seen *inner = arg;
    parla_task task;
    T_OK(parla_spawn(rt, &task, look, inner, NULL, 0));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    T_TRUE(parla_current() == context); /* again, if the inner one ran on this thread */
    T_TRUE(inner->context != context);
    T_TRUE(parla_task_equal(inner->task, task));
    return 0;
}

T_TEST(each_body_has_its_own_context)
{
    seen inner = {0};
    open_runtime(1);
    T_OK(wait_for(spawn(wait_for_inner, &inner, NULL, 0)));
    close_runtime();
}

static int see_sim(parla_context *context, void *arg)
{
    seen *self = arg;
    self->n_devices = parla_context_n_devices(context);
    self->device = parla_context_device(context, 0);
    T_TRUE(parla_context_queue(context, 0) != NULL); /* work goes to a stream of the device */
    return 0;
}

T_TEST(a_gpu_task_sees_its_device_and_queue)
{
    seen self = {0};
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2;
    options.devices = "sim:2";
    T_OK(parla_runtime_create(&rt, &options));
    parla_demand gpu = {.arch = PARLA_ARCH_GPU, .number = 1};
    parla_choice choice = {&gpu, 1};
    parla_task_options task = PARLA_TASK_OPTIONS_INIT;
    task.body = see_sim;
    task.arg = &self;
    task.choices = &choice;
    task.n_choices = 1;
    T_OK(parla_task_spawn(rt, NULL, &task));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    int i_device;
    T_OK(parla_device_find(rt, PARLA_ARCH_GPU, 1, &i_device));
    T_EQ(self.n_devices, 1);
    T_EQ(self.device, i_device);
    close_runtime();
}

/* --- Asking to be suspended --------------------------------------------------------------------------------------------------- */

static int ask_wrongly(parla_context *context, void *arg)
{
    parla_task *foreign = arg, self = parla_context_task(context);
    T_EQ(parla_suspend_on(context, &self, 1), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "itself");
    T_EQ(parla_suspend_on(context, foreign, 1), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "another runtime");
    T_EQ(parla_hold(context, 0), PARLA_E_INVALID);
    T_EQ(parla_hold(context, -1), PARLA_E_INVALID);
    return 0;
}

T_TEST(what_makes_no_sense_is_refused)
{
    parla_runtime *other;
    parla_task foreign;
    open_runtime(1);
    T_OK(parla_runtime_create(&other, NULL));
    T_OK(parla_task_create(other, &foreign, "x"));
    T_OK(wait_for(spawn(ask_wrongly, &foreign, NULL, 0)));
    parla_task_unref(foreign);
    parla_runtime_destroy(other);
    close_runtime();
}

static int yield_often(parla_context *context, void *arg)
{
    int *n_left = arg;
    if ((*n_left)-- == 0)
        return 0;
    T_OK(parla_suspend_on(context, NULL, 0)); /* on nothing: lets others go first */
    return PARLA_SUSPENDED;
}

T_TEST(suspending_on_nothing_comes_back)
{
    int n_left = 100;
    open_runtime(1);
    T_OK(wait_for(spawn(yield_often, &n_left, NULL, 0)));
    T_EQ(n_left, -1);
    close_runtime();
}

/* The task that is awaited has ended, and the one that awaits it lives in its memory. */
static int await_the_one_before(parla_context *context, void *arg)
{
    parla_task *before = arg, self = parla_context_task(context);
    if (before->object != self.object)
        return 0;
    T_NE(before->generation, self.generation);
    T_OK(parla_suspend_on(context, before, 1));
    *before = PARLA_TASK_NONE;
    return PARLA_SUSPENDED;
}

static int spawn_twice(parla_context *context, void *arg)
{
    (void)context;
    parla_task none = PARLA_TASK_NONE, *before = arg;
    do { /* mostly this thread runs the first one, and has its memory back for the second */
        *before = spawn(await_the_one_before, &none, NULL, 0);
        T_OK(wait_for(*before));
        T_OK(wait_for(spawn(await_the_one_before, before, NULL, 0)));
    } while (!parla_task_is_none(*before));
    return 0;
}

T_TEST(an_older_task_in_the_same_memory_is_another)
{
    parla_task before;
    open_runtime(1);
    T_OK(parla_spawn(rt, NULL, spawn_twice, &before, NULL, 0));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_TRUE(parla_task_is_none(before));
    close_runtime();
}

/* --- Failing ------------------------------------------------------------------------------------------------------------------ */

static _Atomic int n_released;

static void release(void *payload)
{
    pl_add_acq_rel(&n_released, 1);
    free(payload);
}

static int fail_variously(parla_context *context, void *arg)
{
    T_EQ(parla_fail(context, 0, "zero is no failure"), PARLA_E_USER);
    T_EQ(parla_fail(context, 5, "nor is a positive number"), PARLA_E_USER);
    T_EQ(parla_fail_with(context, PARLA_E_DEVICE, malloc(1), release, "replaced"), PARLA_E_DEVICE);
    return parla_fail_with(context, PARLA_E_SYSTEM, malloc(1), release, "%s, %d", (const char *)arg, 2);
}

T_TEST(a_failure_has_code_words_and_payload)
{
    open_runtime(1);
    parla_task task = spawn_as(PARLA_TASK_NONE, "t", fail_variously, (void *)"words", NULL, 0);
    T_EQ(wait_for(task), PARLA_E_SYSTEM);
    parla_failure *failure = parla_task_failure(task);
    T_EQ(parla_failure_code(failure), PARLA_E_SYSTEM);
    T_EQ_STR(parla_failure_message(failure), "words, 2");
    T_EQ_STR(parla_failure_task_name(failure), "t");
    T_TRUE(parla_failure_payload(failure) != NULL);
    T_EQ(n_released, 1); /* what was replaced */
    parla_failure_unref(failure);
    close_runtime();
    T_EQ(n_released, 2);
}
