/* test_cpus.c - lists of CPUs: read, written, and refused. */
#include "vlc/cpus.h"

#include "test.h"

T_TEST(lists_are_read_and_written)
{
    static const char *const lists[] = {"0", "0-3", "1,3,5", "0-1,8-15,1023", "7"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        pl_cpus cpus;
        char text[PL_CPUS_TEXT];
        T_TRUE(pl_cpus_parse(lists[i], &cpus));
        T_EQ(pl_cpus_format(&cpus, text, sizeof text), (intmax_t)strlen(lists[i]));
        T_EQ_STR(text, lists[i]);
    }
}

T_TEST(what_is_no_list_is_refused)
{
    static const char *const wrong[] = {"", "x", "1-", "3-1", "1,,2", "1024", "-1", "0-1024", "1 2", "1,"};
    pl_cpus cpus = {{7}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        T_FALSE(pl_cpus_parse(wrong[i], &cpus));
    T_EQ(cpus.words[0], 7);
    T_TRUE(pl_cpus_parse("0-1\n", &cpus)); /* as the kernel's files end */
}

T_TEST(random_sets_survive_a_round_trip)
{
    t_rng rng = {t_seed()};
    for (int k = 0; k < 500; k++) {
        pl_cpus set = {{0}}, back;
        char text[PL_CPUS_TEXT];
        for (uint64_t n = 1 + t_below(&rng, 300); n > 0; n--)
            pl_cpus_add(&set, (int)t_below(&rng, PL_CPUS_MAX));
        pl_cpus_format(&set, text, sizeof text);
        T_TRUE(pl_cpus_parse(text, &back));
        T_TRUE(pl_cpus_equal(&set, &back));
        pl_cpus both = pl_cpus_and(&set, &back);
        T_EQ(pl_cpus_count(&both), pl_cpus_count(&set));
        T_TRUE(pl_cpus_has(&set, pl_cpus_last(&set)));
    }
}

T_TEST(the_longest_text_fits)
{
    pl_cpus set = {{0}};
    char text[PL_CPUS_TEXT];
    for (int i = 0; i < PL_CPUS_MAX; i += 2)
        pl_cpus_add(&set, i);
    T_LT(pl_cpus_format(&set, text, sizeof text), PL_CPUS_TEXT - 1);
    pl_cpus none = {{0}};
    T_EQ(pl_cpus_format(&none, text, sizeof text), 0);
    T_EQ(pl_cpus_last(&none), -1);
}
