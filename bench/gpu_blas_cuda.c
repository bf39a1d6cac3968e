/* gpu_blas_cuda.c - the operations by cuBLAS and cuSOLVER, opened at run time. The declarations are our own; gpu_blas_abi.c compares them with
 * the toolkit's headers wherever those are found. */
#include "gpu_blas.h"

#include <parla/native.h>

#include <dlfcn.h>
#include <stdlib.h>

enum { LOWER = 0, NON_UNIT = 0, RIGHT = 1, OP_N = 0, OP_T = 1 };

static struct {
    int (*cublasCreate_v2)(void **out);
    int (*cublasDestroy_v2)(void *handle);
    int (*cublasSetStream_v2)(void *handle, void *stream);
    int (*cublasDgemm_v2)(void *handle, int op_a, int op_b, int m, int n, int k, const double *alpha, const double *a, int ld_a,
                          const double *b, int ld_b, const double *beta, double *c, int ld_c);
    int (*cublasDsyrk_v2)(void *handle, int uplo, int op, int n, int k, const double *alpha, const double *a, int ld_a,
                          const double *beta, double *c, int ld_c);
    int (*cublasDtrsm_v2)(void *handle, int side, int uplo, int op, int diagonal, int m, int n, const double *alpha,
                          const double *a, int ld_a, double *b, int ld_b);
    int (*cusolverDnCreate)(void **out);
    int (*cusolverDnDestroy)(void *handle);
    int (*cusolverDnSetStream)(void *handle, void *stream);
    int (*cusolverDnDpotrf_bufferSize)(void *handle, int uplo, int n, double *a, int ld, int *out);
    int (*cusolverDnDpotrf)(void *handle, int uplo, int n, double *a, int ld, double *workspace, int n_workspace, int *info);
} lib;

typedef struct handles {
    void *blas, *solver;
} handles;

static void *open_one(const char *const *names)
{
    void *library = NULL;
    for (; *names && !library; names++) {
        library = dlopen(*names, RTLD_NOW);
    }
    return library;
}

static const char *find(void)
{
    static const char *const blas_names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so", NULL};
    static const char *const solver_names[] = {"libcusolver.so.12", "libcusolver.so.11", "libcusolver.so", NULL};
    void *blas = open_one(blas_names), *solver = blas ? open_one(solver_names) : NULL;
    if (!blas || !solver) {
        return blas ? "libcusolver is not found" : "libcublas is not found";
    }
#define FIND(library, name)                                                                                                        \
    *(void **)&lib.name = dlsym(library, #name);                                                                                   \
    if (!lib.name) {                                                                                                               \
        return #name " is not found";                                                                                              \
    }
    FIND(blas, cublasCreate_v2)
    FIND(blas, cublasDestroy_v2)
    FIND(blas, cublasSetStream_v2)
    FIND(blas, cublasDgemm_v2)
    FIND(blas, cublasDsyrk_v2)
    FIND(blas, cublasDtrsm_v2)
    FIND(solver, cusolverDnCreate)
    FIND(solver, cusolverDnDestroy)
    FIND(solver, cusolverDnSetStream)
    FIND(solver, cusolverDnDpotrf_bufferSize)
    FIND(solver, cusolverDnDpotrf)
#undef FIND
    return NULL;
}

static int open_handles(void **out, void *stream)
{
    handles *h = calloc(1, sizeof(*h));
    int code = h ? lib.cublasCreate_v2(&h->blas) : -1;
    code = code ? code : lib.cusolverDnCreate(&h->solver);
    code = code ? code : lib.cublasSetStream_v2(h->blas, stream);
    code = code ? code : lib.cusolverDnSetStream(h->solver, stream);
    *out = h;
    return code;
}

static void close_handles(void *handle)
{
    handles *h = handle;
    (void)lib.cublasDestroy_v2(h->blas);
    (void)lib.cusolverDnDestroy(h->solver);
    free(h);
}

/* The workspace goes back in the order of the stream, behind the work that uses it. */
static int potrf(parla_context *context, void *handle, int n, double *a, int ld)
{
    const handles *h = handle;
    parla_block *workspace, *info;
    int n_workspace = 0;
    int code = lib.cusolverDnDpotrf_bufferSize(h->solver, LOWER, n, a, ld, &n_workspace);
    if (code) {
        return code;
    }
    if (parla_block_create(&workspace, context, 0, sizeof(double) * (size_t)(n_workspace > 0 ? n_workspace : 1)) < 0) {
        return -1;
    }
    if (parla_block_create(&info, context, 0, sizeof(int)) < 0) {
        parla_block_destroy(workspace);
        return -1;
    }
    code = lib.cusolverDnDpotrf(h->solver, LOWER, n, a, ld, parla_block_memory(workspace), n_workspace, parla_block_memory(info));
    parla_block_destroy(info);
    parla_block_destroy(workspace);
    return code;
}

static int trsm(void *handle, int m, int n, const double *l, int ld_l, double *b, int ld_b)
{
    const double one = 1;
    return lib.cublasDtrsm_v2(((handles *)handle)->blas, RIGHT, LOWER, OP_T, NON_UNIT, m, n, &one, l, ld_l, b, ld_b);
}

static int syrk(void *handle, int n, int k, const double *a, int ld_a, double *c, int ld_c)
{
    const double one = 1, minus_one = -1;
    return lib.cublasDsyrk_v2(((handles *)handle)->blas, LOWER, OP_N, n, k, &minus_one, a, ld_a, &one, c, ld_c);
}

static int gemm(void *handle, int m, int n, int k, double alpha, const double *a, int ld_a, const double *b, int ld_b,
                bool is_b_transposed, double *c, int ld_c)
{
    const double one = 1;
    return lib.cublasDgemm_v2(((handles *)handle)->blas, OP_N, is_b_transposed ? OP_T : OP_N, m, n, k, &alpha, a, ld_a, b, ld_b,
                              &one, c, ld_c);
}

const gpu_blas gpu_blas_cuda = {"cuBLAS, cuSOLVER", find, open_handles, close_handles, potrf, trsm, syrk, gemm};
