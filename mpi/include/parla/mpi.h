/* mpi.h - MPI requests as something that tasks wait for, and the cores that ranks of one node share.
 *
 * A parla_mpi joins one runtime to MPI. Requests handed to it are tested by the runtime's workers between tasks, and by a thread of its
 * own when all workers are busy; none of them ever blocks in MPI. All functions may be called from any thread unless a line says otherwise.
 *
 * Requests are taken: the caller's handles become MPI_REQUEST_NULL, and buffers must stay valid until the requests have completed. To keep
 * a persistent request, pass a copy of its handle. A request that fails gives PARLA_E_TRANSPORT with MPI's own words, provided that its
 * communicator's error handler returns (MPI_ERRORS_RETURN); MPI's default handler ends the job instead. */
#ifndef PARLA_MPI_H
#define PARLA_MPI_H

#include <mpi.h>
#include <parla/task.h>
#include <parla/transport.h>

PARLA_BEGIN_DECLS

typedef struct parla_mpi parla_mpi;

/* --- Start and stop --------------------------------------------------------------------------------------------------------- */

/* What the failure of one rank means for the others. */
typedef enum parla_mpi_on_failure {
    PARLA_MPI_ON_FAILURE_DEFAULT, /* abort, if there are several ranks */
    PARLA_MPI_ABORT, /* every rank says which one died, and the job ends within seconds; parla_mpi_fail ends it at once */
    PARLA_MPI_RAISE, /* what waits for a request, or for a transfer with that rank, fails and names it; so does what comes later */
} parla_mpi_on_failure;

typedef struct parla_mpi_options {
    size_t size;        /* sizeof(parla_mpi_options); PARLA_MPI_OPTIONS_INIT sets it */
    bool is_log_silent; /* do not put "rank N" in front of the log's lines */
    /* From parla_mpi_transport: moved along together with the requests until parla_mpi_fini; nobody else needs to. It stays the caller's, who
     * closes it after that. NULL: none. */
    parla_transport *transport;
    parla_mpi_on_failure on_failure; /* the same on all ranks */
} parla_mpi_options;

#define PARLA_MPI_OPTIONS_INIT ((parla_mpi_options){.size = sizeof(parla_mpi_options)})

/* Starts MPI with the thread level that this library needs, unless somebody has started it. An MPI started here is finalized when the
 * process ends, unless somebody has done it before. `argc` and `argv` as for MPI_Init; may be NULL.
 * Errors: PARLA_E_UNSUPPORTED as parla_mpi_init; PARLA_E_STATE if MPI was finalized already. */
PARLA_API PARLA_MUST_USE int parla_mpi_start(int *argc, char ***argv);

/* Joins a runtime to the ranks of `comm`, which is duplicated; NULL options mean the defaults.
 * Owns:   the caller ends *out with parla_mpi_fini, before the runtime is destroyed.
 * From:   all ranks of `comm` (collective).
 * Errors: PARLA_E_STATE if MPI is not running; PARLA_E_UNSUPPORTED if its thread level is below MPI_THREAD_SERIALIZED: the detail says what
 *         to change. MPI_THREAD_MULTIPLE is what it should be; with SERIALIZED a warning is logged, and the program must make its own
 *         calls of MPI between parla_mpi_lock and parla_mpi_unlock. */
PARLA_API PARLA_MUST_USE int parla_mpi_init(parla_mpi **out, parla_runtime *rt, MPI_Comm comm, const parla_mpi_options *options);

/* Ends it. Whatever still waits for a request fails with PARLA_E_CANCELLED; the request itself is left to MPI, so its buffers must stay until
 * MPI_Finalize. NULL is allowed. MPI_Finalize does all of this by itself when it is called first; then this call only frees memory.
 * From: all ranks (it frees the duplicate). Not from inside a task. */
PARLA_API void parla_mpi_fini(parla_mpi *mpi);

/* --- Failure ----------------------------------------------------------------------------------------------------------------- */

/* Says that this rank has failed and cannot go on. Under PARLA_MPI_ABORT this ends all ranks of the job with MPI_Abort and does not return: the
 * only call of this library that ends a process, and what the library itself does after a rank has died. Under PARLA_MPI_RAISE it returns,
 * and the other ranks of this node fail with these words. Say on the log or the standard error what went wrong before.
 * From:   any thread. Errors: PARLA_E_STATE after fini or MPI_Finalize; PARLA_E_INVALID. */
PARLA_API int parla_mpi_fail(parla_mpi *mpi, int exit_status, const char *words);

/* --- Requests --------------------------------------------------------------------------------------------------------------- */

/* Makes the running task end only when the requests have completed: start them in the body, bind them, return 0. A request that fails
 * fails the task.
 * From:   the body that `context` belongs to.
 * Errors: PARLA_E_STATE after fini or MPI_Finalize; PARLA_E_INVALID; PARLA_E_NOMEM. On error the requests were not taken. */
PARLA_API PARLA_MUST_USE int parla_mpi_bind(parla_mpi *mpi, parla_context *context, int n, MPI_Request *requests);

/* Lets the task wait for the requests without its thread: return PARLA_SUSPENDED afterwards, and the body is called again when all have
 * completed. May be combined with parla_suspend_on.
 * statuses: n of them, valid until then, each with MPI_ERROR set (MPI_SUCCESS or what failed), so the body decides what a failure means;
 *           or MPI_STATUSES_IGNORE: then a request that fails fails the task, once its body has returned.
 * From, Errors: as parla_mpi_bind. */
PARLA_API PARLA_MUST_USE int parla_mpi_suspend_on(parla_mpi *mpi, parla_context *context, int n, MPI_Request *requests,
                                                  MPI_Status *statuses);

/* Makes an event (event.h) that completes when the requests have, for others to depend on, suspend on or wait for. It fails if one of
 * them fails. `statuses` may be MPI_STATUSES_IGNORE.
 * Owns: *out comes with one reference, dropped with parla_task_unref. Errors: as parla_mpi_bind. */
PARLA_API PARLA_MUST_USE int parla_mpi_event(parla_mpi *mpi, parla_task *out, int n, MPI_Request *requests, MPI_Status *statuses);

/* The same without taking the requests: the event completes when MPI_Wait on each of them would return at once, and that call, by the
 * caller, completes them. For requests that somebody else owns, such as those of pickled messages in Python. Slower than
 * parla_mpi_event where many are pending. */
PARLA_API PARLA_MUST_USE int parla_mpi_event_peek(parla_mpi *mpi, parla_task *out, int n, const MPI_Request *requests);

/* Moves pending requests along now. Returns how many tasks and events it let go on. Never blocks. */
PARLA_API int parla_mpi_progress(parla_mpi *mpi);

/* Requests handed over and not completed yet. */
PARLA_API size_t parla_mpi_pending(parla_mpi *mpi);

/* Brackets for the program's own MPI calls under MPI_THREAD_SERIALIZED; may nest; nothing under MPI_THREAD_MULTIPLE. Do not block in MPI
 * between them: nothing else moves meanwhile. */
PARLA_API void parla_mpi_lock(parla_mpi *mpi);
PARLA_API void parla_mpi_unlock(parla_mpi *mpi);

/* --- Look ------------------------------------------------------------------------------------------------------------------- */

/* The duplicate, for MPI calls that must not mix with the program's own messages. Its error handler returns. Borrowed. */
PARLA_API MPI_Comm parla_mpi_comm(const parla_mpi *mpi);
PARLA_API int parla_mpi_rank(const parla_mpi *mpi);
PARLA_API int parla_mpi_n_ranks(const parla_mpi *mpi);

/* --- Cores of a node ------------------------------------------------------------------------------------------------------- */

#define PARLA_MPI_MAX_CORES 1024

/* What a rank should use of its node. */
typedef struct parla_mpi_share_info {
    size_t size;            /* sizeof(parla_mpi_share_info), set by the caller */
    int local_rank;         /* among the ranks of this node */
    int n_local;            /* how many there are */
    int n_node_cores;       /* cores that these ranks may use together */
    int n_cores;            /* this rank's part; what its runtime should have as workers. At least 1 */
    bool is_oversubscribed; /* there are more ranks than cores, so cores are shared */
    bool is_narrowed;       /* the part is smaller than what the process may use: others may use the rest too */
    uint64_t cores[PARLA_MPI_MAX_CORES /
                   64]; /* bit i % 64 of word i / 64: core i, as the operating system counts, belongs to the part */
} parla_mpi_share_info;

/* Shares out the cores of each node among its ranks: a rank that a launcher has bound keeps its cores, ranks whose cores overlap split
 * them evenly. Call it before the runtime is created.
 * From: all ranks of `comm` (collective). Errors: PARLA_E_STATE if MPI is not running; PARLA_E_TRANSPORT; PARLA_E_SYSTEM. */
PARLA_API PARLA_MUST_USE int parla_mpi_share(parla_mpi_share_info *out, MPI_Comm comm);

/* Binds the calling thread, and so the threads that it makes later, to the part. Does nothing where cores are oversubscribed.
 * Errors: PARLA_E_SYSTEM. */
PARLA_API PARLA_MUST_USE int parla_mpi_share_bind(const parla_mpi_share_info *share);

PARLA_END_DECLS

#endif
