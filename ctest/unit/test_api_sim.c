/* test_api_sim.c - programs in modelled time: what they take, that it is the same in each run, and that nothing waits for ever. */
#include "placed_fixture.h"

#include <pthread.h>

enum { MS = 1000000, MIB = 1 << 20, N_TASKS = 120, N_ARRAYS = 24 };

/* What a body does: works so long, and keeps when it began. */
typedef struct work {
    int64_t ns;
    uint64_t begin_ns;
    int i_device;
} work;

static int do_work(parla_context *context, void *arg)
{
    work *w = arg;
    w->begin_ns = parla_sim_now_ns(parla_context_runtime(context));
    w->i_device = parla_context_device(context, 0);
    return parla_sim_work(context, w->ns);
}

static uint64_t wait_all(parla_runtime *rt)
{
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    return parla_sim_now_ns(rt);
}

T_TEST(tasks_take_what_they_say_beside_each_other)
{
    parla_runtime *rt = start("sim:2,time=virtual");
    work w[5] = {{.ns = 7 * MS}, {.ns = 5 * MS}, {.ns = 1 * MS}, {.ns = INT64_C(3600000) * MS}, {.ns = 0}};
    const int devices[5] = {0, 0, 1, 1, 1};
    for (int i = 0; i < 5; i++)
        parla_task_unref(spawn(rt, do_work, &w[i], on_gpu(devices[i]), NULL, 0));
    T_EQ(wait_all(rt), UINT64_C(3600001) * MS);
    T_EQ(w[0].begin_ns, 0);
    T_EQ(w[1].begin_ns, 7 * MS);
    T_EQ(w[2].begin_ns, 0);
    T_EQ(w[3].begin_ns, 1 * MS);
    T_EQ(device_info(rt, 1).busy_ns, 12 * MS);
    T_EQ(device_info(rt, 1).last_ns, 12 * MS);
    T_EQ(device_info(rt, 2).last_ns, UINT64_C(3600001) * MS);
    T_EQ(device_info(rt, 0).last_ns, 0);
    parla_runtime_destroy(rt);
}

/* 1 ms for each MiB, and 10 us. The second task reads what is on its way already. */
T_TEST(copies_come_before_the_work)
{
    parla_runtime *rt = start("sim:2,link=1048576kB/s,lat=10us,time=virtual");
    parla_data *data = make_array("a", NULL, 4 * MIB);
    work w[3] = {{.ns = 2 * MS}, {.ns = 3 * MS}, {.ns = 1 * MS}};
    parla_task_unref(spawn(rt, do_work, &w[0], on_gpu(0), data, PARLA_OUT));
    parla_task_unref(spawn(rt, do_work, &w[1], on_gpu(1), data, PARLA_IN));
    parla_task_unref(spawn(rt, do_work, &w[2], on_gpu(1), data, PARLA_IN));
    T_EQ(wait_all(rt), 2 * MS + 4 * MS + 10000 + 4 * MS);
    T_EQ(copies_between(rt, 1, 2), 1);
    parla_receipt receipt = {.size = sizeof receipt};
    T_OK(parla_receipt_query(rt, &receipt));
    T_EQ(receipt.copy_ns, 4 * MS + 10000);
    T_EQ(receipt.overlap_ns, 0);
    parla_runtime_destroy(rt);
    parla_data_unref(data);
}

static double expected_of(parla_runtime *rt, parla_task task)
{
    parla_explanation why = {.size = sizeof why};
    T_OK(parla_task_explain(task, &why, NULL, 0));
    (void)rt;
    return why.expected_ns;
}

T_TEST(policies_reckon_with_what_bodies_said)
{
    parla_runtime *rt = start("sim,time=virtual");
    work w[2] = {{.ns = 6 * MS}, {.ns = 6 * MS}};
    T_OK(finish(rt, spawn(rt, do_work, &w[0], on_gpu(0), NULL, 0)));
    parla_task second = spawn(rt, do_work, &w[1], on_gpu(0), NULL, 0);
    T_NEAR(expected_of(rt, second), 6 * MS, 0.5);
    T_OK(finish(rt, second));
    parla_runtime_destroy(rt);
}

/* The clock stands while this thread spawns, however long that takes: all begin at 0. */
T_TEST(spawning_takes_no_time)
{
    parla_runtime *rt = start("sim:4,time=virtual");
    work w[4] = {{.ns = 1}, {.ns = 1}, {.ns = 1}, {.ns = 1}};
    parla_data *data = make_array("host", NULL, 1);
    unsigned char byte = 0;
    T_OK(finish(rt, spawn(rt, store_byte, &byte, on_cpu(), data, PARLA_OUT)));
    for (int i = 0; i < 4; i++) {
        parla_task_unref(spawn(rt, do_work, &w[i], on_gpu(i), NULL, 0));
        parla_task_unref(spawn(rt, increment, NULL, on_cpu(), data, PARLA_INOUT)); /* a worker works meanwhile */
        T_EQ(parla_sim_now_ns(rt), 0);
    }
    T_EQ(wait_all(rt), 1);
    for (int i = 0; i < 4; i++)
        T_EQ(w[i].begin_ns, 0);
    T_EQ(host_byte(rt, data), 4);
    parla_runtime_destroy(rt);
    parla_data_unref(data);
}

/* --- Bodies that do more than work --------------------------------------------------------------------------------------------- */

typedef struct nest {
    work inner[2];
    parla_task tasks[2];
    int n_calls;
    uint64_t ended_ns;
} nest;

/* Works, spawns two tasks in the middle of it, waits for them without its device, works again: 2 + 3 + 4 on the clock. */
static int spawn_and_suspend(parla_context *context, void *arg)
{
    nest *n = arg;
    parla_runtime *rt = parla_context_runtime(context);
    if (n->n_calls++ > 0) {
        T_OK(parla_sim_work(context, 4 * MS));
        n->ended_ns = parla_sim_now_ns(rt);
        return 0;
    }
    T_OK(parla_sim_work(context, 2 * MS));
    for (int i = 0; i < 2; i++)
        n->tasks[i] = spawn(rt, do_work, &n->inner[i], on_gpu(i), NULL, 0);
    T_OK(parla_suspend_on(context, n->tasks, 2));
    return PARLA_SUSPENDED;
}

T_TEST(bodies_spawn_and_suspend)
{
    parla_runtime *rt = start("sim:2,time=virtual");
    nest n = {.inner = {{.ns = 3 * MS}, {.ns = 3 * MS}}};
    T_OK(finish(rt, spawn(rt, spawn_and_suspend, &n, on_gpu(0), NULL, 0)));
    T_EQ(n.ended_ns, 9 * MS);
    T_EQ(n.inner[0].begin_ns, 2 * MS);
    T_EQ(n.inner[1].begin_ns, 2 * MS);
    for (int i = 0; i < 2; i++)
        parla_task_unref(n.tasks[i]);
    parla_runtime_destroy(rt);
}

/* A body of the host that waits on its thread, without a limit and with one that does not come: time passes for it. */
static int wait_in_body(parla_context *context, void *arg)
{
    parla_runtime *rt = parla_context_runtime(context);
    parla_task inner = spawn(rt, do_work, arg, on_gpu(0), NULL, 0);
    int rc = parla_task_wait(rt, &inner, 1, PARLA_FOREVER);
    parla_task_unref(inner);
    if (rc < 0)
        return rc;
    inner = spawn(rt, do_work, arg, on_gpu(0), NULL, 0);
    rc = parla_task_wait(rt, &inner, 1, INT64_C(3600) * 1000 * MS);
    parla_task_unref(inner);
    return rc;
}

T_TEST(bodies_wait_on_their_threads)
{
    parla_runtime *rt = start_with("sim,time=virtual", NULL, 1);
    work w = {.ns = 5 * MS};
    T_OK(finish(rt, spawn(rt, wait_in_body, &w, on_cpu(), NULL, 0)));
    T_EQ(parla_sim_now_ns(rt), 10 * MS);
    parla_runtime_destroy(rt);
}

static int work_and_fail(parla_context *context, void *arg)
{
    T_OK(do_work(context, arg));
    return parla_fail(context, PARLA_E_USER, "as it should");
}

T_TEST(what_fails_has_taken_its_time)
{
    parla_runtime *rt = start("sim,time=virtual");
    work w = {.ns = MS};
    T_EQ(finish(rt, spawn(rt, work_and_fail, &w, on_gpu(0), NULL, 0)), PARLA_E_USER);
    T_EQ(parla_sim_now_ns(rt), MS);
    T_EQ(finish(rt, spawn(rt, do_work, &(work){.ns = -1}, on_gpu(0), NULL, 0)), PARLA_E_INVALID);
    parla_runtime_destroy(rt);
}

/* What is queued when the runtime ends does not hang it, whether somebody has waited or not. */
T_TEST(a_runtime_ends_with_work_in_its_queues)
{
    for (int i = 0; i < 20; i++) {
        parla_runtime *rt = start("sim:2,link=1GB/s,time=virtual");
        parla_data *data = make_array("a", NULL, 1000);
        work w[8];
        for (int k = 0; k < 8; k++) {
            w[k] = (work){.ns = MS};
            parla_task_unref(spawn(rt, do_work, &w[k], on_gpu(k % 2), data, k == 0 ? PARLA_OUT : PARLA_INOUT));
        }
        parla_runtime_destroy(rt);
        parla_data_unref(data);
    }
}

typedef struct helper {
    parla_runtime *rt;
    parla_task task;
} helper;

static void *wait_for_task(void *arg)
{
    const helper *h = arg;
    T_OK(parla_task_wait(h->rt, &h->task, 1, PARLA_FOREVER));
    return NULL;
}

/* This thread has spawned and does not wait in the library, but for a thread that does: the clock goes on without it, and stands again when it
 * spawns. */
T_TEST(a_thread_that_waits_elsewhere_hangs_nobody)
{
    parla_runtime *rt = start("sim,time=virtual");
    work w[2] = {{.ns = MS}, {.ns = MS}};
    helper h = {rt, spawn(rt, do_work, &w[0], on_gpu(0), NULL, 0)};
    pthread_t thread;
    T_EQ(pthread_create(&thread, NULL, wait_for_task, &h), 0);
    pthread_join(thread, NULL);
    parla_task_unref(h.task);
    T_EQ(parla_sim_now_ns(rt), MS);
    parla_task_unref(spawn(rt, do_work, &w[1], on_gpu(0), NULL, 0));
    T_EQ(parla_sim_now_ns(rt), MS);
    T_EQ(wait_all(rt), 2 * MS);
    parla_runtime_destroy(rt);
}

/* On the host it does nothing; in real time it sleeps. */
T_TEST(real_time_and_the_host)
{
    parla_runtime *rt = start("sim,time=real");
    work w = {.ns = 20 * MS};
    T_OK(finish(rt, spawn(rt, do_work, &w, on_gpu(0), NULL, 0)));
    T_GE(device_info(rt, 1).busy_ns, 20 * MS);
    T_GE(parla_sim_now_ns(rt), device_info(rt, 1).last_ns);
    parla_runtime_destroy(rt);
    rt = start("sim,time=virtual");
    T_OK(finish(rt, spawn(rt, do_work, &w, on_cpu(), NULL, 0)));
    T_EQ(parla_sim_now_ns(rt), 0);
    parla_runtime_destroy(rt);
}

/* --- The same in each run ------------------------------------------------------------------------------------------------------ */

/* A random program: tasks on any device, each with up to three of the arrays. */
typedef struct program {
    work works[N_TASKS];
    int n_accesses[N_TASKS], arrays[N_TASKS][3], modes[N_TASKS][3];
} program;

static void draw(program *p, uint64_t seed)
{
    t_rng rng = {seed};
    for (int i = 0; i < N_TASKS; i++) {
        p->works[i] = (work){.ns = (int64_t)t_below(&rng, 2 * MS)};
        p->n_accesses[i] = (int)t_below(&rng, 4);
        for (int k = 0; k < p->n_accesses[i]; k++) {
            p->arrays[i][k] = (p->arrays[i][0] + k * (int)(1 + t_below(&rng, N_ARRAYS / 3 - 1))) % N_ARRAYS;
            if (k == 0)
                p->arrays[i][0] = (int)t_below(&rng, N_ARRAYS);
            p->modes[i][k] = k == 0 ? PARLA_INOUT : PARLA_IN;
        }
        for (int k = 1; k < p->n_accesses[i]; k++)
            if (p->arrays[i][k] == p->arrays[i][0] || (k == 2 && p->arrays[i][2] == p->arrays[i][1]))
                p->n_accesses[i] = k;
    }
}

static uint64_t run_program(program *p, const char *policy, int n_workers, int *out_devices)
{
    parla_runtime *rt = start_with("sim:4,mem=16MiB,link=10GB/s,lat=5us,time=virtual", policy, n_workers);
    parla_data *arrays[N_ARRAYS];
    for (int i = 0; i < N_ARRAYS; i++) {
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        options.host = (parla_strided){.item_bytes = 1, .ndim = 1, .extent = {MIB}, .stride = {1}};
        T_OK(parla_data_create(&arrays[i], &options));
        parla_task_unref(spawn(rt, do_nothing, NULL, on_gpu(i % 4), arrays[i], PARLA_OUT));
    }
    for (int i = 0; i < N_TASKS; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        const parla_demand anywhere = {PARLA_ARCH_GPU, PARLA_ANY_NUMBER, 0, 0};
        const parla_choice choice = {&anywhere, 1};
        parla_access accesses[3];
        for (int k = 0; k < p->n_accesses[i]; k++)
            accesses[k] = (parla_access){.data = arrays[p->arrays[i][k]], .mode = p->modes[i][k]};
        options.body = do_work;
        options.arg = &p->works[i];
        options.choices = &choice;
        options.n_choices = 1;
        options.accesses = accesses;
        options.n_accesses = (size_t)p->n_accesses[i];
        T_OK(parla_task_spawn(rt, NULL, &options));
    }
    uint64_t ns = wait_all(rt);
    for (int i = 0; i < N_TASKS; i++)
        out_devices[i] = p->works[i].i_device;
    parla_runtime_destroy(rt);
    for (int i = 0; i < N_ARRAYS; i++)
        parla_data_unref(arrays[i]);
    return ns;
}

T_TEST_TIMEOUT(the_same_program_takes_the_same_time, 120)
{
    static const char *const policies[] = {"locality", "eager", "round_robin"};
    static program p;
    static int first[N_TASKS], again[N_TASKS];
    for (int i = 0; i < 3; i++) {
        draw(&p, t_seed() + (uint64_t)i);
        uint64_t ns = run_program(&p, policies[i], 1, first);
        T_GT(ns, 0);
        for (int n_workers = 1; n_workers <= 3; n_workers++) {
            T_EQ(run_program(&p, policies[i], n_workers, again), ns);
            T_EQ_MEM(again, first, sizeof first);
        }
    }
}
