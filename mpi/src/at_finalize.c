/* at_finalize.c - see at_finalize.h.
 *
 * MPI_Finalize deletes the attributes of MPI_COMM_SELF before anything else, the newest first, and calls their delete functions while MPI
 * still works. To run an end earlier, its attribute is deleted. */
#include "at_finalize.h"

#include "error.h"

static int on_delete(MPI_Comm comm, int keyval, void *value, void *unused)
{
    plm_at_finalize *self = value;
    (void)comm, (void)keyval, (void)unused;
    self->is_due = false;
    self->end(self->ctx);
    return MPI_SUCCESS;
}

int plm_at_finalize_set(plm_at_finalize *self, void (*end)(void *ctx), void *ctx)
{
    *self = (plm_at_finalize){.end = end, .ctx = ctx};
    int code = MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, on_delete, &self->keyval, NULL);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_set_attr(MPI_COMM_SELF, self->keyval, self);
    self->is_due = code == MPI_SUCCESS;
    return plm_error_set(code, "watching for MPI_Finalize");
}

void plm_at_finalize_run(plm_at_finalize *self)
{
    if (!self->is_due)
        return;
    int keyval = self->keyval; /* `end` may free self */
    MPI_Comm_delete_attr(MPI_COMM_SELF, keyval);
    MPI_Comm_free_keyval(&keyval);
}
