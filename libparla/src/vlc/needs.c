/* needs.c - reads what a library needs (DT_NEEDED) from its file, and that of its dependencies, before any of it is loaded.
 *
 * Constructors run at load time, and those of MPI, UCX or a GPU driver take hold of devices and of the whole process: so the question has
 * to be answered before. Names are resolved as the dynamic linker does: as they are if they have a slash, else in DT_RUNPATH or DT_RPATH,
 * LD_LIBRARY_PATH and the cache of ldconfig. A dependency that is not found that way is judged by its name alone.
 *
 * Pure apart from reading files; no locks. */
#include "vlc/needs.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LIBRARIES = 256 };

static const struct {
    const char *prefix; /* of the file's name */
    const char *reason;
} once[] = {
    {"libmpi", "MPI must exist once in a process: call it outside and pass buffers"},
    {"libopen-rte.", "it belongs to Open MPI, and MPI must exist once in a process"},
    {"libopen-pal.", "it belongs to Open MPI, and MPI must exist once in a process"},
    {"libpmi", "it connects the process to its launcher, which can be done once"},
    {"libucp.", "UCX owns the process's network endpoints and must exist once"},
    {"libuct.", "UCX owns the process's network endpoints and must exist once"},
    {"libucs.", "UCX owns the process's network endpoints and must exist once"},
    {"libucm.", "UCX replaces the process's memory functions and must exist once"},
    {"libfabric.", "it owns the process's network endpoints and must exist once"},
    {"libibverbs.", "it owns the process's network endpoints and must exist once"},
    {"libpsm2.", "it owns the process's network endpoints and must exist once"},
    {"libcuda.", "the CUDA driver must exist once in a process: contexts share the one outside"},
    {"libnvidia-", "it belongs to the GPU driver, which must exist once in a process"},
    {"libamdhip64.", "the GPU driver's library must exist once in a process"},
    {"libhsa-runtime64.", "the GPU driver's library must exist once in a process"},
    {"libparla.", "the task runtime must exist once in a process: spawn tasks outside"},
    {"libparla_mpi.", "the task runtime must exist once in a process: spawn tasks outside"},
    {"libcrosspy.", "the task runtime must exist once in a process: spawn tasks outside"},
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *reason_against(const char *library)
{
    const char *name = last_part(library);
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        if (strncmp(name, once[i].prefix, strlen(once[i].prefix)) == 0)
            return once[i].reason;
    return NULL;
}

/* --- Files ------------------------------------------------------------------------------------------------------------------- */

typedef struct mapped {
    const char *bytes;
    size_t length;
} mapped;

static bool map_file(const char *path, mapped *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    bool is_good = fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0;
    void *bytes = is_good ? mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (bytes == MAP_FAILED)
        return false;
    *out = (mapped){bytes, (size_t)about.st_size};
    return true;
}

static void unmap_file(mapped *file) { munmap((void *)(uintptr_t)file->bytes, file->length); }

/* `n_bytes` at an offset, or NULL beyond the end. */
static const void *part_of(const mapped *file, uint64_t offset, uint64_t n_bytes)
{
    return offset <= file->length && n_bytes <= file->length - offset ? file->bytes + offset : NULL;
}

/* A string at an offset that ends within the file, or "". */
static const char *string_at(const mapped *file, uint64_t offset)
{
    return offset < file->length && memchr(file->bytes + offset, '\0', file->length - offset) ? file->bytes + offset : "";
}

/* --- Names to paths: the cache of ldconfig ----------------------------------------------------------------------------------- */

#define CACHE_FILE "/etc/ld.so.cache"
#define CACHE_MAGIC "glibc-ld.so.cache1.1"

typedef struct cache_head {
    char magic[sizeof CACHE_MAGIC - 1];
    uint32_t n_entries, unused[6];
} cache_head;

typedef struct cache_entry {
    int32_t flags;
    uint32_t name, path; /* offsets of strings */
    uint32_t os_version;
    uint64_t hardware;
} cache_entry;

static bool is_there(const char *path) { return access(path, R_OK) == 0; }

static bool find_in_cache(const char *name, char *out)
{
    mapped file;
    bool is_found = false;
    if (!map_file(CACHE_FILE, &file))
        return false;
    const cache_head *head = part_of(&file, 0, sizeof *head);
    const cache_entry *entries = NULL;
    if (head && memcmp(head->magic, CACHE_MAGIC, sizeof head->magic) == 0)
        entries = part_of(&file, sizeof *head, (uint64_t)head->n_entries * sizeof *entries);
    for (uint32_t i = 0; entries && i < head->n_entries && !is_found; i++) {
        if (strcmp(string_at(&file, entries[i].name), name) == 0) {
            is_found = (size_t)snprintf(out, PATH_MAX, "%s", string_at(&file, entries[i].path)) < PATH_MAX && is_there(out);
        }
    }
    unmap_file(&file);
    return is_found;
}

/* One folder of a search path, "$ORIGIN" standing for the folder of `from`. */
static bool find_in_folder(const char *folder, size_t length, const char *from, const char *name, char *out)
{
    static const char *const origins[] = {"$ORIGIN", "${ORIGIN}"};
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        size_t n = strlen(origins[i]);
        if (length >= n && strncmp(folder, origins[i], n) == 0) {
            int n_from = (int)(last_part(from) - from);
            const char *here = n_from > 0 ? from : "./";
            return snprintf(out, PATH_MAX, "%.*s%.*s/%s", n_from > 0 ? n_from : 2, here, (int)(length - n), folder + n, name) <
                       PATH_MAX &&
                   is_there(out);
        }
    }
    return snprintf(out, PATH_MAX, "%.*s/%s", (int)length, folder, name) < PATH_MAX && is_there(out);
}

static bool find_in_path(const char *path, const char *from, const char *name, char *out)
{
    while (path && *path) {
        size_t length = strcspn(path, ":");
        if (length > 0 && find_in_folder(path, length, from, name, out))
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static bool find(const char *name, const char *from, const char *run_path, char *out)
{
    if (strchr(name, '/'))
        return snprintf(out, PATH_MAX, "%s", name) < PATH_MAX && is_there(out);
    return find_in_path(run_path, from, name, out) || find_in_path(getenv("LD_LIBRARY_PATH"), from, name, out) ||
           find_in_cache(name, out);
}

/* --- The dynamic section ----------------------------------------------------------------------------------------------------- */

typedef struct dynamic {
    const ElfW(Dyn) * entries;
    size_t n;
    uint64_t strings; /* offset in the file */
    const char *run_path;
} dynamic;

static uint64_t offset_of(const ElfW(Phdr) * segments, size_t n, uint64_t address)
{
    for (size_t i = 0; i < n; i++)
        if (segments[i].p_type == PT_LOAD && address >= segments[i].p_vaddr && address - segments[i].p_vaddr < segments[i].p_filesz)
            return address - segments[i].p_vaddr + segments[i].p_offset;
    return UINT64_MAX;
}

static void read_entries(const mapped *file, const ElfW(Phdr) * segments, size_t n_segments, dynamic *out)
{
    uint64_t run_path = UINT64_MAX;
    for (size_t i = 0; i < out->n && out->entries[i].d_tag != DT_NULL; i++) {
        if (out->entries[i].d_tag == DT_STRTAB)
            out->strings = offset_of(segments, n_segments, out->entries[i].d_un.d_ptr);
        else if (out->entries[i].d_tag == DT_RUNPATH || (out->entries[i].d_tag == DT_RPATH && run_path == UINT64_MAX))
            run_path = out->entries[i].d_un.d_val;
    }
    if (run_path != UINT64_MAX && out->strings != UINT64_MAX)
        out->run_path = string_at(file, out->strings + run_path);
}

static bool read_dynamic(const mapped *file, dynamic *out)
{
    const ElfW(Ehdr) *head = part_of(file, 0, sizeof *head);
    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
        head->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
        return false;
    const ElfW(Phdr) *segments = part_of(file, head->e_phoff, (uint64_t)head->e_phnum * sizeof *segments);
    for (size_t i = 0; segments && i < head->e_phnum; i++) {
        if (segments[i].p_type != PT_DYNAMIC)
            continue;
        *out = (dynamic){.entries = part_of(file, segments[i].p_offset, segments[i].p_filesz), .strings = UINT64_MAX};
        out->n = out->entries ? segments[i].p_filesz / sizeof *out->entries : 0;
        read_entries(file, segments, head->e_phnum, out);
        return out->strings != UINT64_MAX;
    }
    return false;
}

/* --- The walk ---------------------------------------------------------------------------------------------------------------- */

typedef struct walk {
    char *seen[MAX_LIBRARIES]; /* paths; those from i_next on are still to be read */
    size_t n_seen, i_next;
} walk;

static void visit(walk *self, const char *path)
{
    for (size_t i = 0; i < self->n_seen; i++)
        if (strcmp(self->seen[i], path) == 0)
            return;
    char *copy = self->n_seen < MAX_LIBRARIES ? strdup(path) : NULL;
    if (copy)
        self->seen[self->n_seen++] = copy;
}

/* Visits what the file needs; true if one of those is refused. */
static bool read_needs(walk *self, const char *path, const char *library, char *why, size_t capacity)
{
    mapped file;
    dynamic d;
    char found[PATH_MAX];
    const char *reason = NULL;
    if (!map_file(path, &file))
        return false;
    bool is_library = read_dynamic(&file, &d);
    for (size_t i = 0; is_library && i < d.n && d.entries[i].d_tag != DT_NULL && !reason; i++) {
        if (d.entries[i].d_tag != DT_NEEDED)
            continue;
        const char *name = string_at(&file, d.strings + d.entries[i].d_un.d_val);
        reason = reason_against(name);
        if (reason)
            snprintf(why, capacity, "%s needs %s (through %s): %s", library, name, last_part(path), reason);
        else if (find(name, path, d.run_path, found))
            visit(self, found);
    }
    unmap_file(&file);
    return reason != NULL;
}

bool pl_vlc_is_refused(const char *library, char *why, size_t capacity)
{
    char path[PATH_MAX];
    const char *reason = reason_against(library);
    if (reason) {
        snprintf(why, capacity, "%s: %s", last_part(library), reason);
        return true;
    }
    walk self = {.n_seen = 0};
    bool is_refused = false;
    if (find(library, "", NULL, path))
        visit(&self, path);
    while (self.i_next < self.n_seen && !is_refused)
        is_refused = read_needs(&self, self.seen[self.i_next++], last_part(library), why, capacity);
    for (size_t i = 0; i < self.n_seen; i++)
        free(self.seen[i]);
    return is_refused;
}
