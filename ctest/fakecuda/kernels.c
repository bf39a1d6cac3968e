/* kernels.c - what stands in for kernels: host functions that are found under their names in any module. */
#include "state.h"

#include <string.h>
#include <time.h>

/* y[i] = a * x[i] + y[i] */
typedef struct axpy {
    int64_t n;
    double a;
    const double *x;
    double *y;
} axpy;

static void axpy_prepare(void **arguments, unsigned char *out, fc_box *reads, fc_box *writes)
{
    axpy k = {*(int64_t *)arguments[0], *(double *)arguments[1], *(const double **)arguments[2], *(double **)arguments[3]};
    size_t n_bytes = (size_t)k.n * sizeof(double);
    *reads = (fc_box){(uintptr_t)k.x, n_bytes, 1, 1, 0, 0};
    *writes = (fc_box){(uintptr_t)k.y, n_bytes, 1, 1, 0, 0};
    memcpy(out, &k, sizeof k);
}

static void axpy_run(const void *arguments)
{
    axpy k;
    memcpy(&k, arguments, sizeof k);
    for (int64_t i = 0; i < k.n; i++)
        k.y[i] += k.a * k.x[i];
}

static void empty_prepare(void **arguments, unsigned char *out, fc_box *reads, fc_box *writes)
{
    (void)arguments;
    (void)out;
    *reads = *writes = (fc_box){0};
}

static void empty_run(const void *arguments) { (void)arguments; }

/* Takes so many nanoseconds. */
static void spin_prepare(void **arguments, unsigned char *out, fc_box *reads, fc_box *writes)
{
    memcpy(out, arguments[0], sizeof(int64_t));
    *reads = *writes = (fc_box){0};
}

static void spin_run(const void *arguments)
{
    int64_t ns;
    struct timespec begin, now;
    memcpy(&ns, arguments, sizeof ns);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((int64_t)(now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < ns);
}

static const fc_kernel kernels[] = {
    {"axpy", axpy_prepare, axpy_run}, {"empty", empty_prepare, empty_run}, {"spin", spin_prepare, spin_run}};

const fc_kernel *fc_kernel_find(const char *name)
{
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
        if (strcmp(kernels[i].name, name) == 0)
            return &kernels[i];
    return NULL;
}
