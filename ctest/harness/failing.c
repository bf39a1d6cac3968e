/* failing.c - cases that pass, fail, skip, crash and hang on purpose; self_test.sh looks at what the runner makes of them. */
#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

T_TEST(passes)
{
    T_EQ(1 + 1, 2);
    T_EQ_STR("a", "a");
    T_NEAR(0.1 + 0.2, 0.3, 1e-15);
    T_EVENTUALLY(true, 1);
}

T_TEST(fails)
{
    int found = 3;
    T_EQ(found, 4);
}

T_TEST(skips) { T_SKIP("on purpose"); }

T_TEST(crashes)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

T_TEST(exits) { exit(3); }

T_TEST(waits_in_vain) { T_EVENTUALLY(getpid() == 0, 20); }

T_TEST_TIMEOUT(hangs, 1)
{
    if (fork() == 0) {
        pause(); /* must not outlive the case */
    }
    t_phase("in a loop without end");
    for (;;) {
        pause();
    }
}

T_TEST(has_a_clean_environment)
{
    T_TRUE(getenv("PARLA_DEVICES") == NULL);
    T_EQ(t_seed(), 7);
}
