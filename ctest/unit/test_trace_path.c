/* test_trace_path.c - names of the ranks' trace files. */
#include "trace/trace_path.h"

#include "test.h"

#include <stdlib.h>

static void check(const char *pattern, bool is_shared, int rank, int n_ranks, const char *expected)
{
    char *path;
    T_OK(pl_trace_path(pattern, is_shared, (pl_launcher){.rank = rank, .n_ranks = n_ranks}, &path));
    T_EQ_STR(path, expected);
    free(path);
}

T_TEST(marks_become_the_rank)
{
    check("trace.{rank}.json", false, 3, 4, "trace.3.json");
    check("trace.{rank}.json", true, 0, 1, "trace.0.json");
    check("{rank}{rank}/{rank", true, 1234567890, 2147483647, "12345678901234567890/{rank");
    check("{rank}", false, 7, 8, "7");
}

T_TEST(a_name_for_all_ranks_gets_the_rank)
{
    check("trace.json", true, 3, 4, "trace.3.json");
    check("a.b/trace", true, 3, 4, "a.b/trace.3");
    check("a.b/.trace", true, 3, 4, "a.b/.trace.3");
    check("trace.tar.gz", true, 0, 2, "trace.tar.0.gz");
    check("", true, 0, 2, ".0");
}

T_TEST(other_names_stay)
{
    check("trace.json", true, 0, 1, "trace.json");
    check("trace.json", false, 3, 4, "trace.json");
}
