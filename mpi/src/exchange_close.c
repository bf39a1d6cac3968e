/* exchange_close.c - the ranks of a transport meet, and part.
 *
 * Closing has two steps. The first, shutting, needs the other ranks and MPI, so MPI_Finalize takes it if nobody has before. Receives without
 * a message are cancelled, sends are withdrawn, and what is matched runs to its end, so both sides always agree how a message ended. Then the
 * ranks meet in a barrier, after which nobody expects an answer, tell each other how many notes they sent, and leave when as many have
 * arrived. The second step frees this rank's memory, and with it what was allocated through the transport; where arrays on the host still lie
 * there, the last of them takes it. */
#include "exchange_state.h"

#include "error.h"

#include <parla/error.h>
#include <parla/log.h>

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Meeting the other ranks --------------------------------------------------------------------------------------------------- */

/* Progresses until an MPI request is done. */
static int wait_for(plm_exchange *self, MPI_Request *request)
{
    int is_done = 0, code = MPI_SUCCESS;
    while (code == MPI_SUCCESS && !is_done) {
        int n_called = plm_exchange_progress(self);
        pthread_mutex_lock(&self->wire);
        code = MPI_Test(request, &is_done, MPI_STATUS_IGNORE);
        pthread_mutex_unlock(&self->wire);
        if (n_called == 0 && !is_done) {
            sched_yield();
        }
    }
    return plm_error_set(code, "waiting for the other ranks");
}

static int begin_barrier(plm_exchange *self, MPI_Request *out)
{
    pthread_mutex_lock(&self->wire);
    int code = self->is_shut ? parla_error_set(PARLA_E_STATE, "the transport is closed, or MPI was finalized")
                             : plm_error_set(MPI_Ibarrier(self->comm, out), "MPI_Ibarrier");
    pthread_mutex_unlock(&self->wire);
    return code;
}

int plm_exchange_barrier(void *context)
{
    plm_exchange *self = context;
    MPI_Request request;
    int code = begin_barrier(self, &request);
    return code == 0 ? wait_for(self, &request) : code;
}

/* --- Closing ----------------------------------------------------------------------------------------------------------------- */

static void withdraw_sends_locked(plm_exchange *self)
{
    for (uint32_t i = 0; i < self->operations.n_slots; i++) {
        plm_operation *op = plm_slots_at(&self->operations, i);
        bool is_remote = op != NULL && op->is_send && op->item.rank != self->table.rank;
        if (is_remote && op->phase == PLM_WAITING && !op->is_withdrawn && plm_withdraw_locked(self, op) < 0) {
            parla_log(PARLA_LOG_ERROR, "no memory to withdraw a message to rank %d: closing waits until it is received",
                      op->item.rank);
        }
    }
}

static plm_item *pop_waiting(plm_exchange *self)
{
    pthread_mutex_lock(&self->lock);
    plm_item *item = plm_match_pop(&self->waiting);
    pthread_mutex_unlock(&self->lock);
    return item;
}

static void cancel_waiting(plm_exchange *self)
{
    for (plm_item *item; (item = pop_waiting(self)) != NULL;) {
        if (item->is_receive || item->rank == self->table.rank) {
            plm_exchange_ended(self, (plm_operation *)item, PARLA_E_CANCELLED);
        } else {
            plm_arrival *arrival = (plm_arrival *)item;
            plm_answer(self, item->rank, arrival->header.sender, PARLA_E_CANCELLED, arrival->header.n_bytes);
            free(arrival);
        }
    }
}

static size_t count_live(plm_exchange *self)
{
    pthread_mutex_lock(&self->lock);
    size_t n = self->n_live;
    pthread_mutex_unlock(&self->lock);
    return n;
}

/* Waits until every note sent to this rank has arrived. */
static int collect_notes(plm_exchange *self)
{
    int n = self->table.n_ranks, code = PARLA_E_NOMEM;
    uint32_t *counts = malloc(2 * (size_t)n * sizeof *counts);
    if (counts == NULL) {
        return parla_error_set(code, "no memory to close a transport");
    }
    MPI_Request request;
    pthread_mutex_lock(&self->wire);
    plm_drain(self, true);
    for (int i = 0; i < n; i++) {
        counts[i] = self->peers[i].n_sent;
    }
    code = MPI_Ialltoall(counts, 1, MPI_UINT32_T, counts + n, 1, MPI_UINT32_T, self->comm, &request);
    pthread_mutex_unlock(&self->wire);
    code = code == MPI_SUCCESS ? wait_for(self, &request) : plm_error_set(code, "MPI_Ialltoall");
    for (int i = 0; code == 0 && i < n; i++) {
        while (self->peers[i].n_arrived != counts[n + i]) { /* written by this thread: nobody else progresses any more */
            (void)plm_exchange_progress(self);
            sched_yield();
        }
    }
    free(counts);
    return code;
}

void plm_exchange_shut(void *context)
{
    plm_exchange *self = context;
    pthread_mutex_lock(&self->lock);
    self->is_closing = true;
    withdraw_sends_locked(self);
    pthread_mutex_unlock(&self->lock);
    cancel_waiting(self);
    while (count_live(self) > 0) {
        if (plm_exchange_progress(self) == 0) {
            sched_yield();
        }
    }
    int code = plm_exchange_barrier(self);
    code = code == 0 ? collect_notes(self) : code;
    if (code != 0) {
        parla_log(PARLA_LOG_ERROR, "the transport between ranks was not closed in order: %s", parla_error_detail());
    }
    pthread_mutex_lock(&self->wire);
    self->is_shut = true;
    self->carrier->shut(self->carrier_self);
    MPI_Comm_free(&self->comm);
    pthread_mutex_unlock(&self->wire);
}

/* In a forked child everything belongs to the parent, and is leaked. */
void plm_exchange_close(void *context)
{
    plm_exchange *self = context;
    if (self->process != getpid()) {
        return;
    }
    plm_at_finalize_run(&self->at_finalize);
    if (!self->is_shut) {
        plm_exchange_shut(self);
    }
    plm_exchange_unref(self);
}

/* --- Its memory ---------------------------------------------------------------------------------------------------------------- */

void plm_exchange_hold(void *context) { atomic_fetch_add(&((plm_exchange *)context)->refs, 1); }

void plm_exchange_unref(void *context)
{
    plm_exchange *self = context;
    if (self->process != getpid() || atomic_fetch_sub(&self->refs, 1) > 1) {
        return;
    }
    self->carrier->free(self->carrier_self);
    plm_exchange_destroy(self);
}
