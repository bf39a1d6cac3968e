/* test_topology.c - cores and their distances: this machine's, made-up ones and a recorded one. Each case is a process of its own, so each
 * explores another machine. */
#include "sched/runtime.h"
#include "test.h"

#include <parla/parla.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pl_topology load(void)
{
    pl_topology topology;
    T_OK(pl_topology_load(&topology));
    return topology;
}

static pl_topology load_synthetic(const char *text)
{
    setenv("HWLOC_SYNTHETIC", text, 1);
    pl_topology topology = load();
    T_FALSE(topology.is_this_machine);
    return topology;
}

T_TEST(this_machine)
{
    pl_topology topology = load();
    T_TRUE(topology.is_this_machine);
    T_GE(topology.n_cores, 1);
    T_GE(topology.n_usable, 1);
    T_LE(topology.n_usable, topology.n_cores);
    T_LE(topology.n_cores, CPU_COUNT_S(topology.mask_bytes, topology.mask));
    for (int i = 0; i < topology.n_cores; i++)
        T_TRUE(CPU_ISSET_S((size_t)topology.cores[i].os_index, topology.mask_bytes, topology.mask));
    pl_topology_free(&topology);
}

/* A launcher's binding: only that core is left, at each load anew. */
T_TEST(the_mask_of_the_process_counts)
{
    pl_topology all = load();
    for (int i = 0; i < all.n_cores; i++) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(all.cores[i].os_index, &one);
        T_EQ(sched_setaffinity(0, sizeof one, &one), 0);
        pl_topology narrow = load();
        T_EQ(narrow.n_cores, 1);
        T_EQ(narrow.cores[0].os_index, all.cores[i].os_index);
        pl_topology_free(&narrow);
    }
    pl_topology_free(&all);
}

T_TEST(hardware_threads_share_a_core)
{
    pl_topology topology = load_synthetic("pack:2 [numa] l3:1 core:8 pu:2");
    T_EQ(topology.n_cores, 16);
    T_EQ(topology.n_usable, 16);
    T_EQ(pl_core_distance(&topology.cores[0], &topology.cores[0]), 0);
    T_EQ(pl_core_distance(&topology.cores[0], &topology.cores[7]), 1);
    T_EQ(pl_core_distance(&topology.cores[7], &topology.cores[8]), 4);
    pl_topology_free(&topology);
}

T_TEST(caches_nodes_and_packages)
{
    pl_topology topology = load_synthetic("pack:2 group:2 [numa] l3:2 core:2 pu:1");
    T_EQ(topology.n_cores, 16);
    T_EQ(pl_core_distance(&topology.cores[0], &topology.cores[1]), 1);
    T_EQ(pl_core_distance(&topology.cores[0], &topology.cores[2]), 2);
    T_EQ(pl_core_distance(&topology.cores[0], &topology.cores[4]), 3);
    T_EQ(pl_core_distance(&topology.cores[0], &topology.cores[8]), 4);
    pl_topology_free(&topology);
}

/* Every other worker once, nearer ones first; neighbours begin with different ones. */
T_TEST(the_nearest_come_first)
{
    pl_topology topology = load_synthetic("pack:2 [numa] l3:2 core:4 pu:1");
    enum { N = 16 };
    for (int i = 0; i < N; i++) {
        uint16_t order[N];
        int end[PL_MAX_DISTANCE + 1], last = 0;
        bool is_met[N] = {false};
        pl_topology_steal_order(&topology, i, N, order, end);
        T_EQ(end[PL_MAX_DISTANCE], N - 1);
        T_EQ(end[1], 3);
        T_EQ(end[2], 7);
        for (int k = 0; k < N - 1; k++) {
            int distance = pl_core_distance(&topology.cores[i], &topology.cores[order[k]]);
            T_GE(distance, last);
            T_FALSE(is_met[order[k]]);
            T_NE(order[k], i);
            is_met[order[k]] = true;
            last = distance;
        }
        T_EQ(order[0], i % 4 == 3 ? i - 3 : i + 1);
    }
    pl_topology_free(&topology);
}

T_TEST(more_workers_than_cores)
{
    pl_topology topology = load_synthetic("pack:1 core:2 pu:1");
    uint16_t order[5];
    int end[PL_MAX_DISTANCE + 1];
    pl_topology_steal_order(&topology, 1, 5, order, end);
    T_EQ(end[0], 1); /* worker 3 shares its core */
    T_EQ(order[0], 3);
    T_EQ(end[PL_MAX_DISTANCE], 4);
    pl_topology_free(&topology);
}

static const char recorded[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology version=\"2.0\">\n"
    "<object type=\"Machine\" os_index=\"0\" cpuset=\"0x0000000f\" complete_cpuset=\"0x0000000f\" allowed_cpuset=\"0x0000000f\" "
    "nodeset=\"0x00000001\" complete_nodeset=\"0x00000001\" allowed_nodeset=\"0x00000001\" gp_index=\"1\">\n"
    "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x0000000f\" complete_cpuset=\"0x0000000f\" nodeset=\"0x00000001\" "
    "complete_nodeset=\"0x00000001\" gp_index=\"2\" local_memory=\"1073741824\"/>\n"
    "<object type=\"Core\" os_index=\"0\" cpuset=\"0x00000005\" complete_cpuset=\"0x00000005\" nodeset=\"0x00000001\" "
    "complete_nodeset=\"0x00000001\" gp_index=\"3\">\n"
    "<object type=\"PU\" os_index=\"0\" cpuset=\"0x00000001\" complete_cpuset=\"0x00000001\" nodeset=\"0x00000001\" "
    "complete_nodeset=\"0x00000001\" gp_index=\"4\"/>\n"
    "<object type=\"PU\" os_index=\"2\" cpuset=\"0x00000004\" complete_cpuset=\"0x00000004\" nodeset=\"0x00000001\" "
    "complete_nodeset=\"0x00000001\" gp_index=\"5\"/>\n</object>\n"
    "<object type=\"Core\" os_index=\"1\" cpuset=\"0x0000000a\" complete_cpuset=\"0x0000000a\" nodeset=\"0x00000001\" "
    "complete_nodeset=\"0x00000001\" gp_index=\"6\">\n"
    "<object type=\"PU\" os_index=\"1\" cpuset=\"0x00000002\" complete_cpuset=\"0x00000002\" nodeset=\"0x00000001\" "
    "complete_nodeset=\"0x00000001\" gp_index=\"7\"/>\n"
    "<object type=\"PU\" os_index=\"3\" cpuset=\"0x00000008\" complete_cpuset=\"0x00000008\" nodeset=\"0x00000001\" "
    "complete_nodeset=\"0x00000001\" gp_index=\"8\"/>\n</object>\n</object>\n</topology>\n";

/* Two cores whose threads are numbered 0, 2 and 1, 3, as many machines do. */
T_TEST(a_recorded_machine)
{
    char path[] = "/tmp/parla-topology-XXXXXX";
    int file = mkstemp(path);
    T_EQ(write(file, recorded, sizeof recorded - 1), (ssize_t)(sizeof recorded - 1));
    close(file);
    setenv("HWLOC_XMLFILE", path, 1);
    pl_topology topology = load();
    unlink(path);
    T_FALSE(topology.is_this_machine);
    T_EQ(topology.n_cores, 2);
    T_EQ(topology.cores[0].os_index, 0);
    T_EQ(topology.cores[1].os_index, 1);
    pl_topology_free(&topology);
}

/* --- A runtime on such a machine --------------------------------------------------------------------------------------------------- */

static int count_body(parla_context *context, void *arg)
{
    (void)context;
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
    return 0;
}

T_TEST(a_runtime_on_a_large_machine)
{
    setenv("HWLOC_SYNTHETIC", "pack:2 [numa] l3:2 core:4 pu:2", 1);
    parla_runtime *rt;
    parla_runtime_info info = {.size = sizeof info};
    int n = 0;
    T_OK(parla_runtime_create(&rt, NULL));
    T_OK(parla_runtime_query(rt, &info));
    T_EQ(info.n_workers, 16);
    T_EQ(info.n_cores, 16);
    T_TRUE(info.is_bound);
    for (int i = 0; i < 1000; i++)
        T_OK(parla_spawn(rt, NULL, count_body, &n, NULL, 0));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 1000);
    parla_runtime_destroy(rt);
}

/* A worker among busy ones that have work left: in which order it takes that. */
typedef struct theft {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum { ALL_COME, VICTIMS_SPAWN, THIEF_STEALS, ALL_GO } phase;
    _Atomic int n_inside, n_spawned, n_stolen;
    int stolen_from[3];
    bool is_thief[3];
} theft;

enum { N_WORKERS = 16 };
static const int victims[] = {12, 5, 3}; /* of worker 0, the thief: in another package, beside another cache, beside the same */

static theft one_theft = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int be_stolen(parla_context *context, void *arg)
{
    int i = atomic_load(&one_theft.n_stolen);
    one_theft.stolen_from[i] = *(const int *)arg;
    one_theft.is_thief[i] = context->self->index == 0;
    atomic_store(&one_theft.n_stolen, i + 1);
    return 0;
}

static void await_phase(int phase)
{
    pthread_mutex_lock(&one_theft.lock);
    while ((int)one_theft.phase < phase)
        pthread_cond_wait(&one_theft.changed, &one_theft.lock);
    pthread_mutex_unlock(&one_theft.lock);
}

static void begin_phase(int phase)
{
    pthread_mutex_lock(&one_theft.lock);
    one_theft.phase = phase;
    pthread_cond_broadcast(&one_theft.changed);
    pthread_mutex_unlock(&one_theft.lock);
}

static int be_busy(parla_context *context, void *arg)
{
    (void)arg;
    atomic_fetch_add(&one_theft.n_inside, 1);
    await_phase(VICTIMS_SPAWN); /* nobody else is free to steal */
    for (int k = 0; k < 3; k++)
        if (context->self->index == victims[k]) {
            T_OK(parla_spawn(parla_context_runtime(context), NULL, be_stolen, (void *)(uintptr_t)&victims[k], NULL, 0));
            atomic_fetch_add(&one_theft.n_spawned, 1);
        }
    await_phase(context->self->index == 0 ? THIEF_STEALS : ALL_GO);
    return 0;
}

T_TEST(a_thief_takes_the_nearest_first)
{
    setenv("HWLOC_SYNTHETIC", "pack:2 [numa] l3:2 core:4 pu:1", 1);
    parla_runtime *rt;
    T_OK(parla_runtime_create(&rt, NULL));
    for (int i = 0; i < N_WORKERS; i++)
        T_OK(parla_spawn(rt, NULL, be_busy, NULL, NULL, 0));
    T_EVENTUALLY(atomic_load(&one_theft.n_inside) == N_WORKERS, 20000);
    begin_phase(VICTIMS_SPAWN);
    T_EVENTUALLY(atomic_load(&one_theft.n_spawned) == 3, 20000);
    begin_phase(THIEF_STEALS);
    T_EVENTUALLY(atomic_load(&one_theft.n_stolen) == 3, 20000);
    for (int k = 0; k < 3; k++) {
        T_EQ(one_theft.stolen_from[k], victims[2 - k]);
        T_TRUE(one_theft.is_thief[k]);
    }
    begin_phase(ALL_GO);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_destroy(rt);
}

/* --- Binding ------------------------------------------------------------------------------------------------------------------------ */

typedef struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic int n_inside;
    int n_all;
    int n_cpus[16], cpu[16];
} seen;

/* All workers are inside at once, so each runs one. */
static int look(parla_context *context, void *arg)
{
    (void)context;
    seen *s = arg;
    cpu_set_t mask;
    T_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
    pthread_mutex_lock(&s->lock);
    int i = s->n_inside++;
    s->n_cpus[i] = CPU_COUNT(&mask);
    for (s->cpu[i] = 0; !CPU_ISSET(s->cpu[i], &mask); s->cpu[i]++) {
    }
    pthread_cond_broadcast(&s->changed);
    while (s->n_inside < s->n_all)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static seen look_at_workers(int n_workers, const char *bind)
{
    seen s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .n_all = n_workers};
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = n_workers;
    options.bind = bind;
    T_OK(parla_runtime_create(&rt, &options));
    for (int i = 0; i < n_workers; i++)
        T_OK(parla_spawn(rt, NULL, look, &s, NULL, 0));
    T_EVENTUALLY(s.n_inside == n_workers, 10000); /* a thread that waits would run some itself */
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_destroy(rt);
    return s;
}

T_TEST(workers_are_bound_inside_the_mask)
{
    pl_topology topology = load();
    if (topology.n_cores > 8 || topology.n_cores < 2 || topology.n_usable < topology.n_cores)
        T_SKIP("needs two to eight cores without a quota");
    seen s = look_at_workers(topology.n_cores, NULL);
    for (int i = 0; i < topology.n_cores; i++) {
        T_EQ(s.n_cpus[i], 1);
        for (int k = 0; k < i; k++)
            T_NE(s.cpu[i], s.cpu[k]);
    }
    int n_all = CPU_COUNT_S(topology.mask_bytes, topology.mask);
    T_EQ(look_at_workers(1, NULL).n_cpus[0], n_all); /* room to move */
    T_EQ(look_at_workers(topology.n_cores, "none").n_cpus[0], n_all);
    T_EQ(look_at_workers(1, "core").n_cpus[0], 1);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(topology.cores[1].os_index, &one);
    T_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    s = look_at_workers(2, "core");
    T_EQ(s.cpu[0], topology.cores[1].os_index);
    T_EQ(s.cpu[1], topology.cores[1].os_index);
    pl_topology_free(&topology);
}

T_TEST(a_binding_that_does_not_exist)
{
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.bind = "socket";
    T_EQ(parla_runtime_create(&rt, &options), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "auto, core or none");
    setenv("PARLA_BIND", "cores", 1);
    T_EQ(parla_runtime_create(&rt, NULL), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "PARLA_BIND='cores'");
}
