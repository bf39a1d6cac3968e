/* gpu_driver.h - what benchmarks on CUDA devices need of the driver, looked up at run time, and two kernels: one that does nothing and one
 * that takes a given time. The declarations are our own, so that the programs are built everywhere. */
#ifndef PARLA_BENCH_GPU_DRIVER_H
#define PARLA_BENCH_GPU_DRIVER_H

#include <parla/parla.h>

#include <stdint.h>

#define GPU_MAX_CARDS 64
#define BENCH_SKIPPED 77

typedef struct gpu_driver {
    int (*cuInit)(unsigned flags);
    int (*cuDeviceGet)(int *out, int ordinal);
    int (*cuDeviceGetAttribute)(int *out, int attribute, int device);
    int (*cuDevicePrimaryCtxRetain)(void **out, int device);
    int (*cuDevicePrimaryCtxRelease)(int device);
    int (*cuCtxPushCurrent)(void *context);
    int (*cuCtxPopCurrent)(void **out);
    int (*cuStreamCreate)(void **out, unsigned flags);
    int (*cuStreamDestroy)(void *stream);
    int (*cuStreamSynchronize)(void *stream);
    int (*cuMemcpyHtoDAsync)(uint64_t dst, const void *src, size_t n_bytes, void *stream);
    int (*cuMemcpyDtoHAsync)(void *dst, uint64_t src, size_t n_bytes, void *stream);
    int (*cuModuleLoadData)(void **out, const void *image);
    int (*cuModuleUnload)(void *module);
    int (*cuModuleGetFunction)(void **out, void *module, const char *name);
    int (*cuLaunchKernel)(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **arguments, void **extra);
} gpu_driver;

extern gpu_driver cu;

/* Ends the program with status BENCH_SKIPPED and words on standard output: a part that it needs is missing here. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_skip(const char *format, ...);

/* Finds the driver, or skips. */
void gpu_open(void);

/* Ends the program if a call of the driver failed. */
void gpu_check(int result, const char *what);

/* One card's kernels. Its context is current from open to close on the thread that opened it. */
typedef struct gpu_card {
    int device;
    void *context, *module;
    void *empty; /* () */
    void *spin;  /* (int64_t cycles) */
    double cycles_per_ns;
} gpu_card;

void gpu_card_open(gpu_card *out, int ordinal);
void gpu_card_close(gpu_card *card);

/* Queues the kernels in a stream; the card's context is current. Returns the driver's code. */
int gpu_launch_empty(const gpu_card *card, void *stream);
int gpu_launch_spin(const gpu_card *card, void *stream, double ns);

/* A runtime on the devices that PARLA_DEVICES names, or on `devices` if that is not set; skips if there are none of kind cuda. */
parla_runtime *gpu_runtime(const char *devices);

/* Ends the program with the library's words if code is negative. */
void check(int code, const char *what);

#endif
