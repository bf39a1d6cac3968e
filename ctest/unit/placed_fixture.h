/* placed_fixture.h - what the tests of the placed path need again and again: a runtime, arrays of bytes, tasks on them, a closed
 * gate. */
#ifndef PARLA_TEST_PLACED_FIXTURE_H
#define PARLA_TEST_PLACED_FIXTURE_H

#include "gate.h"
#include "test.h"

#include <parla/parla.h>

#include <stdatomic.h>

static inline parla_runtime *start_with(const char *devices, const char *policy, int n_workers)
{
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = devices;
    options.policy = policy;
    options.n_workers = n_workers;
    T_OK(parla_runtime_create(&rt, &options));
    return rt;
}

static inline parla_runtime *start(const char *devices) { return start_with(devices, NULL, 2); }

/* An array of bytes; `given` may be NULL. */
static inline parla_data *make_array(const char *name, void *given, int64_t n_bytes)
{
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.name = name;
    options.host = (parla_strided){.base = given, .item_bytes = 1, .ndim = 1, .extent = {n_bytes}, .stride = {1}};
    T_OK(parla_data_create(&data, &options));
    return data;
}

static inline parla_demand on_gpu(int number) { return (parla_demand){PARLA_ARCH_GPU, number, 0, 0}; }
static inline parla_demand on_cpu(void) { return (parla_demand){PARLA_ARCH_CPU, PARLA_ANY_NUMBER, 0, 0}; }

/* One task, on one device, with one array or none. Its reference is the caller's. */
static inline int try_spawn(parla_runtime *rt, parla_task *out, parla_body body, void *arg, parla_demand demand, parla_data *data,
                            int mode)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    const parla_choice choice = {&demand, 1};
    parla_access access = {.data = data, .mode = mode};
    options.body = body;
    options.arg = arg;
    options.name = "task";
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = data ? 1 : 0;
    T_OK(parla_task_create(rt, out, "task"));
    options.task = *out;
    int rc = parla_task_spawn(rt, NULL, &options);
    if (rc < 0)
        parla_task_unref(*out);
    return rc;
}

static inline parla_task spawn(parla_runtime *rt, parla_body body, void *arg, parla_demand demand, parla_data *data, int mode)
{
    parla_task task;
    T_OK(try_spawn(rt, &task, body, arg, demand, data, mode));
    return task;
}

/* Waits for a task and drops its reference; returns how it ended. */
static inline int finish(parla_runtime *rt, parla_task task)
{
    int rc = parla_task_wait(rt, &task, 1, PARLA_FOREVER);
    parla_task_unref(task);
    return rc;
}

static inline unsigned char *bytes_of(parla_context *context, size_t i_access)
{
    parla_instance here;
    T_OK(parla_context_instance(context, i_access, &here));
    return here.box.base;
}

/* Bodies. */
static inline int do_nothing(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    return 0;
}

static inline int pass_gate(parla_context *context, void *arg)
{
    (void)context;
    gate_pass(arg);
    return 0;
}

static inline int fail_here(parla_context *context, void *arg)
{
    (void)arg;
    return parla_fail(context, PARLA_E_USER, "as it should");
}

/* Adds 1 to the first byte. */
static inline int increment(parla_context *context, void *arg)
{
    (void)arg;
    bytes_of(context, 0)[0]++;
    return 0;
}

/* Sets the first byte to *arg. */
static inline int store_byte(parla_context *context, void *arg)
{
    bytes_of(context, 0)[0] = *(unsigned char *)arg;
    return 0;
}

/* Reads the first byte into *arg. */
static inline int load_byte(parla_context *context, void *arg)
{
    *(unsigned char *)arg = bytes_of(context, 0)[0];
    return 0;
}

static inline parla_data_info info_of(parla_data *data)
{
    parla_data_info info = {.size = sizeof info};
    T_OK(parla_data_query(data, &info));
    return info;
}

static inline parla_device_info device_info(parla_runtime *rt, int i_device)
{
    parla_device_info info = {.size = sizeof info};
    T_OK(parla_device_query(rt, i_device, &info));
    return info;
}

static inline uint64_t copies_between(parla_runtime *rt, int from, int to)
{
    parla_link_info info = {.size = sizeof info};
    T_OK(parla_link_query(rt, from, to, &info));
    return info.n_copies;
}

/* The first byte, seen from the host. */
static inline int host_byte(parla_runtime *rt, parla_data *data)
{
    parla_instance here;
    T_OK(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here));
    int value = *(unsigned char *)here.box.base;
    parla_data_release(data, PARLA_IN);
    return value;
}

#endif
