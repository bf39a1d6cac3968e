/* inner_product.c - the inner product of two vectors, block by block on four GPUs, with the C interface.
 *
 * Each block is an array (parla_data) over its part of the vectors' host memory. One task per GPU reads its two blocks, which the
 * runtime moves there, and writes a partial sum; a CPU task reads the partial sums, which the runtime moves back, and adds them.
 * The GPUs are simulated: the CPU can address their memory, so the bodies are plain C. */
#include <stdio.h>

#include <parla/parla.h>

enum { N_GPUS = 4, BLOCK = 1 << 18, N = N_GPUS * BLOCK };
enum { A, B, SUM, N_ARRAYS };

static double a[N], b[N];

/* Points `out` at the elements of the i-th access of the task, on the task's device. */
static int elements(parla_context *context, size_t i, double **out)
{
    parla_instance instance;
    int rc = parla_context_instance(context, i, &instance);
    if (rc)
        return parla_fail(context, rc, "array %zu is not here: %s", i, parla_error_detail());
    *out = instance.box.base;
    return 0;
}

/* Accesses: the blocks of a and b, and the partial sum. */
static int multiply_body(parla_context *context, void *arg)
{
    (void)arg;
    double *x = NULL, *y = NULL, *sum = NULL;
    int rc = elements(context, A, &x);
    rc = rc ? rc : elements(context, B, &y);
    rc = rc ? rc : elements(context, SUM, &sum);
    if (rc == 0)
        *sum = 0.0;
    for (int i = 0; rc == 0 && i < BLOCK; i++)
        *sum += x[i] * y[i];
    return rc;
}

/* Accesses: the partial sums. */
static int reduce_body(parla_context *context, void *arg)
{
    double *total = arg, *sum = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < N_GPUS; i++) {
        rc = elements(context, i, &sum);
        *total += rc ? 0.0 : *sum;
    }
    return rc;
}

/* An array of n doubles over host memory; `host` NULL: without content, and the library finds the memory. */
static int vector_create(parla_data **out, double *host, int64_t n)
{
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    int rc = parla_strided_contiguous(&options.host, host, sizeof(double), 1, &n);
    return rc ? rc : parla_data_create(out, &options);
}

/* Spawns the task of GPU i under the name space[i], and makes its arrays. */
static int spawn_multiply(parla_runtime *rt, parla_space *space, int i, parla_data *data[N_ARRAYS])
{
    int rc = vector_create(&data[A], a + (size_t)i * BLOCK, BLOCK);
    rc = rc ? rc : vector_create(&data[B], b + (size_t)i * BLOCK, BLOCK);
    rc = rc ? rc : vector_create(&data[SUM], NULL, 1);

    const parla_choice choice = {&(parla_demand){.arch = PARLA_ARCH_GPU, .number = i}, 1};
    const parla_access accesses[] = {{data[A], PARLA_IN, 0, NULL}, {data[B], PARLA_IN, 0, NULL}, {data[SUM], PARLA_OUT, 0, NULL}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = multiply_body, options.choices = &choice, options.n_choices = 1;
    options.accesses = accesses, options.n_accesses = N_ARRAYS;
    rc = rc ? rc : parla_space_at(space, (int64_t[]){i}, 1, &options.task);
    return rc ? rc : parla_task_spawn(rt, NULL, &options);
}

/* Computes the product of a and b. The arrays that the tasks use stay in `data` for the caller to drop, also after an error. */
static int inner_product(parla_runtime *rt, parla_space *space, parla_data *data[N_GPUS][N_ARRAYS], double *out)
{
    parla_access sums[N_GPUS];
    int rc = 0;
    for (int i = 0; !rc && i < N_GPUS; i++) {
        rc = spawn_multiply(rt, space, i, data[i]);
        sums[i] = (parla_access){data[i][SUM], PARLA_IN, 0, NULL};
    }
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = reduce_body, options.arg = out, options.name = "reduce", options.accesses = sums, options.n_accesses = N_GPUS;
    rc = rc ? rc : parla_task_spawn(rt, NULL, &options);
    return rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
}

int main(void)
{
    double expected = 0.0, result = 0.0;
    for (int i = 0; i < N; i++)
        expected += (a[i] = i % 1000) * (b[i] = i % 7);

    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = "sim:4";
    parla_runtime *rt = NULL;
    parla_space *space = NULL;
    parla_data *data[N_GPUS][N_ARRAYS] = {{NULL}};
    parla_failure *failure = NULL;
    int rc = parla_runtime_create(&rt, &options);
    rc = rc ? rc : parla_space_create(&space, rt, "multiply");
    rc = rc ? rc : inner_product(rt, space, data, &result);
    if (rc)
        fprintf(stderr, "inner_product: %s: %s\n", parla_error_text(rc), parla_error_detail());
    else if ((rc = parla_runtime_take_failure(rt, &failure)) == 0) /* PARLA_PENDING: no task failed */
        fprintf(stderr, "inner_product: %s: %s\n", parla_failure_task_name(failure), parla_failure_message(failure));
    else
        printf("inner product of 2 x %d numbers on %d simulated GPUs: %.0f (expected %.0f)\n", N, N_GPUS, result, expected);

    parla_failure_unref(failure);
    parla_space_destroy(space);
    parla_runtime_destroy(rt);
    for (int i = 0; i < N_GPUS * N_ARRAYS; i++)
        parla_data_unref(data[i / N_ARRAYS][i % N_ARRAYS]);
    return rc == PARLA_PENDING && result == expected ? 0 : 1;
}
