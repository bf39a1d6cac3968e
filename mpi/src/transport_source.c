/* transport_source.c - see transport_source.h.
 *
 * Posting where nothing was pending kicks the progress, so workers poll and the thread knows that it may have to. What other ranks send while
 * nothing is pending here wakes the thread by the transport's descriptor, or is found by its slow timer where there is none. */
#include "transport_source.h"

#include <parla/error.h>
#include <parla/mpi_transport.h>

static int run(void *ctx)
{
    plm_transport_source *self = ctx;
    int n_done = plm_exchange_progress(self->exchange);
    return n_done > 0 || plm_exchange_is_pending(self->exchange) ? n_done : -1;
}

static int arm(void *ctx)
{
    plm_transport_source *self = ctx;
    return plm_exchange_arm(self->exchange, &self->source.fd) == 0 ? 0 : PARLA_PENDING;
}

static void on_pending(void *progress) { plm_progress_kick(progress); }

int plm_transport_source_add(plm_transport_source *self, plm_progress *progress, parla_transport *transport)
{
    plm_exchange *exchange = transport ? plm_exchange_of(transport) : NULL;
    int fd = -1;
    if (!transport)
        return 0;
    if (!exchange)
        return parla_error_set(PARLA_E_INVALID, "the transport '%s' is not from parla_mpi_transport", transport->name);
    bool has_descriptor = plm_exchange_arm(exchange, &fd) != PARLA_E_UNSUPPORTED;
    self->exchange = exchange;
    self->source = (plm_source){.ctx = self, .run = run, .arm = has_descriptor ? arm : NULL, .fd = fd};
    plm_exchange_watch(exchange, on_pending, progress);
    plm_progress_add(progress, &self->source);
    return 0;
}

void plm_transport_source_remove(plm_transport_source *self, plm_progress *progress)
{
    if (!self->exchange)
        return;
    plm_exchange_watch(self->exchange, NULL, NULL);
    plm_progress_remove(progress, &self->source);
    self->exchange = NULL;
}
