/* exchange_state.h - what exchange.c (operations, progress, life) and protocol.c (notes) share.
 *
 * Two locks. `wire` belongs to whoever calls the carrier; it is tried, never waited for, except by those that must not return without it
 * (alloc, barrier, close). `lock` guards the lists below and is held for a few instructions; it is taken inside `wire`, never the other
 * way round. Copies and callbacks run outside both. */
#ifndef PLM_EXCHANGE_STATE_H
#define PLM_EXCHANGE_STATE_H

#include "at_finalize.h"
#include "exchange.h"
#include "heap.h"
#include "slots.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* A message that came before its receive. */
typedef struct plm_arrival {
    plm_item item;
    plm_header header;
    size_t n_payload;
    alignas(8) unsigned char payload[];
} plm_arrival;

/* A note that came before one sent earlier. */
typedef struct plm_early {
    struct plm_early *next;
    size_t n_payload;
    plm_header header;
    alignas(8) unsigned char payload[];
} plm_early;

/* What is known of another rank. */
typedef struct plm_peer {
    uint32_t n_sent, n_arrived; /* notes; under `wire` */
    plm_early *early;           /* under `wire` */
    plm_note *answers;          /* a DONE note that is being filled; under `lock` */
    bool is_lost;               /* under `lock` */
    plm_traffic traffic;        /* under `lock` */
} plm_peer;

typedef struct plm_queue {
    plm_operation *first, *last;
    size_t n;
} plm_queue;

struct plm_exchange {
    parla_transport table; /* what the caller sees; table.self is this struct */
    const plm_carrier *carrier;
    void *carrier_self;
    MPI_Comm comm;
    plm_at_finalize at_finalize;
    pid_t process; /* who made it */
    /* The transport's own until it is closed, and one for each that holds its memory. The last frees the carrier, and this. */
    _Atomic int refs;
    pthread_mutex_t wire;
    bool is_shut; /* under `wire` */

    pthread_mutex_t watch; /* held while on_pending runs; no other lock is */
    void (*on_pending)(void *watcher);
    void *watcher;

    pthread_mutex_t lock;
    plm_slots operations;
    plm_match waiting;
    plm_queue ready;     /* matched: their data can move, by the carrier */
    plm_queue direct;    /* matched: their data can move, by a copy here */
    plm_queue completed; /* their callbacks are due */
    plm_note *first_note, *last_note;
    int *answered; /* ranks with answers */
    int n_answered;
    size_t n_live; /* operations whose callback has not returned */
    bool is_closing;
    plm_peer *peers;

    plm_heap heap;                 /* of the carrier's memory */
    _Atomic size_t n_direct_bytes; /* that were copied here, from or to another rank's memory */
    _Atomic size_t n_direct;
};

/* --- exchange.c ------------------------------------------------------------------------------------------------------------- */

void plm_queue_push(plm_queue *queue, plm_operation *op);
plm_operation *plm_queue_pop(plm_queue *queue);

/* Sends what there is to send. If another thread has the wire, it will look again after it has let go of it. */
void plm_exchange_flush(plm_exchange *self);

/* Asks the receiver to forget a message; its answer ends the send. Returns PARLA_PENDING, or PARLA_E_NOMEM. */
int plm_withdraw_locked(plm_exchange *self, plm_operation *send);

/* --- exchange_close.c --------------------------------------------------------------------------------------------------------- */

/* The table's functions, and the first half of close. The caller lets no other call run any more; only callbacks may still try to post, and
 * are refused. */
int plm_exchange_barrier(void *self);
void plm_exchange_shut(void *self);
void plm_exchange_close(void *self);

/* References (refs). The last may be dropped by any thread, long after MPI was finalized. */
void plm_exchange_hold(void *self);
void plm_exchange_unref(void *self);

/* --- protocol.c ------------------------------------------------------------------------------------------------------------- */

/* Errors: NULL without memory. */
plm_note *plm_note_create(const plm_exchange *self, plm_kind kind, int rank, size_t n_payload);

void plm_note_post_locked(plm_exchange *self, plm_note *note);

/* Tells a sender how its message ended. */
void plm_answer(plm_exchange *self, int rank, uint64_t sender, int status, size_t n_bytes);

/* Tells the receiver of a message that was accepted that it is written, or will not come. */
void plm_tell_delivered(plm_exchange *self, const plm_operation *send, int status);

/* A receive and the message for it have met. */
void plm_meet(plm_exchange *self, plm_operation *receive, const plm_header *header, const void *payload, size_t n_payload);

/* Hands notes and ready operations to the carrier, answers only `with_answers`: they can wait until more are there. `wire` is held. */
void plm_drain(plm_exchange *self, bool with_answers);

/* Something is there to drain. */
bool plm_has_outgoing(plm_exchange *self);

#endif
