/* transport_ucx.c - the carrier on UCX: one context and one worker for each rank, addresses exchanged over MPI, endpoints on first use.
 *
 * Notes are active messages, handled where they arrive. Data goes the shortest of these ways:
 *
 *   one side lies in memory that this transport allocated   the other side addresses it, and copies box to box without its help
 *   else                                                    a tagged message; UCX picks the way (one copy by the kernel in a node)
 *
 * Tags are the numbers of the receiving operations, used once. A box that is not one piece is packed and unpacked by UCX's own steps
 * (a generic datatype), so it needs no buffer of its size.
 *
 * The worker is used by one thread at a time (exchange_state.h), as is the memory table but for `describe`. Endpoints within the node use
 * no error handling: with it UCX gives up shared memory. Those to other nodes report a broken connection. */
#include "box.h"
#include "carrier.h"
#include "ucx_memory.h"

#include <parla/error.h>
#include <parla/log.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <ucp/api/ucp.h>

enum { EAGER_BYTES = 8192, NOTE_ID = 1, MOST_STEPS = 64 };

typedef struct ucx_carrier {
    plm_exchange *exchange;
    MPI_Comm comm;
    int n_ranks;
    ucp_context_h context;
    ucp_worker_h worker;
    int event_fd;
    ucp_datatype_t strided;
    plm_ucx_memory memory;
    unsigned char *addresses; /* of all workers */
    int *address_at;          /* where each begins */
    bool *is_near;            /* ranks on this node */
    ucp_ep_h *endpoints;      /* NULL until used */
    size_t n_notes;           /* that UCX has not sent yet */
} ucx_carrier;

static int ucx_error(ucs_status_t status, const char *what)
{
    return parla_error_set(PARLA_E_TRANSPORT, "%s failed: %s", what, ucs_status_string(status));
}

/* --- Boxes as a UCX datatype --------------------------------------------------------------------------------------------------- */

/* The "buffer" of an operation is its simplified box, which lives as long as the operation. */
static void *strided_pack_begin(void *context, const void *buffer, size_t count)
{
    (void)context, (void)count;
    return (void *)(uintptr_t)buffer;
}

static void *strided_unpack_begin(void *context, void *buffer, size_t count)
{
    (void)context, (void)count;
    return buffer;
}

static size_t strided_bytes(void *state) { return parla_strided_bytes(state); }

static size_t strided_pack(void *state, size_t offset, void *to, size_t n_room)
{
    size_t n_left = parla_strided_bytes(state) - offset, n = n_left < n_room ? n_left : n_room;
    plm_box_pack(state, offset, to, n);
    return n;
}

static ucs_status_t strided_unpack(void *state, size_t offset, const void *from, size_t n)
{
    plm_box_unpack(state, offset, from, n);
    return UCS_OK;
}

static void strided_end(void *state) { (void)state; }

static const ucp_generic_dt_ops_t strided_functions = {.start_pack = strided_pack_begin,
                                                       .start_unpack = strided_unpack_begin,
                                                       .packed_size = strided_bytes,
                                                       .pack = strided_pack,
                                                       .unpack = strided_unpack,
                                                       .finish = strided_end};

/* --- Endpoints ----------------------------------------------------------------------------------------------------------------- */

static void on_broken(void *context, ucp_ep_h endpoint, ucs_status_t status)
{
    ucx_carrier *self = context;
    int rank = 0;
    while (rank < self->n_ranks && self->endpoints[rank] != endpoint) {
        rank++;
    }
    if (rank < self->n_ranks) {
        parla_log(PARLA_LOG_ERROR, "the connection to rank %d is broken: %s", rank, ucs_status_string(status));
        plm_exchange_lose_peer(self->exchange, rank);
    }
}

static int get_endpoint(ucx_carrier *self, int rank, ucp_ep_h *out)
{
    if (self->endpoints[rank] == NULL) {
        bool is_near = self->is_near[rank];
        ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                                                UCP_EP_PARAM_FIELD_ERR_HANDLER,
                                  .address = (ucp_address_t *)(self->addresses + self->address_at[rank]),
                                  .err_mode = is_near ? UCP_ERR_HANDLING_MODE_NONE : UCP_ERR_HANDLING_MODE_PEER,
                                  .err_handler = {.cb = on_broken, .arg = self}};
        ucs_status_t status = ucp_ep_create(self->worker, &params, &self->endpoints[rank]);
        if (status != UCS_OK) {
            self->endpoints[rank] = NULL;
            return ucx_error(status, "ucp_ep_create");
        }
    }
    *out = self->endpoints[rank];
    return 0;
}

/* --- Notes --------------------------------------------------------------------------------------------------------------------- */

static ucs_status_t on_note(void *context, const void *header, size_t n_header, void *data, size_t n,
                            const ucp_am_recv_param_t *param)
{
    ucx_carrier *self = context;
    (void)header, (void)n_header, (void)param; /* notes are sent as EAGER, so all of it is here */
    plm_exchange_arrive(self->exchange, data, (char *)data + sizeof(plm_header), n - sizeof(plm_header));
    return UCS_OK;
}

static void on_note_sent(void *request, ucs_status_t status, void *note)
{
    if (status != UCS_OK && status != UCS_ERR_CANCELED) {
        parla_log(PARLA_LOG_ERROR, "a note to rank %d is lost: %s", ((plm_note *)note)->rank, ucs_status_string(status));
    }
    ((ucx_carrier *)((plm_note *)note)->sender)->n_notes--;
    free(note);
    ucp_request_free(request);
}

static int send_note(void *context, plm_note *note)
{
    ucx_carrier *self = context;
    ucp_ep_h endpoint;
    int code = get_endpoint(self, note->rank, &endpoint);
    if (code != 0) {
        free(note);
        return code;
    }
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                                                 UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_MEMORY_TYPE,
                                 .flags = UCP_AM_SEND_FLAG_EAGER,
                                 .cb = {.send = on_note_sent},
                                 .user_data = note,
                                 .memory_type = UCS_MEMORY_TYPE_HOST};
    note->sender = self;
    ucs_status_ptr_t request = ucp_am_send_nbx(endpoint, NOTE_ID, NULL, 0, &note->header, plm_note_bytes(note), &param);
    if (UCS_PTR_IS_ERR(request)) {
        code = ucx_error(UCS_PTR_STATUS(request), "ucp_am_send_nbx");
    }
    if (request == NULL || code != 0) {
        free(note);
    } else {
        self->n_notes++;
        (void)ucp_worker_progress(self->worker); /* the first long note to a rank leaves only now */
    }
    return code;
}

static bool is_busy(void *context) { return ((const ucx_carrier *)context)->n_notes > 0; }

/* --- Data ---------------------------------------------------------------------------------------------------------------------- */

static void end_data(plm_operation *op, ucs_status_t status)
{
    ucx_carrier *self = op->state;
    bool is_abandoned = status == UCS_ERR_CANCELED && !op->is_send;
    plm_exchange_ended(self->exchange, op, is_abandoned ? op->status : status == UCS_OK ? 0 : PARLA_E_TRANSPORT);
}

static void on_data_sent(void *request, ucs_status_t status, void *op)
{
    end_data(op, status);
    ucp_request_free(request);
}

static void on_data_received(void *request, ucs_status_t status, const ucp_tag_recv_info_t *info, void *op)
{
    (void)info;
    end_data(op, status);
    ucp_request_free(request);
}

static ucp_request_param_t data_param(const ucx_carrier *self, plm_operation *op)
{
    bool is_one_piece = plm_box_is_contiguous(&op->box);
    return (ucp_request_param_t){.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                                                 UCP_OP_ATTR_FIELD_DATATYPE | UCP_OP_ATTR_FIELD_MEMORY_TYPE,
                                 .user_data = op,
                                 .datatype = is_one_piece ? ucp_dt_make_contig(1) : self->strided,
                                 .memory_type = UCS_MEMORY_TYPE_HOST};
}

/* What UCX takes as buffer and count. */
static void *data_buffer(plm_operation *op) { return plm_box_is_contiguous(&op->box) ? op->box.base : (void *)&op->box; }
static size_t data_count(const plm_operation *op) { return plm_box_is_contiguous(&op->box) ? op->n_bytes : 1; }

/* NULL: it is done already. */
static int after_start(ucs_status_ptr_t request, plm_operation *op, const char *what)
{
    if (UCS_PTR_IS_ERR(request)) {
        return ucx_error(UCS_PTR_STATUS(request), what);
    }
    op->request = request;
    if (request == NULL) {
        end_data(op, UCS_OK);
    }
    return 0;
}

static int begin_send(ucx_carrier *self, plm_operation *op, ucp_ep_h endpoint)
{
    ucp_request_param_t param = data_param(self, op);
    param.cb.send = on_data_sent;
    return after_start(ucp_tag_send_nbx(endpoint, data_buffer(op), data_count(op), op->data_tag, &param), op, "ucp_tag_send_nbx");
}

static int begin_receive(ucx_carrier *self, plm_operation *op)
{
    ucp_request_param_t param = data_param(self, op);
    param.cb.recv = on_data_received;
    int code = plm_exchange_accept(self->exchange, op, op->number);
    if (code != 0) {
        return code;
    }
    return after_start(ucp_tag_recv_nbx(self->worker, data_buffer(op), data_count(op), op->number, UINT64_MAX, &param), op,
                       "ucp_tag_recv_nbx");
}

static int begin(void *context, plm_operation *op)
{
    ucx_carrier *self = context;
    parla_strided remote;
    ucp_ep_h endpoint;
    int code = get_endpoint(self, op->item.rank, &endpoint);
    if (code != 0) {
        return code;
    }
    op->state = self;
    if (op->descriptor != NULL &&
        plm_ucx_memory_map(&self->memory, op->item.rank, endpoint, op->descriptor, op->n_descriptor, &remote)) {
        plm_exchange_direct(self->exchange, op, &remote);
        return 0;
    }
    return op->is_send ? begin_send(self, op, endpoint) : begin_receive(self, op);
}

/* Ends the request as cancelled, perhaps in this call. */
static void abandon(void *context, plm_operation *op)
{
    ucx_carrier *self = context;
    ucp_request_cancel(self->worker, op->request);
}

static void poll_carrier(void *context)
{
    ucx_carrier *self = context;
    for (int i = 0; i < MOST_STEPS && ucp_worker_progress(self->worker) != 0; i++) {
    }
}

static int arm(void *context, int *out_fd)
{
    ucx_carrier *self = context;
    ucs_status_t status = ucp_worker_arm(self->worker);
    if (status == UCS_OK) {
        *out_fd = self->event_fd;
        return 0;
    }
    return status == UCS_ERR_BUSY ? PARLA_PENDING : ucx_error(status, "ucp_worker_arm");
}

/* --- Memory -------------------------------------------------------------------------------------------------------------------- */

static size_t describe(void *context, const parla_strided *box, void *out)
{
    ucx_carrier *self = context;
    return plm_ucx_memory_describe(&self->memory, box, out, PLM_DESCRIPTION_BYTES);
}

static int alloc_memory(void *context, size_t n_bytes, void **out)
{
    ucx_carrier *self = context;
    return plm_ucx_memory_alloc(&self->memory, n_bytes, out);
}

static int release_memory(void *context, void *memory)
{
    ucx_carrier *self = context;
    return plm_ucx_memory_release(&self->memory, memory);
}

/* --- Life ---------------------------------------------------------------------------------------------------------------------- */

/* Progresses the worker until every rank is here, since closing an endpoint takes both sides. */
static void meet_others(ucx_carrier *self)
{
    MPI_Request request;
    int is_done = MPI_Ibarrier(self->comm, &request) != MPI_SUCCESS;
    while (!is_done) {
        poll_carrier(self);
        if (MPI_Test(&request, &is_done, MPI_STATUS_IGNORE) != MPI_SUCCESS) {
            return;
        }
        sched_yield();
    }
}

static void close_endpoints(ucx_carrier *self)
{
    ucp_request_param_t param = {.op_attr_mask = 0};
    for (int rank = 0; rank < self->n_ranks; rank++) {
        if (self->endpoints[rank] == NULL) {
            continue;
        }
        ucs_status_ptr_t request = ucp_ep_close_nbx(self->endpoints[rank], &param);
        while (UCS_PTR_IS_PTR(request) && ucp_request_check_status(request) == UCS_INPROGRESS) {
            poll_carrier(self);
            sched_yield();
        }
        if (UCS_PTR_IS_PTR(request)) {
            ucp_request_free(request);
        }
    }
}

static void close_worker(ucx_carrier *self)
{
    if (self->worker != NULL) {
        ucp_worker_destroy(self->worker);
    }
    self->worker = NULL;
}

/* Frees what has been made so far, or what `shut` has left: memory needs its context. */
static void free_carrier(void *context)
{
    ucx_carrier *self = context;
    close_worker(self);
    if (self->strided != 0) {
        ucp_dt_destroy(self->strided);
    }
    if (self->context != NULL) {
        plm_ucx_memory_fini(&self->memory);
        ucp_cleanup(self->context);
    }
    free(self->addresses);
    free(self->address_at);
    free(self->is_near);
    free(self->endpoints);
    free(self);
}

static void shut_carrier(void *context)
{
    ucx_carrier *self = context;
    plm_ucx_memory_forget(&self->memory);
    close_endpoints(self);
    meet_others(self);
    close_worker(self);
}

static const plm_carrier functions = {.name = "ucx",
                                      .eager_bytes = EAGER_BYTES,
                                      .most_operations = UINT32_MAX / 2,
                                      .send_note = send_note,
                                      .describe = describe,
                                      .begin = begin,
                                      .abandon = abandon,
                                      .poll = poll_carrier,
                                      .arm = arm,
                                      .is_memory_reached = true,
                                      .alloc = alloc_memory,
                                      .release = release_memory,
                                      .is_busy = is_busy,
                                      .shut = shut_carrier,
                                      .free = free_carrier};

static ucs_status_t open_context(ucx_carrier *self)
{
    ucp_config_t *config;
    ucs_status_t status = ucp_config_read(NULL, NULL, &config);
    if (status != UCS_OK) {
        return status;
    }
    ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_ESTIMATED_NUM_EPS | UCP_PARAM_FIELD_NAME,
                           .features = UCP_FEATURE_TAG | UCP_FEATURE_RMA | UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
                           .estimated_num_eps = (size_t)self->n_ranks,
                           .name = "parla"};
    status = ucp_init(&params, config, &self->context);
    ucp_config_release(config);
    if (status != UCS_OK) {
        self->context = NULL;
        return status;
    }
    plm_ucx_memory_init(&self->memory, self->context);
    return ucp_dt_create_generic(&strided_functions, NULL, &self->strided);
}

static ucs_status_t open_worker(ucx_carrier *self)
{
    ucp_worker_params_t params = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE, .thread_mode = UCS_THREAD_MODE_SERIALIZED};
    ucs_status_t status = ucp_worker_create(self->context, &params, &self->worker);
    if (status != UCS_OK) {
        self->worker = NULL;
        return status;
    }
    ucp_am_handler_param_t handler = {.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                                                    UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
                                      .id = NOTE_ID,
                                      .flags = UCP_AM_FLAG_WHOLE_MSG,
                                      .cb = on_note,
                                      .arg = self};
    status = ucp_worker_set_am_recv_handler(self->worker, &handler);
    return status != UCS_OK ? status : ucp_worker_get_efd(self->worker, &self->event_fd);
}

/* Tells every rank the addresses of all workers. `mine` may be NULL where this rank failed; then all fail. */
static bool exchange_addresses(ucx_carrier *self, const ucp_address_t *mine, size_t n_mine)
{
    int n = self->n_ranks, mine_bytes = (int)n_mine;
    int *lengths = calloc((size_t)n, sizeof *lengths);
    self->address_at = calloc((size_t)n + 1, sizeof *self->address_at);
    bool is_ready = lengths != NULL && self->address_at != NULL && mine != NULL;
    if (!plm_all_agree(self->comm, is_ready)) {
        free(lengths);
        return false;
    }
    is_ready = MPI_Allgather(&mine_bytes, 1, MPI_INT, lengths, 1, MPI_INT, self->comm) == MPI_SUCCESS;
    for (int i = 0; i < n; i++) {
        self->address_at[i + 1] = self->address_at[i] + lengths[i];
    }
    self->addresses = malloc((size_t)self->address_at[n]);
    is_ready =
        plm_all_agree(self->comm, is_ready && self->addresses != NULL) &&
        MPI_Allgatherv(mine, mine_bytes, MPI_BYTE, self->addresses, lengths, self->address_at, MPI_BYTE, self->comm) == MPI_SUCCESS;
    free(lengths);
    return is_ready;
}

/* Which ranks share this rank's node. */
static bool find_neighbours(ucx_carrier *self)
{
    MPI_Comm node;
    MPI_Group all, near;
    int n_near = 0;
    if (MPI_Comm_split_type(self->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node) != MPI_SUCCESS) {
        return false;
    }
    MPI_Comm_group(self->comm, &all);
    MPI_Comm_group(node, &near);
    MPI_Group_size(near, &n_near);
    for (int i = 0; i < n_near; i++) {
        int rank;
        MPI_Group_translate_ranks(near, 1, &i, all, &rank);
        self->is_near[rank] = true;
    }
    MPI_Group_free(&near);
    MPI_Group_free(&all);
    MPI_Comm_free(&node);
    return true;
}

/* What this rank can do alone. */
static ucs_status_t open_local(ucx_carrier *self)
{
    self->is_near = calloc((size_t)self->n_ranks, sizeof *self->is_near);
    self->endpoints = calloc((size_t)self->n_ranks, sizeof *self->endpoints);
    if (self->is_near == NULL || self->endpoints == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    ucs_status_t status = open_context(self);
    return status != UCS_OK ? status : open_worker(self);
}

static bool connect_all(ucx_carrier *self)
{
    ucp_address_t *mine = NULL;
    size_t n_mine = 0;
    if (ucp_worker_get_address(self->worker, &mine, &n_mine) != UCS_OK) {
        mine = NULL;
    }
    bool is_connected = exchange_addresses(self, mine, n_mine) && find_neighbours(self);
    if (mine != NULL) {
        ucp_worker_release_address(self->worker, mine);
    }
    return is_connected;
}

int plm_carrier_ucx_open(plm_exchange **out, MPI_Comm comm)
{
    ucx_carrier *self = calloc(1, sizeof *self);
    ucs_status_t status = UCS_ERR_NO_MEMORY;
    if (self != NULL) {
        self->comm = comm;
        MPI_Comm_size(comm, &self->n_ranks);
        status = open_local(self);
    }
    if (status == UCS_OK && plm_exchange_create(&self->exchange, comm, &functions, self) != 0) {
        status = UCS_ERR_NO_MEMORY;
    }
    if (plm_all_agree(comm, status == UCS_OK) && plm_all_agree(comm, connect_all(self))) {
        *out = self->exchange;
        return 0;
    }
    if (self != NULL && self->exchange != NULL) {
        plm_exchange_destroy(self->exchange);
    }
    if (self != NULL) {
        free_carrier(self);
    }
    return parla_error_set(PARLA_E_UNSUPPORTED, "UCX cannot be used: %s",
                           status != UCS_OK ? ucs_status_string(status)
                                            : "another rank cannot use it, or the ranks cannot connect");
}
