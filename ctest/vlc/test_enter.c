/* test_enter.c - stays of threads: bound, nested, given back. */
#include "vlc_fixture.h"

#include <pthread.h>

static int n_cpus_now(void)
{
    pl_cpus now;
    T_EQ(pl_thread_cpus(&now), 0);
    return pl_cpus_count(&now);
}

T_TEST(a_stay_binds_and_gives_back)
{
    pl_cpus before, after;
    parla_vlc_entry outer, inner;
    int n = n_process_cpus();
    parla_vlc *one = make_context(1), *all = make_context(n);
    T_EQ(pl_thread_cpus(&before), 0);
    T_TRUE(parla_vlc_current() == NULL);
    T_OK(parla_vlc_enter(one, &outer));
    T_EQ(n_cpus_now(), 1);
    T_EQ(n_process_cpus(), n); /* a context made now has the whole process to choose from */
    T_EQ_PTR(parla_vlc_current(), one);
    T_OK(parla_vlc_enter(all, &inner));
    T_EQ(n_cpus_now(), n);
    T_EQ(info_of(all).n_inside, 1);
    parla_vlc_leave(&outer); /* not the latest: refused */
    T_EQ_PTR(parla_vlc_current(), all);
    parla_vlc_leave(&inner);
    T_EQ(n_cpus_now(), 1);
    T_OK(parla_vlc_enter(one, &inner));
    T_EQ(info_of(one).n_inside, 2);
    parla_vlc_leave(&inner);
    T_EQ_PTR(parla_vlc_current(), one);
    parla_vlc_leave(&outer);
    T_EQ(pl_thread_cpus(&after), 0);
    T_TRUE(pl_cpus_equal(&before, &after));
    T_TRUE(parla_vlc_current() == NULL);
    parla_vlc_destroy(one);
    parla_vlc_destroy(all);
}

T_TEST(destroying_waits_for_the_last_to_leave)
{
    parla_vlc_entry entry;
    parla_vlc *vlc = make_guest(1);
    long (*sum)(long) = GUEST_OF(vlc, guest_unsafe_sum);
    T_OK(parla_vlc_enter(vlc, &entry));
    parla_vlc_destroy(vlc);
    T_EQ(sum(1000), 1000); /* still loaded */
    T_EQ(limits_now().n_contexts, 1);
    parla_vlc_leave(&entry);
    T_EQ(limits_now().n_contexts, 0);
}

T_TEST(memory_policies_come_and_go)
{
    int before, inside, after;
    uint64_t nodes[PL_CPU_WORDS];
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc_entry entry;
    parla_vlc *vlc = NULL;
    options.memory = PARLA_VLC_MEMORY_BIND;
    int error = parla_vlc_create(&vlc, &options);
    if (error == PARLA_E_UNSUPPORTED)
        T_SKIP("the kernel has no memory policies here");
    T_OK(error);
    T_EQ(pl_thread_memory(&before, nodes), 0);
    T_OK(parla_vlc_enter(vlc, &entry));
    T_EQ(pl_thread_memory(&inside, nodes), 0);
    parla_vlc_leave(&entry);
    T_EQ(pl_thread_memory(&after, nodes), 0);
    T_EQ(inside, 2);
    T_EQ(after, before);
    parla_vlc_destroy(vlc);
}

typedef struct side {
    parla_vlc *vlc;
    long sum;
} side;

static void *add_up(void *arg)
{
    side *self = arg;
    parla_vlc_entry entry;
    T_OK(parla_vlc_enter(self->vlc, &entry));
    self->sum = GUEST_OF(self->vlc, guest_unsafe_sum)(20000000);
    parla_vlc_leave(&entry);
    return NULL;
}

T_TEST(two_copies_of_a_library_that_is_not_safe_for_threads)
{
    side sides[2] = {{make_guest(1), 0}, {make_guest(1), 0}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        T_EQ(pthread_create(&threads[i], NULL, add_up, &sides[i]), 0);
    for (int i = 0; i < 2; i++) {
        T_EQ(pthread_join(threads[i], NULL), 0);
        T_EQ(sides[i].sum, 20000000);
        parla_vlc_destroy(sides[i].vlc);
    }
}
