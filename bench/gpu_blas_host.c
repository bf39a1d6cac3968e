/* gpu_blas_host.c - the operations by the BLAS and LAPACK of this machine, opened at run time. */
#include "gpu_blas.h"

#include <dlfcn.h>

static struct {
    void (*dpotrf_)(const char *uplo, const int *n, double *a, const int *ld, int *info);
    void (*dtrsm_)(const char *side, const char *uplo, const char *op, const char *diagonal, const int *m, const int *n,
                   const double *alpha, const double *a, const int *ld_a, double *b, const int *ld_b);
    void (*dsyrk_)(const char *uplo, const char *op, const int *n, const int *k, const double *alpha, const double *a,
                   const int *ld_a, const double *beta, double *c, const int *ld_c);
    void (*dgemm_)(const char *op_a, const char *op_b, const int *m, const int *n, const int *k, const double *alpha,
                   const double *a, const int *ld_a, const double *b, const int *ld_b, const double *beta, double *c,
                   const int *ld_c);
} lib;

static const double one = 1, minus_one = -1;

static const char *find(void)
{
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    library = library ? library : dlopen("liblapack.so.3", RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        return "neither libopenblas.so.0 nor liblapack.so.3 is found";
    }
    *(void **)&lib.dpotrf_ = dlsym(library, "dpotrf_");
    *(void **)&lib.dtrsm_ = dlsym(library, "dtrsm_");
    *(void **)&lib.dsyrk_ = dlsym(library, "dsyrk_");
    *(void **)&lib.dgemm_ = dlsym(library, "dgemm_");
    return lib.dpotrf_ && lib.dtrsm_ && lib.dsyrk_ && lib.dgemm_ ? NULL : "the BLAS of this machine is not whole";
}

static int open_nothing(void **out, void *stream)
{
    (void)stream;
    *out = NULL;
    return 0;
}

static void close_nothing(void *handle) { (void)handle; }

static int potrf(parla_context *context, void *handle, int n, double *a, int ld)
{
    int info = 0;
    (void)context;
    (void)handle;
    lib.dpotrf_("L", &n, a, &ld, &info);
    return info;
}

static int trsm(void *handle, int m, int n, const double *l, int ld_l, double *b, int ld_b)
{
    (void)handle;
    lib.dtrsm_("R", "L", "T", "N", &m, &n, &one, l, &ld_l, b, &ld_b);
    return 0;
}

static int syrk(void *handle, int n, int k, const double *a, int ld_a, double *c, int ld_c)
{
    (void)handle;
    lib.dsyrk_("L", "N", &n, &k, &minus_one, a, &ld_a, &one, c, &ld_c);
    return 0;
}

static int gemm(void *handle, int m, int n, int k, double alpha, const double *a, int ld_a, const double *b, int ld_b,
                bool is_b_transposed, double *c, int ld_c)
{
    (void)handle;
    lib.dgemm_("N", is_b_transposed ? "T" : "N", &m, &n, &k, &alpha, a, &ld_a, b, &ld_b, &one, c, &ld_c);
    return 0;
}

const gpu_blas gpu_blas_host = {"BLAS of the host", find, open_nothing, close_nothing, potrf, trsm, syrk, gemm};
