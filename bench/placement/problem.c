/* problem.c - four problems of dense and nearly dense linear algebra, and placements that a person would write down for them.
 *
 * The modelled machine: 10 TFLOP/s of doubles at best, 1.5 TB/s of memory. Blocks have 2,048 rows and columns but where a line says
 * otherwise; here they have EDGE, so that their bytes are SCALE times less. */
#include "problem.h"

#include "bench.h"

#include <parla/task.h>

#include <stdlib.h>
#include <string.h>

enum { EDGE = 64, MODELLED_EDGE = 2048 };

static const double flops_per_ns = 10e3, bytes_per_ns = 1500;

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n > 0 ? n : 1, size);
    if (!memory)
        bench_die("no memory for a problem");
    return memory;
}

static operation *add(problem *p, const char *kind, double ns, int row, int column)
{
    if (p->n_operations == p->capacity) {
        p->capacity = p->capacity > 0 ? 2 * p->capacity : 256;
        p->operations = realloc(p->operations, (size_t)p->capacity * sizeof p->operations[0]);
        if (!p->operations)
            bench_die("no memory for a problem");
    }
    operation *o = &p->operations[p->n_operations++];
    *o = (operation){.kind = kind, .ns = (int64_t)ns, .row = row, .column = column};
    return o;
}

static void use(const problem *p, operation *o, int i_array, int mode)
{
    o->arguments[o->n_arguments++] = (argument){i_array, mode, 0, p->array_rows[i_array], EDGE};
}

/* A row of the modelled block: so many bytes of one here. */
static void read_row(operation *o, int i_array, int64_t row)
{
    int64_t n_columns = (int64_t)EDGE * EDGE / MODELLED_EDGE;
    o->arguments[o->n_arguments++] = (argument){i_array, PARLA_IN, row, 1, n_columns};
}

static void open_arrays(problem *p, int n)
{
    p->n_arrays = n;
    p->array_rows = allocate((size_t)n, sizeof p->array_rows[0]);
    for (int i = 0; i < n; i++)
        p->array_rows[i] = EDGE;
    p->row_bytes = EDGE * (int64_t)sizeof(double);
}

/* Of a product of two blocks and of what has a share of its operations, at a share of the best speed. */
static double block_ns(double share, double efficiency)
{
    double edge = MODELLED_EDGE;
    return share * 2 * edge * edge * edge / flops_per_ns / efficiency;
}

/* --- Problems ----------------------------------------------------------------------------------------------------------------- */

static int lower(int i, int j) { return i * (i + 1) / 2 + j; }

/* The right-looking factorisation of n x n blocks. */
static void make_cholesky(problem *p, int n)
{
    p->n_rows = p->n_columns = n;
    open_arrays(p, lower(n, 0));
    for (int k = 0; k < n; k++) {
        operation *o = add(p, "potrf", block_ns(1.0 / 6, 0.15), k, k);
        use(p, o, lower(k, k), PARLA_INOUT);
        for (int i = k + 1; i < n; i++) {
            o = add(p, "trsm", block_ns(0.5, 0.6), i, k);
            use(p, o, lower(k, k), PARLA_IN);
            use(p, o, lower(i, k), PARLA_INOUT);
        }
        for (int i = k + 1; i < n; i++)
            for (int j = k + 1; j <= i; j++) {
                o = i == j ? add(p, "syrk", block_ns(0.5, 0.8), i, j) : add(p, "gemm", block_ns(1, 1), i, j);
                use(p, o, lower(i, k), PARLA_IN);
                if (i != j)
                    use(p, o, lower(j, k), PARLA_IN);
                use(p, o, lower(i, j), PARLA_INOUT);
            }
    }
}

/* C = A B in n x n blocks. */
static void make_gemm(problem *p, int n)
{
    p->n_rows = p->n_columns = n;
    open_arrays(p, 3 * n * n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < n; k++) {
                operation *o = add(p, k == 0 ? "gemm, first" : "gemm", block_ns(1, 1), i, j);
                use(p, o, i * n + k, PARLA_IN);
                use(p, o, n * n + k * n + j, PARLA_IN);
                use(p, o, 2 * n * n + i * n + j, k == 0 ? PARLA_OUT : PARLA_INOUT);
            }
}

/* n blocks of rows, twice, in 40 turns: each block from itself and the nearest rows of its neighbours. Bound by memory. */
static void make_jacobi(problem *p, int n)
{
    double ns = 2.0 * EDGE * EDGE * (double)sizeof(double) * SCALE / bytes_per_ns;
    p->n_rows = n;
    p->n_columns = 1;
    open_arrays(p, 2 * n);
    for (int turn = 0; turn < 40; turn++) {
        int from = turn % 2 * n, to = n - from;
        for (int i = 0; i < n; i++) {
            operation *o = add(p, "sweep", ns, i, 0);
            use(p, o, from + i, PARLA_IN);
            if (i > 0)
                read_row(o, from + i - 1, EDGE - 1);
            if (i < n - 1)
                read_row(o, from + i + 1, 0);
            use(p, o, to + i, PARLA_OUT);
        }
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

/* The rank of a block: full on the diagonal, less and less away from it, and uneven. */
static int rank_of(int i, int j, uint32_t *state)
{
    int distance = i > j ? i - j : j - i;
    return distance == 0 ? EDGE : 2 + (int)(next_random(state) % (uint32_t)(EDGE / 2 / distance + 2));
}

/* C = A B, where blocks of A and B are products of two thin ones: what an operation takes, and what it copies, goes by their ranks. */
static void make_blr(problem *p, int n)
{
    uint32_t state = 7;
    p->n_rows = p->n_columns = n;
    open_arrays(p, 3 * n * n);
    for (int k = 0; k < 2 * n * n; k++)
        p->array_rows[k] = 2 * rank_of(k / n % n, k % n, &state);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < n; k++) {
                int a = i * n + k, b = n * n + k * n + j;
                double r = (double)p->array_rows[a] / 2 / EDGE, s = (double)p->array_rows[b] / 2 / EDGE, least = r < s ? r : s;
                operation *o = add(p, k == 0 ? "product, first" : "product", block_ns(2 * r * s + least, 0.5), i, j);
                use(p, o, a, PARLA_IN);
                use(p, o, b, PARLA_IN);
                use(p, o, 2 * n * n + i * n + j, k == 0 ? PARLA_OUT : PARLA_INOUT);
            }
}

void problem_create(problem *out, const char *name, int size)
{
    static const struct {
        const char *name;
        void (*make)(problem *p, int n);
        int size;
    } all[] = {{"cholesky", make_cholesky, 16}, {"gemm", make_gemm, 8}, {"jacobi", make_jacobi, 16}, {"blr", make_blr, 8}};
    *out = (problem){.name = name};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].name, name) == 0)
            all[i].make(out, size > 0 ? size : all[i].size);
    if (out->n_operations == 0)
        bench_die("there is no problem %s", name);
}

void problem_destroy(problem *p)
{
    free(p->array_rows);
    free(p->operations);
}

/* --- Placements by hand ------------------------------------------------------------------------------------------------------- */

const char *placement_name(int i_placement)
{
    static const char *const names[N_PLACEMENTS] = {"rows in turn", "columns in turn", "rows in parts", "columns in parts",
                                                    "a grid in turn"};
    return i_placement < N_PLACEMENTS ? names[i_placement] : NULL;
}

int placement_device(int i_placement, const problem *p, const operation *o, int n_devices)
{
    int n_down = n_devices == 4 ? 2 : 1, n_across = n_devices / n_down;
    switch (i_placement) {
    case 0:
        return o->row % n_devices;
    case 1:
        return o->column % n_devices;
    case 2:
        return o->row * n_devices / p->n_rows;
    case 3:
        return o->column * n_devices / p->n_columns;
    default:
        return o->row % n_down * n_across + o->column % n_across;
    }
}

/* --- The bound ---------------------------------------------------------------------------------------------------------------- */

/* When the last writer of each array ends, and the last of its readers since. */
int64_t problem_bound_ns(const problem *p, int n_devices)
{
    int64_t *written = allocate((size_t)p->n_arrays, sizeof *written), *read = allocate((size_t)p->n_arrays, sizeof *read);
    int64_t work = 0, path = 0;
    for (int i = 0; i < p->n_operations; i++) {
        const operation *o = &p->operations[i];
        int64_t begin = 0;
        for (int k = 0; k < o->n_arguments; k++) {
            const argument *a = &o->arguments[k];
            int64_t before = a->mode & PARLA_OUT && read[a->i_array] > written[a->i_array] ? read[a->i_array] : written[a->i_array];
            begin = before > begin ? before : begin;
        }
        int64_t end = begin + o->ns;
        for (int k = 0; k < o->n_arguments; k++) {
            const argument *a = &o->arguments[k];
            if (a->mode & PARLA_OUT)
                written[a->i_array] = end;
            else if (end > read[a->i_array])
                read[a->i_array] = end;
        }
        work += o->ns;
        path = end > path ? end : path;
    }
    free(written);
    free(read);
    return work / n_devices > path ? work / n_devices : path;
}
