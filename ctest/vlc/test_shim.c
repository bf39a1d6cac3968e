/* test_shim.c - what a library inside finds: its C library set up in any thread, exit, dlopen. */
#include "vlc_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

static void *do_text_work(void *vlc)
{
    T_EQ(GUEST_OF(vlc, guest_text_work)(), 1);
    return NULL;
}

T_TEST(the_c_library_works_in_threads_from_outside)
{
    parla_vlc *vlc = make_guest(1);
    pthread_t thread;
    parla_vlc_entry entry;
    T_EQ(pthread_create(&thread, NULL, do_text_work, vlc), 0); /* without entering */
    T_EQ(pthread_join(thread, NULL), 0);
    T_OK(parla_vlc_enter(vlc, &entry));
    do_text_work(vlc);
    parla_vlc_leave(&entry);
    parla_vlc_destroy(vlc);
}

T_TEST(dlopen_from_inside_stays_inside_and_is_refused_as_outside)
{
    parla_vlc *vlc = make_guest(1);
    int n_objects = info_of(vlc).n_objects;
    T_HAS_STR(GUEST_OF(vlc, guest_dlopen)("libmpi.so.40"), "MPI must exist once in a process");
    T_HAS_STR(GUEST_OF(vlc, guest_dlopen)("libno_such_library.so"), "libno_such_library.so");
    T_TRUE(GUEST_OF(vlc, guest_dlopen)("libm.so.6") == NULL); /* with RTLD_GLOBAL, which the dynamic linker would not survive */
    T_EQ(info_of(vlc).n_objects, n_objects + 1);
    parla_vlc_destroy(vlc);
}

static volatile sig_atomic_t n_signals;
static void note(int number) { n_signals += number == SIGUSR1; }

T_TEST(signal_handlers_are_the_process_s)
{
    parla_vlc *vlc = make_guest(1);
    int (*inner_raise)(int) = GUEST_OF(vlc, raise);
    signal(SIGUSR1, note);
    T_EQ(inner_raise(SIGUSR1), 0);
    T_EQ(n_signals, 1);
    T_EQ(GUEST_OF(vlc, guest_handle_signals)(SIGUSR1), 0); /* the latest who installs one has it */
    T_EQ(raise(SIGUSR1), 0);
    T_EQ(n_signals, 1);
    T_EQ(GUEST_OF(vlc, guest_n_signals)(), 1);
    parla_vlc_destroy(vlc);
}

T_TEST(a_child_forked_inside_allocates_and_prints)
{
    parla_vlc *vlc = make_guest(1);
    T_EQ(GUEST_OF(vlc, guest_fork)(), 7);
    parla_vlc_destroy(vlc);
}
