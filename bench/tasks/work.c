/* work.c - see work.h. */
#include "tasks/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

tk_state tk;

static const tk_kind kinds[TK_N_SHAPES] = {
    [TK_CHAIN_WINDOW] = TK_COUNT,  [TK_CHAIN_PENDING] = TK_COUNT, [TK_STENCIL_WINDOW] = TK_CELL, [TK_STENCIL_PENDING] = TK_CELL,
    [TK_STENCIL_STREAM] = TK_CELL, [TK_DAG4_PENDING] = TK_NODE,   [TK_REPLAY] = TK_CELL,
};

static long graph_size;

/* The same graph in every process: four nodes among the last TK_REACH, drawn by xorshift. */
static int32_t *draw_graph(long n)
{
    int32_t *preds = malloc((size_t)n * 4 * sizeof *preds);
    uint64_t x = 88172645463325252u;
    for (long i = 0; preds != NULL && i < 4 * n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        long at = i / 4 - 1 - (long)(x % TK_REACH);
        preds[i] = at >= 0 ? (int32_t)at : -1;
    }
    return preds;
}

static void prepare_graph(long n)
{
    if (n > graph_size) {
        free(tk.depth);
        free((void *)tk.preds);
        tk.depth = malloc((size_t)n * sizeof *tk.depth);
        tk.preds = draw_graph(n);
        if (tk.depth == NULL || tk.preds == NULL) {
            bench_die("no memory for a graph of %ld tasks", n);
        }
        graph_size = n;
    }
    memset(tk.depth, 0, (size_t)n * sizeof *tk.depth);
}

void tk_prepare(tk_shape shape, long n, bool is_checked)
{
    tk.n = n;
    tk.kind = kinds[shape];
    if (tk.kind == TK_EMPTY && is_checked) {
        tk.kind = TK_ATOMIC;
    }
    tk.count = 0;
    memset(tk.cells, 0, sizeof tk.cells);
    if (tk.kind == TK_NODE) {
        prepare_graph(n);
    }
}

static bool are_nodes_right(void)
{
    for (long i = 0; i < tk.n; i++) {
        int32_t found = tk.depth[i];
        tk_run(i); /* what is there once more, in order */
        if (tk.depth[i] != found) {
            return false;
        }
    }
    return true;
}

static bool are_cells_right(void)
{
    long n_rows = tk.n / TK_WIDTH;
    for (int i = 1; i <= TK_WIDTH; i++) {
        if (tk.cells[(n_rows + 1) & 1][i] != n_rows) {
            return false;
        }
    }
    return true;
}

void tk_check(tk_shape shape, const char *runner)
{
    long expected = shape == TK_FORKJOIN ? (2L << tk_depth(tk.n)) - 1 : tk.n;
    bool is_right = true;
    switch (tk.kind) {
    case TK_EMPTY:
        break;
    case TK_COUNT:
    case TK_ATOMIC:
        is_right = tk.count == expected;
        break;
    case TK_CELL:
        is_right = are_cells_right();
        break;
    case TK_NODE:
        is_right = are_nodes_right();
        break;
    }
    if (!is_right) {
        bench_die("%s left tasks of shape %d out, or broke their order", runner, (int)shape);
    }
}

double tk_resident(void)
{
    long n_total = 0, n_resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &n_total, &n_resident) != 2) {
        bench_die("/proc/self/statm cannot be read");
    }
    fclose(file);
    return (double)n_resident * (double)sysconf(_SC_PAGESIZE);
}
