/* openmp_before.c - blocks of a vector with tasks of OpenMP, ordered by the memory that they name. */
#include <stdio.h>

enum { N = 1000, BLOCK = 250 };
static double x[N];

static void fill(int first)
{
    for (int i = first; i < first + BLOCK; i++)
        x[i] = i;
}

static void twice(int first)
{
    for (int i = first; i < first + BLOCK; i++)
        x[i] *= 2;
}

int main(void)
{
    double sum = 0;
#pragma omp parallel
#pragma omp single
    for (int first = 0; first < N; first += BLOCK) {
#pragma omp task depend(out : x[first])
        fill(first);
#pragma omp task depend(inout : x[first])
        twice(first);
    }
    for (int i = 0; i < N; i++)
        sum += x[i];
    printf("sum %.1f\n", sum);
    return 0;
}
