/* test_shim_threads.c - threads made inside are bound and counted. */
#include "vlc_fixture.h"

T_TEST(threads_made_inside_have_the_context_s_cpus)
{
    for (int n = 1; n <= n_process_cpus(); n++) {
        parla_vlc *vlc = make_guest(n); /* the calling thread has all CPUs of the process */
        T_EQ(GUEST_OF(vlc, guest_thread_cpus)(), n);
        T_EQ(GUEST_OF(vlc, guest_c11_thread_cpus)(), n);
        T_EQ(GUEST_OF(vlc, guest_thread_with_all_cpus)(), n);
        parla_vlc_destroy(vlc);
    }
}

T_TEST(threads_are_counted_until_the_kernel_has_forgotten_them)
{
    parla_vlc *vlc = make_guest(1);
    T_EQ(info_of(vlc).n_threads, 0);
    T_EQ(GUEST_OF(vlc, guest_leave_thread)(), 0);
    T_EQ(info_of(vlc).n_threads, 1);
    T_EQ(GUEST_OF(vlc, guest_end_thread)(), 0);
    T_EVENTUALLY(info_of(vlc).n_threads == 0, 10000);
    for (int i = 0; i < 20; i++)
        T_EQ(GUEST_OF(vlc, guest_exit_thread)(), 0); /* by pthread_exit, detached */
    T_EVENTUALLY(info_of(vlc).n_threads == 0, 10000);
    parla_vlc_destroy(vlc);
}
