/* gpu_blas.h - the four operations of the tiled benchmarks, in a task's stream: by cuBLAS and cuSOLVER, or on the host by the BLAS that is
 * there, so that the programs are tried where no card is. Both are looked up when they run. Matrices are in column order. */
#ifndef PARLA_BENCH_GPU_BLAS_H
#define PARLA_BENCH_GPU_BLAS_H

#include <parla/parla.h>

typedef struct gpu_blas {
    const char *name;
    /* Finds the libraries; NULL, or what is missing. */
    const char *(*find)(void);
    /* A handle for one thread and one stream. Returns a code of the library, 0 for success; so do all below. */
    int (*open)(void **out, void *stream);
    void (*close)(void *handle);
    /* a = l * l', lower; in place. It takes its workspace from the task's device. */
    int (*potrf)(parla_context *context, void *handle, int n, double *a, int ld);
    /* b = b * inverse(l') */
    int (*trsm)(void *handle, int m, int n, const double *l, int ld_l, double *b, int ld_b);
    /* c = c - a * a', lower */
    int (*syrk)(void *handle, int n, int k, const double *a, int ld_a, double *c, int ld_c);
    /* c = c + alpha * a * b, or b' */
    int (*gemm)(void *handle, int m, int n, int k, double alpha, const double *a, int ld_a, const double *b, int ld_b,
                bool is_b_transposed, double *c, int ld_c);
} gpu_blas;

extern const gpu_blas gpu_blas_cuda, gpu_blas_host;

#endif
