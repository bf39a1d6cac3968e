/* bind.c - requests as dependencies, as suspension, and as events: each makes a group, says what goes on when it is complete, and gives it to
 * the table. Everything that can fail comes before the requests are touched. */
#include "plm.h"

#include <parla/error.h>
#include <parla/event.h>
#include <stdlib.h>

static int check(const parla_mpi *mpi, int n, const MPI_Request *requests)
{
    if (!mpi || n < 0 || (n > 0 && !requests))
        return parla_error_set(PARLA_E_INVALID, "%s", !mpi ? "a parla_mpi is needed, not NULL" : "requests are needed");
    if (mpi->comm == MPI_COMM_NULL)
        return parla_error_set(PARLA_E_STATE, "MPI was finalized, or is being");
    return 0;
}

static int new_wait(plm_wait **out, int n, MPI_Status *statuses)
{
    plm_wait *wait = plm_wait_create(n);
    if (!wait)
        return parla_error_set(PARLA_E_NOMEM, "no memory for %d requests", n);
    wait->event = wait->held = PARLA_TASK_NONE;
    wait->statuses = statuses == MPI_STATUSES_IGNORE ? NULL : statuses;
    *out = wait;
    return 0;
}

/* Hands a group to the table, or finishes it if all is complete already. */
static void submit(parla_mpi *mpi, plm_wait *wait, int n, MPI_Request *requests)
{
    bool is_closed = false, is_first = false;
    plm_enter(mpi);
    plm_wait_fill(wait, n, requests);
    plm_leave(mpi);
    bool is_pending = wait->n_left > 0; /* once it was added it may be gone at any time */
    if (is_pending)
        is_first = plm_table_add(&mpi->table, wait, &is_closed);
    if (is_closed)
        plm_wait_finish(wait, *mpi->broken ? PARLA_E_TRANSPORT : PARLA_E_CANCELLED,
                        *mpi->broken ? mpi->broken : "the MPI layer was shut down");
    else if (!is_pending)
        plm_wait_finish(wait, 0, NULL);
    else if (is_first)
        plm_progress_kick(&mpi->progress);
}

int parla_mpi_bind(parla_mpi *mpi, parla_context *context, int n, MPI_Request *requests)
{
    plm_wait *wait = NULL;
    int rc = check(mpi, n, requests);
    if (rc == 0)
        rc = new_wait(&wait, n, NULL);
    if (rc < 0)
        return rc;
    rc = parla_hold(context, 1);
    if (rc < 0) {
        free(wait);
        return rc;
    }
    wait->held = parla_context_task(context);
    submit(mpi, wait, n, requests);
    return 0;
}

/* The event that the task sleeps on always succeeds; a failure reaches the task through its statuses or the hold. */
static int prepare_suspension(parla_context *context, plm_wait *wait)
{
    int rc = parla_event_create(parla_context_runtime(context), &wait->event, "MPI requests");
    if (rc < 0)
        return rc;
    rc = parla_suspend_on(context, &wait->event, 1);
    if (rc == 0 && !wait->statuses && (rc = parla_hold(context, 1)) == 0)
        wait->held = parla_context_task(context);
    if (rc < 0)
        (void)!parla_event_complete(wait->event, 0, NULL);
    parla_task_unref(wait->event); /* the table completes it by name; until then it lives */
    return rc;
}

int parla_mpi_suspend_on(parla_mpi *mpi, parla_context *context, int n, MPI_Request *requests, MPI_Status *statuses)
{
    plm_wait *wait = NULL;
    int rc = check(mpi, n, requests);
    if (rc == 0)
        rc = new_wait(&wait, n, statuses);
    if (rc < 0)
        return rc;
    rc = prepare_suspension(context, wait);
    if (rc < 0) {
        free(wait);
        return rc;
    }
    submit(mpi, wait, n, requests);
    return 0;
}

static int make_event(parla_mpi *mpi, parla_task *out, int n, MPI_Request *requests, MPI_Status *statuses, bool is_peek)
{
    plm_wait *wait = NULL;
    int rc = check(mpi, n, requests);
    if (rc == 0)
        rc = new_wait(&wait, n, statuses);
    if (rc < 0)
        return rc;
    rc = parla_event_create(mpi->rt, &wait->event, "MPI requests");
    if (rc < 0) {
        free(wait);
        return rc;
    }
    wait->is_event_failing = true;
    wait->is_peek = is_peek;
    *out = wait->event;
    submit(mpi, wait, n, requests);
    return 0;
}

int parla_mpi_event(parla_mpi *mpi, parla_task *out, int n, MPI_Request *requests, MPI_Status *statuses)
{
    return make_event(mpi, out, n, requests, statuses, false);
}

int parla_mpi_event_peek(parla_mpi *mpi, parla_task *out, int n, const MPI_Request *requests)
{
    return make_event(mpi, out, n, (MPI_Request *)requests, NULL, true); /* a peek only reads them */
}

int parla_mpi_progress(parla_mpi *mpi)
{
    int n = check(mpi, 0, NULL) < 0 ? 0 : plm_progress_run(&mpi->progress);
    return n > 0 ? n : 0;
}

size_t parla_mpi_pending(parla_mpi *mpi) { return plm_table_pending(&mpi->table); }
