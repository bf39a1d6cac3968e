/* test_quota.c - quotas of CPU time, read from trees of files like those of the kernel. */
#include "sched/quota.h"
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

/* Writes a file below the root, with the folders on its way. */
static void put(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = full + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(full, 0700);
    }
    FILE *file = fopen(full, "w");
    T_TRUE(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void begin(void)
{
    strcpy(root, "/tmp/parla-quota-XXXXXX");
    T_TRUE(mkdtemp(root) != NULL);
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    T_EQ(system(command), 0);
}

T_TEST(nothing_to_read)
{
    begin();
    T_EQ(pl_quota_cores(root), 0);
    put("proc/self/cgroup", "garbage\n0::/a\n3:cpu:\n");
    T_EQ(pl_quota_cores(root), 0);
    end();
}

T_TEST(version_2)
{
    begin();
    put("proc/self/cgroup", "0::/usr/b\n");
    put("sys/fs/cgroup/usr/b/cpu.max", "max 100000\n");
    T_EQ(pl_quota_cores(root), 0);
    put("sys/fs/cgroup/usr/cpu.max", "350000 100000\n"); /* that of a group around it holds */
    T_EQ(pl_quota_cores(root), 4);
    put("sys/fs/cgroup/usr/b/cpu.max", "150000 100000\n");
    T_EQ(pl_quota_cores(root), 2);
    put("sys/fs/cgroup/usr/b/cpu.max", "20000 100000\n");
    T_EQ(pl_quota_cores(root), 1);
    end();
}

/* The path is that of the host, the mounted tree begins at the container's group. */
T_TEST(version_2_in_a_container)
{
    begin();
    put("proc/self/cgroup", "0::/system.slice/docker-1234.scope\n");
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    T_EQ(pl_quota_cores(root), 2);
    end();
}

T_TEST(version_1)
{
    begin();
    put("proc/self/cgroup", "12:memory:/x\n4:cpuset:/y\n3:cpuacct,cpu:/job\n0::/\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    T_EQ(pl_quota_cores(root), 0);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "300000\n");
    T_EQ(pl_quota_cores(root), 3);
    put("sys/fs/cgroup/cpu.max", "100000 100000\n"); /* both hierarchies hold */
    T_EQ(pl_quota_cores(root), 1);
    end();
}
