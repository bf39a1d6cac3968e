/* test_links.c - the speed of links: stated, measured by their own copies, kept in a file for the next run on the same devices. */
#include "device/links.h"

#include "base/atomic.h"
#include "silent_backend.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static char folder[64];

static void use_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/parla-links-XXXXXX");
    T_TRUE(mkdtemp(folder) != NULL);
    T_EQ(setenv("XDG_CACHE_HOME", folder, 1), 0);
}

/* The only file that was kept; false if there is none. With what was written beside it there would be two. */
static bool find_file(char *out, size_t n_bytes)
{
    char path[80];
    int n = 0;
    snprintf(path, sizeof path, "%s/parla", folder);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            snprintf(out, n_bytes, "%s/%s", path, entry->d_name);
            n++;
        }
    if (dir)
        closedir(dir);
    T_LE(n, 1);
    return n == 1;
}

static void forget_folder(void)
{
    char path[512];
    if (find_file(path, sizeof path))
        T_EQ(unlink(path), 0);
    snprintf(path, sizeof path, "%s/parla", folder);
    (void)rmdir(path);
    T_EQ(rmdir(folder), 0);
}

static pl_link *link_of(pl_devices *devices, int from, int to) { return &devices->links[from * devices->n + to]; }

static void open_devices(pl_devices *out, const char *names) { T_OK(pl_devices_open(out, names)); }

T_TEST(what_a_backend_says_counts)
{
    pl_devices devices;
    open_devices(&devices, "sim:1,link=1GB/s,lat=5us,sim:1,link=4GB/s,lat=1us");
    pl_link_count(link_of(&devices, 1, 2), MIB, 1);
    T_EQ(pl_links_speed(&devices, 1, 2).bytes_per_s, 1e9);
    T_EQ(pl_links_speed(&devices, 1, 2).latency_ns, 5000);
    T_EQ(pl_links_speed(&devices, 0, 2).bytes_per_s, 4e9);
    T_EQ(pl_links_time_ns(&devices, 1, 2, 1000), 1 + 5000 + 1000);
    T_EQ(pl_links_time_ns(&devices, 2, 0, 4000), 1 + 1000 + 1000);
    pl_devices_close(&devices);
}

T_TEST(copies_are_measurements)
{
    pl_devices devices;
    open_devices(&devices, "sim:2");
    T_EQ(pl_links_speed(&devices, 0, 1).bytes_per_s, 0);
    T_EQ(pl_links_time_ns(&devices, 0, 1, 10000), 1 + 10000 + 1000); /* guessed */
    pl_link_count(link_of(&devices, 0, 1), 100, 3000);
    pl_link_count(link_of(&devices, 0, 1), 300, 5000);
    T_EQ(pl_links_speed(&devices, 0, 1).bytes_per_s, 0);
    T_EQ(pl_links_speed(&devices, 0, 1).latency_ns, 4000);
    pl_link_count(link_of(&devices, 0, 1), 2000000, 1000000);
    T_EQ(pl_links_speed(&devices, 0, 1).bytes_per_s, 2e9);
    T_EQ(pl_links_speed(&devices, 1, 0).bytes_per_s, 0);
    pl_link_count(link_of(&devices, 2, 1), 2000000, 3000000);
    T_EQ(pl_links_speed_to(&devices, 1).bytes_per_s, 1e9);
    T_EQ(pl_links_speed_to(&devices, 1).latency_ns, 4000);
    T_EQ(pl_links_speed_to(&devices, 2).bytes_per_s, 0);
    T_EQ(link_of(&devices, 0, 1)->n_copies, 3);
    T_EQ(link_of(&devices, 0, 1)->n_bytes, 2000400);
    pl_devices_close(&devices);
}

static void measure(const char *names, size_t n_bytes)
{
    pl_devices devices;
    open_devices(&devices, names);
    pl_link_count(link_of(&devices, 0, 1), 100, 7000);
    pl_link_count(link_of(&devices, 0, 1), n_bytes, n_bytes);
    pl_devices_close(&devices);
}

static double kept_speed(const char *names)
{
    pl_devices devices;
    open_devices(&devices, names);
    double bytes_per_s = pl_links_speed(&devices, 0, 1).bytes_per_s;
    T_EQ(pl_links_speed(&devices, 0, 1).latency_ns, bytes_per_s > 0 ? 7000 : 0);
    T_EQ(pl_links_speed_to(&devices, 1).bytes_per_s, bytes_per_s);
    pl_devices_close(&devices);
    return bytes_per_s;
}

T_TEST(what_was_measured_is_kept_for_the_same_devices)
{
    char path[512];
    use_folder();
    measure("silent:2", MIB);
    T_FALSE(find_file(path, sizeof path)); /* too little to tell */
    measure("sim:2", 8 * MIB);
    T_FALSE(find_file(path, sizeof path)); /* no hardware */
    measure("silent:2", 8 * MIB);
    T_TRUE(find_file(path, sizeof path));
    T_EQ(kept_speed("silent:2"), 1e9);
    T_EQ(kept_speed("silent:1"), 0);
    T_EQ(kept_speed("silent:3"), 0);
    T_EQ(kept_speed("sim:2"), 0);
    T_TRUE(find_file(path, sizeof path)); /* a run that measured nothing leaves it */
    forget_folder();
}

T_TEST(what_this_run_measures_comes_before_what_was_kept)
{
    pl_devices devices;
    use_folder();
    measure("silent:2", 8 * MIB);
    open_devices(&devices, "silent:2");
    pl_link_count(link_of(&devices, 0, 1), MIB, MIB / 4);
    T_EQ(pl_links_speed(&devices, 0, 1).bytes_per_s, 4e9);
    T_EQ(pl_links_speed(&devices, 0, 1).latency_ns, 7000);
    pl_devices_close(&devices);
    forget_folder();
}

T_TEST(a_spoilt_file_is_as_good_as_none)
{
    static const char *const texts[] = {"", "device cpu", "device silent 0 other card\nlink 0 1 5 5\n", "link 0 1 5 5\n"};
    static const char *const lines[] = {"link 0 99 5 5\n",  "link -1 0 5 5\n", "link 0 1 nan 5\n", "link 0 1 -3 5\n",
                                        "link 0 1 inf 5\n", "link 0\n",        "words\n",          "link 0 1"};
    char path[512];
    use_folder();
    measure("silent:2", 8 * MIB);
    T_TRUE(find_file(path, sizeof path));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        FILE *file = fopen(path, "we");
        T_TRUE(file != NULL);
        fputs(texts[i], file);
        fclose(file);
        T_EQ(kept_speed("silent:2"), 0);
    }
    measure("silent:2", 8 * MIB); /* it is written anew */
    T_EQ(kept_speed("silent:2"), 1e9);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        FILE *file = fopen(path, "ae");
        T_TRUE(file != NULL);
        fputs(lines[i], file);
        fclose(file);
        T_EQ(kept_speed("silent:2"), 1e9);
    }
    forget_folder();
}

T_TEST(without_a_folder_nothing_is_kept)
{
    T_EQ(setenv("XDG_CACHE_HOME", "/dev/null", 1), 0);
    measure("silent:2", 8 * MIB);
    T_EQ(kept_speed("silent:2"), 0);
    T_EQ(unsetenv("XDG_CACHE_HOME"), 0);
    T_EQ(unsetenv("HOME"), 0);
    measure("silent:2", 8 * MIB);
    T_EQ(kept_speed("silent:2"), 0);
}
