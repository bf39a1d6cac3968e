/* test_aim.c - queued tasks gather where what they read is, and what they are expected to take is counted as long as they are queued. In
 * modelled time: the same in each run. */
#include "placed_fixture.h"
#include "sched/placed.h"

#include <parla/sim.h>

enum { N_TASKS = 16, N_BYTES = 100000, WORK_NS = 1000000 };

static const char machine[] = "sim:2,mem=1MiB,link=100MB/s,lat=1us,time=virtual"; /* a copy takes as long as a task */

static int work(parla_context *context, void *arg)
{
    (void)arg;
    return parla_sim_work(context, WORK_NS);
}

/* On some device, once `go` has ended. */
static void spawn_behind(parla_runtime *rt, parla_task go, parla_data *data, int number)
{
    const parla_demand gpu = on_gpu(number);
    const parla_choice choice = {&gpu, 1};
    const parla_access access = {.data = data, .mode = PARLA_IN};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = work;
    options.name = "read";
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = 1;
    options.deps = &go;
    options.n_deps = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
}

static void check_none_aims(parla_runtime *rt)
{
    pl_place_lock(rt);
    T_EQ(rt->place.n_aiming, 0);
    for (int i = 0; i < rt->place.devices.n; i++)
        T_NEAR(rt->place.sites[i].aimed_ns, 0, 0);
    pl_place_unlock(rt);
}

/* Half of the tasks read one array, half the other, in turn. Returns the modelled time. */
static uint64_t run(parla_data *const *arrays, int number, parla_receipt *out)
{
    parla_task go;
    parla_runtime *rt = start_with(machine, NULL, 1);
    T_OK(parla_event_create(rt, &go, "go"));
    for (int i = 0; i < N_TASKS; i++)
        spawn_behind(rt, go, arrays[i % 2], number);
    T_OK(parla_event_complete(go, 0, NULL));
    parla_task_unref(go);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    check_none_aims(rt);
    *out = (parla_receipt){.size = sizeof *out};
    T_OK(parla_receipt_query(rt, out));
    uint64_t ns = parla_sim_now_ns(rt);
    parla_runtime_destroy(rt);
    return ns;
}

T_TEST(tasks_gather_where_what_they_read_is)
{
    static unsigned char memory[2][N_BYTES];
    parla_receipt receipt;
    parla_data *arrays[2] = {make_array("a", memory[0], N_BYTES), make_array("b", memory[1], N_BYTES)};
    T_LE(run(arrays, PARLA_ANY_NUMBER, &receipt), (N_TASKS / 2 + 2) * (uint64_t)WORK_NS); /* both devices were busy, */
    T_EQ(receipt.n_bytes, 2 * N_BYTES);                                                   /* each with one array */
    parla_data_unref(arrays[0]);
    parla_data_unref(arrays[1]);
}

T_TEST(all_read_one_array)
{
    static unsigned char memory[N_BYTES];
    parla_receipt receipt;
    parla_data *data = make_array("x", memory, N_BYTES), *arrays[2] = {data, data};
    T_LE(run(arrays, PARLA_ANY_NUMBER, &receipt), (N_TASKS / 2 + 3) * (uint64_t)WORK_NS);
    T_EQ(receipt.n_bytes, 2 * N_BYTES);
    parla_data_unref(data);
}

T_TEST(without_a_choice)
{
    static unsigned char memory[N_BYTES];
    parla_receipt receipt;
    parla_data *data = make_array("x", memory, N_BYTES), *arrays[2] = {data, data};
    T_LE((N_TASKS + 1) * (uint64_t)WORK_NS, run(arrays, 1, &receipt));
    T_EQ(receipt.n_bytes, N_BYTES);
    parla_data_unref(data);
}
