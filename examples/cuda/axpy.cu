// axpy.cu - a kernel of one's own, launched from tasks into the stream of each: y = a * x + y, in blocks.
//
// A body does not wait for its kernel: the task ends when its stream has passed. The device is current in a body, so the runtime API and
// libraries on top of it (cuBLAS, Thrust) work in it as they are.
#include <cstdio>
#include <vector>

#include <parla/parla.h>

constexpr int n_blocks = 8, n_rounds = 3, n_threads = 256;
constexpr int64_t block = 1 << 16;

__global__ void axpy(int64_t n, double a, const double *x, double *y)
{
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < n)
        y[i] += a * x[i];
}

// Accesses: a block of x, and the same block of y.
static int axpy_body(parla_context *context, void *arg)
{
    parla_instance x, y;
    if (parla_context_instance(context, 0, &x) < 0 || parla_context_instance(context, 1, &y) < 0)
        return parla_fail(context, PARLA_E_INVALID, "%s", parla_error_detail());
    auto stream = static_cast<cudaStream_t>(parla_context_queue(context, 0));
    axpy<<<(block + n_threads - 1) / n_threads, n_threads, 0, stream>>>(block, *static_cast<double *>(arg),
                                                                         static_cast<const double *>(x.box.base),
                                                                         static_cast<double *>(y.box.base));
    cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? 0 : parla_fail(context, PARLA_E_DEVICE, "axpy: %s", cudaGetErrorString(error));
}

static int vector_create(parla_data **out, double *host)
{
    parla_data_options options = {};
    options.size = sizeof options;
    int rc = parla_strided_contiguous(&options.host, host, sizeof(double), 1, &block);
    return rc ? rc : parla_data_create(out, &options);
}

static int spawn_axpy(parla_runtime *rt, parla_data *x, parla_data *y, double *a)
{
    parla_demand demand = {PARLA_ARCH_GPU, PARLA_ANY_NUMBER, 0, 0};
    parla_choice choice = {&demand, 1};
    parla_access accesses[] = {{x, PARLA_IN, 0, nullptr}, {y, PARLA_INOUT, 0, nullptr}};
    parla_task_options options = {};
    options.size = sizeof options;
    options.body = axpy_body;
    options.arg = a;
    options.name = "axpy";
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = 2;
    return parla_task_spawn(rt, nullptr, &options);
}

int main(int argc, char **argv)
{
    parla_options options = {};
    parla_runtime *rt;
    options.size = sizeof options;
    options.devices = argc > 1 ? argv[1] : "cuda";
    if (parla_runtime_create(&rt, &options)) {
        std::printf("no CUDA devices here: %s\n", parla_error_detail());
        return 0;
    }
    std::vector<double> x(n_blocks * block), y(n_blocks * block);
    std::vector<parla_data *> data(2 * n_blocks);
    double a = 0.5;
    int rc = 0;
    for (size_t i = 0; i < x.size(); i++)
        x[i] = (double)i;
    for (int i = 0; i < n_blocks && !rc; i++) {
        rc = vector_create(&data[2 * i], &x[i * block]);
        rc = rc ? rc : vector_create(&data[2 * i + 1], &y[i * block]);
    }
    for (int i = 0; i < n_rounds * n_blocks && !rc; i++)
        rc = spawn_axpy(rt, data[2 * (i % n_blocks)], data[2 * (i % n_blocks) + 1], &a);
    rc = rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
    if (rc)
        std::printf("%s\n", parla_error_detail());
    parla_runtime_destroy(rt); // brings the blocks back to x and y
    for (parla_data *one : data)
        parla_data_unref(one);
    size_t n_wrong = 0;
    for (size_t i = 0; i < y.size(); i++)
        n_wrong += y[i] != n_rounds * a * x[i];
    std::printf("%d tasks, %zu wrong elements\n", n_rounds * n_blocks, n_wrong);
    return rc || n_wrong > 0;
}
