/* driver.c - finds the CUDA driver at run time.
 *
 * Nothing is linked: the driver's library is opened by its name, cuGetProcAddress is found in it, and gives all other functions in the
 * versions that driver.h declares. Drivers before 11.3 lack cuGetProcAddress, and those before 11.4 the memory of a pool in the order of a
 * stream as it is used here: both are too old. The library is never closed: its threads may outlive any runtime. */
#include "driver.h"

#include "host.h"

#include <parla/error.h>
#include <parla/log.h>

#include <dlfcn.h>

#define DRIVER_LIBRARY "libcuda.so.1"

pl_cuda_driver pl_cu;

typedef pl_cu_result (*find_function)(const char *name, void **out, int version, uint64_t flags, int *out_status);

static int find(find_function get, const char *name, int version, void **out)
{
    int status = 0;
    *out = NULL;
    pl_cu_result result = get(name, out, version, 0, &status);
    if (result != PL_CU_SUCCESS || !*out)
        return pl_error_set(PARLA_E_NO_DEVICE, "the CUDA driver has no function %s (version %d.%d): it is too old, 11.4 is needed",
                            name, version / 1000, version % 1000 / 10);
    return 0;
}

static int find_all(void *library)
{
    find_function get;
    /* The _v2 form also answers old programs; drivers before 12 have the first form only, which ignores the last argument. */
    *(void **)&get = dlsym(library, "cuGetProcAddress_v2");
    if (!get)
        *(void **)&get = dlsym(library, "cuGetProcAddress");
    if (!get)
        return pl_error_set(PARLA_E_NO_DEVICE, "%s has no cuGetProcAddress: the CUDA driver is too old, 11.4 is needed",
                            DRIVER_LIBRARY);
    int rc = 0;
#define FIND(name, version, arguments)                                                                                             \
    if (rc == 0)                                                                                                                   \
        rc = find(get, #name, version, (void **)&pl_cu.name);
    PL_CUDA_FUNCTIONS(FIND)
#undef FIND
    return rc;
}

int pl_cuda_driver_open(void)
{
    void *library = dlopen(DRIVER_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return pl_error_set(PARLA_E_NO_DEVICE, "no CUDA driver: %s", dlerror());
    int rc = find_all(library);
    if (rc < 0)
        return rc;
    pl_cu_result result = pl_cu.cuInit(0);
    if (result != PL_CU_SUCCESS) {
        (void)pl_cuda_check(result, "cuInit");
        return PARLA_E_NO_DEVICE;
    }
    pl_cuda_nvtx_open();
    return 0;
}

int pl_cuda_count(void)
{
    int n = 0;
    return pl_cu.cuDeviceGetCount(&n) == PL_CU_SUCCESS ? n : 0;
}

int pl_cuda_check(pl_cu_result result, const char *what)
{
    if (result == PL_CU_SUCCESS)
        return 0;
    const char *name = NULL, *text = NULL;
    if (pl_cu.cuGetErrorName(result, &name) != PL_CU_SUCCESS || !name)
        name = "an unknown error";
    if (pl_cu.cuGetErrorString(result, &text) != PL_CU_SUCCESS || !text)
        text = "no description";
    return pl_error_set(result == PL_CU_OUT_OF_MEMORY ? PARLA_E_DEVICE_MEMORY : PARLA_E_DEVICE, "%s: %s (%d): %s", what, name,
                        result, text);
}
