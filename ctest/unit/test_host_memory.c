/* test_host_memory.c - the memory this process may use. */
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
