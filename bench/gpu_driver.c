/* gpu_driver.c - see the header. The kernels are PTX text that the driver compiles. */
#include "gpu_driver.h"

#include "bench.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTRIBUTE_CLOCK_KHZ = 13 };

gpu_driver cu;

static const char ptx[] = ".version 6.5\n.target sm_75\n.address_size 64\n"
                          ".visible .entry empty() { ret; }\n"
                          ".visible .entry spin(.param .u64 cycles) {\n"
                          ".reg .pred %p; .reg .b64 %begin, %now, %n;\n"
                          "ld.param.u64 %n, [cycles]; mov.u64 %begin, %clock64;\n"
                          "AGAIN: mov.u64 %now, %clock64; sub.u64 %now, %now, %begin; setp.lt.u64 %p, %now, %n; @%p bra AGAIN;\n"
                          "ret; }\n";

void bench_skip(const char *format, ...)
{
    va_list args;
    printf("# skipped: ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    exit(BENCH_SKIPPED);
}

void check(int code, const char *what)
{
    if (code < 0) {
        bench_die("%s: %s", what, parla_error_detail());
    }
}

void gpu_check(int result, const char *what)
{
    if (result != 0) {
        bench_die("%s: CUDA error %d", what, result);
    }
}

void gpu_open(void)
{
    int (*get)(const char *name, void **out, int version, uint64_t flags, int *status) = NULL;
    const struct {
        const char *name;
        int version;
        void **out;
    } wanted[] = {
        {"cuInit", 2000, (void **)&cu.cuInit},
        {"cuDeviceGet", 2000, (void **)&cu.cuDeviceGet},
        {"cuDeviceGetAttribute", 2000, (void **)&cu.cuDeviceGetAttribute},
        {"cuDevicePrimaryCtxRetain", 7000, (void **)&cu.cuDevicePrimaryCtxRetain},
        {"cuDevicePrimaryCtxRelease", 11000, (void **)&cu.cuDevicePrimaryCtxRelease},
        {"cuCtxPushCurrent", 4000, (void **)&cu.cuCtxPushCurrent},
        {"cuCtxPopCurrent", 4000, (void **)&cu.cuCtxPopCurrent},
        {"cuStreamCreate", 2000, (void **)&cu.cuStreamCreate},
        {"cuStreamDestroy", 4000, (void **)&cu.cuStreamDestroy},
        {"cuStreamSynchronize", 2000, (void **)&cu.cuStreamSynchronize},
        {"cuMemcpyHtoDAsync", 3020, (void **)&cu.cuMemcpyHtoDAsync},
        {"cuMemcpyDtoHAsync", 3020, (void **)&cu.cuMemcpyDtoHAsync},
        {"cuModuleLoadData", 2000, (void **)&cu.cuModuleLoadData},
        {"cuModuleUnload", 2000, (void **)&cu.cuModuleUnload},
        {"cuModuleGetFunction", 2000, (void **)&cu.cuModuleGetFunction},
        {"cuLaunchKernel", 4000, (void **)&cu.cuLaunchKernel},
    };
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library != NULL) {
        *(void **)&get = dlsym(library, "cuGetProcAddress_v2");
    }
    if (get == NULL) {
        bench_skip("no CUDA driver of version 11.4 or later");
    }
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        int status = 0;
        if (get(wanted[i].name, wanted[i].out, wanted[i].version, 0, &status) != 0 || *wanted[i].out == NULL) {
            bench_skip("the driver has no %s", wanted[i].name);
        }
    }
    if (cu.cuInit(0) != 0) {
        bench_skip("the CUDA driver shows no card");
    }
}

void gpu_card_open(gpu_card *out, int ordinal)
{
    int khz = 0;
    memset(out, 0, sizeof(*out));
    gpu_check(cu.cuDeviceGet(&out->device, ordinal), "cuDeviceGet");
    gpu_check(cu.cuDevicePrimaryCtxRetain(&out->context, out->device), "cuDevicePrimaryCtxRetain");
    gpu_check(cu.cuCtxPushCurrent(out->context), "cuCtxPushCurrent");
    gpu_check(cu.cuModuleLoadData(&out->module, ptx), "cuModuleLoadData");
    gpu_check(cu.cuModuleGetFunction(&out->empty, out->module, "empty"), "the kernel empty");
    gpu_check(cu.cuModuleGetFunction(&out->spin, out->module, "spin"), "the kernel spin");
    if (cu.cuDeviceGetAttribute(&khz, ATTRIBUTE_CLOCK_KHZ, out->device) != 0 || khz <= 0) {
        khz = 1000000;
    }
    out->cycles_per_ns = 1e-6 * khz;
}

void gpu_card_close(gpu_card *card)
{
    void *popped;
    gpu_check(cu.cuModuleUnload(card->module), "cuModuleUnload");
    gpu_check(cu.cuCtxPopCurrent(&popped), "cuCtxPopCurrent");
    gpu_check(cu.cuDevicePrimaryCtxRelease(card->device), "cuDevicePrimaryCtxRelease");
}

int gpu_launch_empty(const gpu_card *card, void *stream)
{
    return cu.cuLaunchKernel(card->empty, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL);
}

int gpu_launch_spin(const gpu_card *card, void *stream, double ns)
{
    int64_t cycles = (int64_t)(ns * card->cycles_per_ns);
    void *arguments[] = {&cycles};
    return cu.cuLaunchKernel(card->spin, 1, 1, 1, 1, 1, 1, 0, stream, arguments, NULL);
}

parla_runtime *gpu_runtime(const char *devices)
{
    parla_runtime *rt;
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = getenv("PARLA_DEVICES") ? NULL : devices;
    int code = parla_runtime_create(&rt, &options);
    if (code == PARLA_E_NO_DEVICE) {
        bench_skip("%s", parla_error_detail());
    }
    check(code, "a runtime");
    return rt;
}
