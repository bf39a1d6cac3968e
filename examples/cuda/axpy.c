/* axpy.c - a CUDA kernel launched from tasks, through the driver's own interface: y = a * x + y, in blocks.
 *
 * The kernel is PTX text, so the program is built without a toolkit. A task's body finds its blocks on its device and launches into the
 * task's stream; it does not wait: the task ends when the stream has passed, and the host reads y when all tasks of its block have.
 * usage: axpy [DEVICES]      "cuda" by default; "cuda:0,cuda:0" makes two devices of one card. Without a card it says so and ends. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include <parla/parla.h>

enum { N_BLOCKS = 8, BLOCK = 1 << 16, N_THREADS = 256, N_ROUNDS = 3, MAX_DEVICES = 64 };

static double x[N_BLOCKS][BLOCK], y[N_BLOCKS][BLOCK];

static const char ptx[] = ".version 6.5\n.target sm_75\n.address_size 64\n"
                          ".visible .entry axpy(.param .u64 n, .param .f64 a, .param .u64 x, .param .u64 y) {\n"
                          ".reg .pred %p; .reg .b32 %b<3>; .reg .b64 %i, %t, %n, %x, %y; .reg .f64 %a, %u, %v;\n"
                          "ld.param.u64 %n, [n]; ld.param.f64 %a, [a]; ld.param.u64 %x, [x]; ld.param.u64 %y, [y];\n"
                          "mov.u32 %b0, %ctaid.x; mov.u32 %b1, %ntid.x; mov.u32 %b2, %tid.x;\n"
                          "mul.wide.u32 %i, %b0, %b1; cvt.u64.u32 %t, %b2; add.u64 %i, %i, %t;\n"
                          "setp.ge.u64 %p, %i, %n; @%p bra DONE;\n"
                          "cvta.to.global.u64 %x, %x; cvta.to.global.u64 %y, %y; shl.b64 %i, %i, 3;\n"
                          "add.u64 %x, %x, %i; add.u64 %y, %y, %i;\n"
                          "ld.global.f64 %u, [%x]; ld.global.f64 %v, [%y]; fma.rn.f64 %v, %a, %u, %v; st.global.f64 [%y], %v;\n"
                          "DONE: ret; }\n";

/* What this program needs of the driver. */
static struct {
    int (*cuModuleLoadData)(void **out, const void *image);
    int (*cuModuleGetFunction)(void **out, void *module, const char *name);
    int (*cuLaunchKernel)(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **arguments, void **extra);
} cu;

static int find_driver(void)
{
    int (*get)(const char *name, void **out, int version, uint64_t flags, int *status);
    int status, rc = 0;
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    *(void **)&get = library ? dlsym(library, "cuGetProcAddress_v2") : NULL;
    if (!get)
        return -1;
    rc |= get("cuModuleLoadData", (void **)&cu.cuModuleLoadData, 2000, 0, &status);
    rc |= get("cuModuleGetFunction", (void **)&cu.cuModuleGetFunction, 2000, 0, &status);
    rc |= get("cuLaunchKernel", (void **)&cu.cuLaunchKernel, 4000, 0, &status);
    return rc;
}

static int checked(parla_context *context, int result, const char *what)
{
    return result == 0 ? 0 : parla_fail(context, PARLA_E_DEVICE, "%s: CUDA error %d", what, result);
}

/* The kernel on the task's device, loaded there once: it goes with the device's context. */
static int find_kernel(parla_context *context, void **out)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static void *kernels[MAX_DEVICES];
    void *module, **kernel = &kernels[parla_context_device(context, 0)];
    int rc = 0;
    pthread_mutex_lock(&lock);
    if (!*kernel)
        rc = checked(context, cu.cuModuleLoadData(&module, ptx), "cuModuleLoadData");
    if (!*kernel && rc == 0)
        rc = checked(context, cu.cuModuleGetFunction(kernel, module, "axpy"), "cuModuleGetFunction");
    *out = *kernel;
    pthread_mutex_unlock(&lock);
    return rc;
}

/* Accesses: a block of x, and the same block of y. The device's context is current here. */
static int axpy_body(parla_context *context, void *arg)
{
    parla_instance here[2];
    void *kernel;
    int64_t n = BLOCK;
    for (size_t i = 0; i < 2; i++)
        if (parla_context_instance(context, i, &here[i]) < 0)
            return parla_fail(context, PARLA_E_INVALID, "%s", parla_error_detail());
    void *arguments[] = {&n, arg, &here[0].box.base, &here[1].box.base};
    int rc = find_kernel(context, &kernel);
    if (rc)
        return rc;
    void *stream = parla_context_queue(context, 0);
    return checked(context, cu.cuLaunchKernel(kernel, BLOCK / N_THREADS, 1, 1, N_THREADS, 1, 1, 0, stream, arguments, NULL),
                   "cuLaunchKernel");
}

static int spawn_axpy(parla_runtime *rt, parla_data *data[2], double *a)
{
    const parla_choice choice = {&(parla_demand){.arch = PARLA_ARCH_GPU, .number = PARLA_ANY_NUMBER}, 1};
    const parla_access accesses[] = {{data[0], PARLA_IN, 0, NULL}, {data[1], PARLA_INOUT, 0, NULL}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = axpy_body, options.arg = a, options.name = "axpy";
    options.choices = &choice, options.n_choices = 1, options.accesses = accesses, options.n_accesses = 2;
    return parla_task_spawn(rt, NULL, &options);
}

static int run(parla_runtime *rt, parla_data *data[N_BLOCKS][2], double *a)
{
    int rc = 0;
    for (int i = 0; i < N_BLOCKS * 2 && !rc; i++) {
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        rc = parla_strided_contiguous(&options.host, i % 2 ? y[i / 2] : x[i / 2], sizeof(double), 1, (int64_t[]){BLOCK});
        rc = rc ? rc : parla_data_create(&data[i / 2][i % 2], &options);
    }
    for (int i = 0; i < N_ROUNDS * N_BLOCKS && !rc; i++)
        rc = spawn_axpy(rt, data[i % N_BLOCKS], a);
    return rc ? rc : parla_runtime_wait(rt, PARLA_FOREVER);
}

int main(int argc, char **argv)
{
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt;
    parla_data *data[N_BLOCKS][2] = {{NULL}};
    double a = 0.5, wrong = 0;
    options.devices = argc > 1 ? argv[1] : "cuda";
    if (find_driver() || parla_runtime_create(&rt, &options)) {
        printf("no CUDA devices here: %s\n", parla_error_detail());
        return 0;
    }
    for (int i = 0; i < N_BLOCKS * BLOCK; i++)
        x[i / BLOCK][i % BLOCK] = i;
    int rc = run(rt, data, &a);
    parla_runtime_destroy(rt); /* brings the blocks back to x and y */
    for (int i = 0; i < N_BLOCKS * 2; i++)
        parla_data_unref(data[i / 2][i % 2]);
    for (int i = 0; i < N_BLOCKS * BLOCK; i++)
        wrong += y[i / BLOCK][i % BLOCK] != N_ROUNDS * a * i;
    printf("%d tasks, %.0f wrong elements%s%s\n", N_ROUNDS * N_BLOCKS, wrong, rc ? ": " : "", rc ? parla_error_detail() : "");
    return rc || wrong > 0;
}
