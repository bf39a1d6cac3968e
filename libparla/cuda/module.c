/* module.c - the entry of libparla_cuda.so: the backend's table, for a library that can use it on a machine that has a driver. */
#include "host.h"
#include "objects.h"

#include <parla/error.h>

static const parla_backend table = {
    .abi = PARLA_BACKEND_ABI,
    .kind = "cuda",
    .probe = pl_cuda_count,
    .open = pl_cuda_open,
    .close = pl_cuda_close,
    .alloc = pl_cuda_alloc,
    .free = pl_cuda_free,
    .queue_alloc = pl_cuda_queue_alloc,
    .queue_free = pl_cuda_queue_free,
    .host_alloc = pl_cuda_host_alloc,
    .host_free = pl_cuda_host_free,
    .is_page_locked = pl_cuda_is_page_locked,
    .copy = pl_cuda_copy,
    .fill = pl_cuda_fill,
    .queue_open = pl_cuda_queue_open,
    .queue_close = pl_cuda_queue_close,
    .event_record = pl_cuda_event_record,
    .event_query = pl_cuda_event_query,
    .queue_wait = pl_cuda_queue_wait,
    .event_wait = pl_cuda_event_wait,
    .event_free = pl_cuda_event_free,
    .queue_native = pl_cuda_queue_native,
    .body_begin = pl_cuda_body_begin,
    .body_end = pl_cuda_body_end,
    .queue_over = pl_cuda_queue_over,
    .locate = pl_cuda_locate,
};

PARLA_API const parla_backend *parla_backend_module(const parla_backend_host *host);

const parla_backend *parla_backend_module(const parla_backend_host *host)
{
    pl_cuda_host_set(host);
    if (host->abi != PARLA_BACKEND_ABI) {
        (void)pl_error_set(PARLA_E_NO_DEVICE, "the CUDA module was built for backend ABI %d, the library has %u", PARLA_BACKEND_ABI,
                           (unsigned)host->abi);
        return NULL;
    }
    return pl_cuda_driver_open() < 0 ? NULL : &table;
}
