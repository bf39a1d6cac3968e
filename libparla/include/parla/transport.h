/* transport.h - how blocks travel between ranks; a table that an upper layer fills (MPI, UCX), with a loopback built in.
 *
 * Ranks are 0 … n_ranks-1 of one group. Messages match by (source, tag) in the order posted. All operations return at once; completion is
 * told by the callback, exactly once, from any thread that progresses the transport. Memory must stay valid until then. */
#ifndef PARLA_TRANSPORT_H
#define PARLA_TRANSPORT_H

#include <parla/strided.h>
#include <parla/task.h>

PARLA_BEGIN_DECLS

#define PARLA_TRANSPORT_ABI 1

/* status: 0, or PARLA_E_TRANSPORT, or PARLA_E_CANCELLED. Must not block; may post operations. */
typedef void (*parla_transfer_done)(void *ctx, int status);

/* Memory that a transfer reads or writes. The device tells what kind of memory it is (0: the host). The transports that there are take memory
 * of the host only: parla_device_is_host_memory. */
typedef struct parla_transfer_memory {
    parla_strided box;
    int i_device;
} parla_transfer_memory;

/* Identifies an operation for cancel; 0 is none. */
typedef uint64_t parla_transfer;

typedef struct parla_transport {
    uint32_t abi;     /* PARLA_TRANSPORT_ABI */
    const char *name; /* "loopback", "ucx", "mpi" */
    int rank;
    int n_ranks;
    void *self; /* first argument of the functions */

    /* Sends the box to `rank`; the receiver's box must have as many bytes. `out` may be NULL.
     * Errors: PARLA_E_INVALID (rank out of range), PARLA_E_NOMEM; then `done` is not called. */
    int (*send)(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                parla_transfer_done done, void *ctx);
    /* Receives from `rank`. A message of another size completes with PARLA_E_TRANSPORT. */
    int (*receive)(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                   parla_transfer_done done, void *ctx);
    /* Completes an operation that was not matched yet with PARLA_E_CANCELLED. PARLA_PENDING for a send to another rank: that rank is asked
     * to forget it, and the callback tells whether it had matched it before. PARLA_E_STATE if it is too late. */
    int (*cancel)(void *self, parla_transfer transfer);
    /* Moves pending operations along; returns how many completed. */
    int (*progress)(void *self);
    /* Waits until every rank has called it. May block. */
    int (*barrier)(void *self);
    /* Frees the transport; before that, operations that are not matched complete with PARLA_E_CANCELLED, the others so or as usual.
     * Between ranks it is collective: each rank waits for the others to close too. */
    void (*close)(void *self);
} parla_transport;

/* A transport of one rank that sends to itself; messages may be posted in either order.
 * Owns: the caller closes it with transport->close(transport->self), which also frees *out. */
PARLA_API PARLA_MUST_USE int parla_transport_loopback(parla_transport **out);

PARLA_END_DECLS

#endif
