/* vlc_guest.c - an OpenMP program as a library: many short parallel regions, as in a stencil or a solver, where waiting for the last thread
 * is what oversubscription makes dear. */
#define GUEST __attribute__((visibility("default")))

enum { N = 20000 };

double omp_program(double *values, int n_regions); /* looked up by vlc_loads.c, declared nowhere else */
int omp_program_size(void);

GUEST double omp_program(double *values, int n_regions)
{
    double sum = 0;
    for (int region = 0; region < n_regions; region++) {
        sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(static)
        for (int i = 0; i < N; i++) {
            values[i] = 0.5 * values[i] + i;
            sum += values[i];
        }
    }
    return sum;
}

GUEST int omp_program_size(void) { return N; }
