/* transport_source.h - a transport that is moved along together with the requests. */
#ifndef PLM_TRANSPORT_SOURCE_H
#define PLM_TRANSPORT_SOURCE_H

#include "exchange.h"
#include "progress.h"

typedef struct plm_transport_source {
    plm_source source;
    plm_exchange *exchange; /* NULL: there is none */
} plm_transport_source;

/* From now on the transport is progressed here. `transport` may be NULL. Errors: PARLA_E_INVALID for one that is not from
 * parla_mpi_transport. */
int plm_transport_source_add(plm_transport_source *self, plm_progress *progress, parla_transport *transport);

/* When it returns, nobody progresses the transport here any more. */
void plm_transport_source_remove(plm_transport_source *self, plm_progress *progress);

#endif
