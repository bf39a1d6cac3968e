/* test_shim_files.c - files that tell about CPUs are cut, all others are themselves. */
#include "vlc_fixture.h"

#include <stdio.h>
#include <unistd.h>

enum { CAPACITY = 1 << 20 };
static char text[CAPACITY];

static const char *read_in(parla_vlc *vlc, const char *path, int how)
{
    int n = GUEST_OF(vlc, guest_read)(path, how, text, CAPACITY);
    return n >= 0 ? text : NULL;
}

static int count_parts(const char *whole, const char *part)
{
    int n = 0;
    for (const char *at = whole; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

T_TEST(lists_and_processors_are_the_context_s)
{
    static const char *const lists[] = {"/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
                                        "/sys/devices/system/cpu/present"};
    parla_vlc *vlc = make_guest(1);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%s\n", info_of(vlc).cpus);
    for (int how = 0; how < 3; how++) {
        for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
            if (read_in(vlc, lists[i], how))
                T_EQ_STR(text, wanted);
        T_TRUE(read_in(vlc, "/proc/cpuinfo", how) != NULL);
        if (strstr(text, "processor\t"))
            T_EQ(count_parts(text, "processor\t"), 1);
        T_TRUE(read_in(vlc, "/proc/self/status", how) != NULL);
        T_HAS_STR(text, "Name:");
        snprintf(wanted, sizeof wanted, "Cpus_allowed_list:\t%s\n", info_of(vlc).cpus);
        T_HAS_STR(text, wanted);
        snprintf(wanted, sizeof wanted, "%s\n", info_of(vlc).cpus);
    }
    parla_vlc_destroy(vlc);
}

T_TEST(nodes_and_cgroups_are_cut_where_there_are_any)
{
    parla_vlc *vlc = make_guest(1);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%s\n", info_of(vlc).cpus);
    if (access("/sys/devices/system/node/node1", F_OK) != 0 && read_in(vlc, "/sys/devices/system/node/node0/cpulist", 1))
        T_EQ_STR(text, wanted);
    if (read_in(vlc, "/sys/fs/cgroup/cpuset.cpus.effective", 1))
        T_EQ_STR(text, wanted);
    long long quota, period;
    if (read_in(vlc, "/sys/fs/cgroup/cpu.max", 0) && sscanf(text, "%lld %lld", &quota, &period) == 2)
        T_LE(quota, period);
    parla_vlc_destroy(vlc);
}

T_TEST(other_files_are_themselves)
{
    parla_vlc *vlc = make_guest(1);
    T_TRUE(read_in(vlc, "/proc/self/comm", 0) != NULL);
    T_TRUE(read_in(vlc, "/etc/passwd", 2) != NULL);
    T_EQ(GUEST_OF(vlc, guest_read)("/no/such/cpuinfo", 0, text, CAPACITY), -2); /* ENOENT */
    T_EQ(GUEST_OF(vlc, guest_read)("/no/such/online", 1, text, CAPACITY), -2);
    parla_vlc_destroy(vlc);
}
