/* carrier.h - the ways to move bytes that a transport can be built on (exchange.h). */
#ifndef PLM_CARRIER_H
#define PLM_CARRIER_H

#include "exchange.h"

/* Open a transport on `comm`, which is the transport's from then on; on failure it stays the caller's. Collective: all ranks succeed or
 * fail. Errors: PARLA_E_UNSUPPORTED (the detail tells why it cannot be used here), PARLA_E_NOMEM. */
int plm_carrier_mpi_open(plm_exchange **out, MPI_Comm comm);
int plm_carrier_ucx_open(plm_exchange **out, MPI_Comm comm);

/* True if every rank of `comm` says so. Collective. */
bool plm_all_agree(MPI_Comm comm, bool mine);

#endif
