/* nvtx.c - ranges for profilers: by NVTX 3, whose headers alone find the profiler (it puts itself into NVTX_INJECTION64_PATH), where they were
 * found when this was built; by the library of NVTX 2 that older toolkits have, where they were not. Without a profiler a range costs a load
 * and a branch. */
#include "driver.h"

#ifdef PL_HAVE_NVTX3

#include <nvtx3/nvToolsExt.h>

static void push(const char *name) { (void)nvtxRangePushA(name); }
static void pop(void) { (void)nvtxRangePop(); }

/* NVTX would look for the profiler at its first call, on whatever thread that is, while others read what it writes then. */
void pl_cuda_nvtx_open(void)
{
    nvtxInitialize(NULL);
    pl_cu.range_push = push;
    pl_cu.range_pop = pop;
}

#else

#include <dlfcn.h>

#define NVTX_LIBRARY "libnvToolsExt.so.1"

void pl_cuda_nvtx_open(void)
{
    void *library = dlopen(NVTX_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    *(void **)&pl_cu.range_push = dlsym(library, "nvtxRangePushA");
    *(void **)&pl_cu.range_pop = dlsym(library, "nvtxRangePop");
    if (!pl_cu.range_push || !pl_cu.range_pop)
        pl_cu.range_push = NULL, pl_cu.range_pop = NULL;
}

#endif
