/* shim_files.c - files that tell about CPUs, cut down to the context's when a library inside opens them for reading.
 *
 *   /proc/cpuinfo                                             the blocks of the context's processors
 *   /proc/self/status                                         Cpus_allowed, Cpus_allowed_list
 *   /sys/devices/system/cpu/{online,possible,present}         the context's list
 *   /sys/devices/system/node/node<N>/{cpulist,cpumap}         what of the context's CPUs is in that node
 *   /sys/fs/cgroup/…/cpuset.cpus[.effective], cpuset/…        the context's list
 *   /sys/fs/cgroup/…/cpu.max, cpu.cfs_quota_us                at most as much time as the context's CPUs have
 *
 * A cut file lies in memory (memfd). A path is looked at only if its last part is one of these names, so other files cost one search. What
 * cannot be read, or made, falls back to the real file. A path is taken as it is written, after the folder of openat is put in front: a
 * detour through symbolic links or ".." shows the real file. */
#include "vlc/shim_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct text {
    char *bytes;
    size_t length, capacity;
} text;

static void append(text *t, const char *bytes, size_t length)
{
    if (t->length + length + 1 > t->capacity) {
        size_t capacity = 2 * (t->length + length + 1);
        char *grown = realloc(t->bytes, capacity);
        if (!grown)
            return;
        t->bytes = grown;
        t->capacity = capacity;
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    t->bytes[t->length] = '\0';
}

static int real_open(const char *path) { return SHIM_REAL(open)(path, O_RDONLY | O_CLOEXEC); }

static bool read_real(const char *path, text *out)
{
    char part[4096];
    int fd = real_open(path);
    if (fd < 0)
        return false;
    for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;)
        append(out, part, (size_t)n);
    close(fd);
    return out->bytes != NULL;
}

/* --- Contents ---------------------------------------------------------------------------------------------------------------- */

static void append_list(text *out, const pl_cpus *cpus)
{
    char list[PL_CPUS_TEXT];
    append(out, list, pl_cpus_format(cpus, list, sizeof list));
}

/* The kernel's mask form: words of 32 bits in hexadecimal, the highest first. */
static void append_mask(text *out, const pl_cpus *cpus)
{
    int last = pl_cpus_last(cpus);
    for (int i = last < 0 ? 0 : last / 32; i >= 0; i--) {
        char word[16];
        unsigned value = (unsigned)(cpus->words[i / 2] >> (32 * (i % 2)));
        int n = snprintf(word, sizeof word, "%08x%s", value, i > 0 ? "," : "");
        append(out, word, (size_t)n);
    }
}

static void context_list(const text *real, text *out)
{
    (void)real;
    pl_cpus cpus = shim_cpus();
    append_list(out, &cpus);
    append(out, "\n", 1);
}

/* Blocks are separated by empty lines; those without a processor's number are kept. */
static void processors(const text *real, text *out)
{
    pl_cpus cpus = shim_cpus();
    for (const char *block = real->bytes; *block;) {
        const char *end = strstr(block, "\n\n");
        size_t length = end ? (size_t)(end + 2 - block) : strlen(block);
        int number;
        if (sscanf(block, "processor : %d", &number) != 1 || pl_cpus_has(&cpus, number))
            append(out, block, length);
        block += length;
    }
}

static void status(const text *real, text *out)
{
    pl_cpus cpus = shim_cpus();
    for (const char *line = real->bytes; *line;) {
        const char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end + 1 - line) : strlen(line);
        bool is_list = strncmp(line, "Cpus_allowed_list:", 18) == 0;
        if (is_list || strncmp(line, "Cpus_allowed:", 13) == 0) {
            append(out, line, is_list ? 18 : 13);
            append(out, "\t", 1);
            (is_list ? append_list : append_mask)(out, &cpus);
            append(out, "\n", 1);
        } else {
            append(out, line, length);
        }
        line += length;
    }
}

static pl_cpus node_cpus(const text *real)
{
    pl_cpus node = {{0}}, cpus = shim_cpus();
    if (!pl_cpus_parse(real->bytes, &node))
        return node;
    return pl_cpus_and(&node, &cpus);
}

static void node_list(const text *real, text *out)
{
    pl_cpus cpus = node_cpus(real);
    append_list(out, &cpus);
    append(out, "\n", 1);
}

/* `real` is the node's list here too: see content_of. */
static void node_mask(const text *real, text *out)
{
    pl_cpus cpus = node_cpus(real);
    append_mask(out, &cpus);
    append(out, "\n", 1);
}

/* "max 100000" or "quota period". */
static void cpu_max(const text *real, text *out)
{
    long long quota, period = 100000;
    pl_cpus cpus = shim_cpus();
    char line[64];
    if (sscanf(real->bytes, "max %lld", &period) == 1)
        quota = -1;
    else if (sscanf(real->bytes, "%lld %lld", &quota, &period) != 2)
        quota = -1;
    long long most = period * pl_cpus_count(&cpus);
    int n = snprintf(line, sizeof line, "%lld %lld\n", quota < 0 || quota > most ? most : quota, period);
    append(out, line, (size_t)n);
}

/* -1 for no limit; the period lies in the file beside it, 100 ms unless somebody changed it. */
static void cfs_quota(const text *real, text *out)
{
    pl_cpus cpus = shim_cpus();
    long long quota = atoll(real->bytes), most = 100000LL * pl_cpus_count(&cpus);
    char line[32];
    int n = snprintf(line, sizeof line, "%lld\n", quota < 0 || quota > most ? most : quota);
    append(out, line, (size_t)n);
}

static const struct file {
    const char *name;   /* the last part of the path */
    const char *folder; /* what the path begins with */
    void (*make)(const text *real, text *out);
} files[] = {
    {"cpuinfo", "/proc/", processors},
    {"status", "/proc/self/", status},
    {"status", "/proc/thread-self/", status},
    {"online", "/sys/devices/system/cpu/", context_list},
    {"possible", "/sys/devices/system/cpu/", context_list},
    {"present", "/sys/devices/system/cpu/", context_list},
    {"cpulist", "/sys/devices/system/node/node", node_list},
    {"cpumap", "/sys/devices/system/node/node", node_mask},
    {"cpuset.cpus", "/sys/fs/cgroup/", context_list},
    {"cpuset.cpus.effective", "/sys/fs/cgroup/", context_list},
    {"cpuset.effective_cpus", "/sys/fs/cgroup/", context_list},
    {"cpu.max", "/sys/fs/cgroup/", cpu_max},
    {"cpu.cfs_quota_us", "/sys/fs/cgroup/", cfs_quota},
};

/* --- Finding ----------------------------------------------------------------------------------------------------------------- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_known_name(const char *name)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i].name, name) == 0)
            return true;
    return false;
}

/* The files directly in that folder, but for cgroups, which nest. */
static const struct file *file_of(const char *path)
{
    const char *name = last_part(path);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t n = strlen(files[i].folder);
        if (strcmp(files[i].name, name) != 0 || strncmp(path, files[i].folder, n) != 0)
            continue;
        bool is_nested = strstr(files[i].folder, "cgroup") || strstr(files[i].folder, "node/node");
        if (is_nested || path + n == name)
            return &files[i];
    }
    return NULL;
}

/* The path from the root on; false if it does not fit or the folder is unknown. */
static bool whole_path(int folder, const char *path, char *out, size_t capacity)
{
    if (path[0] == '/')
        return (size_t)snprintf(out, capacity, "%s", path) < capacity;
    char link[64];
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    ssize_t n = readlink(link, out, capacity - 1);
    if (n < 0)
        return false;
    n = n == 1 ? 0 : n; /* the root itself */
    size_t left = capacity - (size_t)n;
    return (size_t)snprintf(out + n, left, "/%s", path) < left;
}

static bool content_of(const struct file *file, const char *path, text *out)
{
    text real = {0};
    char list[4096];
    bool is_mask = file->make == node_mask;
    if (is_mask) /* the list says the same in a form that is read here anyway */
        snprintf(list, sizeof list, "%.*scpulist", (int)(last_part(path) - path), path);
    bool is_there = read_real(is_mask ? list : path, &real);
    if (is_there)
        file->make(&real, out);
    free(real.bytes);
    return is_there && out->bytes;
}

static int in_memory(const text *content, int flags)
{
    int fd = memfd_create("parla_vlc", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd < 0)
        return -1;
    if (write(fd, content->bytes, content->length) != (ssize_t)content->length || lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int shim_file(int folder, const char *path, int flags)
{
    char whole[4096];
    if (!path || (flags & O_ACCMODE) != O_RDONLY || !is_known_name(last_part(path)))
        return -1;
    int before = errno, fd = -1;
    const struct file *file = whole_path(folder, path, whole, sizeof whole) ? file_of(whole) : NULL;
    text content = {0};
    if (file && content_of(file, whole, &content))
        fd = in_memory(&content, flags);
    free(content.bytes);
    errno = before;
    return fd;
}

/* --- Replaced ---------------------------------------------------------------------------------------------------------------- */

static mode_t read_mode(int flags, va_list arguments)
{
    bool has_mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
    return has_mode ? va_arg(arguments, mode_t) : 0;
}

#define SHIM_OPEN(function)                                                                                                        \
    SHIM_EXPORT int function(const char *path, int flags, ...)                                                                     \
    {                                                                                                                              \
        va_list arguments;                                                                                                         \
        va_start(arguments, flags);                                                                                                \
        mode_t mode = read_mode(flags, arguments);                                                                                 \
        va_end(arguments);                                                                                                         \
        int fd = shim_file(AT_FDCWD, path, flags);                                                                                 \
        return fd >= 0 ? fd : SHIM_REAL(function)(path, flags, mode);                                                              \
    }
SHIM_OPEN(open)
SHIM_OPEN(open64)

#define SHIM_OPENAT(function)                                                                                                      \
    SHIM_EXPORT int function(int folder, const char *path, int flags, ...)                                                         \
    {                                                                                                                              \
        va_list arguments;                                                                                                         \
        va_start(arguments, flags);                                                                                                \
        mode_t mode = read_mode(flags, arguments);                                                                                 \
        va_end(arguments);                                                                                                         \
        int fd = shim_file(folder, path, flags);                                                                                   \
        return fd >= 0 ? fd : SHIM_REAL(function)(folder, path, flags, mode);                                                      \
    }
SHIM_OPENAT(openat)
SHIM_OPENAT(openat64)

/* What _FORTIFY_SOURCE makes of calls without a mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
SHIM_EXPORT int __open_2(const char *path, int flags) { return open(path, flags); }
SHIM_EXPORT int __open64_2(const char *path, int flags) { return open64(path, flags); }
SHIM_EXPORT int __openat_2(int folder, const char *path, int flags) { return openat(folder, path, flags); }
SHIM_EXPORT int __openat64_2(int folder, const char *path, int flags) { return openat64(folder, path, flags); }

#define SHIM_FOPEN(function)                                                                                                       \
    SHIM_EXPORT FILE *function(const char *path, const char *mode)                                                                 \
    {                                                                                                                              \
        int fd = mode[0] == 'r' && !strchr(mode, '+') ? shim_file(AT_FDCWD, path, strchr(mode, 'e') ? O_CLOEXEC : 0) : -1;         \
        FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;                                                                             \
        if (file)                                                                                                                  \
            return file;                                                                                                           \
        if (fd >= 0)                                                                                                               \
            close(fd);                                                                                                             \
        return SHIM_REAL(function)(path, mode);                                                                                    \
    }
SHIM_FOPEN(fopen)
SHIM_FOPEN(fopen64)
