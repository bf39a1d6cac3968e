/* quota.c - reads cpu.max (control groups, version 2) or cpu.cfs_quota_us and cpu.cfs_period_us (version 1).
 *
 * /proc/self/cgroup has one line for each hierarchy, "NUMBER:CONTROLLERS:PATH"; version 2 has number 0 and no controllers. A quota of any
 * group on the way from PATH up to the root of the hierarchy holds. In a container the mounted hierarchy often begins at the process's own
 * group, so a PATH that does not exist there is passed over; the root itself is always looked at. */
#include "sched/quota.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH = 4096 };

static bool read_text(const char *path, char *out, size_t n_bytes)
{
    FILE *file = fopen(path, "re");
    bool is_read = file && fgets(out, (int)n_bytes, file);
    if (file)
        fclose(file);
    return is_read;
}

/* Both numbers are microseconds. 0 unless both are positive: "max" and -1 mean no quota. */
static double cores_of(const char *quota, const char *period)
{
    double quota_us = strtod(quota, NULL), period_us = strtod(period, NULL);
    return quota_us > 0 && period_us > 0 ? quota_us / period_us : 0;
}

/* Version 2: "QUOTA PERIOD" or "max PERIOD". */
static double cores_v2(const char *folder)
{
    char path[MAX_PATH + 32], text[128];
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_text(path, text, sizeof text))
        return 0;
    const char *space = strchr(text, ' ');
    return space ? cores_of(text, space) : 0;
}

static double cores_v1(const char *folder)
{
    char path[MAX_PATH + 32], quota[64], period[64];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_text(path, quota, sizeof quota))
        return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return read_text(path, period, sizeof period) ? cores_of(quota, period) : 0;
}

/* The least one of a group and all around it, up to the root of the hierarchy at `mount`. */
static double least_on_the_way(const char *mount, const char *group, double (*cores)(const char *folder))
{
    char folder[MAX_PATH];
    size_t n_mount = strlen(mount);
    double least = 0;
    int length = snprintf(folder, sizeof folder, "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
    if (length < 0 || (size_t)length >= sizeof folder)
        return 0;
    for (;;) {
        double here = cores(folder);
        if (here > 0 && (least == 0 || here < least))
            least = here;
        char *slash = strrchr(folder + n_mount, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

static bool has_word(const char *list, size_t length, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= length; i++)
        if ((i == 0 || list[i - 1] == ',') && memcmp(list + i, word, n) == 0 && (i + n == length || list[i + n] == ','))
            return true;
    return false;
}

/* A line of /proc/self/cgroup. */
static double cores_of_line(const char *root, char *line)
{
    char mount[MAX_PATH];
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || strlen(root) > MAX_PATH / 2)
        return 0;
    controllers++;
    size_t n_controllers = (size_t)(group++ - controllers);
    if (n_controllers == 0) {
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        return least_on_the_way(mount, group, cores_v2);
    }
    if (!has_word(controllers, n_controllers, "cpu"))
        return 0;
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
    return least_on_the_way(mount, group, cores_v1);
}

int pl_quota_cores(const char *root)
{
    char path[MAX_PATH], line[MAX_PATH];
    double least = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        double here = cores_of_line(root, line);
        if (here > 0 && (least == 0 || here < least))
            least = here;
    }
    if (file)
        fclose(file);
    return least > 0 && least < 1e6 ? (int)ceil(least - 1e-6) : 0;
}
