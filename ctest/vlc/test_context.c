/* test_context.c - contexts made, opened into, parked and used again. */
#include "vlc/context.h"

#include "vlc_fixture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

T_TEST(copies_have_their_own_state)
{
    parla_vlc *a = make_guest(1), *b = make_guest(1);
    T_TRUE((void *)GUEST_OF(a, guest_unsafe_sum) != (void *)GUEST_OF(b, guest_unsafe_sum));
    T_EQ(GUEST_OF(a, guest_setenv)("WHERE", "a"), 0);
    T_EQ_STR(GUEST_OF(a, guest_getenv)("WHERE"), "a");
    T_TRUE(GUEST_OF(b, guest_getenv)("WHERE") == NULL);
    T_TRUE(getenv("WHERE") == NULL);
    T_TRUE(GUEST_OF(a, guest_errno)() != GUEST_OF(b, guest_errno)());
    T_EQ_STR(GUEST_OF(a, guest_locale)("C.UTF-8"), "C.UTF-8");
    T_EQ_STR(GUEST_OF(b, guest_locale)(NULL), "C");
    parla_vlc_destroy(a);
    parla_vlc_destroy(b);
}

T_TEST(the_environment_is_a_changed_copy)
{
    static const char *const changes[] = {"GUEST_SETTING=7", "HOME", NULL};
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc *vlc;
    setenv("HOME", "/tmp", 1);
    setenv("OUTER", "x", 1);
    options.environment = changes;
    T_OK(parla_vlc_create(&vlc, &options));
    T_OK(parla_vlc_open(vlc, NULL, T_GUEST));
    T_EQ_STR(GUEST_OF(vlc, guest_getenv)("GUEST_SETTING"), "7");
    T_EQ_STR(GUEST_OF(vlc, guest_getenv)("OUTER"), "x");
    T_TRUE(GUEST_OF(vlc, guest_getenv)("HOME") == NULL);
    setenv("OUTER", "y", 1);
    T_EQ_STR(GUEST_OF(vlc, guest_getenv)("OUTER"), "x");
    parla_vlc_destroy(vlc);
}

T_TEST(an_opened_library_has_one_handle)
{
    parla_vlc *vlc = make_context(1);
    void *first = NULL, *second = NULL, *found = NULL;
    T_OK(parla_vlc_open(vlc, &first, T_GUEST));
    T_OK(parla_vlc_open(vlc, &second, T_GUEST));
    T_EQ_PTR(first, second);
    T_EQ(info_of(vlc).n_libraries, 1);
    T_EQ(info_of(vlc).n_cpus, 1);
    T_OK(parla_vlc_symbol(vlc, first, "guest_cpus", &found));
    T_EQ(parla_vlc_symbol(vlc, NULL, "no_such_function", &found), PARLA_E_SYSTEM);
    T_HAS_STR(parla_error_detail(), "no_such_function");
    T_EQ(parla_vlc_open(vlc, NULL, "libno_such_library.so"), PARLA_E_SYSTEM);
    T_HAS_STR(parla_error_detail(), "libno_such_library.so");
    T_EQ(parla_vlc_open(vlc, NULL, "libmpi.so.40"), PARLA_E_UNSUPPORTED);
    T_HAS_STR(parla_error_detail(), "once in a process");
    T_TRUE(dlopen(T_GUEST, RTLD_NOW | RTLD_NOLOAD) == NULL); /* nothing came into the program itself */
    parla_vlc_destroy(vlc);
}

T_TEST(wrong_options_are_refused)
{
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc *vlc = NULL;
    options.memory = (parla_vlc_memory)9;
    T_EQ(parla_vlc_create(&vlc, &options), PARLA_E_INVALID);
    options.memory = PARLA_VLC_MEMORY_INHERIT;
    options.global_libraries = (const char *const[]){"libcuda.so.1", NULL};
    T_EQ(parla_vlc_create(&vlc, &options), PARLA_E_UNSUPPORTED);
    options = (parla_vlc_options){.size = 1};
    T_EQ(parla_vlc_create(&vlc, &options), PARLA_E_INVALID);
    T_TRUE(vlc == NULL);
    T_EQ(parla_vlc_open(NULL, NULL, "x"), PARLA_E_INVALID);
    parla_vlc_destroy(NULL);
}

/* Each cycle loads the library anew: its state begins again. Neither namespaces nor static thread-local memory leak. */
T_TEST_TIMEOUT(a_thousand_cycles_in_two_namespaces, 300)
{
    for (int i = 0; i < 500; i++) {
        parla_vlc *a = make_guest(1), *b = make_guest(1);
        T_TRUE(GUEST_OF(a, guest_getenv)("CYCLE") == NULL);
        GUEST_OF(a, guest_setenv)("CYCLE", "1");
        T_EQ(GUEST_OF(a, guest_exit_thread)(), 0);
        T_GE(GUEST_OF(b, guest_key_make)(), 0); /* never deleted */
        T_EVENTUALLY(info_of(a).n_threads == 0, 20000);
        parla_vlc_destroy(a); /* the first one first: out of the order in which they were made */
        parla_vlc_destroy(b);
    }
    T_EQ(limits_now().n_contexts, 0);
    T_LE(limits_now().n_parked, 2);
}

T_TEST(a_context_with_a_living_thread_is_parked_and_used_again)
{
    parla_vlc *vlc = make_guest(1);
    T_EQ(GUEST_OF(vlc, guest_leave_thread)(), 0);
    int (*end_thread)(void) = GUEST_OF(vlc, guest_end_thread);
    T_EQ(info_of(vlc).n_threads, 1);
    GUEST_OF(vlc, guest_setenv)("STATE", "kept");
    parla_vlc_destroy(vlc);
    parla_vlc *again = make_guest(1);
    T_TRUE(info_of(again).is_reused);
    T_EQ_STR(GUEST_OF(again, guest_getenv)("STATE"), "kept");
    T_EQ(limits_now().n_parked, 0);
    parla_vlc_destroy(again);
    T_EQ(end_thread(), 0); /* still loaded */
    parla_vlc *fresh = NULL;
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    options.flags = PARLA_VLC_FRESH;
    T_OK(parla_vlc_create(&fresh, &options));
    T_EQ(info_of(fresh).n_libraries, 0);
    parla_vlc_destroy(fresh);
}

T_TEST(the_last_namespace_is_followed_by_words)
{
    parla_vlc *all[32];
    int n = 0, error = 0;
    while (n < 32 && (error = parla_vlc_create(&all[n], NULL)) == 0)
        n++;
    T_EQ(error, PARLA_E_RESOURCES);
    T_GE(n, 5);
    T_LE(n, limits_now().max_contexts);
    T_TRUE(strstr(parla_error_detail(), "GLIBC_TUNABLES") || strstr(parla_error_detail(), "namespaces"));
    T_GT(limits_now().static_tls_used_bytes, 0);
    while (n > 0)
        parla_vlc_destroy(all[--n]);
    T_OK(parla_vlc_create(&all[0], NULL));
    parla_vlc_destroy(all[0]);
}

T_TEST(output_is_flushed_at_destroy_and_at_exit)
{
    int ends[2];
    char text[32] = "";
    T_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        parla_vlc *a = make_guest(1), *b = make_guest(1);
        GUEST_OF(a, guest_print)("destroyed ");
        parla_vlc_destroy(a);
        GUEST_OF(b, guest_print)("left ");
        GUEST_OF(b, guest_exit)(3); /* the program's exit, from inside */
    }
    close(ends[1]);
    int status;
    T_EQ(waitpid(child, &status, 0), child);
    T_TRUE(WIFEXITED(status));

    T_EQ(WEXITSTATUS(status), 3);
    T_GT(read(ends[0], text, sizeof text - 1), 0);
    T_EQ_STR(text, "destroyed left ");
}

T_TEST(a_forked_child_is_told)
{
    parla_vlc *vlc = make_guest(1);
    void *(*allocate)(unsigned long) = GUEST_OF(vlc, guest_malloc);
    void (*release)(void *) = GUEST_OF(vlc, guest_free);
    pid_t child = fork();
    if (child == 0) {
        parla_vlc_entry entry;
        void *memory = allocate(1000); /* plain calls go on working while the parent had one thread */
        int is_right = memory && parla_vlc_enter(vlc, &entry) == PARLA_E_FORKED;
        release(memory);
        parla_vlc_destroy(vlc);
        parla_vlc *own = make_guest(1);
        is_right = is_right && GUEST_OF(own, guest_cpus_at_load)() == 1;
        parla_vlc_destroy(own);
        _exit(is_right ? 0 : 1);
    }
    int status;
    T_EQ(waitpid(child, &status, 0), child);
    T_EQ(status, 0);
    parla_vlc_destroy(vlc);
}
