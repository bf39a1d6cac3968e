/* exchange.c - operations from post to callback, progress, and the life of a transport.
 *
 * Whoever posts also tries to send what it posted; where another thread has the wire, that thread sends it before it lets go of the wire
 * for good (flush). So nothing lies unsent, and no thread waits for another.
 *
 * Whoever watches is told when something becomes pending, so that somebody progresses it. */
#include "exchange_state.h"

#include "box.h"

#include <parla/error.h>
#include <parla/log.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Queues ------------------------------------------------------------------------------------------------------------------ */

void plm_queue_push(plm_queue *queue, plm_operation *op)
{
    op->next = NULL;
    if (queue->first == NULL) {
        queue->first = op;
    } else {
        queue->last->next = op;
    }
    queue->last = op;
    queue->n++;
}

plm_operation *plm_queue_pop(plm_queue *queue)
{
    plm_operation *op = queue->first;
    if (op != NULL) {
        queue->first = op->next;
        queue->n--;
    }
    return op;
}

static plm_operation *pop(plm_exchange *self, plm_queue *queue)
{
    pthread_mutex_lock(&self->lock);
    plm_operation *op = plm_queue_pop(queue);
    pthread_mutex_unlock(&self->lock);
    return op;
}

/* --- Progress ---------------------------------------------------------------------------------------------------------------- */

void plm_exchange_ended(plm_exchange *self, plm_operation *op, int status)
{
    pthread_mutex_lock(&self->lock);
    op->phase = PLM_ENDED;
    op->status = status;
    plm_slots_remove(&self->operations, op->number);
    plm_queue_push(&self->completed, op);
    pthread_mutex_unlock(&self->lock);
}

void plm_exchange_direct(plm_exchange *self, plm_operation *op, const parla_strided *remote)
{
    op->remote = *remote;
    pthread_mutex_lock(&self->lock);
    plm_queue_push(&self->direct, op);
    pthread_mutex_unlock(&self->lock);
}

/* A message from this rank to itself. */
static void copy_local(plm_exchange *self, plm_operation *send)
{
    plm_operation *receive = send->partner;
    send->peer_bytes = receive->n_bytes;
    receive->peer_bytes = send->n_bytes;
    bool is_copied = send->n_bytes == receive->n_bytes && plm_box_copy(&receive->box, &send->box) == 0;
    plm_exchange_ended(self, receive, is_copied ? 0 : PARLA_E_TRANSPORT);
    plm_exchange_ended(self, send, is_copied ? 0 : PARLA_E_TRANSPORT);
}

static void copy_direct(plm_exchange *self)
{
    for (plm_operation *op; (op = pop(self, &self->direct)) != NULL;) {
        if (op->partner != NULL) {
            copy_local(self, op);
            continue;
        }
        int code = op->is_send ? plm_box_copy(&op->remote, &op->box) : plm_box_copy(&op->box, &op->remote);
        int status = code == 0 ? 0 : PARLA_E_TRANSPORT;
        atomic_fetch_add(&self->n_direct, 1);
        atomic_fetch_add(&self->n_direct_bytes, op->n_bytes);
        if (op->is_send) {
            plm_tell_delivered(self, op, status);
        } else {
            plm_answer(self, op->item.rank, op->peer_number, status, op->n_bytes);
        }
        plm_exchange_ended(self, op, status);
    }
}

static void count_locked(plm_exchange *self, const plm_operation *op)
{
    plm_traffic *traffic = &self->peers[op->item.rank].traffic;
    if (op->status == 0) {
        *(op->is_send ? &traffic->n_sent : &traffic->n_received) += 1;
        *(op->is_send ? &traffic->n_sent_bytes : &traffic->n_received_bytes) += op->n_bytes;
    }
}

static void call_done(plm_exchange *self, plm_operation *op)
{
    pthread_mutex_lock(&self->lock);
    count_locked(self, op); /* before the callback, so that who learns of the end finds it counted */
    pthread_mutex_unlock(&self->lock);
    if (op->status == PARLA_E_TRANSPORT && op->peer_bytes != op->n_bytes) {
        (void)parla_error_set(op->status, "message with tag %" PRIu64 ": %zu bytes were sent, but the receiver takes %zu",
                              op->item.tag, op->is_send ? op->n_bytes : op->peer_bytes, op->is_send ? op->peer_bytes : op->n_bytes);
    }
    op->done(op->ctx, op->status);
    free(op->descriptor);
    free(op);
    pthread_mutex_lock(&self->lock);
    self->n_live--;
    pthread_mutex_unlock(&self->lock);
}

/* Calls those that were due when it began, so that callbacks that post cannot keep it for ever. */
static int call_completed(plm_exchange *self)
{
    pthread_mutex_lock(&self->lock);
    size_t n_left = self->completed.n;
    pthread_mutex_unlock(&self->lock);
    int n_called = 0;
    for (plm_operation *op; n_left > 0 && (op = pop(self, &self->completed)) != NULL; n_left--) {
        call_done(self, op);
        n_called++;
    }
    return n_called;
}

void plm_exchange_flush(plm_exchange *self)
{
    while (plm_has_outgoing(self) && pthread_mutex_trylock(&self->wire) == 0) {
        plm_drain(self, true);
        pthread_mutex_unlock(&self->wire);
    }
}

/* Answers go last: what callbacks post is more urgent. */
int plm_exchange_progress(void *context)
{
    plm_exchange *self = context;
    if (pthread_mutex_trylock(&self->wire) == 0) {
        if (!self->is_shut) {
            self->carrier->poll(self->carrier_self);
            plm_drain(self, false);
        }
        pthread_mutex_unlock(&self->wire);
    }
    copy_direct(self);
    int n_called = call_completed(self);
    plm_exchange_flush(self);
    return n_called;
}

/* --- Posting ----------------------------------------------------------------------------------------------------------------- */

static int check_post(const plm_exchange *self, int rank, const parla_transfer_memory *memory, parla_transfer_done done,
                      bool is_receive)
{
    if (rank < 0 || rank >= self->table.n_ranks) {
        return parla_error_set(PARLA_E_INVALID, "rank %d does not exist: there are %d ranks", rank, self->table.n_ranks);
    }
    if (done == NULL) {
        return parla_error_set(PARLA_E_INVALID, "a transfer needs a completion callback");
    }
    return plm_box_check(&memory->box, is_receive);
}

static plm_operation *operation_create(int rank, uint64_t tag, const parla_transfer_memory *memory, parla_transfer_done done,
                                       void *ctx, bool is_receive)
{
    plm_operation *op = malloc(sizeof *op);
    if (op == NULL) {
        parla_error_set(PARLA_E_NOMEM, "no memory for a transfer");
        return NULL;
    }
    *op = (plm_operation){
        .item = {.tag = tag, .rank = rank, .is_receive = is_receive}, .is_send = !is_receive, .done = done, .ctx = ctx};
    plm_box_simplify(&op->box, &memory->box);
    op->n_bytes = op->peer_bytes = parla_strided_bytes(&op->box);
    return op;
}

static int enter_locked(plm_exchange *self, plm_operation *op, bool *out_was_idle)
{
    if (self->is_closing) {
        return parla_error_set(PARLA_E_STATE, "the transport is being closed");
    }
    if (self->peers[op->item.rank].is_lost) {
        return parla_error_set(PARLA_E_TRANSPORT, "the connection to rank %d is broken", op->item.rank);
    }
    int code = plm_slots_add(&self->operations, op, &op->number);
    if (code == 0) {
        *out_was_idle = self->n_live++ == 0;
    }
    return code;
}

/* A receive, or a send to this rank: finds its partner or waits for it. A message that is here already is not the lock's business. */
static int post_matched(plm_exchange *self, plm_operation *op, parla_transfer *out_number, bool *out_was_idle)
{
    plm_arrival *arrival = NULL;
    pthread_mutex_lock(&self->lock);
    int code = enter_locked(self, op, out_was_idle);
    if (code != 0) {
        pthread_mutex_unlock(&self->lock);
        return code;
    }
    *out_number = op->number; /* without the lock it may be completed and freed at once */
    plm_item *partner = plm_match_take(&self->waiting, &op->item);
    if (partner == NULL) {
        plm_match_add(&self->waiting, &op->item);
    } else if (op->item.rank != self->table.rank) {
        op->phase = PLM_MOVING;
        arrival = (plm_arrival *)partner;
    } else {
        plm_operation *other = (plm_operation *)partner, *send = op->is_send ? op : other;
        send->partner = op->is_send ? other : op;
        op->phase = other->phase = PLM_MOVING;
        plm_queue_push(&self->direct, send);
    }
    pthread_mutex_unlock(&self->lock);
    if (arrival != NULL) {
        plm_meet(self, op, &arrival->header, arrival->payload, arrival->n_payload);
        free(arrival);
    }
    return 0;
}

static int post_remote(plm_exchange *self, plm_operation *op, parla_transfer *out_number, bool *out_was_idle)
{
    bool is_eager = op->n_bytes <= self->carrier->eager_bytes;
    plm_note *note =
        plm_note_create(self, is_eager ? PLM_EAGER : PLM_OFFER, op->item.rank, is_eager ? op->n_bytes : PLM_DESCRIPTION_BYTES);
    if (note == NULL) {
        return PARLA_E_NOMEM;
    }
    if (is_eager) {
        plm_box_pack(&op->box, 0, note->payload, op->n_bytes);
    } else {
        note->n_payload = self->carrier->describe(self->carrier_self, &op->box, note->payload);
    }
    note->header.tag = op->item.tag;
    note->header.n_bytes = op->n_bytes;
    pthread_mutex_lock(&self->lock);
    int code = enter_locked(self, op, out_was_idle);
    if (code == 0) {
        *out_number = note->header.sender = op->number;
        plm_note_post_locked(self, note);
    }
    pthread_mutex_unlock(&self->lock);
    if (code != 0) {
        free(note);
    }
    return code;
}

static void tell_watcher(plm_exchange *self)
{
    pthread_mutex_lock(&self->watch);
    if (self->on_pending != NULL) {
        self->on_pending(self->watcher);
    }
    pthread_mutex_unlock(&self->watch);
}

static int post(plm_exchange *self, parla_transfer *out, plm_operation *op)
{
    parla_transfer number = 0;
    bool was_idle = false;
    if (op == NULL) {
        return PARLA_E_NOMEM;
    }
    bool is_remote = op->is_send && op->item.rank != self->table.rank;
    int code = is_remote ? post_remote(self, op, &number, &was_idle) : post_matched(self, op, &number, &was_idle);
    if (code != 0) {
        free(op);
        return code;
    }
    if (out != NULL) {
        *out = number;
    }
    plm_exchange_flush(self);
    if (was_idle) {
        tell_watcher(self);
    }
    return 0;
}

static int exchange_send(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                         parla_transfer_done done, void *ctx)
{
    int code = check_post(self, rank, memory, done, false);
    return code != 0 ? code : post(self, out, operation_create(rank, tag, memory, done, ctx, false));
}

static int exchange_receive(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                            parla_transfer_done done, void *ctx)
{
    int code = check_post(self, rank, memory, done, true);
    return code != 0 ? code : post(self, out, operation_create(rank, tag, memory, done, ctx, true));
}

/* --- Cancelling -------------------------------------------------------------------------------------------------------------- */

int plm_withdraw_locked(plm_exchange *self, plm_operation *send)
{
    plm_note *note = plm_note_create(self, PLM_WITHDRAW, send->item.rank, 0);
    if (note == NULL) {
        return PARLA_E_NOMEM;
    }
    note->header.tag = send->item.tag;
    note->header.n_bytes = send->n_bytes;
    note->header.sender = send->number;
    plm_note_post_locked(self, note);
    send->is_withdrawn = true;
    return PARLA_PENDING;
}

static int exchange_cancel(void *context, parla_transfer number)
{
    plm_exchange *self = context;
    pthread_mutex_lock(&self->lock);
    plm_operation *op = plm_slots_find(&self->operations, number);
    bool is_waiting = op != NULL && op->phase == PLM_WAITING && !op->is_withdrawn;
    int code = is_waiting ? 0 : PARLA_E_STATE;
    if (is_waiting && plm_match_remove(&self->waiting, &op->item)) {
        plm_slots_remove(&self->operations, number);
    } else if (is_waiting) {
        code = plm_withdraw_locked(self, op);
    }
    pthread_mutex_unlock(&self->lock);
    if (code == 0) {
        op->status = PARLA_E_CANCELLED;
        call_done(self, op);
    } else if (code == PARLA_PENDING) {
        plm_exchange_flush(self);
    } else if (code == PARLA_E_STATE) {
        (void)parla_error_set(code, "transfer %" PRIu64 " is matched, cancelled or completed already", number);
    }
    return code;
}

/* --- Losing a rank ------------------------------------------------------------------------------------------------------------- */

/* Ends what only an answer of the lost rank would end, and returns a receive whose data is on the way, if there is one after slot *i. */
static plm_operation *next_lost_locked(plm_exchange *self, int rank, uint32_t *i)
{
    for (; *i < self->operations.n_slots; ++*i) {
        plm_operation *op = plm_slots_at(&self->operations, *i);
        if (op == NULL || op->item.rank != rank) {
            continue;
        }
        if (op->phase == PLM_WAITING) {
            plm_match_remove(&self->waiting, &op->item);
            op->phase = PLM_ENDED;
            op->status = PARLA_E_TRANSPORT;
            plm_slots_remove(&self->operations, op->number);
            plm_queue_push(&self->completed, op);
        } else if (op->phase == PLM_MOVING && !op->is_send && op->request != NULL) {
            ++*i;
            return op;
        }
    }
    return NULL;
}

/* Sends whose data is on the way are ended by the carrier itself. */
void plm_exchange_lose_peer(plm_exchange *self, int rank)
{
    uint32_t i = 0;
    plm_operation *receive;
    do {
        pthread_mutex_lock(&self->lock);
        self->peers[rank].is_lost = true;
        receive = next_lost_locked(self, rank, &i);
        pthread_mutex_unlock(&self->lock);
        if (receive != NULL) {
            receive->status = PARLA_E_TRANSPORT;
            self->carrier->abandon(self->carrier_self, receive);
        }
    } while (receive != NULL);
}

void plm_exchange_lose(plm_exchange *self, int rank, const char *words)
{
    pthread_mutex_lock(&self->wire);
    if (!self->is_shut) {
        plm_exchange_lose_peer(self, rank);
        parla_log(PARLA_LOG_DEBUG, "transfers with rank %d have failed: %s", rank, words);
    }
    pthread_mutex_unlock(&self->wire);
}

/* --- Making ------------------------------------------------------------------------------------------------------------------ */

void plm_exchange_destroy(plm_exchange *self)
{
    plm_heap_fini(&self->heap);
    plm_match_fini(&self->waiting);
    plm_slots_fini(&self->operations);
    pthread_mutex_destroy(&self->wire);
    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->watch);
    free(self->answered);
    free(self->peers);
    free(self);
}

static parla_transport make_table(plm_exchange *self)
{
    parla_transport table = {.abi = PARLA_TRANSPORT_ABI,
                             .name = self->carrier->name,
                             .self = self,
                             .send = exchange_send,
                             .receive = exchange_receive,
                             .cancel = exchange_cancel,
                             .progress = plm_exchange_progress,
                             .barrier = plm_exchange_barrier,
                             .close = plm_exchange_close};
    MPI_Comm_rank(self->comm, &table.rank);
    MPI_Comm_size(self->comm, &table.n_ranks);
    return table;
}

static int grow_heap(void *self, size_t n_bytes, void **out) { return plm_exchange_alloc(self, n_bytes, out); }

int plm_exchange_create(plm_exchange **out, MPI_Comm comm, const plm_carrier *carrier, void *carrier_self)
{
    plm_exchange *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for a transport");
    }
    self->carrier = carrier;
    self->carrier_self = carrier_self;
    self->comm = comm;
    self->process = getpid();
    atomic_init(&self->refs, 1);
    self->table = make_table(self);
    pthread_mutex_init(&self->wire, NULL);
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->watch, NULL);
    plm_heap_init(&self->heap, grow_heap, self);
    plm_slots_init(&self->operations, carrier->most_operations);
    int code = plm_match_init(&self->waiting);
    self->answered = calloc((size_t)self->table.n_ranks, sizeof *self->answered);
    self->peers = calloc((size_t)self->table.n_ranks, sizeof *self->peers);
    if (code != 0 || self->answered == NULL || self->peers == NULL) {
        plm_exchange_destroy(self);
        return parla_error_set(PARLA_E_NOMEM, "no memory for a transport");
    }
    *out = self;
    return 0;
}

int plm_exchange_hang_on_mpi(plm_exchange *self) { return plm_at_finalize_set(&self->at_finalize, plm_exchange_shut, self); }

parla_transport *plm_exchange_table(plm_exchange *self) { return &self->table; }

plm_exchange *plm_exchange_of(parla_transport *table) { return table->close == plm_exchange_close ? table->self : NULL; }

plm_traffic plm_exchange_traffic(plm_exchange *self, int rank)
{
    pthread_mutex_lock(&self->lock);
    plm_traffic traffic = self->peers[rank].traffic;
    pthread_mutex_unlock(&self->lock);
    return traffic;
}

/* --- Being progressed ----------------------------------------------------------------------------------------------------------- */

void plm_exchange_watch(plm_exchange *self, void (*on_pending)(void *watcher), void *watcher)
{
    pthread_mutex_lock(&self->watch);
    self->on_pending = on_pending;
    self->watcher = watcher;
    pthread_mutex_unlock(&self->watch);
}

bool plm_exchange_is_pending(plm_exchange *self)
{
    pthread_mutex_lock(&self->lock);
    bool is_pending = self->n_live > 0 || self->first_note != NULL || self->n_answered > 0;
    pthread_mutex_unlock(&self->lock);
    if (!is_pending && pthread_mutex_trylock(&self->wire) == 0) {
        is_pending = !self->is_shut && self->carrier->is_busy(self->carrier_self);
        pthread_mutex_unlock(&self->wire);
    }
    return is_pending;
}

/* --- The carrier's other services ---------------------------------------------------------------------------------------------- */

int plm_exchange_arm(plm_exchange *self, int *out_fd)
{
    if (plm_has_outgoing(self)) {
        return PARLA_PENDING;
    }
    pthread_mutex_lock(&self->lock);
    bool is_busy = self->direct.first != NULL || self->completed.first != NULL;
    pthread_mutex_unlock(&self->lock);
    if (is_busy || pthread_mutex_trylock(&self->wire) != 0) {
        return PARLA_PENDING;
    }
    int code = self->is_shut ? PARLA_E_STATE : self->carrier->arm(self->carrier_self, out_fd);
    pthread_mutex_unlock(&self->wire);
    return code;
}

int plm_exchange_alloc(plm_exchange *self, size_t n_bytes, void **out)
{
    pthread_mutex_lock(&self->wire);
    int code = self->carrier->alloc(self->carrier_self, n_bytes, out);
    pthread_mutex_unlock(&self->wire);
    return code;
}

int plm_exchange_release(plm_exchange *self, void *memory)
{
    pthread_mutex_lock(&self->wire);
    int code = self->carrier->release(self->carrier_self, memory);
    pthread_mutex_unlock(&self->wire);
    return code;
}

static void *source_alloc(void *self, size_t n_bytes) { return plm_heap_alloc(&((plm_exchange *)self)->heap, n_bytes); }

/* In a forked child the memory, and the heap's notes in it, are still the parent's. */
static bool source_free(void *context, void *memory)
{
    plm_exchange *self = context;
    return self->process != getpid() || plm_heap_free(&self->heap, memory);
}

int plm_exchange_source(plm_exchange *self, parla_memory_source *out)
{
    if (!self->carrier->is_memory_reached) {
        return parla_error_set(PARLA_E_UNSUPPORTED, "the transport '%s' has no memory that other ranks reach", self->carrier->name);
    }
    *out = (parla_memory_source){.size = sizeof *out,
                                 .ctx = self,
                                 .alloc = source_alloc,
                                 .free = source_free,
                                 .hold = plm_exchange_hold,
                                 .release = plm_exchange_unref};
    return 0;
}
