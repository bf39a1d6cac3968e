/* graph.c - see graph.h. */
#include "taskbench/graph.h"

#include <stdbool.h>
#include <stdint.h>

const char *tb_pattern_name(tb_pattern pattern)
{
    static const char *const names[TB_N_PATTERNS] = {"trivial", "no_comm", "stencil_1d", "stencil_1d_periodic", "dom", "tree",
                                                     "fft",     "nearest", "spread",     "random_nearest"};
    return names[pattern];
}

static long smaller(long a, long b) { return a < b ? a : b; }
static long larger(long a, long b) { return a > b ? a : b; }

/* The active points of `dom` slide to the right in the last steps. */
long tb_first_point(const tb_graph *graph, long step)
{
    return graph->pattern == TB_DOM ? larger(0, step + graph->width - graph->n_steps) : 0;
}

long tb_n_points(const tb_graph *graph, long step)
{
    switch (graph->pattern) {
    case TB_DOM:
        return smaller(graph->width, smaller(step + 1, graph->n_steps - step));
    case TB_TREE:
        return step < 62 ? smaller(graph->width, 1L << step) : graph->width;
    default:
        return graph->width;
    }
}

long tb_n_tasks(const tb_graph *graph)
{
    long n = 0;
    for (long step = 0; step < graph->n_steps; step++) {
        n += tb_n_points(graph, step);
    }
    return n;
}

static long log2_ceil(long n)
{
    long log = 0;
    while ((1L << log) < n) {
        log++;
    }
    return log;
}

/* A number in [0, 1) that depends on all three alone: the finaliser of SplitMix64. */
static double draw(long set, long point, long other)
{
    uint64_t x = (uint64_t)set * 0x9e3779b97f4a7c15u + (uint64_t)point * 0xbf58476d1ce4e5b9u + (uint64_t)other;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (double)((x ^ (x >> 31)) >> 11) * 0x1p-53;
}

/* Adds a point unless it is there already or has no task in the step before. */
static int add(const tb_graph *graph, long step, long point, long *out, int n)
{
    long first = tb_first_point(graph, step - 1);
    if (point < first || point >= first + tb_n_points(graph, step - 1)) {
        return n;
    }
    for (int i = 0; i < n; i++) {
        if (out[i] == point) {
            return n;
        }
    }
    out[n] = point;
    return n + 1;
}

/* All of first … last for which a draw is below `fraction`, and the point itself. */
static int add_interval(const tb_graph *graph, long step, long point, long first, long last, double fraction, long *out)
{
    int n = 0;
    for (long other = first; other <= last; other++) {
        if (other == point || draw(step % TB_PERIOD, other, point) < fraction) {
            n = add(graph, step, other, out, n);
        }
    }
    return n;
}

static int add_fft(const tb_graph *graph, long step, long point, long *out)
{
    long n_sets = larger(1, log2_ceil(graph->width));
    long distance = 1L << ((step + n_sets - 1) % n_sets);
    int n = add(graph, step, point - distance, out, 0);
    n = add(graph, step, point, out, n);
    return add(graph, step, point + distance, out, n);
}

static int add_spread(const tb_graph *graph, long step, long point, long *out)
{
    int n = 0;
    for (long i = 0; i < TB_RADIX; i++) {
        long shift = i * graph->width / TB_RADIX + (i > 0 ? step % TB_PERIOD : 0);
        n = add(graph, step, (point + shift) % graph->width, out, n);
    }
    return n;
}

static int add_periodic(const tb_graph *graph, long step, long point, long *out)
{
    int n = add(graph, step, (point + graph->width - 1) % graph->width, out, 0);
    n = add(graph, step, point, out, n);
    return add(graph, step, (point + 1) % graph->width, out, n);
}

int tb_deps(const tb_graph *graph, long step, long point, long *out)
{
    if (step == 0) {
        return 0;
    }
    switch (graph->pattern) {
    case TB_NO_COMM:
        return add(graph, step, point, out, 0);
    case TB_STENCIL_1D:
        return add_interval(graph, step, point, point - 1, point + 1, 1.0, out);
    case TB_STENCIL_1D_PERIODIC:
        return add_periodic(graph, step, point, out);
    case TB_DOM:
        return add_interval(graph, step, point, point - 1, point, 1.0, out);
    case TB_TREE:
        return add(graph, step, point / 2, out, 0);
    case TB_FFT:
        return add_fft(graph, step, point, out);
    case TB_NEAREST:
        return add_interval(graph, step, point, point - TB_RADIX / 2, point + (TB_RADIX - 1) / 2, 1.0, out);
    case TB_SPREAD:
        return add_spread(graph, step, point, out);
    case TB_RANDOM_NEAREST:
        return add_interval(graph, step, point, point - TB_RADIX / 2, point + (TB_RADIX - 1) / 2, 0.25, out);
    default:
        return 0;
    }
}
