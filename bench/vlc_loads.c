/* vlc_loads.c - programs of which two run at once.
 *
 *   openmp            an OpenMP program with short regions (vlc_guest.c)
 *   openblas.BUILD    products of matrices of 256 x 256, each side with its own
 *   in_openmp.BUILD   the same, called by the threads of an OpenMP program
 *   arpack            the largest eigenvalue of a band matrix; its state is in saved Fortran variables, so one copy is used in turns */
#include "vlc_loads.h"

#include "bench.h"
#include "vlc_agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool bench_find_library(const char *name, char out[BENCH_PATH])
{
    static const char *const machines[] = {"x86_64-linux-gnu", "aarch64-linux-gnu"};
    for (int i = 0; i < 2; i++)
        if (snprintf(out, BENCH_PATH, "/usr/lib/%s/%s", machines[i], name) < BENCH_PATH && access(out, R_OK) == 0)
            return true;
    return false;
}

/* --- An OpenMP program ------------------------------------------------------------------------------------------------------- */

typedef struct program {
    double (*run)(double *values, int n_regions);
    double *values;
} program;

static void *prepare_program(const bench_place *place, int side)
{
    (void)side;
    program *self = malloc(sizeof *self);
    self->run = (double (*)(double *, int))bench_find(place, "omp_program");
    self->values = calloc((size_t)((int (*)(void))bench_find(place, "omp_program_size"))(), sizeof self->values[0]);
    return self;
}

static void run_program(void *state, int n_rounds)
{
    program *self = state;
    if (!(self->run(self->values, n_rounds) > 0))
        bench_die("the OpenMP program's sum is wrong");
}

/* --- Products of matrices ---------------------------------------------------------------------------------------------------- */

enum { N = 256 };

typedef void dgemm_function(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);

typedef struct product {
    dgemm_function *dgemm;
    double *a, *b, *c;
} product;

static void *prepare_product(const bench_place *place, int side)
{
    product *self = malloc(sizeof *self);
    self->dgemm = (dgemm_function *)bench_find(place, "cblas_dgemm");
    self->a = calloc((size_t)3 * N * N, sizeof self->a[0]);
    self->b = self->a + N * N;
    self->c = self->b + N * N;
    for (int i = 0; i < N * N; i++) {
        self->a[i] = i % (N + 1) == 0 ? 2 : 0;
        self->b[i] = i % 97 + side;
    }
    return self;
}

static void run_product(void *state, int n_rounds)
{
    product *self = state;
    for (int round = 0; round < n_rounds; round++)
        self->dgemm(101, 111, 111, N, N, N, 1.0, self->a, N, self->b, N, 0.0, self->c, N);
    for (int i = 0; i < N * N; i++)
        if (self->c[i] != 2 * self->b[i])
            bench_die("a product is wrong");
}

#ifdef _OPENMP
static void openmp_team(void (*body)(int side, void *arg), void *arg)
{
#pragma omp parallel for num_threads(BENCH_N_SIDES) schedule(static)
    for (int side = 0; side < BENCH_N_SIDES; side++)
        body(side, arg);
}
#endif

/* --- ARPACK ------------------------------------------------------------------------------------------------------------------ */

typedef void dsaupd_function(int *, const char *, int *, const char *, int *, double *, double *, int *, double *, int *, int *,
                             int *, double *, double *, int *, int *, size_t, size_t);

enum { ROWS = 2000, N_VECTORS = 20, WORK = N_VECTORS * (N_VECTORS + 8), SCALE = 10 };

typedef struct search {
    dsaupd_function *dsaupd;
    double resid[ROWS], v[ROWS * N_VECTORS], workd[3 * ROWS], workl[WORK];
} search;

static void *prepare_search(const bench_place *place, int side)
{
    (void)side;
    search *self = calloc(1, sizeof *self);
    self->dsaupd = (dsaupd_function *)bench_find(place, "dsaupd_");
    return self;
}

/* diag(1 … ROWS) with a large last entry, so that the search ends after few steps, each of them on long vectors. */
static void multiply(double *out, const double *in)
{
    for (int i = 0; i < ROWS; i++)
        out[i] = (i + 1) * in[i];
    out[ROWS - 1] *= SCALE;
}

static void search_once(search *self)
{
    int ido = 0, n = ROWS, nev = 1, ncv = N_VECTORS, lworkl = WORK, info = 0, iparam[11] = {0}, ipntr[14];
    double tol = 0;
    iparam[0] = 1;
    iparam[2] = 300;
    iparam[6] = 1;
    for (;;) {
        self->dsaupd(&ido, "I", &n, "LA", &nev, &tol, self->resid, &ncv, self->v, &n, iparam, ipntr, self->workd, self->workl,
                     &lworkl, &info, 1, 2);
        if (ido != 1 && ido != -1)
            break;
        multiply(self->workd + ipntr[1] - 1, self->workd + ipntr[0] - 1);
    }
    double found = self->workl[ipntr[5] - 1], wanted = (double)SCALE * ROWS;
    if (info != 0 || found < wanted - 1e-6 * wanted || found > wanted + 1e-6 * wanted)
        bench_die("ARPACK found %g, expected %g (info %d)", found, wanted, info);
}

static void run_search(void *state, int n_rounds)
{
    for (int i = 0; i < n_rounds; i++)
        search_once(state);
}

/* --- All of them ------------------------------------------------------------------------------------------------------------- */

/* `file` is below the folder of libraries. */
static void measure(bench_load load, const char *file)
{
    char path[BENCH_PATH];
    if (!bench_wants(load.name))
        return;
    if (!load.library && bench_find_library(file, path))
        load.library = path;
    if (load.library)
        bench_arrangements(&load);
    else
        printf("# %s: skipped, %s is not installed\n", load.name, file);
}

static void measure_openblas(const char *build, bool is_in_openmp)
{
    char name[32], file[64];
    bench_load load = {.name = name, .prepare = prepare_product, .run = run_product, .n_rounds = 50};
    snprintf(name, sizeof name, "%s.%s", is_in_openmp ? "in_openmp" : "openblas", build);
    snprintf(file, sizeof file, "openblas-%s/libopenblas.so.0", build);
#ifdef _OPENMP
    load.team = is_in_openmp ? openmp_team : NULL;
    measure(load, file);
#else
    if (!is_in_openmp)
        measure(load, file);
#endif
}

void bench_loads(void)
{
#ifdef BENCH_VLC_GUEST
    measure(
        (bench_load){
            .name = "openmp", .library = BENCH_VLC_GUEST, .prepare = prepare_program, .run = run_program, .n_rounds = 2000},
        NULL);
#endif
    measure_openblas("pthread", false);
    measure_openblas("openmp", false);
    measure_openblas("pthread", true);
    measure_openblas("openmp", true);
    measure((bench_load){.name = "arpack", .prepare = prepare_search, .run = run_search, .is_unsafe = true, .n_rounds = 50},
            "libarpack.so.2");
}
