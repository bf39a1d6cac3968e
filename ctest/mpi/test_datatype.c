/* test_datatype.c - MPI datatypes of random boxes: what MPI sends and receives with them are the box's bytes in C order. */
#include "box.h"
#include "datatype.h"
#include "random_box.h"
#include "test.h"

#include <parla/mpi.h>

static plm_datatypes datatypes;
static int n_checked;

/* The next rank receives with the box's type what this one sends as plain bytes, and the other way round. */
static void transfer(const void *from, int n_from, MPI_Datatype from_type, void *to, int n_to, MPI_Datatype to_type)
{
    int rank, n_ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    int next = (rank + 1) % n_ranks, last = (rank + n_ranks - 1) % n_ranks;
    T_EQ(MPI_Sendrecv(from, n_from, from_type, next, 1, to, n_to, to_type, last, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE),
         MPI_SUCCESS);
}

static void check_box(const random_box *one, t_rng *rng)
{
    parla_strided simple;
    MPI_Datatype type;
    int count;
    plm_box_simplify(&simple, &one->box);
    if (!plm_datatypes_can(&simple)) {
        return;
    }
    size_t n = parla_strided_bytes(&simple);
    n_checked++;
    T_EQ(plm_datatypes_get(&datatypes, &simple, &type, &count), MPI_SUCCESS);
    unsigned char *packed = malloc(n + 1), *received = malloc(n + 1), *expected = malloc(one->n_bytes);
    plm_box_pack(&simple, 0, packed, n);
    transfer(simple.base, count, type, received, (int)n, MPI_BYTE);
    T_EQ_MEM(received, packed, n);

    for (size_t i = 0; i < n; i++) {
        packed[i] = (unsigned char)t_next(rng);
    }
    memcpy(expected, one->memory, one->n_bytes);
    parla_strided other = simple;
    other.base = expected + ((unsigned char *)simple.base - one->memory);
    plm_box_unpack(&other, 0, packed, n);
    transfer(packed, (int)n, MPI_BYTE, simple.base, count, type);
    T_EQ_MEM(one->memory, expected, one->n_bytes);
    free(packed);
    free(received);
    free(expected);
}

/* All ranks draw the same. */
T_TEST(random_boxes)
{
    t_rng rng = {t_seed()};
    T_OK(parla_mpi_start(NULL, NULL));
    int n = (int)t_scale(1500);
    for (int i = 0; i < n; i++) {
        parla_strided shape = random_shape(&rng, 12);
        random_box one = random_layout(&rng, &shape, false);
        check_box(&one, &rng);
        free(one.memory);
    }
    T_LE(datatypes.n, PLM_DATATYPES);
    T_GT(n_checked, n / 10);
    plm_datatypes_fini(&datatypes);
}

T_TEST(which_boxes)
{
    parla_strided box = {.item_bytes = 8, .ndim = 2, .extent = {3, 4}, .stride = {64, 16}};
    T_TRUE(plm_datatypes_can(&box));
    box.stride[0] = 56; /* the next row begins where this one ends */
    T_TRUE(plm_datatypes_can(&box));
    box.stride[0] = 55;
    T_FALSE(plm_datatypes_can(&box));
    box.stride[0] = -64;
    T_FALSE(plm_datatypes_can(&box));
    box.stride[0] = 64;
    box.stride[1] = 0;
    T_FALSE(plm_datatypes_can(&box));
    box.ndim = 0;
    T_TRUE(plm_datatypes_can(&box));
}

/* A box of more items than an int counts, of one byte repeated: only its type is made. */
T_TEST(more_items_than_an_int_counts)
{
    parla_strided simple = {.item_bytes = 3, .ndim = 1, .extent = {(INT64_C(5) << 30) + 7}, .stride = {16}};
    MPI_Datatype type;
    MPI_Count n_bytes, low, extent;
    int count;
    T_OK(parla_mpi_start(NULL, NULL));
    T_EQ(plm_datatypes_get(&datatypes, &simple, &type, &count), MPI_SUCCESS);
    T_EQ(count, 1);
    MPI_Type_size_x(type, &n_bytes);
    MPI_Type_get_true_extent_x(type, &low, &extent);
    T_EQ(n_bytes, 3 * ((INT64_C(5) << 30) + 7));
    T_EQ(low, 0);
    T_EQ(extent, 16 * ((INT64_C(5) << 30) + 6) + 3);

    simple = (parla_strided){.item_bytes = (size_t)5 << 30};
    T_EQ(plm_datatypes_get(&datatypes, &simple, &type, &count), MPI_SUCCESS);
    T_EQ(count, 1);
    MPI_Type_size_x(type, &n_bytes);
    T_EQ(n_bytes, INT64_C(5) << 30);
    plm_datatypes_fini(&datatypes);
}
