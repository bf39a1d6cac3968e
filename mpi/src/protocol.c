/* protocol.c - notes going out and coming in.
 *
 *   short   sender  EAGER ───────────────►  receiver: unpacks when matched
 *           sender  ◄─────────────── DONE   the sender's operation ends
 *
 *   long    sender  OFFER ───────────────►  waits until matched; then one of
 *     read          ◄─────────────── DONE   the receiver addresses the sender's memory, and copies by itself
 *     sent          ◄───────────── ACCEPT   the receiver expects the data under a tag that is in use only once;
 *                   data ════════════════►  each side's operation ends with its part of that
 *     written       ◄───────────── ACCEPT   the sender addresses the receiver's memory, and copies;
 *                   DELIVERED ───────────►  the receiver's operation ends
 *
 * A message that takes another size ends with DONE on the sender and at once on the receiver. WITHDRAW asks for DONE with
 * PARLA_E_CANCELLED; it comes too late where the receiver has matched the message, and is ignored there.
 *
 * Notes from one rank are handled in the order sent: a carrier that lets one overtake another costs a copy, not the order of messages. */
#include "exchange_state.h"

#include "box.h"

#include <parla/error.h>
#include <parla/log.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWERS_PER_NOTE = 512 / sizeof(plm_done) };

/* --- Out --------------------------------------------------------------------------------------------------------------------- */

plm_note *plm_note_create(const plm_exchange *self, plm_kind kind, int rank, size_t n_payload)
{
    plm_note *note = malloc(sizeof *note + n_payload);
    if (note == NULL) {
        parla_error_set(PARLA_E_NOMEM, "no memory for a note of %zu bytes", sizeof *note + n_payload);
        return NULL;
    }
    *note = (plm_note){.rank = rank, .n_payload = n_payload, .header = {.kind = kind, .source = self->table.rank}};
    return note;
}

void plm_note_post_locked(plm_exchange *self, plm_note *note)
{
    note->next = NULL;
    if (self->first_note == NULL) {
        self->first_note = note;
    } else {
        self->last_note->next = note;
    }
    self->last_note = note;
}

static void post_note(plm_exchange *self, plm_note *note)
{
    pthread_mutex_lock(&self->lock);
    plm_note_post_locked(self, note);
    pthread_mutex_unlock(&self->lock);
}

/* Without memory the peer cannot be told; it waits until the job ends. */
static void log_untold(int rank, const char *what)
{
    parla_log(PARLA_LOG_ERROR, "no memory to tell rank %d that %s: it will wait in vain", rank, what);
}

static void answer_locked(plm_exchange *self, int rank, const plm_done *answer)
{
    plm_peer *peer = &self->peers[rank];
    if (peer->answers == NULL) {
        peer->answers = plm_note_create(self, PLM_DONE, rank, ANSWERS_PER_NOTE * sizeof *answer);
        if (peer->answers == NULL) {
            log_untold(rank, "its message has ended");
            return;
        }
        peer->answers->n_payload = 0;
        self->answered[self->n_answered++] = rank;
    }
    plm_note *note = peer->answers;
    memcpy(note->payload + note->n_payload, answer, sizeof *answer);
    note->n_payload += sizeof *answer;
    if (note->n_payload == ANSWERS_PER_NOTE * sizeof *answer) {
        int i = 0;
        while (self->answered[i] != rank) {
            i++;
        }
        self->answered[i] = self->answered[--self->n_answered];
        peer->answers = NULL;
        plm_note_post_locked(self, note);
    }
}

void plm_answer(plm_exchange *self, int rank, uint64_t sender, int status, size_t n_bytes)
{
    plm_done answer = {.sender = sender, .n_bytes = n_bytes, .status = status};
    pthread_mutex_lock(&self->lock);
    answer_locked(self, rank, &answer);
    pthread_mutex_unlock(&self->lock);
}

void plm_tell_delivered(plm_exchange *self, const plm_operation *send, int status)
{
    plm_note *note = plm_note_create(self, PLM_DELIVERED, send->item.rank, 0);
    if (note == NULL) {
        log_untold(send->item.rank, "its message was written");
        return;
    }
    note->header.receiver = send->peer_number;
    note->header.status = status;
    post_note(self, note);
}

int plm_exchange_accept(plm_exchange *self, plm_operation *op, uint64_t data_tag)
{
    plm_note *note = plm_note_create(self, PLM_ACCEPT, op->item.rank, PLM_DESCRIPTION_BYTES);
    if (note == NULL) {
        return PARLA_E_NOMEM;
    }
    note->n_payload = self->carrier->describe(self->carrier_self, &op->box, note->payload);
    note->header.tag = data_tag;
    note->header.sender = op->peer_number;
    note->header.receiver = op->number;
    post_note(self, note);
    return 0;
}

/* NULL for an operation that has ended already. */
static plm_operation *find(plm_exchange *self, uint64_t number)
{
    pthread_mutex_lock(&self->lock);
    plm_operation *op = plm_slots_find(&self->operations, number);
    pthread_mutex_unlock(&self->lock);
    return op;
}

/* The carrier has lost a note: what waits for an answer to it ends. */
static void lose_note(plm_exchange *self, const plm_header *header, int rank)
{
    parla_log(PARLA_LOG_ERROR, "a note to rank %d is lost: %s", rank, parla_error_detail());
    bool is_message = header->kind == PLM_EAGER || header->kind == PLM_OFFER;
    plm_operation *op = is_message ? find(self, header->sender) : header->kind == PLM_ACCEPT ? find(self, header->receiver) : NULL;
    if (op != NULL && is_message) {
        plm_exchange_ended(self, op, PARLA_E_TRANSPORT);
    } else if (op != NULL) {
        op->status = PARLA_E_TRANSPORT;
        self->carrier->abandon(self->carrier_self, op);
    }
}

static void begin(plm_exchange *self, plm_operation *op)
{
    int code = self->carrier->begin(self->carrier_self, op);
    if (code == 0) {
        return;
    }
    if (op->is_send) {
        plm_tell_delivered(self, op, PARLA_E_TRANSPORT);
    } else {
        plm_answer(self, op->item.rank, op->peer_number, PARLA_E_TRANSPORT, op->n_bytes);
    }
    parla_log(PARLA_LOG_ERROR, "a message of %zu bytes %s rank %d is lost: %s", op->n_bytes, op->is_send ? "to" : "from",
              op->item.rank, parla_error_detail());
    plm_exchange_ended(self, op, PARLA_E_TRANSPORT);
}

static void post_answers_locked(plm_exchange *self)
{
    while (self->n_answered > 0) {
        plm_peer *peer = &self->peers[self->answered[--self->n_answered]];
        plm_note_post_locked(self, peer->answers);
        peer->answers = NULL;
    }
}

bool plm_has_outgoing(plm_exchange *self)
{
    pthread_mutex_lock(&self->lock);
    bool found = self->first_note != NULL || self->ready.first != NULL || self->n_answered > 0;
    pthread_mutex_unlock(&self->lock);
    return found;
}

static void send_notes(plm_exchange *self, plm_note *first)
{
    for (plm_note *note = first, *next; note != NULL; note = next) {
        plm_header header = note->header;
        int rank = note->rank;
        next = note->next;
        header.sequence = note->header.sequence = self->peers[rank].n_sent++;
        if (self->carrier->send_note(self->carrier_self, note) != 0) {
            lose_note(self, &header, rank);
        }
    }
}

void plm_drain(plm_exchange *self, bool with_answers)
{
    for (;;) {
        pthread_mutex_lock(&self->lock);
        if (with_answers) {
            post_answers_locked(self);
        }
        plm_note *notes = self->first_note;
        self->first_note = self->last_note = NULL;
        plm_operation *op = plm_queue_pop(&self->ready);
        pthread_mutex_unlock(&self->lock);
        if (notes == NULL && op == NULL) {
            return;
        }
        send_notes(self, notes);
        if (op != NULL) {
            begin(self, op);
        }
    }
}

/* --- In ---------------------------------------------------------------------------------------------------------------------- */

/* Keeps what the peer's carrier said, until `begin`. */
static int keep_descriptor(plm_operation *op, const void *payload, size_t n_payload)
{
    if (n_payload > 0) {
        op->descriptor = malloc(n_payload);
        if (op->descriptor == NULL) {
            return parla_error_set(PARLA_E_NOMEM, "no memory for a message's description");
        }
        memcpy(op->descriptor, payload, n_payload);
        op->n_descriptor = n_payload;
    }
    return 0;
}

static void make_ready(plm_exchange *self, plm_operation *op)
{
    pthread_mutex_lock(&self->lock);
    plm_queue_push(&self->ready, op);
    pthread_mutex_unlock(&self->lock);
}

void plm_meet(plm_exchange *self, plm_operation *receive, const plm_header *header, const void *payload, size_t n_payload)
{
    int rank = header->source, status = 0;
    receive->peer_number = header->sender;
    receive->peer_bytes = header->n_bytes;
    if (header->n_bytes != receive->n_bytes) {
        status = PARLA_E_TRANSPORT;
    } else if (header->kind == PLM_EAGER) {
        plm_box_unpack(&receive->box, 0, payload, n_payload);
    } else if (keep_descriptor(receive, payload, n_payload) != 0) {
        status = PARLA_E_TRANSPORT;
    } else {
        make_ready(self, receive);
        return;
    }
    plm_answer(self, rank, header->sender, status, receive->n_bytes);
    plm_exchange_ended(self, receive, status);
}

static plm_arrival *keep_arrival(const plm_header *header, const void *payload, size_t n_payload)
{
    plm_arrival *arrival = malloc(sizeof *arrival + n_payload);
    if (arrival != NULL) {
        *arrival = (plm_arrival){.item = {.rank = header->source, .tag = header->tag}, .header = *header, .n_payload = n_payload};
        memcpy(arrival->payload, payload, n_payload);
    }
    return arrival;
}

/* EAGER and OFFER. A message that no receive waits for is copied under the lock, so that no receive can slip in meanwhile. */
static void on_message(plm_exchange *self, const plm_header *header, const void *payload, size_t n_payload)
{
    plm_item item = {.rank = header->source, .tag = header->tag};
    plm_arrival *arrival = NULL;
    pthread_mutex_lock(&self->lock);
    bool is_refused = self->is_closing;
    plm_operation *receive = is_refused ? NULL : (plm_operation *)plm_match_take(&self->waiting, &item);
    if (receive != NULL) {
        receive->phase = PLM_MOVING;
    } else if (!is_refused && (arrival = keep_arrival(header, payload, n_payload)) != NULL) {
        plm_match_add(&self->waiting, &arrival->item);
    }
    pthread_mutex_unlock(&self->lock);
    if (receive != NULL) {
        plm_meet(self, receive, header, payload, n_payload);
    } else if (arrival == NULL) {
        plm_answer(self, header->source, header->sender, is_refused ? PARLA_E_CANCELLED : PARLA_E_TRANSPORT, header->n_bytes);
    }
}

static void on_accept(plm_exchange *self, const plm_header *header, const void *payload, size_t n_payload)
{
    pthread_mutex_lock(&self->lock);
    plm_operation *send = plm_slots_find(&self->operations, header->sender);
    if (send != NULL) {
        send->phase = PLM_MOVING;
    }
    pthread_mutex_unlock(&self->lock);
    if (send == NULL) {
        return;
    }
    send->peer_number = header->receiver;
    send->data_tag = header->tag;
    if (keep_descriptor(send, payload, n_payload) == 0) {
        make_ready(self, send);
    } else {
        plm_tell_delivered(self, send, PARLA_E_TRANSPORT);
        plm_exchange_ended(self, send, PARLA_E_TRANSPORT);
    }
}

static void on_done(plm_exchange *self, const unsigned char *payload, size_t n_payload)
{
    for (size_t at = 0; at < n_payload; at += sizeof(plm_done)) {
        plm_done answer;
        memcpy(&answer, payload + at, sizeof answer);
        plm_operation *send = find(self, answer.sender);
        if (send != NULL) {
            send->peer_bytes = answer.n_bytes;
            plm_exchange_ended(self, send, (int)answer.status);
        }
    }
}

static void on_delivered(plm_exchange *self, const plm_header *header)
{
    plm_operation *receive = find(self, header->receiver);
    if (receive != NULL) {
        receive->status = header->status;
        self->carrier->abandon(self->carrier_self, receive);
    }
}

static void on_withdraw(plm_exchange *self, const plm_header *header)
{
    pthread_mutex_lock(&self->lock);
    plm_item *item = plm_match_first(&self->waiting, header->source, header->tag);
    while (item != NULL && (item->is_receive || ((plm_arrival *)item)->header.sender != header->sender)) {
        item = plm_match_next(item);
    }
    if (item != NULL) {
        plm_match_remove(&self->waiting, item);
    }
    pthread_mutex_unlock(&self->lock);
    if (item != NULL) {
        plm_answer(self, header->source, header->sender, PARLA_E_CANCELLED, header->n_bytes);
        free(item);
    }
}

static void handle(plm_exchange *self, const plm_header *header, const void *payload, size_t n_payload)
{
    switch ((plm_kind)header->kind) {
    case PLM_EAGER:
    case PLM_OFFER:
        on_message(self, header, payload, n_payload);
        break;
    case PLM_ACCEPT:
        on_accept(self, header, payload, n_payload);
        break;
    case PLM_DELIVERED:
        on_delivered(self, header);
        break;
    case PLM_DONE:
        on_done(self, payload, n_payload);
        break;
    case PLM_WITHDRAW:
        on_withdraw(self, header);
        break;
    }
}

static void keep_early(plm_peer *peer, const plm_header *header, const void *payload, size_t n_payload)
{
    plm_early *early = malloc(sizeof *early + n_payload);
    if (early == NULL) {
        log_untold(header->source, "its notes went missing");
        return;
    }
    *early = (plm_early){.next = peer->early, .n_payload = n_payload, .header = *header};
    memcpy(early->payload, payload, n_payload);
    peer->early = early;
}

/* Takes out the early note that is due now; NULL if it has not come. */
static plm_early *take_early(plm_peer *peer)
{
    for (plm_early **link = &peer->early; *link != NULL; link = &(*link)->next) {
        if ((*link)->header.sequence == peer->n_arrived) {
            plm_early *early = *link;
            *link = early->next;
            return early;
        }
    }
    return NULL;
}

void plm_exchange_arrive(plm_exchange *self, const void *bytes, const void *payload, size_t n_payload)
{
    plm_header header;
    memcpy(&header, bytes, sizeof header); /* it may lie at any address */
    plm_peer *peer = &self->peers[header.source];
    if (header.sequence != peer->n_arrived) {
        keep_early(peer, &header, payload, n_payload);
        return;
    }
    peer->n_arrived++;
    handle(self, &header, payload, n_payload);
    for (plm_early *early; (early = take_early(peer)) != NULL; free(early)) {
        peer->n_arrived++;
        handle(self, &early->header, early->payload, early->n_payload);
    }
}
