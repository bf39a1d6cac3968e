/* test_host_memory.c - the memory this process may use. */
#include "device/device.h"
#include "device/host_memory.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

T_TEST(is_at_most_the_machine)
{
    size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    T_GT(pl_host_memory_bytes(), 1 << 20);
    T_LE(pl_host_memory_bytes(), machine);
}

T_TEST(memory_is_aligned)
{
    static const size_t sizes[] = {0, 1, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *memory = pl_host_alloc(sizes[i]);
        T_TRUE(memory != NULL);
        T_EQ((uintptr_t)memory % 64, 0);
        memset(memory, 1, sizes[i]);
        free(memory);
    }
    T_TRUE(pl_host_alloc(SIZE_MAX) == NULL);
    T_TRUE(pl_host_alloc(SIZE_MAX / 2) == NULL);
}

/* --- A source -------------------------------------------------------------------------------------------------------------------- */

typedef struct small_source {
    int n_given, n_back, limit;
    _Alignas(64) char memory[4][256];
} small_source;

static void *small_alloc(void *ctx, size_t n_bytes)
{
    small_source *s = ctx;
    return n_bytes > 256 || s->n_given == s->limit ? NULL : s->memory[s->n_given++];
}

static bool small_free(void *ctx, void *memory)
{
    small_source *s = ctx;
    bool is_ours = (char *)memory >= s->memory[0] && (char *)memory < s->memory[4];
    s->n_back += is_ours;
    return is_ours;
}

T_TEST(a_source_comes_first)
{
    static small_source s = {.limit = 1};
    parla_memory_source source = {.size = sizeof source, .ctx = &s, .alloc = small_alloc, .free = small_free};
    void *first = pl_host_alloc_from(&source, 100), *second = pl_host_alloc_from(&source, 100),
         *third = pl_host_alloc_from(NULL, 9);
    T_TRUE(first == s.memory[0]);
    T_TRUE(second && third);
    pl_host_free_to(&source, first);
    pl_host_free_to(&source, second);
    pl_host_free_to(NULL, third);
    T_EQ(s.n_back, 1);
}

/* What is on a simulated device lies there, and goes back; what does not fit lies elsewhere, as does the host's. */
T_TEST(devices_take_their_memory_there)
{
    static small_source s = {.limit = 4};
    parla_memory_source source = {.size = sizeof source, .ctx = &s, .alloc = small_alloc, .free = small_free};
    pl_devices devices;
    T_OK(pl_devices_open_in(&devices, "sim:1,mem=1MiB", &source));
    for (int i = 0; i < 2; i++) {
        void *inside, *outside;
        pl_device *device = &devices.list[i];
        T_OK(pl_device_alloc(device, &inside, 200));
        T_OK(pl_device_alloc(device, &outside, 1000));
        T_TRUE((inside == s.memory[0]) == (i == 1));
        pl_device_free(device, inside, 200);
        pl_device_free(device, outside, 1000);
    }
    pl_devices_close(&devices);
    T_EQ(s.n_given, 1);
    T_EQ(s.n_back, 1);
}
