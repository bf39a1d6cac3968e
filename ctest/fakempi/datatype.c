/* datatype.c - datatypes as lists of pieces of memory. */
#include "fakempi.h"

#include <stdlib.h>
#include <string.h>

#define BASIC(name, c_type) struct fake_type name = {sizeof(c_type), sizeof(c_type), 1, (fake_piece[]){{0, sizeof(c_type)}}, 1}
BASIC(fake_byte, char);
BASIC(fake_int, int);
BASIC(fake_long, long);
BASIC(fake_uint32, uint32_t);
BASIC(fake_uint64, uint64_t);

void fake_pack(void *out, const void *from, int n, MPI_Datatype type)
{
    char *to = out;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < type->n_pieces; j++) {
            memcpy(to, (const char *)from + i * type->extent + type->pieces[j].place, type->pieces[j].n_bytes);
            to += type->pieces[j].n_bytes;
        }
}

void fake_unpack(void *to, int n, MPI_Datatype type, const void *from, size_t n_bytes)
{
    const char *at = from;
    for (int i = 0; i < n && n_bytes > 0; i++)
        for (int j = 0; j < type->n_pieces && n_bytes > 0; j++) {
            size_t n_here = type->pieces[j].n_bytes < n_bytes ? type->pieces[j].n_bytes : n_bytes;
            memcpy((char *)to + i * type->extent + type->pieces[j].place, at, n_here);
            at += n_here;
            n_bytes -= n_here;
        }
}

static MPI_Datatype begin(int n_pieces)
{
    MPI_Datatype made = calloc(1, sizeof *made);
    made->pieces = calloc((size_t)n_pieces + 1, sizeof *made->pieces);
    made->n_uses = 1;
    return made;
}

/* `n` of a type, one after the other from `place` on. */
static void add(MPI_Datatype to, MPI_Aint place, int n, MPI_Datatype of)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < of->n_pieces; j++) {
            fake_piece piece = {place + i * of->extent + of->pieces[j].place, of->pieces[j].n_bytes};
            to->pieces[to->n_pieces++] = piece;
            to->n_bytes += piece.n_bytes;
        }
    MPI_Aint end = place + n * of->extent;
    to->extent = end > to->extent ? end : to->extent;
}

int MPI_Type_contiguous(int n, MPI_Datatype of, MPI_Datatype *out)
{
    MPI_Datatype made = begin(n * of->n_pieces);
    add(made, 0, n, of);
    *out = made;
    return MPI_SUCCESS;
}

int MPI_Type_create_hvector(int n, int length, MPI_Aint stride, MPI_Datatype of, MPI_Datatype *out)
{
    MPI_Datatype made = begin(n * length * of->n_pieces);
    for (int i = 0; i < n; i++)
        add(made, i * stride, length, of);
    *out = made;
    return MPI_SUCCESS;
}

int MPI_Type_create_struct(int n, const int lengths[], const MPI_Aint places[], const MPI_Datatype types[], MPI_Datatype *out)
{
    int n_pieces = 0;
    for (int i = 0; i < n; i++)
        n_pieces += lengths[i] * types[i]->n_pieces;
    MPI_Datatype made = begin(n_pieces);
    for (int i = 0; i < n; i++)
        add(made, places[i], lengths[i], types[i]);
    *out = made;
    return MPI_SUCCESS;
}

int MPI_Type_commit(MPI_Datatype *type)
{
    (void)type;
    return MPI_SUCCESS;
}

void fake_type_ref(MPI_Datatype type) { type->n_uses++; }

void fake_type_unref(MPI_Datatype type)
{
    if (--type->n_uses > 0)
        return;
    free(type->pieces);
    free(type);
}

int MPI_Type_free(MPI_Datatype *type)
{
    fake_type_unref(*type);
    *type = MPI_DATATYPE_NULL;
    return MPI_SUCCESS;
}

int MPI_Type_get_extent(MPI_Datatype type, MPI_Aint *lower, MPI_Aint *extent)
{
    *lower = 0;
    *extent = type->extent;
    return MPI_SUCCESS;
}
