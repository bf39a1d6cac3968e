/* heat_0.c - where the port begins: MPI between ranks, OpenMP inside of one. */
#include "heat.h"

static void exchange(double level[N_ROWS + 2][ROW])
{
    MPI_Sendrecv(level[1], ROW, MPI_DOUBLE, up, 0, level[N_ROWS + 1], ROW, MPI_DOUBLE, down, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(level[N_ROWS], ROW, MPI_DOUBLE, down, 1, level[0], ROW, MPI_DOUBLE, up, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

int main(int argc, char **argv)
{
    int provided;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    start_plate();
    for (int step = 0; step < N_STEPS; step++) {
        int old = step % 2;
        exchange(plate[old]);
#pragma omp parallel for schedule(static)
        for (int first = 1; first <= N_ROWS; first += BLOCK)
            advance(plate[old][0], ROW, plate[!old][0], ROW, first, first + BLOCK - 1);
    }
    long n_wrong = check_plate("heat_0");
    MPI_Finalize();
    return n_wrong != 0;
}
