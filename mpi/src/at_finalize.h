/* at_finalize.h - what has to end before MPI does, whoever calls MPI_Finalize. */
#ifndef PLM_AT_FINALIZE_H
#define PLM_AT_FINALIZE_H

#include <mpi.h>
#include <stdbool.h>

/* An end that is due once. The caller's memory, until it has run. */
typedef struct plm_at_finalize {
    void (*end)(void *ctx);
    void *ctx;
    int keyval;
    bool is_due;
} plm_at_finalize;

/* Calls end(ctx) at the beginning of MPI_Finalize, or in plm_at_finalize_run, whichever comes first. Ends run in the reverse order of these
 * calls. Errors: PARLA_E_TRANSPORT; then `end` is never called. */
int plm_at_finalize_set(plm_at_finalize *self, void (*end)(void *ctx), void *ctx);

/* Calls it now, unless it has run. */
void plm_at_finalize_run(plm_at_finalize *self);

#endif
