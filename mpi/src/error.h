/* error.h - MPI's error codes in this project's words. */
#ifndef PLM_ERROR_H
#define PLM_ERROR_H

#include <mpi.h>
#include <stddef.h>

/* Writes what MPI says about its code. */
void plm_error_words(int mpi_code, char *out, size_t capacity);

/* Sets the detail of this thread to "what: MPI's words". Returns PARLA_E_TRANSPORT, or 0 for MPI_SUCCESS. */
int plm_error_set(int mpi_code, const char *what);

/* Checks that MPI runs: 0, or PARLA_E_STATE with words that begin with `what`. */
int plm_check_running(const char *what);

/* Checks that threads may call MPI, in `out_is_serialized` whether only one at a time: 0, or PARLA_E_UNSUPPORTED with what to change. */
int plm_check_threads(int provided, int *out_is_serialized);

#endif
