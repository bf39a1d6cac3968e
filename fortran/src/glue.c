/* glue.c - see glue.h. */
#include "glue.h"

#include <stdlib.h>
#include <string.h>

/* --- Runtimes ---------------------------------------------------------------------------------------------------------------- */

int plf_runtime_create(parla_runtime **out, const plf_runtime_args *args)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = args->devices, options.policy = args->policy, options.trace = args->trace, options.bind = args->bind;
    options.receipt = args->receipt;
    options.window = args->window, options.stall_ns = args->stall_ns, options.n_workers = args->n_workers;
    return parla_runtime_create(out, &options);
}

/* Tells a failure as an error of the call that found it. */
static int tell(parla_failure *failure)
{
    const parla_failure *first = failure;
    while (parla_failure_cause(first))
        first = parla_failure_cause(first);
    const char *name = parla_failure_task_name(first);
    int code =
        parla_error_set(parla_failure_code(failure), "task %s: %s", *name ? name : "without a name", parla_failure_message(first));
    parla_failure_unref(failure);
    return code;
}

int plf_runtime_wait(parla_runtime *rt, int64_t timeout_ns)
{
    parla_failure *failure;
    int rc = parla_runtime_wait(rt, timeout_ns);
    return rc == 0 && parla_runtime_take_failure(rt, &failure) == 0 ? tell(failure) : rc;
}

int plf_runtime_workers(parla_runtime *rt)
{
    parla_runtime_info info = {.size = sizeof info};
    int rc = parla_runtime_query(rt, &info);
    return rc ? rc : info.n_workers;
}

/* --- Tasks ------------------------------------------------------------------------------------------------------------------- */

/* The ranges of a use, the last Fortran dimension first. */
static int set_region(const plf_use *use, parla_range *region)
{
    int n = parla_data_shape(use->data)->ndim;
    if (use->n_spans != n)
        return parla_error_set(PARLA_E_INVALID, "%d spans for an array of rank %d: one for each dimension, or none for all of it",
                               use->n_spans, n);
    for (int k = 0; k < n; k++)
        region[n - 1 - k] = (parla_range){use->first[k] - 1, use->last[k], use->step[k]};
    return 0;
}

/* What parla_task_options point to. */
typedef struct spawn_lists {
    parla_demand *demands;
    parla_choice *choices;
    parla_access *accesses;
    parla_range (*regions)[PARLA_MAX_NDIM];
} spawn_lists;

static int set_accesses(const plf_spawn_args *args, spawn_lists *lists, parla_task_options *options)
{
    for (int64_t i = 0; i < args->n_uses; i++) {
        const plf_use *use = &args->uses[i];
        if (!use->data)
            return parla_error_set(PARLA_E_INVALID, "use %lld names an array that was not created or is destroyed",
                                   (long long)i + 1);
        int rc = use->n_spans ? set_region(use, lists->regions[i]) : 0;
        if (rc)
            return rc;
        lists->accesses[i] = (parla_access){use->data, use->mode, use->member, use->n_spans ? lists->regions[i] : NULL};
    }
    options->accesses = lists->accesses, options->n_accesses = (size_t)args->n_uses;
    return 0;
}

static void set_choices(const plf_spawn_args *args, spawn_lists *lists, parla_task_options *options)
{
    for (int64_t i = 0; i < args->n_places; i++) {
        const plf_place *place = &args->places[i];
        lists->demands[i] = (parla_demand){place->arch, place->number, place->vcus, (size_t)place->memory_bytes};
        lists->choices[i] = (parla_choice){&lists->demands[i], 1};
    }
    options->choices = lists->choices, options->n_choices = (size_t)args->n_places;
    if (args->are_together && args->n_places > 0) {
        lists->choices[0].n_members = (size_t)args->n_places;
        options->n_choices = 1;
    }
}

static int spawn(parla_runtime *rt, parla_task *out, const plf_spawn_args *args, spawn_lists *lists)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = args->body, options.arg = args->arg, options.on_end = args->on_end, options.name = args->name;
    options.deps = args->after, options.n_deps = (size_t)args->n_after;
    options.priority = args->priority, options.n_retries = args->n_retries;
    set_choices(args, lists, &options);
    int rc = set_accesses(args, lists, &options);
    if (rc)
        return rc;
    return args->n_calls > 0 ? parla_task_spawn_n(rt, out, (size_t)args->n_calls, &options) : parla_task_spawn(rt, out, &options);
}

int plf_spawn(parla_runtime *rt, parla_task *out, const plf_spawn_args *args)
{
    size_t n_places = (size_t)args->n_places + 1, n_uses = (size_t)args->n_uses + 1; /* no empty blocks */
    spawn_lists lists = {malloc(n_places * sizeof *lists.demands), malloc(n_places * sizeof *lists.choices),
                         malloc(n_uses * sizeof *lists.accesses), malloc(n_uses * sizeof *lists.regions)};
    int rc = PARLA_E_NOMEM;
    if (lists.demands && lists.choices && lists.accesses && lists.regions)
        rc = spawn(rt, out, args, &lists);
    free(lists.demands);
    free(lists.choices);
    free(lists.accesses);
    free(lists.regions);
    return rc;
}

int plf_wait(parla_runtime *rt, const parla_task *tasks, int64_t n_tasks, int64_t timeout_ns)
{
    int rc = parla_task_wait(rt, tasks, (size_t)n_tasks, timeout_ns);
    for (int64_t i = 0; rc < 0 && i < n_tasks; i++) {
        parla_failure *failure = parla_task_has_ended(tasks[i]) ? parla_task_failure(tasks[i]) : NULL;
        if (failure)
            return tell(failure);
    }
    return rc;
}

int plf_fail(parla_context *context, int code, const char *words) { return parla_fail(context, code, "%s", words); }

/* --- Arrays ------------------------------------------------------------------------------------------------------------------ */

/* The box of a Fortran array, its dimensions in C's order. */
static int set_box(const CFI_cdesc_t *x, parla_strided *out)
{
    if (x->rank > PARLA_MAX_NDIM || !x->base_addr)
        return parla_error_set(PARLA_E_INVALID,
                               x->base_addr ? "an array of rank %d; at most %d can be kept" : "an array without memory", x->rank,
                               PARLA_MAX_NDIM);
    *out = (parla_strided){.base = x->base_addr, .item_bytes = x->elem_len, .ndim = x->rank};
    for (int k = 0; k < x->rank; k++) {
        if (x->dim[k].extent < 0)
            return parla_error_set(PARLA_E_INVALID, "an array of assumed size; pass one whose last extent is known");
        out->extent[x->rank - 1 - k] = x->dim[k].extent;
        out->stride[x->rank - 1 - k] = x->dim[k].sm;
    }
    return 0;
}

int plf_array_over(parla_data **out, const CFI_cdesc_t *x, const char *name)
{
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.name = name;
    int rc = set_box(x, &options.host);
    return rc ? rc : parla_data_create(out, &options);
}

int plf_array_new(parla_data **out, int64_t item_bytes, int rank, const int64_t *shape, const char *name)
{
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.name = name;
    int64_t extent[PARLA_MAX_NDIM];
    for (int k = 0; k < rank && k < PARLA_MAX_NDIM; k++)
        extent[rank - 1 - k] = shape[k];
    int rc = parla_strided_contiguous(&options.host, NULL, (size_t)item_bytes, rank, extent);
    return rc ? rc : parla_data_create(out, &options);
}

/* The opposite of set_box, into a pointer whose type and rank the program has chosen. */
static int point_at(const parla_strided *box, CFI_cdesc_t *p)
{
    if (p->rank != box->ndim || p->elem_len != box->item_bytes)
        return parla_error_set(PARLA_E_INVALID,
                               "a pointer to an array of rank %d with elements of %zu bytes; the array has rank %d and %zu bytes",
                               p->rank, p->elem_len, box->ndim, box->item_bytes);
    p->base_addr = box->base;
    for (int k = 0; k < box->ndim; k++)
        p->dim[k] = (CFI_dim_t){1, (CFI_index_t)box->extent[box->ndim - 1 - k], (CFI_index_t)box->stride[box->ndim - 1 - k]};
    return 0;
}

int plf_view(const parla_context *context, int i, CFI_cdesc_t *p)
{
    parla_instance instance;
    int rc = i < 1 ? parla_error_set(PARLA_E_INVALID, "use %d: the first one is 1", i)
                   : parla_context_instance(context, (size_t)i - 1, &instance);
    return rc ? rc : point_at(&instance.box, p);
}

int plf_acquire(parla_runtime *rt, parla_data *data, int mode, int64_t timeout_ns, CFI_cdesc_t *p)
{
    parla_instance instance;
    if (!data)
        return parla_error_set(PARLA_E_INVALID, "the array was not created or is destroyed");
    int rc = parla_data_acquire(rt, data, mode, timeout_ns, &instance);
    if (rc == 0 && (rc = point_at(&instance.box, p)) != 0)
        parla_data_release(data, mode);
    return rc;
}

int plf_sync(parla_runtime *rt, parla_data *data, int64_t timeout_ns)
{
    parla_instance instance;
    if (!data)
        return parla_error_set(PARLA_E_INVALID, "the array was not created or is destroyed");
    int rc = parla_data_acquire(rt, data, PARLA_INOUT, timeout_ns, &instance);
    if (rc == 0)
        parla_data_release(data, PARLA_INOUT);
    return rc;
}
