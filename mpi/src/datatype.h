/* datatype.h - MPI datatypes of strided boxes, committed once and kept. Not thread-safe: the owner locks. */
#ifndef PLM_DATATYPE_H
#define PLM_DATATYPE_H

#include <parla/strided.h>

#include <mpi.h>

enum { PLM_DATATYPES = 64 };

typedef struct plm_datatype {
    parla_strided shape; /* base is NULL */
    MPI_Datatype type;
    uint64_t used; /* when it was asked for last */
} plm_datatype;

typedef struct plm_datatypes {
    plm_datatype kept[PLM_DATATYPES];
    int n;
    uint64_t clock;
} plm_datatypes;

/* A simplified box can have a type here: its bytes lie in rising order. With others (dimensions walked backwards, or in another order than
 * the memory's) Open MPI 4.1 takes some for contiguous memory, and reads and writes behind its end. */
bool plm_datatypes_can(const parla_strided *simple);

/* *out_count items of *out_type at the base of such a box are its bytes. The type is borrowed until the next call; MPI keeps what
 * pending operations use. Errors: an MPI error code. */
int plm_datatypes_get(plm_datatypes *self, const parla_strided *simple, MPI_Datatype *out_type, int *out_count);

void plm_datatypes_fini(plm_datatypes *self);

#endif
