/* gpu_tiles.c - Cholesky factorisation and matrix product in tiles, one task a tile operation, beside one call of the library for the whole
 * matrix. ci/gpu runs this on a card, on one and on four logical devices.
 *
 *   cholesky.N, gemm.N   N x N doubles, in 8 x 8 tiles, on all GPUs of PARLA_DEVICES, in turn by rows and columns
 * A value is GFLOP/s; ratio is the share of what the library reaches alone, in one task on one device. On simulated devices the BLAS of the
 * host does the work, to try the program. Results are checked by samples. */
#include "bench.h"
#include "gpu_blas.h"
#include "gpu_driver.h"

#include <parla/native.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TILES = 8, MAX_HANDLES = 1024, N_RUNS = 3, N_SAMPLES = 20 };

static parla_runtime *rt;
static const gpu_blas *blas;
static int n_gpus;

/* --- Handles: one for each thread and stream ---------------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    void *stream, *handle;
} known[MAX_HANDLES];
static int n_known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int handle_of(parla_context *context, void **out)
{
    void *stream = parla_context_queue(context, 0);
    int code = 0, i = 0;
    pthread_mutex_lock(&lock);
    while (i < n_known && !(pthread_equal(known[i].thread, pthread_self()) && known[i].stream == stream)) {
        i++;
    }
    if (i == MAX_HANDLES) {
        code = -1;
    } else if (i == n_known) {
        known[i].thread = pthread_self();
        known[i].stream = stream;
        code = blas->open(&known[i].handle, stream);
        n_known += code == 0;
    }
    *out = code == 0 ? known[i].handle : NULL;
    pthread_mutex_unlock(&lock);
    return code;
}

/* --- Tasks -------------------------------------------------------------------------------------------------------------------- */

typedef enum operation { FILL, POTRF, TRSM, SYRK, GEMM_TRANSPOSED, GEMM } operation;

/* What a body needs besides its arrays: the last one is written. */
typedef struct order {
    operation what;
    int n;                  /* rows and columns of the tiles */
    const double *from;     /* FILL: n_blocks x n_blocks copies of this block … */
    const double *diagonal; /* … and of this one where row and column are equal, if it is not NULL */
    int n_blocks;
} order;

static int fill(parla_context *context, const order *o, double *a)
{
    int b = o->n / o->n_blocks, here = parla_context_device(context, 0);
    for (int i = 0; i < o->n_blocks; i++) {
        for (int j = 0; j < o->n_blocks; j++) {
            const double *from = i == j && o->diagonal ? o->diagonal : o->from;
            parla_strided dst = {.base = a + (size_t)j * (size_t)b * (size_t)o->n + (size_t)i * (size_t)b,
                                 .item_bytes = sizeof(double),
                                 .ndim = 2,
                                 .extent = {b, b}};
            parla_strided src = dst;
            dst.stride[0] = (int64_t)sizeof(double) * o->n;
            src.stride[0] = (int64_t)sizeof(double) * b;
            dst.stride[1] = src.stride[1] = sizeof(double);
            src.base = (void *)from;
            int code = parla_context_copy(context, 0, &dst, here, &src, 0);
            if (code < 0) {
                return code;
            }
        }
    }
    return parla_context_drain(context, 0);
}

static int call(parla_context *context, const order *o, double *const *a)
{
    void *handle;
    int n = o->n, code = o->what == FILL ? 0 : handle_of(context, &handle);
    if (code != 0) {
        return code;
    }
    switch (o->what) {
    case FILL:
        return fill(context, o, a[0]);
    case POTRF:
        return blas->potrf(context, handle, n, a[0], n);
    case TRSM:
        return blas->trsm(handle, n, n, a[0], n, a[1], n);
    case SYRK:
        return blas->syrk(handle, n, n, a[0], n, a[1], n);
    case GEMM_TRANSPOSED:
        return blas->gemm(handle, n, n, n, -1, a[0], n, a[1], n, true, a[2], n);
    default:
        return blas->gemm(handle, n, n, n, 1, a[0], n, a[1], n, false, a[2], n);
    }
}

static int n_arrays(operation what) { return what <= POTRF ? 1 : what <= SYRK ? 2 : 3; }

static int body(parla_context *context, void *arg)
{
    const order *o = arg;
    double *a[3] = {NULL};
    for (int i = 0; i < n_arrays(o->what); i++) {
        parla_instance here;
        int code = parla_context_instance(context, (size_t)i, &here);
        if (code < 0) {
            return parla_fail(context, code, "%s", parla_error_detail());
        }
        a[i] = here.box.base;
    }
    int code = call(context, o, a);
    return code == 0 ? 0
                     : parla_fail(context, PARLA_E_DEVICE, "operation %d of %s: %d %s", (int)o->what, blas->name, code,
                                  parla_error_detail());
}

static void spawn(const order *o, int gpu, parla_data *first, parla_data *second, parla_data *third)
{
    parla_data *arrays[] = {first, second, third};
    const parla_demand demand = {PARLA_ARCH_GPU, gpu, 0, 0};
    const parla_choice choice = {&demand, 1};
    parla_access accesses[3] = {{0}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    int n = n_arrays(o->what);
    for (int i = 0; i < n; i++) {
        accesses[i] = (parla_access){.data = arrays[i], .mode = i < n - 1 ? PARLA_IN : o->what == FILL ? PARLA_OUT : PARLA_INOUT};
    }
    options.body = body;
    options.arg = (void *)o;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = (size_t)n;
    check(parla_task_spawn(rt, NULL, &options), "a task");
}

static void wait_for_all(void) { check(parla_runtime_wait(rt, PARLA_FOREVER), "the tasks"); }

/* --- Matrices ----------------------------------------------------------------------------------------------------------------- */

typedef struct matrix {
    int n, n_tiles;
    parla_data *tiles[N_TILES][N_TILES];
} matrix;

static void matrix_create(matrix *m, int n, int n_tiles)
{
    *m = (matrix){.n = n, .n_tiles = n_tiles};
    for (int i = 0; i < n_tiles * n_tiles; i++) {
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        int64_t extent[] = {n / n_tiles, n / n_tiles};
        check(parla_strided_contiguous(&options.host, NULL, sizeof(double), 2, extent), "a tile");
        check(parla_data_create(&m->tiles[i / n_tiles][i % n_tiles], &options), "a tile");
    }
}

static void matrix_destroy(matrix *m)
{
    for (int i = 0; i < m->n_tiles * m->n_tiles; i++) {
        parla_data_unref(m->tiles[i / m->n_tiles][i % m->n_tiles]);
    }
}

/* Rows and columns in turn, so that four devices are two by two. */
static int gpu_of(int i, int j)
{
    int n_columns = n_gpus % 2 == 0 ? 2 : 1, n_rows = n_gpus / n_columns;
    return i % n_rows * n_columns + j % n_columns;
}

/* The same block everywhere, another one on the diagonal if there is one. */
static void matrix_fill(const matrix *m, const double *block, const double *diagonal)
{
    static order of_tile, of_diagonal, of_whole;
    int b = m->n / m->n_tiles;
    of_tile = (order){FILL, b, block, NULL, 1};
    of_diagonal = (order){FILL, b, diagonal ? diagonal : block, NULL, 1};
    of_whole = (order){FILL, m->n, block, diagonal, N_TILES};
    for (int i = 0; i < m->n_tiles; i++) {
        for (int j = 0; j < m->n_tiles; j++) {
            spawn(m->n_tiles == 1 ? &of_whole : i == j ? &of_diagonal : &of_tile, gpu_of(i, j), m->tiles[i][j], NULL, NULL);
        }
    }
    wait_for_all();
}

static void cholesky(const matrix *a)
{
    static order potrf, trsm, syrk, gemm;
    int b = a->n / a->n_tiles;
    potrf = (order){.what = POTRF, .n = b};
    trsm = (order){.what = TRSM, .n = b};
    syrk = (order){.what = SYRK, .n = b};
    gemm = (order){.what = GEMM_TRANSPOSED, .n = b};
    for (int k = 0; k < a->n_tiles; k++) {
        spawn(&potrf, gpu_of(k, k), a->tiles[k][k], NULL, NULL);
        for (int i = k + 1; i < a->n_tiles; i++) {
            spawn(&trsm, gpu_of(i, k), a->tiles[k][k], a->tiles[i][k], NULL);
        }
        for (int i = k + 1; i < a->n_tiles; i++) {
            spawn(&syrk, gpu_of(i, i), a->tiles[i][k], a->tiles[i][i], NULL);
            for (int j = k + 1; j < i; j++) {
                spawn(&gemm, gpu_of(i, j), a->tiles[i][k], a->tiles[j][k], a->tiles[i][j]);
            }
        }
    }
    wait_for_all();
}

static void product(const matrix *a, const matrix *b, const matrix *c)
{
    static order gemm;
    gemm = (order){.what = GEMM, .n = a->n / a->n_tiles};
    for (int k = 0; k < a->n_tiles; k++) {
        for (int i = 0; i < a->n_tiles; i++) {
            for (int j = 0; j < a->n_tiles; j++) {
                spawn(&gemm, gpu_of(i, j), a->tiles[i][k], b->tiles[k][j], c->tiles[i][j]);
            }
        }
    }
    wait_for_all();
}

/* --- Checks ------------------------------------------------------------------------------------------------------------------- */

/* Elements first … first + n_items of a row. */
static void read_row(const matrix *m, int row, int n_items, double *out)
{
    int b = m->n / m->n_tiles;
    for (int j = 0; j * b < n_items; j++) {
        parla_instance here;
        check(parla_data_acquire(rt, m->tiles[row / b][j], PARLA_IN, PARLA_FOREVER, &here), "a tile");
        for (int k = 0; k < b && j * b + k < n_items; k++) {
            out[j * b + k] = ((const double *)here.box.base)[(size_t)k * (size_t)b + (size_t)(row % b)];
        }
        parla_data_release(m->tiles[row / b][j], PARLA_IN);
    }
}

static double random_element(void) { return (double)rand() / RAND_MAX - 0.5; }

/* l * l' is the matrix again. */
static void check_cholesky(const matrix *l, const double *block, const double *diagonal)
{
    int n = l->n, b = n / N_TILES;
    double *upper = malloc(sizeof(double) * (size_t)n), *lower = malloc(sizeof(double) * (size_t)n);
    for (int s = 0; s < N_SAMPLES; s++) {
        int i = rand() % n, j = rand() % (i + 1);
        double sum = 0;
        read_row(l, i, j + 1, lower);
        read_row(l, j, j + 1, upper);
        for (int k = 0; k <= j; k++) {
            sum += lower[k] * upper[k];
        }
        const double *from = i / b == j / b ? diagonal : block;
        double expected = from[(size_t)(j % b) * (size_t)b + (size_t)(i % b)];
        if (fabs(sum - expected) > 1e-9 * n) {
            bench_die("element %d, %d of l * l' is %g instead of %g", i, j, sum, expected);
        }
    }
    free(upper);
    free(lower);
}

/* All tiles of a and b are the same block. */
static void check_product(const matrix *c, const double *block)
{
    int n = c->n, b = n / N_TILES;
    double *row = malloc(sizeof(double) * (size_t)n);
    for (int s = 0; s < N_SAMPLES; s++) {
        int i = rand() % n, j = rand() % n;
        double sum = 0;
        read_row(c, i, n, row);
        for (int k = 0; k < b; k++) {
            sum += N_TILES * block[(size_t)k * (size_t)b + (size_t)(i % b)] * block[(size_t)(j % b) * (size_t)b + (size_t)k];
        }
        if (fabs(row[j] - sum) > 1e-9 * n) {
            bench_die("element %d, %d of the product is %g instead of %g", i, j, row[j], sum);
        }
    }
    free(row);
}

/* --- Cases -------------------------------------------------------------------------------------------------------------------- */

/* Symmetric with `shift` added to the diagonal, or a plain random block if that is 0. */
static double *make_block(int b, double shift)
{
    double *block = malloc(sizeof(double) * (size_t)b * (size_t)b);
    if (!block) {
        bench_die("no memory");
    }
    for (int j = 0; j < b; j++) {
        for (int i = 0; i < b; i++) {
            bool is_copy = shift > 0 && i < j;
            block[(size_t)j * (size_t)b + (size_t)i] = is_copy ? block[(size_t)i * (size_t)b + (size_t)j] : random_element();
        }
        block[(size_t)j * (size_t)b + (size_t)j] += shift;
    }
    return block;
}

/* `peer_ns` is 0 if the whole matrices do not fit on one device. */
static void report(const char *what, int n, double flops, double ours_ns, double peer_ns)
{
    printf("{\"bench\": \"gpu_tiles\", \"case\": \"%s.%d@%d\", \"metric\": \"rate\", \"unit\": \"GFLOP/s\", \"value\": %.2f, ",
           what, n, n_gpus, flops / ours_ns);
    if (peer_ns > 0) {
        printf("\"peer\": \"%s alone\", \"peer_value\": %.2f, \"ratio\": %.3f}\n", blas->name, flops / peer_ns, peer_ns / ours_ns);
    } else {
        printf("\"peer\": null, \"peer_value\": null, \"ratio\": null}\n");
    }
    fflush(stdout);
}

/* Do so many matrices fit on one device, with something to spare for workspaces? */
static bool fit_on_one(int n_matrices, int n)
{
    parla_device_info info = {.size = sizeof(info)};
    int i_device;
    check(parla_device_find(rt, PARLA_ARCH_GPU, 0, &i_device), "a GPU");
    check(parla_device_query(rt, i_device, &info), "a GPU");
    return 1.15 * n_matrices * n * (double)n * sizeof(double) < (double)info.memory_bytes;
}

/* In tiles each device holds its share, and copies of a row and a column of those of others. */
static bool fit_in_tiles(int n_matrices, int n)
{
    bool do_fit = fit_on_one(n_matrices, (int)(n / sqrt(n_gpus > 1 ? n_gpus / 2.0 : 1)));
    if (!do_fit) {
        printf("# %d matrices of %d x %d do not fit on %d devices\n", n_matrices, n, n, n_gpus);
    }
    return do_fit;
}

static int n_runs(void) { return bench_is_smoke() ? 1 : N_RUNS; }

static double time_cholesky(int n, int n_tiles, const double *block, const double *diagonal)
{
    matrix a;
    double best_ns = 0;
    matrix_create(&a, n, n_tiles);
    for (int i = -1; i < n_runs(); i++) { /* the first warms up, and is checked */
        matrix_fill(&a, block, diagonal);
        double begin_ns = bench_now_ns();
        cholesky(&a);
        double ns = bench_now_ns() - begin_ns;
        best_ns = i <= 0 || ns < best_ns ? ns : best_ns;
        if (i < 0 && n <= 8192) {
            check_cholesky(&a, block, diagonal);
        }
    }
    matrix_destroy(&a);
    return best_ns;
}

static double time_product(int n, int n_tiles, const double *block, const double *zeros)
{
    matrix a, b, c;
    double best_ns = 0;
    matrix_create(&a, n, n_tiles);
    matrix_create(&b, n, n_tiles);
    matrix_create(&c, n, n_tiles);
    matrix_fill(&a, block, NULL);
    matrix_fill(&b, block, NULL);
    for (int i = -1; i < n_runs(); i++) {
        matrix_fill(&c, zeros, NULL);
        double begin_ns = bench_now_ns();
        product(&a, &b, &c);
        double ns = bench_now_ns() - begin_ns;
        best_ns = i <= 0 || ns < best_ns ? ns : best_ns;
        if (i < 0 && n <= 8192) {
            check_product(&c, block);
        }
    }
    matrix_destroy(&a);
    matrix_destroy(&b);
    matrix_destroy(&c);
    return best_ns;
}

static void measure(int n)
{
    char name[32];
    double *block = make_block(n / N_TILES, 0), *diagonal = make_block(n / N_TILES, n), *zeros;
    zeros = calloc((size_t)(n / N_TILES) * (size_t)(n / N_TILES), sizeof(double));
    snprintf(name, sizeof(name), "cholesky.%d", n);
    if (bench_wants(name) && fit_in_tiles(1, n)) {
        double ours_ns = time_cholesky(n, N_TILES, block, diagonal);
        report("cholesky", n, (double)n * n * n / 3, ours_ns, fit_on_one(1, n) ? time_cholesky(n, 1, block, diagonal) : 0);
    }
    snprintf(name, sizeof(name), "gemm.%d", n);
    if (bench_wants(name) && fit_in_tiles(3, n)) {
        double ours_ns = time_product(n, N_TILES, block, zeros);
        report("gemm", n, 2.0 * n * n * n, ours_ns, fit_on_one(3, n) ? time_product(n, 1, block, zeros) : 0);
    }
    free(block);
    free(diagonal);
    free(zeros);
}

/* Would the libraries work here at all? A driver in host memory, say, they do not take. */
static int try_handle(parla_context *context, void *arg)
{
    void *handle;
    *(int *)arg = handle_of(context, &handle);
    return 0;
}

static void find_blas(void)
{
    parla_device_info info = {.size = sizeof(info)};
    const parla_demand demand = {PARLA_ARCH_GPU, 0, 0, 0};
    const parla_choice choice = {&demand, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    int i_device, code = 0;
    check(parla_device_find(rt, PARLA_ARCH_GPU, 0, &i_device), "a GPU");
    check(parla_device_query(rt, i_device, &info), "a GPU");
    blas = strcmp(info.kind, "cuda") == 0 ? &gpu_blas_cuda : &gpu_blas_host;
    const char *missing = blas->find();
    if (missing) {
        bench_skip("%s", missing);
    }
    options.body = try_handle;
    options.arg = &code;
    options.choices = &choice;
    options.n_choices = 1;
    check(parla_task_spawn(rt, NULL, &options), "a task");
    wait_for_all();
    if (code != 0) {
        parla_runtime_destroy(rt);
        bench_skip("%s does not start here: status %d", blas->name, code);
    }
}

int main(int argc, char **argv)
{
    bench_begin("gpu_tiles", argc, argv);
    rt = gpu_runtime("cuda:0");
    n_gpus = parla_device_count_arch(rt, PARLA_ARCH_GPU);
    if (n_gpus == 0) {
        bench_skip("PARLA_DEVICES names no GPU");
    }
    find_blas();
    if (bench_is_smoke()) {
        measure(256);
    }
    for (int n = 8192; n <= 32768 && !bench_is_smoke(); n *= 2) {
        measure(n);
    }
    for (int i = 0; i < n_known; i++) {
        blas->close(known[i].handle);
    }
    parla_runtime_destroy(rt);
    return 0;
}
