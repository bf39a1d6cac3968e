/* exchange.h - the protocol of both transports: matching, sizes, cancelling, closing; a carrier below it moves the bytes.
 *
 * Messages of up to the carrier's eager size travel inside a note. Longer ones are offered by a note; when the receiver has a receive for
 * it, the two sides move the data in the way that the carrier chooses. A sender is told how its message ended by a note as well. */
#ifndef PLM_EXCHANGE_H
#define PLM_EXCHANGE_H

#include "match.h"

#include <parla/memory.h>
#include <parla/transport.h>

#include <mpi.h>
#include <stdalign.h>

typedef struct plm_exchange plm_exchange;

/* --- What travels ------------------------------------------------------------------------------------------------------------ */

typedef enum plm_kind {
    PLM_EAGER,  /* sender → receiver: a whole message */
    PLM_OFFER,  /* sender → receiver: a message waits; with the carrier's description of its memory */
    PLM_ACCEPT, /* receiver → sender: send it under `tag`; with the carrier's description of the memory to write, if that helps */
    PLM_DELIVERED, /* sender → receiver: it is written (0), or will not come (status) */
    PLM_DONE,      /* receiver → sender: how messages ended (plm_done[]) */
    PLM_WITHDRAW,  /* sender → receiver: forget the message unless it is matched */
} plm_kind;

typedef struct plm_header {
    uint32_t kind;
    uint32_t sequence; /* counts the notes from `source` to this rank */
    int32_t source;
    int32_t status;
    uint64_t tag;
    uint64_t n_bytes;          /* of the message */
    uint64_t sender, receiver; /* numbers of the two operations */
} plm_header;

typedef struct plm_done {
    uint64_t sender;
    uint64_t n_bytes; /* what the receiver takes */
    int64_t status;
} plm_done;

/* A note on its way out: header and payload lie in one piece. */
typedef struct plm_note {
    struct plm_note *next;
    int rank;     /* its reader */
    void *sender; /* the carrier's own */
    size_t n_payload;
    plm_header header;
    alignas(8) unsigned char payload[];
} plm_note;

static inline size_t plm_note_bytes(const plm_note *note) { return sizeof note->header + note->n_payload; }

/* --- Operations -------------------------------------------------------------------------------------------------------------- */

typedef enum plm_phase {
    PLM_WAITING, /* not matched, as far as this rank knows */
    PLM_MOVING,  /* matched; its data is on the way */
    PLM_ENDED,   /* its callback is due */
} plm_phase;

/* A carrier reads the first group and owns the second. */
typedef struct plm_operation {
    plm_item item; /* item.rank is the peer */
    parla_transfer number;
    parla_strided box; /* simplified */
    size_t n_bytes;
    uint64_t data_tag; /* of a send that was accepted: the one that the receiver chose */
    void *descriptor;  /* what the peer's carrier said of its memory; NULL if nothing */
    size_t n_descriptor;

    void *request;
    void *state;

    struct plm_operation *next; /* in the one queue that it is in */
    plm_phase phase;
    bool is_send, is_withdrawn;
    int status;
    uint64_t peer_number;
    size_t peer_bytes;
    struct plm_operation *partner; /* of a send to this rank: its receive */
    parla_strided remote;          /* the peer's memory, where this rank can address it */
    parla_transfer_done done;
    void *ctx;
} plm_operation;

/* --- Carriers ---------------------------------------------------------------------------------------------------------------- */

#define PLM_DESCRIPTION_BYTES ((size_t)512)

/* All functions but `describe` are called by one thread at a time, and `poll` and `is_busy` not after `shut`. */
typedef struct plm_carrier {
    const char *name;
    size_t eager_bytes;       /* the longest payload of a note, at least PLM_DESCRIPTION_BYTES */
    uint32_t most_operations; /* that may be pending at once */
    /* Sends a note; frees it (free) when it is gone, also on failure. */
    int (*send_note)(void *self, plm_note *note);
    /* Writes up to PLM_DESCRIPTION_BYTES that help the peer to reach this memory; returns how many. From: any thread. */
    size_t (*describe)(void *self, const parla_strided *box, void *out);
    /* Moves the data of a matched operation, or hands it to plm_exchange_direct. A receive also accepts (plm_exchange_accept) where the
     * sender has a part in it. Ends in plm_exchange_ended, unless it returns an error. */
    int (*begin)(void *self, plm_operation *op);
    /* The sender has written the memory itself, or has failed: stops what `begin` of a receive began, which ends in
     * plm_exchange_ended with op->status. */
    void (*abandon)(void *self, plm_operation *op);
    void (*poll)(void *self);
    /* A descriptor that becomes readable when there is something to poll: 0 and *out, PARLA_PENDING if there is already, or an error. */
    int (*arm)(void *self, int *out_fd);
    /* Memory that peers on this node can address, if is_memory_reached; else plain memory. */
    bool is_memory_reached;
    int (*alloc)(void *self, size_t n_bytes, void **out);
    int (*release)(void *self, void *memory);
    /* Something of its own is on the way, and has to be polled until it is gone. */
    bool (*is_busy)(void *self);
    /* Collective, when all notes have arrived: leaves the other ranks and MPI. Afterwards only alloc, release and free are called. */
    void (*shut)(void *self);
    void (*free)(void *self);
} plm_carrier;

/* Makes the transport; `comm` is freed when it is closed, `carrier_self` by carrier->free. Errors: PARLA_E_NOMEM; nothing is freed then. */
int plm_exchange_create(plm_exchange **out, MPI_Comm comm, const plm_carrier *carrier, void *carrier_self);

/* Frees one that is used no more, but neither its communicator nor its carrier. */
void plm_exchange_destroy(plm_exchange *self);

/* Lets MPI_Finalize shut it, if nobody has closed it before. Errors: PARLA_E_TRANSPORT. */
int plm_exchange_hang_on_mpi(plm_exchange *self);

parla_transport *plm_exchange_table(plm_exchange *self);

/* The exchange behind a table; NULL for a table of another kind. */
plm_exchange *plm_exchange_of(parla_transport *table);

/* A note has come in. From: the carrier's poll. */
void plm_exchange_arrive(plm_exchange *self, const void *header, const void *payload, size_t n_payload);

/* The data of an operation has moved, or failed to. */
void plm_exchange_ended(plm_exchange *self, plm_operation *op, int status);

/* The peer's memory can be addressed here at `remote`: this side copies, then tells the peer. */
void plm_exchange_direct(plm_exchange *self, plm_operation *op, const parla_strided *remote);

/* Asks the sender to send under a tag. */
int plm_exchange_accept(plm_exchange *self, plm_operation *op, uint64_t data_tag);

/* The connection to a rank is broken: operations with it fail, also those posted later. From: the carrier's poll. */
void plm_exchange_lose_peer(plm_exchange *self, int rank);

/* The same from any thread, for a rank that has ended: what was to come from it fails. */
void plm_exchange_lose(plm_exchange *self, int rank, const char *words);

/* Who is told when something becomes pending where nothing was; NULL: nobody. When it returns, the one before is not being told. */
void plm_exchange_watch(plm_exchange *self, void (*on_pending)(void *watcher), void *watcher);

/* Something has to be progressed: an operation, or what the carrier still has to send. */
bool plm_exchange_is_pending(plm_exchange *self);

/* The table's function. */
int plm_exchange_progress(void *self);

/* Messages that got through to and from a rank so far. */
typedef struct plm_traffic {
    uint64_t n_sent, n_sent_bytes, n_received, n_received_bytes;
} plm_traffic;

plm_traffic plm_exchange_traffic(plm_exchange *self, int rank);

/* See plm_carrier. */
int plm_exchange_arm(plm_exchange *self, int *out_fd);
int plm_exchange_alloc(plm_exchange *self, size_t n_bytes, void **out);
int plm_exchange_release(plm_exchange *self, void *memory);

/* See parla_mpi_memory_source. */
int plm_exchange_source(plm_exchange *self, parla_memory_source *out);

#endif
