/* test_registry.c - whose CPUs are whose. */
#include "vlc/registry.h"

#include "vlc_fixture.h"

static int choose(const char *cpus, int n_cpus, unsigned flags, pl_cpus *out)
{
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    bool is_claimed;
    options.cpus = cpus;
    options.n_cpus = n_cpus;
    options.flags = flags;
    pl_vlc_registry_lock();
    int error = pl_vlc_choose_cpus_locked(&options, out, &is_claimed);
    pl_vlc_registry_unlock();
    return error;
}

T_TEST(cpus_are_taken_once_unless_shared)
{
    int n = n_process_cpus();
    parla_vlc taken = {.has_claims = true};
    pl_cpus picked;
    T_OK(choose(NULL, n, 0, &taken.cpus));
    T_EQ(pl_cpus_count(&taken.cpus), n);
    pl_vlc_registry_lock();
    pl_vlc_claim_locked(&taken, 1);
    pl_vlc_registry_unlock();
    T_EQ(choose(NULL, 1, 0, &picked), PARLA_E_RESOURCES);
    T_HAS_STR(parla_error_detail(), "1 CPUs were asked for, 0 of the process's");
    T_OK(choose(NULL, 1, PARLA_VLC_SHARE, &picked));
    T_EQ(pl_cpus_count(&picked), 1);
    T_EQ(choose(NULL, n + 1, PARLA_VLC_SHARE, &picked), PARLA_E_RESOURCES);
    T_OK(choose(NULL, 0, 0, &picked));
    T_EQ(pl_cpus_count(&picked), n);
    pl_vlc_registry_lock();
    pl_vlc_claim_locked(&taken, -1);
    pl_vlc_registry_unlock();
    T_OK(choose(NULL, 1, 0, &picked));
}

T_TEST(named_cpus_lie_within_the_process)
{
    pl_cpus ours, picked;
    char text[PL_CPUS_TEXT];
    T_EQ(pl_process_cpus(&ours), 0);
    pl_cpus_format(&ours, text, sizeof text);
    T_OK(choose(text, 0, 0, &picked));
    T_TRUE(pl_cpus_equal(&ours, &picked));
    T_EQ(choose("1023", 0, 0, &picked), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "this process may use CPUs");
    T_EQ(choose("first", 0, 0, &picked), PARLA_E_INVALID);
    T_EQ(choose(NULL, -1, 0, &picked), PARLA_E_INVALID);
}
