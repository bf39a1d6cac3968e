/* test_needs.c - libraries that must exist once are refused, also behind others. */
#include "vlc/needs.h"

#include "test.h"

static char why[512];

T_TEST(mpi_ucx_the_driver_and_ourselves_are_refused_by_name)
{
    static const char *const once[] = {"libmpi.so.40", "/usr/lib/libmpich.so.12", "libucp.so.0", "libcuda.so.1", "libparla.so.0"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        why[0] = '\0';
        T_TRUE(pl_vlc_is_refused(once[i], why, sizeof why));
        T_HAS_STR(why, "once");
    }
    T_FALSE(pl_vlc_is_refused("libm.so.6", why, sizeof why));
    T_FALSE(pl_vlc_is_refused("libmpfr.so.6", why, sizeof why));
    T_FALSE(pl_vlc_is_refused("no such library", why, sizeof why));
    T_FALSE(pl_vlc_is_refused(__FILE__, why, sizeof why));
}

/* The middle library needs the one at the end, whose name is refused; it is found through the run path. */
T_TEST(what_needs_them_is_refused_before_it_is_loaded)
{
    T_TRUE(pl_vlc_is_refused(T_NEEDS_ONCE, why, sizeof why));
    T_HAS_STR(why, "needs libmpi_fake.so");
    T_HAS_STR(why, "through libneeds_middle.so");
    T_HAS_STR(why, "MPI must exist once");
}
