/* failure.c - what happens when a rank fails or dies.
 *
 * Under "abort" the job ends: a rank that fails calls MPI_Abort; when one dies, every rank of its node says so, waits until the others have
 * said it too, and then one of them calls MPI_Abort for all. MPI may hang with a rank missing, so a thread ends the process if MPI_Abort has
 * not.
 *
 * Under "raise" nothing ends. Whatever waits for a request or for a transfer with the lost rank fails with words that name the rank, also what
 * is handed over later: nobody can tell which requests would still complete. */
#include "failure.h"

#include "plm.h"

#include <parla/error.h>
#include <parla/log.h>
#include <parla/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ABORT_LIMIT_MS = 2000, EXIT_STATUS = 1 };

void plm_flight_words(parla_mpi *mpi, char *out, size_t capacity)
{
    char names[PLM_FLIGHT_BYTES - 64];
    size_t n = parla_runtime_in_flight(mpi->rt, names, sizeof names);
    *out = '\0';
    if (n > 0)
        snprintf(out, capacity, "; %zu task%s in flight here: %s", n, n == 1 ? "" : "s", names);
}

/* --- Abort ---------------------------------------------------------------------------------------------------------------------- */

static void *end_process(void *status)
{
    nanosleep(&(struct timespec){.tv_sec = ABORT_LIMIT_MS / 1000, .tv_nsec = ABORT_LIMIT_MS % 1000 * 1000000}, NULL);
    _exit((int)(intptr_t)status);
}

/* The process ends in two seconds, whatever happens until then. */
static void set_limit(int status)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_process, (void *)(intptr_t)status))
        _exit(status);
    pthread_detach(thread);
}

/* The one place of this library that ends processes: see parla_mpi_fail. */
static void end_job(int status)
{
    set_limit(status);
    MPI_Abort(MPI_COMM_WORLD, status);
    for (;;)
        pause();
}

void plm_after_deaths(parla_mpi *mpi)
{
    if (!mpi->aborts)
        return;
    plm_liveness_wait_for_others(&mpi->liveness);
    bool speaks = plm_liveness_is_speaker(&mpi->liveness);
    plm_liveness_give_in(&mpi->liveness, "ended because another rank died");
    if (speaks)
        end_job(EXIT_STATUS);
    set_limit(EXIT_STATUS);
    for (;;)
        pause();
}

/* --- Raise ---------------------------------------------------------------------------------------------------------------------- */

static void lose(parla_mpi *mpi, int rank, const char *words)
{
    pthread_mutex_lock(&mpi->progress.right);
    plm_enter(mpi);
    if (!*mpi->broken)
        snprintf(mpi->broken, sizeof mpi->broken, "%s", words);
    plm_wait *pending = plm_table_close(&mpi->table); /* from here on nobody adds; who is refused reads `broken` */
    plm_leave(mpi);
    pthread_mutex_unlock(&mpi->progress.right);
    while (pending) {
        plm_wait *next = pending->next;
        plm_wait_finish(pending, PARLA_E_TRANSPORT, mpi->broken);
        pending = next;
    }
    if (mpi->transport.exchange)
        plm_exchange_lose(mpi->transport.exchange, rank, words);
    plm_progress_kick(&mpi->progress);
}

/* --- Of others ------------------------------------------------------------------------------------------------------------------ */

void plm_peer_has_failed(parla_mpi *mpi, int rank, const char *words)
{
    char text[PLM_SEAT_WORDS + 64];
    snprintf(text, sizeof text, "rank %d has failed: %s", rank, words);
    if (mpi->aborts) { /* that rank ends the job, and has told why */
        set_limit(EXIT_STATUS);
        return;
    }
    parla_log(PARLA_LOG_ERROR, "%s", text);
    lose(mpi, rank, text);
}

void plm_peer_has_died(parla_mpi *mpi, int rank, int process, const char *how)
{
    char flight[PLM_FLIGHT_BYTES], text[256], host[65] = "";
    gethostname(host, sizeof host - 1);
    plm_flight_words(mpi, flight, sizeof flight);
    snprintf(text, sizeof text, "rank %d (process %d on %s) died: %s", rank, process, host, how);
    parla_log(PARLA_LOG_ERROR, "%s%s", text, flight);
    if (!mpi->aborts)
        lose(mpi, rank, text);
}

/* --- Of this rank --------------------------------------------------------------------------------------------------------------- */

int parla_mpi_fail(parla_mpi *mpi, int exit_status, const char *words)
{
    if (!mpi || !words)
        return parla_error_set(PARLA_E_INVALID, "parla_mpi_fail: a parla_mpi and words are needed");
    if (mpi->comm == MPI_COMM_NULL)
        return parla_error_set(PARLA_E_STATE, "MPI was finalized, or is being");
    plm_liveness_give_in(&mpi->liveness, words);
    if (mpi->liveness.is_open)
        plm_node_board_ring(&mpi->liveness.board);
    if (mpi->aborts)
        end_job(exit_status);
    return 0;
}
