/* gpu_blas_abi.c - compiled and linked where the CUDA toolkit is, never run: calls what gpu_blas_cuda.c declares with arguments of the types
 * that it declares, so that the compiler compares them with the toolkit's headers, and the linker looks for the names. */
#include <cublas_v2.h>
#include <cusolverDn.h>

_Static_assert(sizeof(cublasStatus_t) == sizeof(int) && sizeof(cusolverStatus_t) == sizeof(int), "codes are ints");
_Static_assert(sizeof(cublasOperation_t) == sizeof(int) && sizeof(cublasFillMode_t) == sizeof(int), "options are ints");
_Static_assert(sizeof(cublasSideMode_t) == sizeof(int) && sizeof(cublasDiagType_t) == sizeof(int), "options are ints");
_Static_assert(CUBLAS_FILL_MODE_LOWER == 0 && CUBLAS_DIAG_NON_UNIT == 0 && CUBLAS_SIDE_RIGHT == 1, "values of options");
_Static_assert(CUBLAS_OP_N == 0 && CUBLAS_OP_T == 1, "values of options");
_Static_assert(CUBLAS_STATUS_SUCCESS == 0 && CUSOLVER_STATUS_SUCCESS == 0, "success is 0");

int main(int argc, char **argv)
{
    void *blas = argv, *solver = argv, *stream = argv;
    const double *in = (const double *)argv;
    double *out = (double *)argv;
    int n = argc, n_workspace, info, code = 0;
    cublasHandle_t blas_handle;
    cusolverDnHandle_t solver_handle;
    code += (int)cublasCreate_v2(&blas_handle);
    code += (int)cublasSetStream_v2(blas, stream);
    code += (int)cublasDgemm_v2(blas, CUBLAS_OP_N, CUBLAS_OP_T, n, n, n, in, in, n, in, n, in, out, n);
    code += (int)cublasDsyrk_v2(blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, n, n, in, in, n, in, out, n);
    code += (int)cublasDtrsm_v2(blas, CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T, CUBLAS_DIAG_NON_UNIT, n, n, in, in, n,
                                out, n);
    code += (int)cublasDestroy_v2(blas);
    code += (int)cusolverDnCreate(&solver_handle);
    code += (int)cusolverDnSetStream(solver, stream);
    code += (int)cusolverDnDpotrf_bufferSize(solver, CUBLAS_FILL_MODE_LOWER, n, out, n, &n_workspace);
    code += (int)cusolverDnDpotrf(solver, CUBLAS_FILL_MODE_LOWER, n, out, n, out, n_workspace, &info);
    code += (int)cusolverDnDestroy(solver);
    return code;
}
