/* transport_mpi.c - the carrier on MPI alone: for builds and machines without UCX, and to compare with.
 *
 * Notes travel under tag 0 into a ring of receives that are always posted; MPI matches them in the order sent, and the ring is read in the
 * order posted. Data travels under the tag that the receiver chose: the small number of its operation, which no other pending operation of
 * that rank has. So the caller's 64-bit tags never meet MPI's short ones. Strided boxes are MPI datatypes where that is safe (datatype.h),
 * else they are packed. */
#include "box.h"
#include "carrier.h"
#include "datatype.h"
#include "error.h"
#include "slots.h"

#include <parla/error.h>
#include <parla/log.h>

#include <stdlib.h>

enum { N_RING = 32, EAGER_BYTES = 8192, NOTE_TAG = 0, BATCH = 256, FIRST_PENDING = 64 };

/* Whose request it is: one of the two. */
typedef struct owner {
    plm_note *note;
    plm_operation *op;
} owner;

typedef struct block {
    struct block *next;
    void *memory;
} block;

typedef struct mpi_carrier {
    plm_exchange *exchange;
    MPI_Comm comm;
    plm_carrier functions;
    plm_datatypes datatypes;
    /* The ring. */
    MPI_Request ring[N_RING];
    unsigned char *buffers; /* N_RING pieces of note_bytes */
    int i_ring;             /* the oldest receive */
    /* Requests under way, and their owners. */
    MPI_Request *requests;
    owner *owners;
    int n_pending, n_room;
    int i_batch; /* where the next batch begins */
    /* Memory that was asked for and not given back. */
    block *blocks;
} mpi_carrier;

static const size_t note_bytes = sizeof(plm_header) + EAGER_BYTES;

/* --- Pending requests -------------------------------------------------------------------------------------------------------- */

static int reserve_one(mpi_carrier *self)
{
    if (self->n_pending < self->n_room) {
        return 0;
    }
    int n = self->n_room == 0 ? FIRST_PENDING : 2 * self->n_room;
    MPI_Request *requests = realloc(self->requests, (size_t)n * sizeof *requests);
    self->requests = requests != NULL ? requests : self->requests;
    owner *owners = realloc(self->owners, (size_t)n * sizeof *owners);
    self->owners = owners != NULL ? owners : self->owners;
    if (requests == NULL || owners == NULL) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for %d MPI requests", n);
    }
    self->n_room = n;
    return 0;
}

static void add_pending(mpi_carrier *self, MPI_Request request, owner who)
{
    self->requests[self->n_pending] = request;
    self->owners[self->n_pending++] = who;
}

static void remove_pending(mpi_carrier *self, int i)
{
    self->n_pending--;
    self->requests[i] = self->requests[self->n_pending];
    self->owners[i] = self->owners[self->n_pending];
}

/* op->state is the buffer of a packed box. */
static void end_data(mpi_carrier *self, plm_operation *op, int status)
{
    if (op->state != NULL && !op->is_send && status == 0) {
        plm_box_unpack(&op->box, 0, op->state, op->n_bytes);
    }
    free(op->state);
    op->state = NULL;
    plm_exchange_ended(self->exchange, op, status);
}

static void end_owner(mpi_carrier *self, owner who, const MPI_Status *status, int code)
{
    free(who.note);
    if (who.op == NULL) {
        return;
    }
    int is_cancelled = 0;
    if (code == MPI_SUCCESS && !who.op->is_send) {
        MPI_Test_cancelled(status, &is_cancelled);
    }
    end_data(self, who.op, is_cancelled ? who.op->status : code == MPI_SUCCESS ? 0 : PARLA_E_TRANSPORT);
}

static int by_falling(const void *a, const void *b) { return *(const int *)b - *(const int *)a; }

/* Tests one batch; the next call takes the next one. */
static void test_pending(mpi_carrier *self)
{
    int indices[BATCH], n_done = 0;
    MPI_Status statuses[BATCH];
    if (self->n_pending == 0) {
        return;
    }
    int begin = self->i_batch < self->n_pending ? self->i_batch : 0;
    int n = self->n_pending - begin < BATCH ? self->n_pending - begin : BATCH;
    int code = MPI_Testsome(n, self->requests + begin, &n_done, indices, statuses);
    self->i_batch = begin + n;
    if ((code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) || n_done == MPI_UNDEFINED) {
        return;
    }
    int order[BATCH]; /* from the last, so that what fills a gap has been looked at */
    owner owners[BATCH];
    for (int i = 0; i < n_done; i++) {
        order[i] = indices[i] + begin;
        owners[i] = self->owners[order[i]];
    }
    qsort(order, (size_t)n_done, sizeof order[0], by_falling);
    for (int i = 0; i < n_done; i++) {
        remove_pending(self, order[i]);
    }
    for (int i = 0; i < n_done; i++) {
        end_owner(self, owners[i], &statuses[i], code == MPI_SUCCESS ? code : statuses[i].MPI_ERROR);
    }
}

/* --- Notes ------------------------------------------------------------------------------------------------------------------- */

static int send_note(void *context, plm_note *note)
{
    mpi_carrier *self = context;
    MPI_Request request = MPI_REQUEST_NULL;
    int is_done = 0, code = reserve_one(self);
    if (code == 0) {
        code = MPI_Isend(&note->header, (int)plm_note_bytes(note), MPI_BYTE, note->rank, NOTE_TAG, self->comm, &request);
        code = plm_error_set(code, "MPI_Isend");
    }
    if (code == 0 && MPI_Test(&request, &is_done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !is_done) {
        add_pending(self, request, (owner){.note = note});
        return 0;
    }
    free(note);
    return code;
}

static int post_ring(mpi_carrier *self, int i)
{
    return MPI_Irecv(self->buffers + (size_t)i * note_bytes, (int)note_bytes, MPI_BYTE, MPI_ANY_SOURCE, NOTE_TAG, self->comm,
                     &self->ring[i]);
}

/* At most one round, so that a flood of notes does not keep the caller. */
static void read_ring(mpi_carrier *self)
{
    for (int i = 0; i < N_RING; i++) {
        int is_done = 0, n_bytes = 0, code = MPI_SUCCESS;
        MPI_Status status;
        code = MPI_Test(&self->ring[self->i_ring], &is_done, &status);
        if (code != MPI_SUCCESS) {
            parla_log(PARLA_LOG_ERROR, "a note is lost: %s", (plm_error_set(code, "MPI_Test"), parla_error_detail()));
        } else if (!is_done) {
            return;
        } else {
            unsigned char *note = self->buffers + (size_t)self->i_ring * note_bytes;
            MPI_Get_count(&status, MPI_BYTE, &n_bytes);
            plm_exchange_arrive(self->exchange, note, note + sizeof(plm_header), (size_t)n_bytes - sizeof(plm_header));
        }
        code = post_ring(self, self->i_ring);
        if (code != MPI_SUCCESS) {
            parla_log(PARLA_LOG_ERROR, "%s", (plm_error_set(code, "MPI_Irecv"), parla_error_detail()));
        }
        self->i_ring = (self->i_ring + 1) % N_RING;
    }
}

static void poll_carrier(void *context)
{
    read_ring(context);
    test_pending(context);
}

static bool is_busy(void *context) { return ((const mpi_carrier *)context)->n_pending > 0; }

/* --- Data -------------------------------------------------------------------------------------------------------------------- */

/* The memory that MPI sends from or receives into: the box's own, or a buffer. */
typedef struct place {
    void *base;
    MPI_Datatype type;
    int count;
} place;

static int find_place(mpi_carrier *self, plm_operation *op, place *out)
{
    parla_strided packed = {.item_bytes = op->n_bytes};
    const parla_strided *box = &op->box;
    if (!plm_datatypes_can(box)) {
        op->state = malloc(op->n_bytes);
        if (op->state == NULL) {
            return parla_error_set(PARLA_E_NOMEM, "no memory to pack %zu bytes", op->n_bytes);
        }
        packed.base = op->state;
        box = &packed;
        if (op->is_send) {
            plm_box_pack(&op->box, 0, op->state, op->n_bytes);
        }
    }
    out->base = box->base;
    return plm_error_set(plm_datatypes_get(&self->datatypes, box, &out->type, &out->count), "an MPI datatype for a box");
}

static int begin_send(mpi_carrier *self, plm_operation *op, const place *from)
{
    MPI_Request request;
    int code = MPI_Isend(from->base, from->count, from->type, op->item.rank, (int)op->data_tag, self->comm, &request);
    if (code == MPI_SUCCESS) {
        add_pending(self, request, (owner){.op = op});
    }
    return plm_error_set(code, "MPI_Isend");
}

static int begin_receive(mpi_carrier *self, plm_operation *op, const place *to)
{
    MPI_Request request;
    int tag = (int)plm_slots_index(op->number);
    int code = MPI_Irecv(to->base, to->count, to->type, op->item.rank, tag, self->comm, &request);
    if (code != MPI_SUCCESS) {
        return plm_error_set(code, "MPI_Irecv");
    }
    code = plm_exchange_accept(self->exchange, op, (uint64_t)tag);
    if (code != 0) {
        MPI_Cancel(&request);
        MPI_Wait(&request, MPI_STATUS_IGNORE); /* at once: nobody sends */
        return code;
    }
    add_pending(self, request, (owner){.op = op});
    return 0;
}

static int begin(void *context, plm_operation *op)
{
    mpi_carrier *self = context;
    place memory;
    int code = reserve_one(self);
    code = code != 0 ? code : find_place(self, op, &memory);
    code = code != 0 ? code : op->is_send ? begin_send(self, op, &memory) : begin_receive(self, op, &memory);
    if (code != 0) {
        free(op->state);
        op->state = NULL;
    }
    return code;
}

/* The request ends as cancelled in a later test. */
static void abandon(void *context, plm_operation *op)
{
    mpi_carrier *self = context;
    for (int i = 0; i < self->n_pending; i++) {
        if (self->owners[i].op == op) {
            MPI_Cancel(&self->requests[i]);
        }
    }
}

/* Peers reach no memory here by themselves. */
static size_t describe(void *self, const parla_strided *box, void *out)
{
    (void)self, (void)box, (void)out;
    return 0;
}

static int arm(void *self, int *out_fd)
{
    (void)self, (void)out_fd;
    return parla_error_set(PARLA_E_UNSUPPORTED, "MPI has no descriptor to sleep on");
}

static int alloc_memory(void *context, size_t n_bytes, void **out)
{
    mpi_carrier *self = context;
    block *made = malloc(sizeof *made);
    if (made == NULL || posix_memalign(&made->memory, 4096, n_bytes) != 0) {
        free(made);
        return parla_error_set(PARLA_E_NOMEM, "no memory of %zu bytes", n_bytes);
    }
    made->next = self->blocks;
    self->blocks = made;
    *out = made->memory;
    return 0;
}

static void free_block(block **link)
{
    block *freed = *link;
    *link = freed->next;
    free(freed->memory);
    free(freed);
}

static int release_memory(void *context, void *memory)
{
    mpi_carrier *self = context;
    block **link = &self->blocks;
    while (*link != NULL && (*link)->memory != memory) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        return parla_error_set(PARLA_E_INVALID, "%p was not allocated by this transport", memory);
    }
    free_block(link);
    return 0;
}

/* --- Life -------------------------------------------------------------------------------------------------------------------- */

static void close_ring(mpi_carrier *self)
{
    for (int i = 0; i < N_RING; i++) {
        if (self->ring[i] != MPI_REQUEST_NULL) {
            MPI_Cancel(&self->ring[i]);
            MPI_Wait(&self->ring[i], MPI_STATUS_IGNORE);
        }
    }
}

/* All notes have arrived, so what is pending are sends that have only to be looked at. */
static void shut_carrier(void *context)
{
    mpi_carrier *self = context;
    MPI_Waitall(self->n_pending, self->requests, MPI_STATUSES_IGNORE);
    for (int i = 0; i < self->n_pending; i++) {
        free(self->owners[i].note);
    }
    close_ring(self);
    plm_datatypes_fini(&self->datatypes);
}

static void free_carrier(void *context)
{
    mpi_carrier *self = context;
    while (self->blocks != NULL) {
        free_block(&self->blocks);
    }
    free(self->requests);
    free(self->owners);
    free(self->buffers);
    free(self);
}

static uint32_t largest_tag(MPI_Comm comm)
{
    int *largest = NULL, is_known = 0;
    MPI_Comm_get_attr(comm, MPI_TAG_UB, &largest, &is_known);
    return is_known && largest != NULL ? (uint32_t)*largest : 32767; /* what the standard promises */
}

static plm_carrier functions_of(MPI_Comm comm)
{
    return (plm_carrier){.name = "mpi",
                         .eager_bytes = EAGER_BYTES,
                         .most_operations = largest_tag(comm),
                         .send_note = send_note,
                         .describe = describe,
                         .begin = begin,
                         .abandon = abandon,
                         .poll = poll_carrier,
                         .arm = arm,
                         .alloc = alloc_memory,
                         .release = release_memory,
                         .is_busy = is_busy,
                         .shut = shut_carrier,
                         .free = free_carrier};
}

static mpi_carrier *carrier_create(MPI_Comm comm)
{
    mpi_carrier *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->comm = comm;
    self->functions = functions_of(comm);
    self->buffers = malloc(N_RING * note_bytes);
    for (int i = 0; i < N_RING; i++) {
        self->ring[i] = MPI_REQUEST_NULL;
    }
    if (self->buffers == NULL || reserve_one(self) != 0 ||
        plm_exchange_create(&self->exchange, comm, &self->functions, self) != 0) {
        free(self->requests);
        free(self->owners);
        free(self->buffers);
        free(self);
        return NULL;
    }
    return self;
}

int plm_carrier_mpi_open(plm_exchange **out, MPI_Comm comm)
{
    mpi_carrier *self = carrier_create(comm);
    int code = MPI_SUCCESS;
    for (int i = 0; self != NULL && code == MPI_SUCCESS && i < N_RING; i++) {
        code = post_ring(self, i);
    }
    if (plm_all_agree(comm, self != NULL && code == MPI_SUCCESS)) {
        *out = self->exchange;
        return 0;
    }
    if (self != NULL) {
        plm_exchange_destroy(self->exchange);
        shut_carrier(self);
        free_carrier(self);
    }
    return parla_error_set(PARLA_E_NOMEM, "a rank has no memory for a transport over MPI");
}
