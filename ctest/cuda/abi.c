/* abi.c - compiled where cuda.h is found: what libparla/cuda/driver.h declares is what the driver has. */
#include "driver.h"

#include <cuda.h>

#define SAME(a, b) _Static_assert((long long)(a) == (long long)(b), #a)
#define SAME_SIZE(a, b) _Static_assert(sizeof(a) == sizeof(b), #a)
#define SAME_PLACE(a, x, b, y) _Static_assert(offsetof(a, x) == offsetof(b, y), #a "." #x)

SAME(PL_CU_SUCCESS, CUDA_SUCCESS);
SAME(PL_CU_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE);
SAME(PL_CU_POINTER_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(PL_CU_POINTER_ORDINAL, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(PL_CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(PL_CU_DEINITIALIZED, CUDA_ERROR_DEINITIALIZED);
SAME(PL_CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE);
SAME(PL_CU_PEER_ACCESS_ENABLED, CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
SAME(PL_CU_NOT_READY, CUDA_ERROR_NOT_READY);
SAME(PL_CU_ATTRIBUTE_MAX_PITCH, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
SAME(PL_CU_ATTRIBUTE_UNIFIED_ADDRESSING, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING);
SAME(PL_CU_ATTRIBUTE_MEMORY_POOLS, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
SAME(PL_CU_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(PL_CU_EVENT_BLOCKING_SYNC, CU_EVENT_BLOCKING_SYNC);
SAME(PL_CU_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING);
SAME(PL_CU_HOST_PORTABLE, CU_MEMHOSTALLOC_PORTABLE);
SAME(PL_CU_MEMORY_HOST, CU_MEMORYTYPE_HOST);
SAME(PL_CU_MEMORY_DEVICE, CU_MEMORYTYPE_DEVICE);
SAME(PL_CU_ALLOCATION_PINNED, CU_MEM_ALLOCATION_TYPE_PINNED);
SAME(PL_CU_LOCATION_DEVICE, CU_MEM_LOCATION_TYPE_DEVICE);
SAME(PL_CU_ACCESS_READ_WRITE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
SAME(PL_CU_POOL_REUSE_INTERNAL, CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES);
SAME(PL_CU_POOL_RELEASE_THRESHOLD, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD);

SAME_SIZE(pl_cu_result, CUresult);
SAME_SIZE(pl_cu_device, CUdevice);
SAME_SIZE(pl_cu_pointer, CUdeviceptr);
SAME_SIZE(pl_cu_uuid, CUuuid);
SAME_SIZE(pl_cu_pool_props, CUmemPoolProps);
SAME_PLACE(pl_cu_pool_props, location, CUmemPoolProps, location);
SAME_PLACE(pl_cu_pool_props, windows, CUmemPoolProps, win32SecurityAttributes);
SAME_PLACE(pl_cu_pool_props, max_bytes, CUmemPoolProps, maxSize);
SAME_SIZE(pl_cu_access, CUmemAccessDesc);
SAME_PLACE(pl_cu_access, flags, CUmemAccessDesc, flags);

SAME_SIZE(pl_cu_copy2, CUDA_MEMCPY2D);
SAME_PLACE(pl_cu_copy2, src.host, CUDA_MEMCPY2D, srcHost);
SAME_PLACE(pl_cu_copy2, src.device, CUDA_MEMCPY2D, srcDevice);
SAME_PLACE(pl_cu_copy2, src.pitch_bytes, CUDA_MEMCPY2D, srcPitch);
SAME_PLACE(pl_cu_copy2, dst.x_bytes, CUDA_MEMCPY2D, dstXInBytes);
SAME_PLACE(pl_cu_copy2, dst.memory_type, CUDA_MEMCPY2D, dstMemoryType);
SAME_PLACE(pl_cu_copy2, dst.device, CUDA_MEMCPY2D, dstDevice);
SAME_PLACE(pl_cu_copy2, dst.pitch_bytes, CUDA_MEMCPY2D, dstPitch);
SAME_PLACE(pl_cu_copy2, width_bytes, CUDA_MEMCPY2D, WidthInBytes);
SAME_PLACE(pl_cu_copy2, height, CUDA_MEMCPY2D, Height);

SAME_SIZE(pl_cu_copy3, CUDA_MEMCPY3D);
SAME_SIZE(pl_cu_copy3, CUDA_MEMCPY3D_PEER);
SAME_PLACE(pl_cu_copy3, src.device, CUDA_MEMCPY3D_PEER, srcDevice);
SAME_PLACE(pl_cu_copy3, src.context, CUDA_MEMCPY3D_PEER, srcContext);
SAME_PLACE(pl_cu_copy3, src.height, CUDA_MEMCPY3D_PEER, srcHeight);
SAME_PLACE(pl_cu_copy3, dst.x_bytes, CUDA_MEMCPY3D_PEER, dstXInBytes);
SAME_PLACE(pl_cu_copy3, dst.memory_type, CUDA_MEMCPY3D_PEER, dstMemoryType);
SAME_PLACE(pl_cu_copy3, dst.host, CUDA_MEMCPY3D_PEER, dstHost);
SAME_PLACE(pl_cu_copy3, dst.context, CUDA_MEMCPY3D, reserved1);
SAME_PLACE(pl_cu_copy3, dst.height, CUDA_MEMCPY3D_PEER, dstHeight);
SAME_PLACE(pl_cu_copy3, width_bytes, CUDA_MEMCPY3D_PEER, WidthInBytes);
SAME_PLACE(pl_cu_copy3, depth, CUDA_MEMCPY3D_PEER, Depth);
