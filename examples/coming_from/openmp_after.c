/* openmp_after.c - the same here: what stood in depend() is a list of accesses; a name stands for a region, not for its first byte. */
#include <parla/parla.h>
#include <stdio.h>

enum { N = 1000, BLOCK = 250 };
static double x[N];

static int fill(parla_context *context, void *arg)
{
    (void)context;
    for (int first = *(int *)arg, i = first; i < first + BLOCK; i++)
        x[i] = i;
    return 0;
}

static int twice(parla_context *context, void *arg)
{
    (void)context;
    for (int first = *(int *)arg, i = first; i < first + BLOCK; i++)
        x[i] *= 2;
    return 0;
}

static int spawn(parla_runtime *rt, parla_body body, parla_data *data, int mode, int first)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body, options.arg = &first, options.arg_bytes = sizeof first;
    options.accesses = &(parla_access){data, mode, 0, &(parla_range){first, first + BLOCK, 1}}, options.n_accesses = 1;
    return parla_task_spawn(rt, NULL, &options);
}

int main(void)
{
    double sum = 0;
    parla_runtime *rt = NULL;
    parla_data *data = NULL;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    int rc = parla_strided_contiguous(&options.host, x, sizeof *x, 1, &(int64_t){N});
    rc = rc ? rc : parla_data_create(&data, &options);
    rc = rc ? rc : parla_runtime_create(&rt, NULL);
    for (int first = 0; first < N && !rc; first += BLOCK) {
        rc = spawn(rt, fill, data, PARLA_OUT, first);
        rc = rc ? rc : spawn(rt, twice, data, PARLA_INOUT, first);
    }
    rc = rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
    if (rc)
        fprintf(stderr, "%s\n", parla_error_detail());
    parla_runtime_destroy(rt);
    parla_data_unref(data);
    for (int i = 0; i < N; i++)
        sum += x[i];
    printf("sum %.1f\n", sum);
    return rc != 0;
}
