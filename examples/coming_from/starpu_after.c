/* starpu_after.c - the same here: one array whose regions tasks name, on the CPU or a GPU; two simulated ones stand in for real ones. */
#include <parla/parla.h>
#include <stdio.h>

enum { N = 1000, BLOCK = 250 };
static double x[N];

/* The array where the task runs; `first` is in the task. */
static int elements(parla_context *context, double **out)
{
    parla_instance instance;
    int rc = parla_context_instance(context, 0, &instance);
    *out = rc ? NULL : instance.box.base;
    return rc;
}

static int fill(parla_context *context, void *arg)
{
    double *there;
    int first = *(int *)arg, rc = elements(context, &there);
    for (int i = first; i < first + BLOCK && !rc; i++)
        there[i] = i;
    return rc;
}

static int twice(parla_context *context, void *arg)
{
    double *there;
    int first = *(int *)arg, rc = elements(context, &there);
    for (int i = first; i < first + BLOCK && !rc; i++)
        there[i] *= 2;
    return rc;
}

static int spawn(parla_runtime *rt, parla_body body, parla_data *data, int mode, int first)
{
    const parla_demand gpu = {.arch = PARLA_ARCH_GPU, .number = PARLA_ANY_NUMBER}, cpu = {.arch = PARLA_ARCH_CPU, .number = 0};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body, options.arg = &first, options.arg_bytes = sizeof first;
    options.choices = (parla_choice[]){{&gpu, 1}, {&cpu, 1}}, options.n_choices = 2;
    options.accesses = &(parla_access){data, mode, 0, &(parla_range){first, first + BLOCK, 1}}, options.n_accesses = 1;
    return parla_task_spawn(rt, NULL, &options);
}

int main(void)
{
    double sum = 0;
    parla_runtime *rt = NULL;
    parla_data *data = NULL;
    parla_data_options array = PARLA_DATA_OPTIONS_INIT;
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = "sim:2";
    int rc = parla_strided_contiguous(&array.host, x, sizeof *x, 1, &(int64_t){N});
    rc = rc ? rc : parla_data_create(&data, &array);
    rc = rc ? rc : parla_runtime_create(&rt, &options);
    for (int first = 0; first < N && !rc; first += BLOCK) {
        rc = spawn(rt, fill, data, PARLA_OUT, first);
        rc = rc ? rc : spawn(rt, twice, data, PARLA_INOUT, first);
    }
    rc = rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
    if (rc)
        fprintf(stderr, "%s\n", parla_error_detail());
    parla_runtime_destroy(rt); /* writes the array back to x */
    parla_data_unref(data);
    for (int i = 0; i < N; i++)
        sum += x[i];
    printf("sum %.1f\n", sum);
    return rc != 0;
}
