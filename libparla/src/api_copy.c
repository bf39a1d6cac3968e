/* api_copy.c - parla_data_copy: a task that copies one box of an array into a box of another.
 *
 * Of the destination the task overwrites the box, of the source it reads the box in place: exactly the box crosses the link, unless
 * parts of it are on different devices. The body only starts the copy; a hold keeps the task from ending before the copy has. */
#include "base/clock.h"
#include "base/error.h"
#include "sched/placed.h"

#include <parla/event.h>

#include <stdlib.h>

typedef struct copy_work {
    parla_range dst_box[PARLA_MAX_NDIM], src_box[PARLA_MAX_NDIM];
    int axes[PARLA_MAX_NDIM]; /* for each dimension of dst the one of src, or -1 */
    int dst_ndim;
    /* While the copy runs. */
    parla_runtime *rt;
    parla_task task;
    const char *label;
    int i_device;
    size_t n_bytes;
    uint64_t begin_ns;
} copy_work;

/* --- Shapes ------------------------------------------------------------------------------------------------------------------- */

static int64_t count_of(const parla_range *range)
{
    int64_t length = range->stop - range->start;
    return length <= 0 ? 0 : (length - 1) / range->step + 1;
}

/* The ranges of a box, or of the whole array. */
static int take_box(parla_range *out, const parla_data *data, const parla_range *box)
{
    bool is_whole;
    int rc = pl_data_check_region(data, box, &is_whole);
    for (int k = 0; rc == 0 && k < data->shape.ndim; k++)
        out[k] = box ? box[k] : (parla_range){0, data->shape.extent[k], 1};
    return rc;
}

static int take_axes(copy_work *work, const parla_data *dst, const parla_data *src, const int *axes)
{
    int n_src = src->shape.ndim;
    unsigned named = 0;
    work->dst_ndim = dst->shape.ndim;
    if (!axes && dst->shape.ndim != n_src)
        return pl_error_set(PARLA_E_INVALID, "%s has %d dimensions, %s has %d: say how they correspond (axes)", pl_data_label(dst),
                            dst->shape.ndim, pl_data_label(src), n_src);
    for (int k = 0; k < dst->shape.ndim; k++) {
        int a = axes ? axes[k] : k;
        if (a < -1 || a >= n_src || (a >= 0 && (named >> a & 1)))
            return pl_error_set(PARLA_E_INVALID, "axes[%d] is %d: each of the %d dimensions of %s can be named once, or -1", k, a,
                                n_src, pl_data_label(src));
        named |= a >= 0 ? 1u << a : 0;
        work->axes[k] = a;
    }
    for (int a = 0; a < n_src; a++)
        if (!(named >> a & 1) && count_of(&work->src_box[a]) != 1)
            return pl_error_set(PARLA_E_INVALID, "dimension %d of %s is named nowhere and has extent %lld, not 1", a,
                                pl_data_label(src), (long long)count_of(&work->src_box[a]));
    return 0;
}

static int check_extents(const copy_work *work, const parla_data *dst, const parla_data *src)
{
    if (dst->shape.item_bytes != src->shape.item_bytes)
        return pl_error_set(PARLA_E_INVALID, "items of %s have %zu bytes, those of %s %zu", pl_data_label(dst),
                            dst->shape.item_bytes, pl_data_label(src), src->shape.item_bytes);
    for (int k = 0; k < work->dst_ndim; k++) {
        int a = work->axes[k];
        int64_t n_dst = count_of(&work->dst_box[k]), n_src = a < 0 ? n_dst : count_of(&work->src_box[a]);
        if (n_dst != n_src)
            return pl_error_set(PARLA_E_INVALID,
                                "dimension %d of the destination (%s) has %lld elements, dimension %d of the source (%s) %lld", k,
                                pl_data_label(dst), (long long)n_dst, a, pl_data_label(src), (long long)n_src);
    }
    return 0;
}

/* Do two ranges have an index in common? */
static bool ranges_meet(const parla_range *a, const parla_range *b)
{
    int64_t n_a = count_of(a), n_b = count_of(b);
    if (n_a > n_b)
        return ranges_meet(b, a);
    for (int64_t i = 0; i < n_a; i++) {
        int64_t offset = a->start + i * a->step - b->start;
        if (offset >= 0 && offset % b->step == 0 && offset / b->step < n_b)
            return true;
    }
    return false;
}

static int check_apart(const copy_work *work, const parla_data *data)
{
    for (int k = 0; k < data->shape.ndim; k++)
        if (!ranges_meet(&work->dst_box[k], &work->src_box[k]))
            return 0;
    return pl_error_set(PARLA_E_INVALID, "the two boxes of %s overlap: copy through another array", pl_data_label(data));
}

static int make_work(copy_work *work, const parla_data *dst, const parla_range *dst_box, const parla_data *src,
                     const parla_range *src_box, const int *axes)
{
    int rc = take_box(work->dst_box, dst, dst_box);
    if (rc == 0)
        rc = take_box(work->src_box, src, src_box);
    if (rc == 0)
        rc = take_axes(work, dst, src, axes);
    if (rc == 0)
        rc = check_extents(work, dst, src);
    return rc == 0 && dst == src ? check_apart(work, dst) : rc;
}

/* --- The task ----------------------------------------------------------------------------------------------------------------- */

static void copied(void *arg, int status)
{
    const copy_work *work = arg;
    pl_trace_copy(work->rt->trace, work->label, work->begin_ns, pl_devices_now_ns(&work->rt->place.devices), work->i_device,
                  work->n_bytes);
    /* The end of the task frees the work. The hold is ours, so the release cannot fail. */
    int rc = parla_release(work->task, status, status < 0 ? "copying a box failed" : NULL);
    PL_ASSERT(rc == 0);
    (void)rc;
}

/* The box of the source, seen with the dimensions of the destination. */
static parla_strided turned(const copy_work *work, const parla_strided *dst, const parla_strided *src)
{
    parla_strided box = *dst;
    box.base = src->base;
    for (int k = 0; k < work->dst_ndim; k++)
        box.stride[k] = work->axes[k] < 0 ? 0 : src->stride[work->axes[k]];
    return box;
}

static int copy_body(parla_context *context, void *arg)
{
    copy_work *work = arg;
    parla_instance to, from;
    int rc = parla_context_instance(context, 0, &to);
    if (rc == 0)
        rc = parla_context_source(context, 1, &from);
    if (rc == 0)
        rc = parla_hold(context, 1);
    if (rc < 0)
        return parla_fail(context, rc, "%s", parla_error_detail());
    to.box = pl_box_region(&to.box, work->dst_box);
    from.box = pl_box_region(&from.box, work->src_box);
    from.box = turned(work, &to.box, &from.box);
    work->rt = context->rt;
    work->task = parla_context_task(context);
    work->label = context->task->name;
    work->i_device = to.i_device;
    work->n_bytes = parla_strided_bytes(&to.box);
    work->begin_ns = pl_devices_now_ns(&work->rt->place.devices);
    rc = pl_copy_async(&context->rt->place.devices, &to, &from, copied, work);
    if (rc < 0)
        copied(work, rc);
    return 0;
}

static void copy_ended(void *arg, const parla_outcome *outcome)
{
    (void)outcome;
    free(arg);
}

static int spawn_copy(parla_runtime *rt, parla_task *out, parla_data *dst, parla_data *src, copy_work *work, int i_device)
{
    parla_access accesses[2] = {{.data = dst, .mode = PARLA_OUT, .region = work->dst_box},
                                {.data = src, .mode = PARLA_IN | PARLA_ORDER, .region = work->src_box}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_demand demand = {.number = PARLA_ANY_NUMBER};
    const parla_choice choice = {&demand, 1};
    options.body = copy_body;
    options.on_end = copy_ended;
    options.arg = work;
    options.name = "copy";
    options.flags = PL_TASK_OWN | PL_TASK_TRANSFER | (i_device < 0 ? PL_TASK_FOLLOWS : 0);
    options.accesses = accesses;
    options.n_accesses = 2;
    if (i_device >= 0) {
        demand.arch = rt->place.devices.list[i_device].arch;
        demand.number = rt->place.devices.list[i_device].number;
        options.choices = &choice;
        options.n_choices = 1;
    }
    return parla_task_spawn(rt, out, &options);
}

int parla_data_copy_axes(parla_runtime *rt, parla_task *out, parla_data *dst, const parla_range *dst_box, parla_data *src,
                         const parla_range *src_box, const int *axes, int i_device)
{
    int rc = pl_runtime_check(rt);
    if (rc < 0)
        return rc;
    if (i_device >= rt->place.devices.n)
        return pl_error_set(PARLA_E_NO_DEVICE, "there is no device %d; there are devices 0 to %d", i_device,
                            rt->place.devices.n - 1);
    copy_work *work = calloc(1, sizeof *work);
    if (!work)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a copy");
    rc = make_work(work, dst, dst_box, src, src_box, axes);
    if (rc == 0)
        rc = spawn_copy(rt, out, dst, src, work, i_device);
    if (rc < 0)
        free(work);
    return rc;
}

int parla_data_copy(parla_runtime *rt, parla_task *out, parla_data *dst, const parla_range *dst_box, parla_data *src,
                    const parla_range *src_box, int i_device)
{
    return parla_data_copy_axes(rt, out, dst, dst_box, src, src_box, NULL, i_device);
}
