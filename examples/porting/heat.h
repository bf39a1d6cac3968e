/* heat.h - what the steps of docs/porting.md share: the plate of a rank, the stencil, and the check at the end.
 *
 * A plate is warmed along its upper edge. Ranks have rows of it, one below the other; around a rank's own rows lie one row of each neighbour
 * and one column of the edge. There are two levels of time, and each step computes one from the other. */
#ifndef PORTING_HEAT_H
#define PORTING_HEAT_H

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_ROWS = 64 /* of each rank */, N_COLUMNS = 96, ROW = N_COLUMNS + 2, N_STEPS = 60, BLOCK = 8, N_BLOCKS = N_ROWS / BLOCK };

static double plate[2][N_ROWS + 2][ROW];
static int rank, n_ranks, up, down;

/* Computes rows first … last of the next level. `from` and `to` are whole levels, whose rows are so many elements apart. */
static void advance(const double *from, ptrdiff_t from_row, double *to, ptrdiff_t to_row, int first, int last)
{
    for (int i = first; i <= last; i++) {
        const double *above = from + (i - 1) * from_row, *here = above + from_row, *below = here + from_row;
        double *next = to + i * to_row;
        for (int j = 1; j <= N_COLUMNS; j++)
            next[j] = here[j] + 0.2 * (above[j] + below[j] + here[j - 1] + here[j + 1] - 4 * here[j]);
    }
}

static void start_plate(void)
{
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    up = rank > 0 ? rank - 1 : MPI_PROC_NULL;
    down = rank < n_ranks - 1 ? rank + 1 : MPI_PROC_NULL;
    for (int j = 0; rank == 0 && j < ROW; j++)
        plate[0][0][j] = plate[1][0][j] = 100;
}

/* Computes all of it again with plain loops. Returns how many elements of this rank differ, and prints a line on rank 0. */
static long check_plate(const char *program)
{
    int n_all = n_ranks * N_ROWS;
    size_t level = (size_t)(n_all + 2) * ROW;
    double *plain = calloc(2 * level, sizeof *plain), *old = plain, *new = plain + level, sum = 0, total;
    long n_wrong = 0, n_all_wrong;
    if (!plain)
        return -1;
    for (int j = 0; j < ROW; j++)
        old[j] = new[j] = 100;
    for (int step = 0; step < N_STEPS; step++) {
        advance(old, ROW, new, ROW, 1, n_all);
        double *swapped = old;
        old = new, new = swapped;
    }
    for (int i = 1; i <= N_ROWS; i++)
        for (int j = 1; j <= N_COLUMNS; j++) {
            n_wrong += plate[N_STEPS % 2][i][j] != old[(rank * N_ROWS + i) * ROW + j];
            sum += plate[N_STEPS % 2][i][j];
        }
    free(plain);
    MPI_Reduce(&sum, &total, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Allreduce(&n_wrong, &n_all_wrong, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        printf("%s: %d ranks, %d steps, heat %.6E, %ld elements differ from plain loops\n", program, n_ranks, N_STEPS, total,
               n_all_wrong);
    return n_all_wrong;
}

#endif
