/* transport.c - chooses a carrier and makes a transport on it; the functions beside the table. */
#include "carrier.h"
#include "error.h"

#include <parla/error.h>
#include <parla/log.h>
#include <parla/mpi_transport.h>

#include <stdlib.h>
#include <string.h>

static const char grammar[] =
#ifdef PLM_HAVE_UCX
    "ucx or mpi";
#else
    "mpi (this build has no UCX)";
#endif

typedef struct choice {
    const char *kind; /* NULL: the best that works */
    const char *why;
} choice;

bool plm_all_agree(MPI_Comm comm, bool mine)
{
    int one = mine, all = 0;
    return MPI_Allreduce(&one, &all, 1, MPI_INT, MPI_LAND, comm) == MPI_SUCCESS && all;
}

static int choose(choice *out, MPI_Comm comm, const parla_mpi_transport_options *options)
{
    int n_ranks = 1;
    const char *variable = getenv("PARLA_TRANSPORT");
    *out = (choice){NULL, "the default"};
    if (options != NULL && options->size != sizeof *options) {
        return parla_error_set(PARLA_E_INVALID, "parla_mpi_transport_options.size is %zu, not %zu", options->size, sizeof *options);
    }
    if (options != NULL && options->kind != NULL) {
        *out = (choice){options->kind, "asked for by the program"};
    } else if (variable != NULL && variable[0] != '\0') {
        *out = (choice){variable, "asked for by PARLA_TRANSPORT"};
    } else if (MPI_Comm_size(comm, &n_ranks) == MPI_SUCCESS && n_ranks == 1) {
        *out = (choice){"mpi", "there is one rank"};
    }
    if (out->kind != NULL && strcmp(out->kind, "ucx") != 0 && strcmp(out->kind, "mpi") != 0) {
        return parla_error_set(PARLA_E_CONFIG, "transport '%s' (%s): expected %s", out->kind, out->why, grammar);
    }
    return 0;
}

static int check_mpi(void)
{
    int level = MPI_THREAD_SINGLE, is_serialized = 0, code = plm_check_running("a transport between ranks");
    if (code != 0) {
        return code;
    }
    MPI_Query_thread(&level);
    code = plm_check_threads(level, &is_serialized);
    if (code == 0 && is_serialized) {
        code = parla_error_set(PARLA_E_UNSUPPORTED, "a transport between ranks needs MPI_THREAD_MULTIPLE, and MPI runs with "
                                                    "MPI_THREAD_SERIALIZED");
    }
    return code;
}

static int open_ucx(plm_exchange **out, MPI_Comm comm)
{
#ifdef PLM_HAVE_UCX
    return plm_carrier_ucx_open(out, comm);
#else
    (void)out, (void)comm;
    return parla_error_set(PARLA_E_UNSUPPORTED, "this build has no UCX");
#endif
}

static int open_chosen(plm_exchange **out, MPI_Comm comm, const choice *wanted)
{
    bool is_open_choice = wanted->kind == NULL;
    int rank = 0, code = PARLA_E_UNSUPPORTED;
    MPI_Comm_rank(comm, &rank);
    parla_log_level level = rank == 0 ? PARLA_LOG_INFO : PARLA_LOG_DEBUG; /* one line for the job, unless more are asked for */
    if (is_open_choice || strcmp(wanted->kind, "ucx") == 0) {
        code = open_ucx(out, comm);
        if (code == 0) {
            parla_log(level, "transport ucx: %s", wanted->why);
        }
    }
    if (is_open_choice && code == PARLA_E_UNSUPPORTED) {
        char why[256];
        strncpy(why, parla_error_detail(), sizeof why - 1);
        why[sizeof why - 1] = '\0';
        code = plm_carrier_mpi_open(out, comm);
        if (code == 0) {
            parla_log(level, "transport mpi: %s", why);
        }
    } else if (!is_open_choice && strcmp(wanted->kind, "mpi") == 0) {
        code = plm_carrier_mpi_open(out, comm);
        if (code == 0) {
            parla_log(level, "transport mpi: %s", wanted->why);
        }
    }
    return code;
}

int parla_mpi_transport(parla_transport **out, MPI_Comm comm, const parla_mpi_transport_options *options)
{
    choice wanted;
    plm_exchange *exchange;
    MPI_Comm own;
    int code = check_mpi();
    code = code != 0 ? code : choose(&wanted, comm, options);
    if (code != 0) {
        return code;
    }
    if (MPI_Comm_dup(comm, &own) != MPI_SUCCESS) {
        return parla_error_set(PARLA_E_TRANSPORT, "MPI cannot duplicate the communicator");
    }
    MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
    code = open_chosen(&exchange, own, &wanted);
    if (code != 0) {
        MPI_Comm_free(&own);
        return code;
    }
    code = plm_exchange_hang_on_mpi(exchange);
    if (code != 0) { /* MPI has no memory left, and the others wait for this rank to close */
        parla_log(PARLA_LOG_WARN, "the transport must be closed before MPI_Finalize: %s", parla_error_detail());
    }
    *out = plm_exchange_table(exchange);
    return 0;
}

/* --- Beside the table ---------------------------------------------------------------------------------------------------------- */

static int find_exchange(parla_transport *transport, plm_exchange **out)
{
    *out = plm_exchange_of(transport);
    return *out != NULL ? 0
                        : parla_error_set(PARLA_E_INVALID, "the transport '%s' is not from parla_mpi_transport", transport->name);
}

int parla_mpi_memory_alloc(parla_transport *transport, void **out, size_t n_bytes)
{
    plm_exchange *exchange;
    int code = find_exchange(transport, &exchange);
    if (code == 0 && n_bytes == 0) {
        code = parla_error_set(PARLA_E_INVALID, "memory of 0 bytes");
    }
    return code != 0 ? code : plm_exchange_alloc(exchange, n_bytes, out);
}

int parla_mpi_memory_free(parla_transport *transport, void *memory)
{
    plm_exchange *exchange;
    int code = find_exchange(transport, &exchange);
    return code != 0 ? code : plm_exchange_release(exchange, memory);
}

int parla_mpi_memory_source(parla_transport *transport, parla_memory_source *out)
{
    plm_exchange *exchange;
    int code = find_exchange(transport, &exchange);
    return code != 0 ? code : plm_exchange_source(exchange, out);
}

int parla_mpi_transport_traffic(parla_transport *transport, int rank, parla_mpi_traffic *out)
{
    plm_exchange *exchange;
    int code = find_exchange(transport, &exchange);
    if (code != 0) {
        return code;
    }
    if (out->size != sizeof *out || rank < 0 || rank >= transport->n_ranks) {
        return parla_error_set(PARLA_E_INVALID, "traffic with rank %d of %d (parla_mpi_traffic.size is %zu, expected %zu)", rank,
                               transport->n_ranks, out->size, sizeof *out);
    }
    plm_traffic found = plm_exchange_traffic(exchange, rank);
    *out = (parla_mpi_traffic){sizeof *out, found.n_sent, found.n_sent_bytes, found.n_received, found.n_received_bytes};
    return 0;
}

int parla_mpi_transport_arm(parla_transport *transport, int *out_fd)
{
    plm_exchange *exchange;
    int code = find_exchange(transport, &exchange);
    return code != 0 ? code : plm_exchange_arm(exchange, out_fd);
}
