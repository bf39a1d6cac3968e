/* nvtx.c - stands in for a profiler: counts ranges. It is both the library of NVTX 2 and what NVTX 3 loads where NVTX_INJECTION64_PATH says. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

int nvtxRangePushA(const char *name);
int nvtxRangePop(void);
int fakenvtx_n_open(void);
int fakenvtx_n_pushed(void);

static _Atomic int n_open, n_pushed;

int nvtxRangePushA(const char *name)
{
    atomic_fetch_add(&n_pushed, name && *name ? 1 : 0);
    return atomic_fetch_add(&n_open, 1);
}

int nvtxRangePop(void) { return atomic_fetch_sub(&n_open, 1) - 1; }
int fakenvtx_n_open(void) { return atomic_load(&n_open); }
int fakenvtx_n_pushed(void) { return atomic_load(&n_pushed); }

/* Of the callbacks of NVTX 3 the two that are used here; numbers and layouts are its binary interface. */
enum { TABLE_CALLBACKS = 1, MODULE_CORE = 1, RANGE_PUSH = 9, RANGE_POP = 11 };

typedef struct callbacks {
    size_t size;
    int (*get_table)(int module, void ****out_table, unsigned *out_size);
} callbacks;

int InitializeInjectionNvtx2(const void *(*get)(uint32_t table));
int InitializeInjectionNvtx2(const void *(*get)(uint32_t table))
{
    const callbacks *found = get(TABLE_CALLBACKS);
    void ***table = NULL;
    unsigned size = 0;
    if (!found || !found->get_table(MODULE_CORE, &table, &size) || size <= RANGE_POP)
        return 0;
    *table[RANGE_PUSH] = (void *)nvtxRangePushA;
    *table[RANGE_POP] = (void *)nvtxRangePop;
    return 1;
}
