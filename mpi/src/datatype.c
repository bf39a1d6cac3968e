/* datatype.c - see datatype.h. Counts above what MPI's int holds are built from blocks of BLOCK items. */
#include "datatype.h"

#include <limits.h>
#include <string.h>

#define BLOCK ((int64_t)1 << 30)

static int few(MPI_Datatype item, int64_t count, MPI_Aint stride, MPI_Datatype *out)
{
    MPI_Aint low, extent;
    int code = MPI_Type_get_extent(item, &low, &extent);
    if (code != MPI_SUCCESS) {
        return code;
    }
    return stride == extent ? MPI_Type_contiguous((int)count, item, out)
                            : MPI_Type_create_hvector((int)count, 1, stride, item, out);
}

/* `count` > INT_MAX items: whole blocks, and behind them the rest. */
static int many(MPI_Datatype item, int64_t count, MPI_Aint stride, MPI_Datatype *out)
{
    MPI_Datatype parts[3] = {MPI_DATATYPE_NULL, MPI_DATATYPE_NULL, MPI_DATATYPE_NULL}; /* a block, all blocks, the rest */
    MPI_Aint at[2] = {0, (MPI_Aint)(count / BLOCK * BLOCK * stride)};
    int lengths[2] = {1, 1};
    int code = few(item, BLOCK, stride, &parts[0]);
    code = code != MPI_SUCCESS ? code
                               : MPI_Type_create_hvector((int)(count / BLOCK), 1, (MPI_Aint)(BLOCK * stride), parts[0], &parts[1]);
    code = code != MPI_SUCCESS ? code : few(item, count % BLOCK, stride, &parts[2]);
    code = code != MPI_SUCCESS ? code : MPI_Type_create_struct(2, lengths, at, &parts[1], out);
    for (int i = 0; i < 3; i++) {
        if (parts[i] != MPI_DATATYPE_NULL) {
            MPI_Type_free(&parts[i]);
        }
    }
    return code;
}

static int repeat(MPI_Datatype item, int64_t count, int64_t stride, MPI_Datatype *out)
{
    return count <= INT_MAX ? few(item, count, (MPI_Aint)stride, out) : many(item, count, (MPI_Aint)stride, out);
}

static int build(const parla_strided *simple, MPI_Datatype *out)
{
    MPI_Datatype type;
    int code = repeat(MPI_BYTE, (int64_t)simple->item_bytes, 1, &type);
    for (int k = simple->ndim - 1; code == MPI_SUCCESS && k >= 0; k--) {
        MPI_Datatype inner = type;
        code = repeat(inner, simple->extent[k], simple->stride[k], &type);
        MPI_Type_free(&inner);
    }
    code = code != MPI_SUCCESS ? code : MPI_Type_commit(&type);
    if (code == MPI_SUCCESS) {
        *out = type;
    }
    return code;
}

static bool is_same(const parla_strided *a, const parla_strided *b)
{
    size_t n = (size_t)a->ndim * sizeof a->extent[0];
    return a->item_bytes == b->item_bytes && a->ndim == b->ndim && memcmp(a->extent, b->extent, n) == 0 &&
           memcmp(a->stride, b->stride, n) == 0;
}

/* The slot for a new type: a free one, or that of the type not asked for the longest. */
static plm_datatype *make_room(plm_datatypes *self)
{
    if (self->n < PLM_DATATYPES) {
        return &self->kept[self->n++];
    }
    plm_datatype *oldest = &self->kept[0];
    for (int i = 1; i < self->n; i++) {
        oldest = self->kept[i].used < oldest->used ? &self->kept[i] : oldest;
    }
    MPI_Type_free(&oldest->type);
    return oldest;
}

bool plm_datatypes_can(const parla_strided *simple)
{
    int64_t span = (int64_t)simple->item_bytes;
    for (int k = simple->ndim - 1; k >= 0; k--) {
        if (simple->stride[k] < span) {
            return false;
        }
        span = (simple->extent[k] - 1) * simple->stride[k] + span;
    }
    return true;
}

int plm_datatypes_get(plm_datatypes *self, const parla_strided *simple, MPI_Datatype *out_type, int *out_count)
{
    if (simple->ndim == 0 && simple->item_bytes <= INT_MAX) {
        *out_type = MPI_BYTE;
        *out_count = (int)simple->item_bytes;
        return MPI_SUCCESS;
    }
    plm_datatype *found = NULL;
    for (int i = 0; i < self->n && found == NULL; i++) {
        found = is_same(&self->kept[i].shape, simple) ? &self->kept[i] : NULL;
    }
    if (found == NULL) {
        MPI_Datatype type;
        int code = build(simple, &type);
        if (code != MPI_SUCCESS) {
            return code;
        }
        found = make_room(self);
        *found = (plm_datatype){.shape = *simple, .type = type};
        found->shape.base = NULL;
    }
    found->used = ++self->clock;
    *out_type = found->type;
    *out_count = 1;
    return MPI_SUCCESS;
}

void plm_datatypes_fini(plm_datatypes *self)
{
    for (int i = 0; i < self->n; i++) {
        MPI_Type_free(&self->kept[i].type);
    }
    self->n = 0;
}
