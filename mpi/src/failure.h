/* failure.h - what happens when a rank fails or dies. */
#ifndef PLM_FAILURE_H
#define PLM_FAILURE_H

#include <parla/mpi.h>

enum { PLM_FLIGHT_BYTES = 512 };

/* "; 2 tasks in flight here: a, b", or "" if there are none. */
void plm_flight_words(parla_mpi *mpi, char *out, size_t capacity);

/* Another rank has said that it failed; another rank has died; after all deaths of the moment were told. From: the liveness thread. */
void plm_peer_has_failed(parla_mpi *mpi, int rank, const char *words);
void plm_peer_has_died(parla_mpi *mpi, int rank, int process, const char *how);
void plm_after_deaths(parla_mpi *mpi);

#endif
