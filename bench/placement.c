/* placement.c - where tasks go: the automatic placement beside the best one by hand, in modelled time; ci/bench runs this.
 *
 *   cholesky, gemm, jacobi, blr @N    on N simulated devices, each with a link of 20 GB/s and 5 us (placement/problem.h)
 * A value is the modelled time from the first copy to the end, with policy "locality"; the peer is the best of five placements by hand. The
 * lines "bound" give the time that no schedule falls below: max(critical path, work / devices). Modelled time is the same in each run, so this
 * is a gate as well: with --gate the program fails if a case is further behind the best placement by hand than its limit. */
#include "bench.h"
#include "placement/problem.h"

#include <parla/parla.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A problem, and how much longer than by the best hand placement it may take. What blocks of low rank take differs from one to the next, so
 * that where one ends up is mostly decided by what is free: there the limit only keeps what was reached. */
typedef struct study {
    const char *name;
    double worst_ratio;
} study;

static const study studies[] = {{"cholesky", 1.05}, {"gemm", 1.05}, {"jacobi", 1.05}, {"blr", 1.15}};

/* One run of a problem. */
typedef struct run {
    const problem *p;
    parla_runtime *rt;
    parla_data **arrays;
    void **memory;  /* of each array on the host, where its content begins */
    int *n_written; /* of each array: how many operations before have written it, in the order of the program */
    struct step *steps;
} run;

/* What a body needs: its operation, and what it must find in its arguments. */
typedef struct step {
    const run *r;
    const operation *o;
    int expected[MAX_ARGUMENTS];
} step;

static void check(int code, const char *what)
{
    if (code < 0)
        bench_die("%s: %s", what, parla_error_detail());
}

/* --- Tasks -------------------------------------------------------------------------------------------------------------------- */

/* The first number of each row counts how often the array was written: a copy that is stale, or comes from the future, is found. */
static int body(parla_context *context, void *arg)
{
    const step *s = arg;
    for (int k = 0; k < s->o->n_arguments; k++) {
        const argument *a = &s->o->arguments[k];
        parla_instance here;
        check(parla_context_instance(context, (size_t)k, &here), "an argument");
        for (int64_t row = a->first_row; row < a->first_row + a->n_rows; row++) {
            double *first = (double *)(void *)((char *)here.box.base + row * here.box.stride[0]);
            if ((a->mode & PARLA_IN) && (int)*first != s->expected[k])
                return parla_fail(context, PARLA_E_USER, "%s %d %d: argument %d has version %d, expected %d", s->o->kind, s->o->row,
                                  s->o->column, k, (int)*first, s->expected[k]);
            if (a->mode & PARLA_OUT)
                *first = s->expected[k] + 1;
        }
    }
    return parla_sim_work(context, s->o->ns);
}

static void spawn(run *r, step *s, int device)
{
    const parla_demand demand = {PARLA_ARCH_GPU, device, 0, 0};
    const parla_choice choice = {&demand, 1};
    parla_access accesses[MAX_ARGUMENTS];
    parla_range regions[MAX_ARGUMENTS][2];
    for (int k = 0; k < s->o->n_arguments; k++) {
        const argument *a = &s->o->arguments[k];
        regions[k][0] = (parla_range){a->first_row, a->first_row + a->n_rows, 1};
        regions[k][1] = (parla_range){0, a->n_columns, 1};
        bool is_whole = a->n_rows == r->p->array_rows[a->i_array];
        accesses[k] = (parla_access){.data = r->arrays[a->i_array], .mode = a->mode, .region = is_whole ? NULL : regions[k]};
        s->expected[k] = r->n_written[a->i_array];
    }
    for (int k = 0; k < s->o->n_arguments; k++)
        r->n_written[s->o->arguments[k].i_array] += (s->o->arguments[k].mode & PARLA_OUT) != 0;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = s;
    options.name = s->o->kind;
    options.kernel = s->o->kind;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = (size_t)s->o->n_arguments;
    check(parla_task_spawn(r->rt, NULL, &options), "a task");
}

static void open_run(run *r, const problem *p, int n_devices)
{
    char devices[128];
    parla_options options = PARLA_OPTIONS_INIT;
    snprintf(devices, sizeof devices, "sim:%d,mem=1GiB,link=%dkB/s,lat=5us,time=virtual", n_devices, 20000000 / SCALE);
    options.devices = devices;
    options.n_workers = 1;
    *r = (run){.p = p};
    check(parla_runtime_create(&r->rt, &options), "a runtime");
    r->arrays = calloc((size_t)p->n_arrays, sizeof(parla_data *));
    r->memory = calloc((size_t)p->n_arrays, sizeof *r->memory);
    r->n_written = calloc((size_t)p->n_arrays, sizeof *r->n_written);
    r->steps = calloc((size_t)p->n_operations, sizeof *r->steps);
    if (!r->arrays || !r->memory || !r->n_written || !r->steps)
        bench_die("no memory for a run");
    for (int i = 0; i < p->n_arrays; i++) {
        parla_data_options array = PARLA_DATA_OPTIONS_INIT;
        array.host.base = r->memory[i] = calloc((size_t)p->array_rows[i], (size_t)p->row_bytes);
        array.host.item_bytes = sizeof(double);
        array.host.ndim = 2;
        array.host.extent[0] = p->array_rows[i];
        array.host.extent[1] = p->row_bytes / (int64_t)sizeof(double);
        array.host.stride[0] = p->row_bytes;
        array.host.stride[1] = sizeof(double);
        if (!r->memory[i])
            bench_die("no memory for an array");
        check(parla_data_create(&r->arrays[i], &array), "an array");
    }
}

static void close_run(run *r)
{
    parla_failure *failure;
    if (parla_runtime_take_failure(r->rt, &failure) == 0)
        bench_die("%s: %s", r->p->name, parla_failure_message(failure));
    parla_runtime_destroy(r->rt);
    for (int i = 0; i < r->p->n_arrays; i++) {
        parla_data_unref(r->arrays[i]);
        free(r->memory[i]);
    }
    free(r->memory);
    free(r->arrays);
    free(r->n_written);
    free(r->steps);
}

/* The modelled time of a run; i_placement < 0 is the automatic placement. */
static uint64_t time_run(const problem *p, int n_devices, int i_placement)
{
    run r;
    open_run(&r, p, n_devices);
    for (int i = 0; i < p->n_operations; i++) {
        r.steps[i] = (step){.r = &r, .o = &p->operations[i]};
        spawn(&r, &r.steps[i], i_placement < 0 ? PARLA_ANY_NUMBER : placement_device(i_placement, p, &p->operations[i], n_devices));
    }
    check(parla_runtime_wait(r.rt, PARLA_FOREVER), "waiting");
    uint64_t ns = parla_sim_now_ns(r.rt);
    close_run(&r);
    return ns;
}

/* --- Cases -------------------------------------------------------------------------------------------------------------------- */

/* Returns whether the automatic placement is near enough to the best one by hand. */
static bool compare(const study *s, int n_devices)
{
    const char *name = s->name;
    problem p;
    if (!bench_wants(name))
        return true;
    problem_create(&p, name, bench_is_smoke() ? 4 : 0);
    uint64_t best = UINT64_MAX, automatic = time_run(&p, n_devices, -1);
    int i_best = 0;
    for (int i = 0; placement_name(i) && (n_devices > 1 || i == 0); i++) {
        uint64_t ns = time_run(&p, n_devices, i);
        if (ns < best) {
            best = ns;
            i_best = i;
        }
    }
    char bound[64];
    snprintf(bound, sizeof bound, "%s.bound", name);
    bench_report(name, n_devices, "time", "ns", (double)automatic, placement_name(i_best), (double)best);
    bench_report(bound, n_devices, "time", "ns", (double)automatic, "max(critical path, work / devices)",
                 (double)problem_bound_ns(&p, n_devices));
    problem_destroy(&p);
    if ((double)automatic <= s->worst_ratio * (double)best)
        return true;
    fprintf(stderr, "%s on %d devices takes %.3f ms, with %s %.3f ms: more than %.0f %% behind\n", name, n_devices,
            (double)automatic / 1e6, placement_name(i_best), (double)best / 1e6, (s->worst_ratio - 1) * 100);
    return false;
}

int main(int argc, char **argv)
{
    bool is_gate = argc > 1 && strcmp(argv[1], "--gate") == 0, is_near = true;
    bench_begin("placement", argc - is_gate, argv + is_gate);
    for (size_t i = 0; i < sizeof studies / sizeof studies[0]; i++)
        for (int n_devices = 1; n_devices <= 4; n_devices *= 2)
            is_near = compare(&studies[i], n_devices) && is_near;
    return is_gate && !is_near;
}
