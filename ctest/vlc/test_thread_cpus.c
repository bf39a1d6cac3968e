/* test_thread_cpus.c - the kernel's masks and memory policies. */
#include "vlc/thread_cpus.h"

#include "test.h"

#include <pthread.h>

T_TEST(a_thread_is_pinned_and_released)
{
    pl_cpus before, one = {{0}}, now;
    T_EQ(pl_thread_cpus(&before), 0);
    T_GE(pl_cpus_count(&before), 1);
    pl_cpus_add(&one, pl_cpus_last(&before));
    T_EQ(pl_thread_pin(&one), 0);
    T_EQ(pl_thread_cpus(&now), 0);
    T_TRUE(pl_cpus_equal(&now, &one));
    T_EQ(pl_thread_pin(&before), 0);
    pl_cpus none = {{0}};
    T_EQ(pl_thread_pin(&none), -1);
}

T_TEST(the_process_keeps_its_cpus_while_its_main_thread_is_elsewhere)
{
    pl_cpus before, one = {{0}}, now;
    T_EQ(pl_process_cpus(&before), 0);
    pl_cpus_add(&one, pl_cpus_last(&before));
    pl_process_cpus_note(&before);
    T_EQ(pl_thread_pin(&one), 0);
    T_EQ(pl_process_cpus(&now), 0);
    T_TRUE(pl_cpus_equal(&now, &before));
    pl_process_cpus_note(NULL);
    T_EQ(pl_process_cpus(&now), 0);
    T_TRUE(pl_cpus_equal(&now, &one));
}

static void *note_from_elsewhere(void *arg)
{
    pl_process_cpus_note(arg);
    return NULL;
}

T_TEST(other_threads_do_not_speak_for_the_process)
{
    pl_cpus before, one = {{0}}, now;
    pthread_t thread;
    T_EQ(pl_process_cpus(&before), 0);
    pl_cpus_add(&one, 1000);
    T_EQ(pthread_create(&thread, NULL, note_from_elsewhere, &one), 0);
    T_EQ(pthread_join(thread, NULL), 0);
    T_EQ(pl_process_cpus(&now), 0);
    T_TRUE(pl_cpus_equal(&now, &before));
}

T_TEST(each_cpu_has_a_memory_node)
{
    pl_cpus all;
    uint64_t nodes[PL_CPU_WORDS], again[PL_CPU_WORDS];
    int policy, later;
    T_EQ(pl_thread_cpus(&all), 0);
    pl_nodes_of(&all, nodes);
    T_NE(nodes[0], 0);
    if (pl_thread_memory(&policy, again) != 0)
        T_SKIP("the kernel has no memory policies here");
    T_EQ(pl_thread_memory_set(2 /* bind */, nodes), 0);
    T_EQ(pl_thread_memory(&later, again), 0);
    T_EQ(later, 2);
    T_EQ(again[0], nodes[0]);
    T_EQ(pl_thread_memory_set(policy, (uint64_t[PL_CPU_WORDS]){0}), 0);
}
