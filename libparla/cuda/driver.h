/* driver.h - what this module needs of the CUDA driver: types, constants, and the functions, looked up when the module is opened.
 *
 * The declarations are our own, so that the module builds on every machine: the driver's binary interface is versioned and stable, and
 * cuGetProcAddress is asked for the version that is declared here. ctest/cuda/abi.c compares them with cuda.h wherever that is found. */
#ifndef PL_CUDA_DRIVER_H
#define PL_CUDA_DRIVER_H

#include <parla/common.h>

typedef int pl_cu_result;
typedef int pl_cu_device;
typedef unsigned long long pl_cu_pointer;
typedef struct pl_cu_context_st *pl_cu_context;
typedef struct pl_cu_stream_st *pl_cu_stream;
typedef struct pl_cu_event_st *pl_cu_event;
typedef struct pl_cu_pool_st *pl_cu_pool;

enum {
    PL_CU_SUCCESS = 0,
    PL_CU_INVALID_VALUE = 1,
    PL_CU_OUT_OF_MEMORY = 2,
    PL_CU_DEINITIALIZED = 4,
    PL_CU_NO_DEVICE = 100,
    PL_CU_PEER_ACCESS_ENABLED = 704,
    PL_CU_NOT_READY = 600,

    PL_CU_ATTRIBUTE_MAX_PITCH = 11,
    PL_CU_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
    PL_CU_ATTRIBUTE_MEMORY_POOLS = 115,

    PL_CU_STREAM_NON_BLOCKING = 1,
    PL_CU_EVENT_BLOCKING_SYNC = 1,
    PL_CU_EVENT_DISABLE_TIMING = 2,
    PL_CU_HOST_PORTABLE = 1,
    PL_CU_MEMORY_HOST = 1,
    PL_CU_MEMORY_DEVICE = 2,

    PL_CU_POINTER_MEMORY_TYPE = 2,
    PL_CU_POINTER_ORDINAL = 9,
    PL_CU_ALLOCATION_PINNED = 1,
    PL_CU_LOCATION_DEVICE = 1,
    PL_CU_ACCESS_READ_WRITE = 3,
    PL_CU_POOL_REUSE_INTERNAL = 3,
    PL_CU_POOL_RELEASE_THRESHOLD = 4,
};

typedef struct pl_cu_uuid {
    char bytes[16];
} pl_cu_uuid;

typedef struct pl_cu_location {
    int type;
    int id;
} pl_cu_location;

typedef struct pl_cu_pool_props {
    int alloc_type;
    int handle_types;
    pl_cu_location location;
    void *windows;
    size_t max_bytes;
    unsigned short usage;
    unsigned char reserved[54];
} pl_cu_pool_props;

typedef struct pl_cu_access {
    pl_cu_location location;
    int flags;
} pl_cu_access;

/* One side of a copy of two and of three dimensions. `context` must be NULL but for copies between contexts. */
typedef struct pl_cu_side2 {
    size_t x_bytes, y;
    int memory_type;
    const void *host;
    pl_cu_pointer device;
    void *array;
    size_t pitch_bytes;
} pl_cu_side2;

typedef struct pl_cu_copy2 {
    pl_cu_side2 src, dst;
    size_t width_bytes, height;
} pl_cu_copy2;

typedef struct pl_cu_side3 {
    size_t x_bytes, y, z, lod;
    int memory_type;
    const void *host;
    pl_cu_pointer device;
    void *array;
    pl_cu_context context;
    size_t pitch_bytes, height;
} pl_cu_side3;

typedef struct pl_cu_copy3 {
    pl_cu_side3 src, dst;
    size_t width_bytes, height, depth;
} pl_cu_copy3;

/* X(name, version asked for, arguments) */
#define PL_CUDA_FUNCTIONS(X)                                                                                                       \
    X(cuInit, 2000, (unsigned flags))                                                                                              \
    X(cuDriverGetVersion, 2020, (int *out))                                                                                        \
    X(cuGetErrorName, 6000, (pl_cu_result code, const char **out))                                                                 \
    X(cuGetErrorString, 6000, (pl_cu_result code, const char **out))                                                               \
    X(cuDeviceGetCount, 2000, (int *out))                                                                                          \
    X(cuDeviceGet, 2000, (pl_cu_device * out, int ordinal))                                                                        \
    X(cuDeviceGetName, 2000, (char *out, int n_bytes, pl_cu_device device))                                                        \
    X(cuDeviceGetUuid, 11040, (pl_cu_uuid * out, pl_cu_device device))                                                             \
    X(cuDeviceGetAttribute, 2000, (int *out, int attribute, pl_cu_device device))                                                  \
    X(cuDevicePrimaryCtxRetain, 7000, (pl_cu_context * out, pl_cu_device device))                                                  \
    X(cuDevicePrimaryCtxRelease, 11000, (pl_cu_device device))                                                                     \
    X(cuCtxPushCurrent, 4000, (pl_cu_context context))                                                                             \
    X(cuCtxPopCurrent, 4000, (pl_cu_context * out))                                                                                \
    X(cuDeviceCanAccessPeer, 4000, (int *out, pl_cu_device device, pl_cu_device peer))                                             \
    X(cuCtxEnablePeerAccess, 4000, (pl_cu_context peer, unsigned flags))                                                           \
    X(cuMemGetInfo, 3020, (size_t * out_free, size_t * out_total))                                                                 \
    X(cuPointerGetAttribute, 4000, (void *out, int attribute, pl_cu_pointer memory))                                               \
    X(cuMemPoolCreate, 11020, (pl_cu_pool * out, const pl_cu_pool_props *props))                                                   \
    X(cuMemPoolDestroy, 11020, (pl_cu_pool pool))                                                                                  \
    X(cuMemPoolSetAttribute, 11020, (pl_cu_pool pool, int attribute, void *value))                                                 \
    X(cuMemPoolSetAccess, 11020, (pl_cu_pool pool, const pl_cu_access *access, size_t n))                                          \
    X(cuMemPoolTrimTo, 11020, (pl_cu_pool pool, size_t n_bytes_kept))                                                              \
    X(cuMemAllocFromPoolAsync, 11020, (pl_cu_pointer * out, size_t n_bytes, pl_cu_pool pool, pl_cu_stream stream))                 \
    X(cuMemFreeAsync, 11020, (pl_cu_pointer memory, pl_cu_stream stream))                                                          \
    X(cuMemHostAlloc, 2020, (void **out, size_t n_bytes, unsigned flags))                                                          \
    X(cuMemFreeHost, 2000, (void *memory))                                                                                         \
    X(cuStreamCreate, 2000, (pl_cu_stream * out, unsigned flags))                                                                  \
    X(cuStreamDestroy, 4000, (pl_cu_stream stream))                                                                                \
    X(cuStreamSynchronize, 2000, (pl_cu_stream stream))                                                                            \
    X(cuStreamWaitEvent, 3020, (pl_cu_stream stream, pl_cu_event event, unsigned flags))                                           \
    X(cuEventCreate, 2000, (pl_cu_event * out, unsigned flags))                                                                    \
    X(cuEventDestroy, 4000, (pl_cu_event event))                                                                                   \
    X(cuEventRecord, 2000, (pl_cu_event event, pl_cu_stream stream))                                                               \
    X(cuEventQuery, 2000, (pl_cu_event event))                                                                                     \
    X(cuEventSynchronize, 2000, (pl_cu_event event))                                                                               \
    X(cuMemcpyHtoDAsync, 3020, (pl_cu_pointer dst, const void *src, size_t n_bytes, pl_cu_stream stream))                          \
    X(cuMemcpyDtoHAsync, 3020, (void *dst, pl_cu_pointer src, size_t n_bytes, pl_cu_stream stream))                                \
    X(cuMemcpyDtoDAsync, 3020, (pl_cu_pointer dst, pl_cu_pointer src, size_t n_bytes, pl_cu_stream stream))                        \
    X(cuMemcpyPeerAsync, 4000,                                                                                                     \
      (pl_cu_pointer dst, pl_cu_context dst_context, pl_cu_pointer src, pl_cu_context src_context, size_t n_bytes,                 \
       pl_cu_stream stream))                                                                                                       \
    X(cuMemcpy2DAsync, 3020, (const pl_cu_copy2 *copy, pl_cu_stream stream))                                                       \
    X(cuMemcpy3DAsync, 3020, (const pl_cu_copy3 *copy, pl_cu_stream stream))                                                       \
    X(cuMemcpy3DPeerAsync, 4000, (const pl_cu_copy3 *copy, pl_cu_stream stream))                                                   \
    X(cuMemsetD8Async, 3020, (pl_cu_pointer dst, unsigned char value, size_t n_bytes, pl_cu_stream stream))                        \
    X(cuMemsetD2D8Async, 3020,                                                                                                     \
      (pl_cu_pointer dst, size_t pitch_bytes, unsigned char value, size_t width_bytes, size_t height, pl_cu_stream stream))

typedef struct pl_cuda_driver {
#define PL_CUDA_MEMBER(name, version, arguments) pl_cu_result(*name) arguments;
    PL_CUDA_FUNCTIONS(PL_CUDA_MEMBER)
#undef PL_CUDA_MEMBER
    void (*range_push)(const char *name); /* these two are NULL without NVTX */
    void (*range_pop)(void);
} pl_cuda_driver;

/* Constant once pl_cuda_driver_open has succeeded. */
extern pl_cuda_driver pl_cu;

/* Finds the driver and its functions, and initialises it. Errors: PARLA_E_NO_DEVICE, whose words say what is missing. */
PARLA_MUST_USE int pl_cuda_driver_open(void);

/* Finds NVTX, if there is any: sets the two functions for ranges, or leaves them NULL. */
void pl_cuda_nvtx_open(void);

/* How many cards the driver shows. */
int pl_cuda_count(void);

/* 0 for success; else keeps the driver's own words behind `what` and returns PARLA_E_DEVICE_MEMORY or PARLA_E_DEVICE. */
int pl_cuda_check(pl_cu_result result, const char *what);

#endif
