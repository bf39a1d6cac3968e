/* mpi_transport.h - a transport (transport.h) between the ranks of an MPI communicator.
 *
 * Two are built in: "ucx" (UCX beside MPI: shared memory within a node, the network between nodes) and "mpi" (MPI only). Both keep the
 * table's promises: any 64-bit tag, messages matched by (rank, tag) in the order posted, strided boxes on both sides, messages of another
 * size reported on both sides, and withdrawing of what is not matched. A send completes when its receive was found and the data is out of
 * the sender's memory. Closing is collective: every rank closes, and each waits for the others. */
#ifndef PARLA_MPI_TRANSPORT_H
#define PARLA_MPI_TRANSPORT_H

#include <parla/memory.h>
#include <parla/transport.h>

#include <mpi.h>

PARLA_BEGIN_DECLS

typedef struct parla_mpi_transport_options {
    size_t size;      /* sizeof(parla_mpi_transport_options) */
    const char *kind; /* "ucx" or "mpi"; NULL: PARLA_TRANSPORT, else ucx where every rank can use it */
} parla_mpi_transport_options;

#define PARLA_MPI_TRANSPORT_OPTIONS_INIT ((parla_mpi_transport_options){.size = sizeof(parla_mpi_transport_options)})

/* Opens a transport between the ranks of `comm`, which is duplicated. Collective; all ranks name the same kind. NULL options mean all
 * defaults. One line of the log tells which was chosen, and why.
 * Owns:   the caller closes it with transport->close(transport->self) before MPI_Finalize; that also frees *out.
 * Errors: PARLA_E_CONFIG (no such kind), PARLA_E_UNSUPPORTED (the kind that was asked for cannot be used here, or MPI runs without
 *         MPI_THREAD_MULTIPLE), PARLA_E_STATE (MPI is not running), PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int parla_mpi_transport(parla_transport **out, MPI_Comm comm, const parla_mpi_transport_options *options);

/* Messages that have got through between this rank and another one, and their bytes. */
typedef struct parla_mpi_traffic {
    size_t size; /* sizeof(parla_mpi_traffic), set by the caller */
    uint64_t n_sent, n_sent_bytes;
    uint64_t n_received, n_received_bytes;
} parla_mpi_traffic;

/* Errors: PARLA_E_INVALID (a transport of another kind, no such rank, out->size not set). */
PARLA_API PARLA_MUST_USE int parla_mpi_transport_traffic(parla_transport *transport, int rank, parla_mpi_traffic *out);

/* Host memory that the other ranks of this node can read and write directly: messages from or into it are copied once, box to box, without
 * the owner's help. With "mpi" it is plain memory. Any other memory can be sent and received too. Aligned to a page.
 * Owns:   freed with parla_mpi_memory_free while no transfer uses it, or by closing the transport, if no arrays lie there any more.
 * Errors: PARLA_E_INVALID (a transport of another kind, or 0 bytes), PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int parla_mpi_memory_alloc(parla_transport *transport, void **out, size_t n_bytes);

/* Errors: PARLA_E_INVALID for memory that is not from parla_mpi_memory_alloc. */
PARLA_API PARLA_MUST_USE int parla_mpi_memory_free(parla_transport *transport, void *memory);

/* Fills parla_options.memory of a runtime: its arrays on the host and on simulated devices then lie in such memory, in few large segments.
 * Where that has run out, which a line of the log says, arrays lie in plain memory. A forked child shares this memory with its parent.
 * Owns:   the transport is closed after the runtime is destroyed. Arrays on the host may outlive both, and MPI: the last one frees it.
 * Errors: PARLA_E_INVALID; PARLA_E_UNSUPPORTED where other ranks reach no memory ("mpi"). */
PARLA_API PARLA_MUST_USE int parla_mpi_memory_source(parla_transport *transport, parla_memory_source *out);

/* Prepares to sleep until something arrives: poll(2) *out_fd for reading, then progress. One thread of the process may do that at a time.
 * Returns PARLA_PENDING if there is something to progress at once. Errors: PARLA_E_UNSUPPORTED ("mpi": progress on a timer). */
PARLA_API PARLA_MUST_USE int parla_mpi_transport_arm(parla_transport *transport, int *out_fd);

PARLA_END_DECLS

#endif
