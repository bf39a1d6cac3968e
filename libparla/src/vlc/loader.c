/* loader.c - the dynamic linker's side.
 *
 * The first object of a namespace is made here: a shared object in memory without code. It has a list of what it needs: the shim, then
 * the libraries that are to be global, since the order of that list is the order of the namespace's global scope; and one symbol, whose
 * value is the address of what the shim has to know before any constructor runs. (dlmopen refuses RTLD_GLOBAL, and dlopen
 * with RTLD_GLOBAL inside of a second namespace crashes the dynamic linker of glibc 2.36.)
 *
 *   header | 3 program headers | symbols | hash table | dynamic section | strings
 *
 * What must not be unloaded: objects marked "nodelete", and those that define unique symbols (C++ inline variables, static members of
 * templates), which dlclose leaves behind with all their bindings; and objects with static thread-local memory, since dlclose gets that
 * memory back only from what was loaded last. For the same reason namespaces are not closed: each C library has some of that memory.
 *
 * Static thread-local memory: glibc 2.36 reserves (nns - 1) * 144 + nns * 144 + optional bytes, with nns = 4 and optional = 512 by default,
 * and a constant that makes the default 1664. */
#include "vlc/loader.h"

#include "base/atomic.h"
#include "base/error.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- The first object -------------------------------------------------------------------------------------------------------- */

enum { N_SEGMENTS = 3, N_OTHER_ENTRIES = 6, N_SYMBOLS = 2, HASH_WORDS = 5 };

typedef struct image {
    ElfW(Ehdr) head;
    ElfW(Phdr) segments[N_SEGMENTS];
    ElfW(Sym) symbols[N_SYMBOLS]; /* the first is empty by the format's rule */
    uint32_t hash[HASH_WORDS];    /* one bucket, which begins with symbol 1 */
    ElfW(Dyn) dynamic[];
} image;

static size_t count(const char *const *names)
{
    size_t n = 0;
    while (names && names[n])
        n++;
    return n;
}

static size_t strings_length(const char *shim, const char *const *globals)
{
    size_t length = 1 + sizeof PL_VLC_START_SYMBOL + strlen(shim) + 1;
    for (size_t i = 0; globals && globals[i]; i++)
        length += strlen(globals[i]) + 1;
    return length;
}

static ElfW(Dyn) entry(ElfW(Sxword) tag, size_t value) { return (ElfW(Dyn)){.d_tag = tag, .d_un.d_val = value}; }

static void fill_head(image *self, const ElfW(Ehdr) * like, size_t dynamic_bytes, size_t length)
{
    size_t at = offsetof(image, dynamic);
    memcpy(self->head.e_ident, like->e_ident, EI_NIDENT);
    self->head.e_type = ET_DYN;
    self->head.e_machine = like->e_machine;
    self->head.e_version = EV_CURRENT;
    self->head.e_flags = like->e_flags;
    self->head.e_phoff = offsetof(image, segments);
    self->head.e_ehsize = sizeof self->head;
    self->head.e_phentsize = sizeof self->segments[0];
    self->head.e_phnum = N_SEGMENTS;
    self->segments[0] =
        (ElfW(Phdr)){.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_filesz = length, .p_memsz = length, .p_align = 0x10000};
    self->segments[1] = (ElfW(Phdr)){.p_type = PT_DYNAMIC,
                                     .p_flags = PF_R | PF_W,
                                     .p_offset = at,
                                     .p_vaddr = at,
                                     .p_paddr = at,
                                     .p_filesz = dynamic_bytes,
                                     .p_memsz = dynamic_bytes,
                                     .p_align = 8};
    self->segments[2] =
        (ElfW(Phdr)){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16}; /* else stacks become executable */
    self->hash[0] = 1;                                                               /* buckets */
    self->hash[1] = N_SYMBOLS;                                                       /* chains */
    self->hash[2] = 1;                                                               /* the bucket; its chain ends there */
}

/* The image in allocated memory, NULL without memory. */
static image *make_image(const ElfW(Ehdr) * like, const char *shim, const char *const *globals, const pl_vlc_start *start,
                         size_t *out_length)
{
    size_t n_needed = 1 + count(globals), n_entries = n_needed + N_OTHER_ENTRIES;
    size_t strings_at = offsetof(image, dynamic) + n_entries * sizeof(ElfW(Dyn)), n_strings = strings_length(shim, globals);
    image *self = calloc(1, strings_at + n_strings);
    if (!self)
        return NULL;
    char *strings = (char *)self + strings_at, *end = strings + 1;
    ElfW(Dyn) *d = self->dynamic;
    self->symbols[1] = (ElfW(Sym)){.st_name = (ElfW(Word))(end - strings),
                                   .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
                                   .st_shndx = SHN_ABS, /* not relative to where the object lies */
                                   .st_value = (uintptr_t)start};
    end = stpcpy(end, PL_VLC_START_SYMBOL) + 1;
    for (size_t i = 0; i < n_needed; i++) {
        *d++ = entry(DT_NEEDED, (size_t)(end - strings));
        end = stpcpy(end, i == 0 ? shim : globals[i - 1]) + 1;
    }
    *d++ = entry(DT_HASH, offsetof(image, hash));
    *d++ = entry(DT_STRTAB, strings_at);
    *d++ = entry(DT_SYMTAB, offsetof(image, symbols));
    *d++ = entry(DT_STRSZ, n_strings);
    *d++ = entry(DT_SYMENT, sizeof self->symbols[0]);
    *d++ = entry(DT_NULL, 0);
    *out_length = strings_at + n_strings;
    fill_head(self, like, n_entries * sizeof *d, *out_length);
    return self;
}

/* Kind and machine of an object file, from the shim's own. */
static int read_head(const char *path, ElfW(Ehdr) * out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && read(fd, out, sizeof *out) == (ssize_t)sizeof *out;
    if (fd >= 0)
        close(fd);
    return is_read ? 0 : pl_error_set(PARLA_E_SYSTEM, "%s cannot be read: it is installed beside libparla.so", path);
}

static int image_file(const char *shim, const char *const *globals, const pl_vlc_start *start, int *out)
{
    ElfW(Ehdr) like;
    size_t length;
    int error = read_head(shim, &like);
    if (error)
        return error;
    image *self = make_image(&like, shim, globals, start, &length);
    if (!self)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a context");
    int fd = memfd_create("parla_vlc", MFD_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, self, length) == (ssize_t)length;
    free(self);
    if (is_written) {
        *out = fd;
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return pl_error_set(PARLA_E_SYSTEM, "a file in memory (memfd_create), which a context begins with, was refused: %m");
}

/* --- Threads ----------------------------------------------------------------------------------------------------------------- */

/* A C library that has made no thread takes no locks in malloc, and the dynamic linker, which all namespaces share, allocates with the
 * program's: also for thread-local variables of threads that were made in other namespaces. One thread, ended at once, makes it take them. */
static void *end_at_once(void *arg) { return arg; }

static void begin_locking(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_at_once, NULL) == 0)
        pthread_join(thread, NULL);
}

/* --- Opening ----------------------------------------------------------------------------------------------------------------- */

/* The shim's path: beside the library that holds this function, or, in a program that links it statically, where the build says. */
static int find_shim(char *out)
{
    Dl_info about;
    char here[PATH_MAX];
    if (dladdr((const void *)&pl_vlc_loader_set, &about) && realpath(about.dli_fname, here)) {
        char *slash = strrchr(here, '/');
        if (slash) {
            slash[1] = '\0';
            if (snprintf(out, PATH_MAX, "%s%s", here, PL_VLC_SHIM_FILE) < PATH_MAX && access(out, R_OK) == 0)
                return 0;
        }
    }
#ifdef PL_VLC_SHIM_BUILT
    if (snprintf(out, PATH_MAX, "%s", PL_VLC_SHIM_BUILT) < PATH_MAX && access(out, R_OK) == 0)
        return 0;
#endif
    return pl_error_set(PARLA_E_SYSTEM, "%s is missing: it is installed beside libparla.so", PL_VLC_SHIM_FILE);
}

int pl_vlc_loader_error(const char *what, const char *words)
{
    if (strstr(words, "namespaces"))
        return pl_error_set(PARLA_E_RESOURCES,
                            "%s: the dynamic linker has %d namespaces and all are taken, parked contexts included; %s", what,
                            PL_VLC_MAX_SPACES, "destroy contexts, or ask for what a parked one has so that it is used again");
    if (strstr(words, "static TLS"))
        return pl_error_set(
            PARLA_E_RESOURCES,
            "%s: no static thread-local memory is left for another copy (%s). Start the program with %s in its environment", what,
            words, PL_VLC_TUNABLE);
    return pl_error_set(PARLA_E_SYSTEM, "%s: %s", what, words);
}

static int space_open(pl_vlc_space *out, const char *const *globals, const pl_vlc_start *start)
{
    char shim[PATH_MAX], path[64];
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin_locking);
    int fd = -1, error = find_shim(shim);
    if (error || (error = image_file(shim, globals, start, &fd)))
        return error;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    void *root = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
    close(fd);
    if (!root)
        return pl_vlc_loader_error("a new context", dlerror());
    const pl_vlc_inside *inside = dlsym(root, PL_VLC_SHIM_SYMBOL);
    if (!inside || inside->abi != PL_VLC_ABI) {
        dlclose(root);
        return pl_error_set(PARLA_E_SYSTEM, "%s is of another build than libparla.so", shim);
    }
    *out = (pl_vlc_space){root, inside};
    return 0;
}

/* --- Looking ----------------------------------------------------------------------------------------------------------------- */

/* A pointer of a dynamic section: the dynamic linker has added the load address, unless the section is read-only. */
static const void *pointer_of(const struct link_map *object, ElfW(Addr) value)
{
    return (const void *)(value < object->l_addr ? object->l_addr + value : value);
}

/* How many symbols a GNU hash table covers: the end of its last chain. */
static uint32_t count_symbols(const uint32_t *hash)
{
    uint32_t n_buckets = hash[0], first = hash[1], n_bloom = hash[2], last = 0;
    const uint32_t *buckets = hash + 4 + n_bloom * (sizeof(ElfW(Addr)) / 4), *chain = buckets + n_buckets;
    for (uint32_t i = 0; i < n_buckets; i++)
        last = buckets[i] > last ? buckets[i] : last;
    if (last < first)
        return first;
    while (!(chain[last - first] & 1))
        last++;
    return last + 1;
}

static bool has_unique(const ElfW(Sym) * symbols, const uint32_t *hash)
{
    uint32_t n = symbols && hash ? count_symbols(hash) : 0;
    for (uint32_t i = 0; i < n; i++)
        if (ELF64_ST_BIND(symbols[i].st_info) == STB_GNU_UNIQUE && symbols[i].st_shndx != SHN_UNDEF)
            return true;
    return false;
}

static const char *name_of(const struct link_map *object)
{
    const char *slash = strrchr(object->l_name, '/');
    return slash ? slash + 1 : object->l_name;
}

/* Bytes of an object's thread-local variables, from the headers at its begin. */
static int tls_bytes(const struct link_map *object)
{
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)object->l_addr;
    if (object->l_addr == 0 || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return 0;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(object->l_addr + head->e_phoff);
    for (int i = 0; i < head->e_phnum; i++)
        if (segments[i].p_type == PT_TLS)
            return (int)((segments[i].p_memsz + segments[i].p_align - 1) / segments[i].p_align * segments[i].p_align);
    return 0;
}

static void look_at_dynamic(const struct link_map *object, bool is_c_library, pl_vlc_contents *out)
{
    const ElfW(Sym) *symbols = NULL;
    const uint32_t *hash = NULL;
    bool is_kept = false, is_static = false;
    for (const ElfW(Dyn) *d = object->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            symbols = pointer_of(object, d->d_un.d_ptr);
        else if (d->d_tag == DT_GNU_HASH)
            hash = pointer_of(object, d->d_un.d_ptr);
        else if (d->d_tag == DT_FLAGS_1)
            is_kept = d->d_un.d_val & DF_1_NODELETE;
        else if (d->d_tag == DT_FLAGS)
            is_static = d->d_un.d_val & DF_STATIC_TLS;
    }
    int n_static = is_static ? tls_bytes(object) : 0; /* objects without any may still reach for others' */
    out->static_tls_bytes += n_static;
    const char *why = NULL;
    if (is_kept)
        why = "is marked as not to be unloaded";
    else if (has_unique(symbols, hash))
        why = "has unique symbols";
    else if (n_static > 0)
        why = "has static thread-local memory";
    if (out->stays[0] == '\0' && why && !is_c_library)
        snprintf(out->stays, sizeof out->stays, "%s %s", name_of(object), why);
}

static void space_look(const pl_vlc_space *space, pl_vlc_contents *out)
{
    struct link_map *object = NULL;
    *out = (pl_vlc_contents){.n_objects = 0};
    if (dlinfo(space->root, RTLD_DI_LINKMAP, &object) != 0)
        return;
    while (object->l_prev)
        object = object->l_prev;
    for (; object; object = object->l_next) {
        out->n_objects++;
        if (strncmp(name_of(object), "ld-linux", 8) == 0)
            continue;                                                    /* the dynamic linker itself: one for all namespaces */
        bool is_c_library = strncmp(name_of(object), "libc.so", 7) == 0; /* goes with the namespace */
        look_at_dynamic(object, is_c_library, out);
    }
}

/* --- Limits ------------------------------------------------------------------------------------------------------------------ */

/* The number after `name=` in a list separated by colons. */
static long tunable(const char *tunables, const char *name, long missing)
{
    const char *at = tunables ? strstr(tunables, name) : NULL;
    return at ? strtol(at + strlen(name), NULL, 0) : missing;
}

int pl_vlc_static_tls_bytes(const char *tunables)
{
    enum { C_LIBRARY = 144, OTHERS = 144, DEFAULT_SPACES = 4, DEFAULT_OPTIONAL = 512, HISTORICAL = 1664 };
    long n_spaces = tunable(tunables, "glibc.rtld.nns=", DEFAULT_SPACES);
    long optional = tunable(tunables, "glibc.rtld.optional_static_tls=", DEFAULT_OPTIONAL);
    long legacy = HISTORICAL - ((DEFAULT_SPACES - 1) * C_LIBRARY + DEFAULT_SPACES * OTHERS + DEFAULT_OPTIONAL);
    return (int)((n_spaces - 1) * C_LIBRARY + n_spaces * OTHERS + optional + legacy);
}

/* --- The table --------------------------------------------------------------------------------------------------------------- */

static void *symbol(void *library, const char *name) { return dlsym(library, name); }

static const pl_vlc_loader dynamic_linker = {space_open, space_look, symbol};
static _Atomic(const pl_vlc_loader *) in_use = &dynamic_linker;

const pl_vlc_loader *pl_vlc_loader_get(void) { return pl_load_acquire(&in_use); }
void pl_vlc_loader_set(const pl_vlc_loader *loader) { pl_store_release(&in_use, loader ? loader : &dynamic_linker); }
