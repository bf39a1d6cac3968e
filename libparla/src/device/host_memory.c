/* host_memory.c - aligned memory, and the machine's memory, cut to the limit of this process's control group.
 *
 * A group is limited by its own file and by those of all groups above it. /proc/self/cgroup names the group: "0::/path" in version 2 of the
 * interface, "N:memory:/path" in version 1. Inside a container the path may belong to the outside and not exist; the walk upwards then
 * still meets the root, where a container finds its own limit. No state, any thread. */
#include "device/host_memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4352
#define ALIGN_BYTES ((size_t)64)

/* The number in a file; SIZE_MAX if it cannot be read or says "max". */
static size_t read_limit(const char *path)
{
    size_t limit = SIZE_MAX;
    FILE *file = fopen(path, "re");
    if (!file)
        return limit;
    char text[32];
    if (fgets(text, sizeof text, file) && text[0] >= '0' && text[0] <= '9')
        limit = strtoull(text, NULL, 10);
    fclose(file);
    return limit;
}

/* The smallest limit from `group` up to the root of a hierarchy. Cuts `group` short as it goes. */
static size_t walk_up(const char *root, char *group, const char *limit_file)
{
    size_t least = SIZE_MAX;
    for (;;) {
        char path[PATH_BYTES + 64];
        snprintf(path, sizeof path, "%s%s/%s", root, group, limit_file);
        size_t limit = read_limit(path);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* The limit that one line of /proc/self/cgroup leads to, SIZE_MAX if none. */
static size_t line_limit(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return SIZE_MAX;
    *group++ = '\0';
    if (strcmp(controllers, ":") == 0)
        return walk_up("/sys/fs/cgroup", group, "memory.max");
    if (strcmp(controllers, ":memory") == 0)
        return walk_up("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    return SIZE_MAX;
}

static size_t cgroup_limit(void)
{
    size_t least = SIZE_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return least;
    char line[PATH_BYTES];
    while (fgets(line, sizeof line, file)) {
        size_t limit = line_limit(line);
        least = limit < least ? limit : least;
    }
    fclose(file);
    return least;
}

size_t pl_host_memory_bytes(void)
{
    long n_pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    size_t machine = n_pages > 0 && page_bytes > 0 ? (size_t)n_pages * (size_t)page_bytes : SIZE_MAX / 2;
    size_t limit = cgroup_limit();
    return limit < machine ? limit : machine;
}

void *pl_host_alloc(size_t n_bytes)
{
    if (n_bytes > PTRDIFF_MAX - ALIGN_BYTES)
        return NULL;
    size_t n_lines = (n_bytes + ALIGN_BYTES - 1) / ALIGN_BYTES;
    return aligned_alloc(ALIGN_BYTES, (n_lines > 0 ? n_lines : 1) * ALIGN_BYTES);
}

void *pl_host_alloc_from(const parla_memory_source *source, size_t n_bytes)
{
    void *memory = source ? source->alloc(source->ctx, n_bytes) : NULL;
    return memory ? memory : pl_host_alloc(n_bytes);
}

void pl_host_free_to(const parla_memory_source *source, void *memory)
{
    if (!source || !source->free(source->ctx, memory))
        free(memory);
}
