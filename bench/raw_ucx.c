/* raw_ucx.c - see raw_ucx.h. One worker, one endpoint, one tag; spins in ucp_worker_progress. */
#include "raw_ucx.h"

#include "bench.h"

#include <mpi.h>
#include <stdlib.h>
#include <ucp/api/ucp.h>

enum { ADDRESS_BYTES = 4096, TAG = 7 };

static ucp_context_h context;
static ucp_worker_h worker;
static ucp_ep_h endpoint;

static void check(ucs_status_t status, const char *what)
{
    if (status != UCS_OK) {
        bench_die("%s: %s", what, ucs_status_string(status));
    }
}

static void wait_for(ucs_status_ptr_t request)
{
    if (UCS_PTR_IS_ERR(request)) {
        check(UCS_PTR_STATUS(request), "a UCX operation");
    }
    while (request != NULL && ucp_request_check_status(request) == UCS_INPROGRESS) {
        ucp_worker_progress(worker);
    }
    if (request != NULL) {
        ucp_request_free(request);
    }
}

static void meet(void)
{
    static char addresses[2][ADDRESS_BYTES], mine[ADDRESS_BYTES];
    ucp_address_t *address;
    size_t n;
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    check(ucp_worker_get_address(worker, &address, &n), "ucp_worker_get_address");
    for (size_t i = 0; i < n && i < ADDRESS_BYTES; i++) {
        mine[i] = ((char *)address)[i];
    }
    ucp_worker_release_address(worker, address);
    MPI_Allgather(mine, ADDRESS_BYTES, MPI_BYTE, addresses, ADDRESS_BYTES, MPI_BYTE, MPI_COMM_WORLD);
    ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS, .address = (ucp_address_t *)addresses[1 - rank]};
    check(ucp_ep_create(worker, &params, &endpoint), "ucp_ep_create");
}

void raw_ucx_open(void)
{
    ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES, .features = UCP_FEATURE_TAG};
    ucp_worker_params_t worker_params = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE, .thread_mode = UCS_THREAD_MODE_SINGLE};
    check(ucp_init(&params, NULL, &context), "ucp_init");
    check(ucp_worker_create(context, &worker_params, &worker), "ucp_worker_create");
    meet();
}

void raw_ucx_close(void)
{
    ucp_request_param_t param = {.op_attr_mask = 0};
    wait_for(ucp_ep_close_nbx(endpoint, &param));
    MPI_Request request;
    int is_done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (!is_done) {
        ucp_worker_progress(worker);
        MPI_Test(&request, &is_done, MPI_STATUS_IGNORE);
    }
    ucp_worker_destroy(worker);
    ucp_cleanup(context);
}

void raw_ucx_send(const void *memory, size_t n_bytes)
{
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_MEMORY_TYPE, .memory_type = UCS_MEMORY_TYPE_HOST};
    wait_for(ucp_tag_send_nbx(endpoint, memory, n_bytes, TAG, &param));
}

void raw_ucx_receive(void *memory, size_t n_bytes)
{
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_MEMORY_TYPE, .memory_type = UCS_MEMORY_TYPE_HOST};
    wait_for(ucp_tag_recv_nbx(worker, memory, n_bytes, TAG, UINT64_MAX, &param));
}
