/* test_shim_cpus.c - a library inside sees its context's CPUs in whatever way it asks. */
#include "vlc_fixture.h"

static void check(parla_vlc *vlc, int wanted)
{
    int seen[7];
    GUEST_OF(vlc, guest_cpus)(seen);
    for (int i = 0; i < 7; i++)
        T_EQ(seen[i], wanted);
}

T_TEST(every_way_to_ask_gives_the_context_s_cpus)
{
    for (int n = 1; n <= n_process_cpus(); n++) {
        parla_vlc *vlc = make_guest(n);
        parla_vlc_entry entry;
        T_EQ(GUEST_OF(vlc, guest_cpus_at_load)(), n);
        check(vlc, n); /* without entering */
        T_OK(parla_vlc_enter(vlc, &entry));
        check(vlc, n);
        T_EQ(GUEST_OF(vlc, guest_try_to_leave)(), n);
        parla_vlc_leave(&entry);
        parla_vlc_destroy(vlc);
    }
}

T_TEST(a_library_sees_how_it_binds_itself)
{
    if (n_process_cpus() < 2)
        T_SKIP("needs two CPUs");
    parla_vlc *vlc = make_guest(2);
    parla_vlc_entry entry;
    pl_cpus cpus;
    int seen[7];
    T_TRUE(pl_cpus_parse(info_of(vlc).cpus, &cpus));
    T_OK(parla_vlc_enter(vlc, &entry));
    T_EQ(GUEST_OF(vlc, guest_pin_to)(pl_cpus_last(&cpus)), 0);
    GUEST_OF(vlc, guest_cpus)(seen);
    T_EQ(seen[0], 2);
    T_EQ(seen[4], 1);
    T_EQ(GUEST_OF(vlc, guest_pin_to)(1000), -22); /* EINVAL, as the kernel says */
    parla_vlc_leave(&entry);
    parla_vlc_destroy(vlc);
}
