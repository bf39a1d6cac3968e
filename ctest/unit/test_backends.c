/* test_backends.c - the registry of device kinds. */
#include "device/backends.h"

#include "base/atomic.h"
#include "test.h"

#include <parla/error.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdlib.h>

/* These tests are about a machine without GPUs; on one that has some, they are hidden. */
__attribute__((constructor)) static void hide_cards(void) { setenv("CUDA_VISIBLE_DEVICES", "", 1); }

T_TEST(two_kinds_are_built_in)
{
    T_EQ_PTR(parla_backend_find("cpu"), &pl_backend_cpu);
    T_EQ_PTR(parla_backend_find("sim"), &pl_backend_sim);
    T_EQ_PTR(parla_backend_find("cuda"), NULL);
    T_EQ_PTR(parla_backend_find(NULL), NULL);
    T_EQ_PTR(pl_backend_at(0), &pl_backend_cpu);
    T_EQ_PTR(pl_backend_at(1), &pl_backend_sim);
    T_EQ_PTR(pl_backend_at(2), NULL);
    char kinds[64];
    pl_backend_list(kinds, sizeof kinds);
    T_EQ_STR(kinds, "cpu, sim");
}

T_TEST(a_new_kind_is_found)
{
    static parla_backend other;
    other = pl_backend_sim;
    other.kind = "other2";
    other.queue_call = NULL;
    T_OK(parla_backend_register(&other));
    T_EQ_PTR(parla_backend_find("other2"), &other);
    T_EQ(parla_backend_register(&other), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "other2");
    char kinds[64];
    pl_backend_list(kinds, sizeof kinds);
    T_EQ_STR(kinds, "cpu, sim, other2");
}

T_TEST(unusable_tables_are_refused)
{
    T_EQ(parla_backend_register(NULL), PARLA_E_INVALID);
    parla_backend b = pl_backend_sim;
    b.kind = "other";
    b.abi = PARLA_BACKEND_ABI + 1;
    T_EQ(parla_backend_register(&b), PARLA_E_INVALID);
    char wrong_abi[16];
    snprintf(wrong_abi, sizeof wrong_abi, "ABI %d", PARLA_BACKEND_ABI + 1);
    T_HAS_STR(parla_error_detail(), wrong_abi);
    b.abi = PARLA_BACKEND_ABI;
    b.fill = NULL;
    T_EQ(parla_backend_register(&b), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "lacks");
    b.fill = pl_backend_sim.fill;
    static const char *const kinds[] = {NULL, "", "auto", "Cuda", "a-b", "9x", "a,b", "a_very_long_kind_of_device"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        b.kind = kinds[i];
        T_EQ(parla_backend_register(&b), PARLA_E_INVALID);
    }
    T_EQ_PTR(pl_backend_at(2), NULL);
}

T_TEST(the_registry_is_bounded)
{
    static parla_backend many[20];
    static char names[20][16];
    int n = 0, rc = 0;
    for (; n < 20 && rc == 0; n++) {
        snprintf(names[n], sizeof names[n], "kind%d", n);
        many[n] = pl_backend_sim;
        many[n].kind = names[n];
        rc = parla_backend_register(&many[n]);
    }
    T_EQ(rc, PARLA_E_STATE);
    char kinds[40];
    pl_backend_list(kinds, sizeof kinds); /* cut short, not written past its end */
    T_LT(strlen(kinds), sizeof kinds);
}

static void *look_up(void *arg)
{
    while (!pl_load_acquire((_Atomic bool *)arg))
        T_TRUE(parla_backend_find("cpu") == &pl_backend_cpu);
    return NULL;
}

/* Whenever the fork is, another thread may be inside of the registry. */
T_TEST(a_forked_child_is_not_locked_out)
{
    _Atomic bool is_over = false;
    pthread_t thread;
    T_EQ(pthread_create(&thread, NULL, look_up, (void *)&is_over), 0);
    for (int i = 0; i < 30; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(parla_backend_find("cpu") == &pl_backend_cpu ? 0 : 1);
        T_EQ(waitpid(child, &status, 0), child);
        T_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    pl_store_release(&is_over, true);
    T_EQ(pthread_join(thread, NULL), 0);
}
