/* links.c - see the header.
 *
 * The file names the devices in full and then a line for each link, so that a list of devices whose number happens to be the same is noticed.
 * It is written beside its place and renamed: who reads finds all of it or nothing, and of several ranks the last one counts. */
#include "device/links.h"

#include "base/atomic.h"
#include "base/text.h"
#include "device/backends.h"

#include <parla/log.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_BYTES ((size_t)64 << 10)
#define KEPT_BYTES (UINT64_C(4) << 20) /* measured on so much, the bandwidth of a link is worth keeping */

enum { PATH_BYTES = 512, DEVICE_BYTES = 192, LIST_BYTES = PL_MAX_DEVICES * DEVICE_BYTES };

/* --- Measurements ------------------------------------------------------------------------------------------------------------- */

void pl_link_count(pl_link *link, size_t n_bytes, uint64_t busy_ns)
{
    pl_add_relaxed(&link->n_copies, 1);
    pl_add_relaxed(&link->n_bytes, n_bytes);
    pl_add_relaxed(&link->busy_ns, busy_ns);
    if (n_bytes >= SMALL_BYTES)
        return;
    pl_add_relaxed(&link->n_small, 1);
    pl_add_relaxed(&link->small_bytes, n_bytes);
    pl_add_relaxed(&link->small_ns, busy_ns);
}

typedef struct sums {
    double n_small, small_ns, large_bytes, large_ns;
} sums;

static void add(sums *s, const pl_link *link)
{
    double small_ns = (double)pl_load_relaxed(&link->small_ns);
    s->n_small += (double)pl_load_relaxed(&link->n_small);
    s->small_ns += small_ns;
    s->large_bytes += (double)(pl_load_relaxed(&link->n_bytes) - pl_load_relaxed(&link->small_bytes));
    s->large_ns += (double)pl_load_relaxed(&link->busy_ns) - small_ns;
}

static double larger(double a, double b) { return a > b ? a : b; }

static pl_link_speed measured(const sums *s)
{
    return (pl_link_speed){.bytes_per_s = s->large_bytes > 0 && s->large_ns > 0 ? s->large_bytes / s->large_ns * 1e9 : 0,
                           .latency_ns = s->n_small > 0 ? s->small_ns / s->n_small : 0};
}

/* What is not known yet is taken from what was known before. */
static pl_link_speed with_default(pl_link_speed speed, double bytes_per_s, double latency_ns)
{
    return (pl_link_speed){speed.bytes_per_s > 0 ? speed.bytes_per_s : bytes_per_s,
                           speed.latency_ns > 0 ? speed.latency_ns : latency_ns};
}

/* The slower end counts. */
static pl_link_speed stated(const parla_device_traits *a, const parla_device_traits *b)
{
    pl_link_speed speed = {a->link_bytes_per_s, larger((double)a->link_latency_ns, (double)b->link_latency_ns)};
    if (speed.bytes_per_s <= 0 || (b->link_bytes_per_s > 0 && b->link_bytes_per_s < speed.bytes_per_s))
        speed.bytes_per_s = b->link_bytes_per_s;
    return speed;
}

pl_link_speed pl_links_speed(const pl_devices *devices, int i_src, int i_dst)
{
    const pl_link *link = &devices->links[i_src * devices->n + i_dst];
    pl_link_speed speed = stated(&devices->list[i_src].traits, &devices->list[i_dst].traits);
    if (speed.bytes_per_s > 0)
        return speed;
    sums s = {0};
    add(&s, link);
    speed = with_default(speed, measured(&s).bytes_per_s, measured(&s).latency_ns);
    return with_default(speed, link->kept_bytes_per_s, link->kept_latency_ns);
}

pl_link_speed pl_links_speed_to(const pl_devices *devices, int i_dst)
{
    const parla_device_traits *traits = &devices->list[i_dst].traits;
    pl_link_speed speed = {traits->link_bytes_per_s, (double)traits->link_latency_ns}, kept = {0};
    if (speed.bytes_per_s > 0)
        return speed;
    sums s = {0};
    for (int i = 0; i < devices->n; i++) {
        const pl_link *link = &devices->links[i * devices->n + i_dst];
        if (i == i_dst)
            continue;
        add(&s, link);
        kept.bytes_per_s = larger(kept.bytes_per_s, link->kept_bytes_per_s);
        kept.latency_ns = larger(kept.latency_ns, link->kept_latency_ns);
    }
    speed = with_default(speed, measured(&s).bytes_per_s, measured(&s).latency_ns);
    return with_default(speed, kept.bytes_per_s, kept.latency_ns);
}

uint64_t pl_links_time_ns(const pl_devices *devices, int i_src, int i_dst, size_t n_bytes)
{
    pl_link_speed speed =
        with_default(pl_links_speed(devices, i_src, i_dst), PL_LINK_GUESSED_BYTES_PER_S, PL_LINK_GUESSED_LATENCY_NS);
    return 1 + (uint64_t)(speed.latency_ns + (double)n_bytes / speed.bytes_per_s * 1e9);
}

/* --- The file ----------------------------------------------------------------------------------------------------------------- */

/* Is the time of its copies that of hardware? */
static bool is_real(const pl_device *device) { return device->backend != &pl_backend_sim && device->index > 0; }

static bool is_worth_keeping(const pl_devices *devices)
{
    bool any = false;
    for (int i = 0; i < devices->n; i++)
        any = any || is_real(&devices->list[i]);
    return any;
}

/* Lines that name the devices: links of the same cards, in the same order, are the same. */
static void describe(const pl_devices *devices, char *out)
{
    size_t n = 0;
    for (int i = 0; i < devices->n; i++) {
        const pl_device *device = &devices->list[i];
        n += pl_text_format(out + n, DEVICE_BYTES, "device %s %d %s %s\n", device->backend->kind, device->ordinal,
                            device->traits.name, device->traits.uuid);
    }
}

/* FNV-1a. */
static uint64_t number_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* False if there is no folder for it. */
static bool find_path(const char *description, bool is_made, char *out)
{
    char base[PATH_BYTES - 64], folder[PATH_BYTES - 32];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/')
        pl_text_format(base, sizeof base, "%s", cache);
    else if (home && home[0] == '/')
        pl_text_format(base, sizeof base, "%s/.cache", home);
    else
        return false;
    pl_text_format(folder, sizeof folder, "%s/parla", base);
    if (is_made) {
        (void)mkdir(base, 0700); /* if they are there, or cannot be: opening the file tells */
        (void)mkdir(folder, 0700);
    }
    pl_text_format(out, PATH_BYTES, "%s/links-%016llx", folder, (unsigned long long)number_of(description));
    return true;
}

static bool has_description(FILE *file, const char *description)
{
    for (; *description; description++)
        if (fgetc(file) != (unsigned char)*description)
            return false;
    return true;
}

static void read_links(pl_devices *devices, FILE *file)
{
    char line[128];
    while (fgets(line, sizeof line, file)) {
        int from, to;
        double bytes_per_s, latency_ns;
        if (sscanf(line, "link %d %d %lf %lf", &from, &to, &bytes_per_s, &latency_ns) != 4 || from < 0 || to < 0 ||
            from >= devices->n || to >= devices->n || !(bytes_per_s >= 0 && latency_ns >= 0) || isinf(bytes_per_s + latency_ns))
            continue;
        devices->links[from * devices->n + to].kept_bytes_per_s = bytes_per_s;
        devices->links[from * devices->n + to].kept_latency_ns = latency_ns;
    }
}

void pl_links_recall(pl_devices *devices)
{
    char path[PATH_BYTES], *description = is_worth_keeping(devices) ? malloc(LIST_BYTES) : NULL;
    if (!description)
        return;
    describe(devices, description);
    FILE *file = find_path(description, false, path) ? fopen(path, "re") : NULL;
    if (file) {
        if (has_description(file, description))
            read_links(devices, file);
        fclose(file);
    }
    free(description);
}

static bool is_measured(const pl_devices *devices)
{
    bool any = false;
    for (int i = 0; i < devices->n * devices->n; i++) {
        const pl_link *link = &devices->links[i];
        bool has_real = is_real(&devices->list[i / devices->n]) || is_real(&devices->list[i % devices->n]);
        any = any || (has_real && pl_load_relaxed(&link->n_bytes) - pl_load_relaxed(&link->small_bytes) >= KEPT_BYTES);
    }
    return any;
}

static void write_links(const pl_devices *devices, FILE *file)
{
    for (int i = 0; i < devices->n; i++)
        for (int k = 0; k < devices->n; k++) {
            pl_link_speed speed = pl_links_speed(devices, i, k);
            if (i != k && (speed.bytes_per_s > 0 || speed.latency_ns > 0))
                fprintf(file, "link %d %d %.6g %.6g\n", i, k, speed.bytes_per_s, speed.latency_ns);
        }
}

static bool write_file(const pl_devices *devices, const char *description, const char *path)
{
    char beside[PATH_BYTES + 32];
    pl_text_format(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    FILE *file = fopen(beside, "we");
    if (!file)
        return false;
    fputs(description, file);
    write_links(devices, file);
    bool is_whole = !ferror(file);
    is_whole = fclose(file) == 0 && is_whole;
    if (is_whole && rename(beside, path) == 0)
        return true;
    (void)unlink(beside);
    return false;
}

void pl_links_keep(const pl_devices *devices)
{
    char path[PATH_BYTES], *description = is_worth_keeping(devices) && is_measured(devices) ? malloc(LIST_BYTES) : NULL;
    if (!description)
        return;
    describe(devices, description);
    if (find_path(description, true, path) && !write_file(devices, description, path))
        parla_log(PARLA_LOG_DEBUG, "the speeds of links could not be kept in %s", path);
    free(description);
}
