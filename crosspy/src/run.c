/* run.c - a plan's transfers as tasks, or at once.
 *
 * Copies inside the rank are parla_data_copy_axes: exactly the box's bytes, from wherever the source is valid, by the device's
 * own copy engine. Copies between ranks are a sender on one and a receiver on the other (message.c) with one tag. Every rank
 * walks all transfers in the same order and takes its part, so sends and receives are spawned in matching order. */
#include "message.h"

#include <parla/device.h>
#include <parla/error.h>

static int check_run(const cx_plan *plan, const cx_run *run)
{
    if (run->size != sizeof *run) {
        return parla_error_set(PARLA_E_INVALID, "cx_run.size is %zu, not %zu", run->size, sizeof *run);
    }
    if ((run->flags & CX_RUN_ALL_BY_TRANSPORT) && !run->transport) {
        return parla_error_set(PARLA_E_INVALID, "everything is to go by transport, and there is none");
    }
    for (int64_t i = 0; i < cx_plan_n_transfers(plan); i++) {
        cx_transfer t;
        cx_plan_transfer(plan, i, &t);
        bool is_reader = t.dst_place.rank == run->rank, is_writer = t.src_place.rank == run->rank;
        if ((run->flags & CX_RUN_LOCAL) && !(is_reader && is_writer)) {
            continue;
        }
        if (is_reader != is_writer && !run->transport) {
            return parla_error_set(PARLA_E_INVALID, "block %lld lies at rank %d and block %lld at rank %d: this takes a transport",
                                   (long long)t.src_block, t.src_place.rank, (long long)t.dst_block, t.dst_place.rank);
        }
        if ((is_reader && !run->dst[t.dst_block]) || (is_writer && !run->src[t.src_block])) {
            return parla_error_set(PARLA_E_INVALID, "block %lld of the %s belongs to this rank but is missing",
                                   (long long)(is_reader && !run->dst[t.dst_block] ? t.dst_block : t.src_block),
                                   is_reader && !run->dst[t.dst_block] ? "destination" : "source");
        }
    }
    return PARLA_OK;
}

/* The device of the last place that was asked for: transfers come in runs to one place. */
typedef struct device_memo {
    cx_place place;
    int i_device; /* -1: nothing yet */
} device_memo;

static int find_device(parla_runtime *rt, device_memo *memo, cx_place place)
{
    if (memo->i_device >= 0 && cx_place_equal(memo->place, place)) {
        return PARLA_OK;
    }
    int err = parla_device_find(rt, place.arch, place.number, &memo->i_device);
    memo->place = place;
    return err;
}

/* One transfer; adds the tasks that it spawned to out_tasks. */
static int run_transfer(const cx_plan *plan, parla_runtime *rt, const cx_run *run, int64_t i, device_memo *memo,
                        parla_task *out_tasks, size_t *n_tasks)
{
    cx_transfer t;
    cx_plan_transfer(plan, i, &t);
    bool is_reader = t.dst_place.rank == run->rank, is_writer = t.src_place.rank == run->rank;
    parla_task task;
    int err = PARLA_OK;
    if ((run->flags & CX_RUN_LOCAL) && !(is_reader && is_writer)) {
        return PARLA_OK;
    }
    if (is_reader && is_writer && !(run->flags & CX_RUN_ALL_BY_TRANSPORT)) {
        err = find_device(rt, memo, t.dst_place);
        err = err ? err
                  : parla_data_copy_axes(rt, &task, run->dst[t.dst_block], t.dst_box.range, run->src[t.src_block], t.src_box.range,
                                         cx_plan_axes(plan), memo->i_device);
        if (!err) {
            out_tasks[(*n_tasks)++] = task;
        }
        return err;
    }
    if (is_writer) {
        err = cx_message_send(rt, &task, plan, &t, run, run->tag + (uint64_t)i);
        if (!err) {
            out_tasks[(*n_tasks)++] = task;
        }
    }
    if (!err && is_reader) {
        err = cx_message_receive(rt, &task, plan, &t, run, run->tag + (uint64_t)i);
        if (!err) {
            out_tasks[(*n_tasks)++] = task;
        }
    }
    return err;
}

int cx_plan_run(const cx_plan *plan, parla_runtime *rt, const cx_run *run, parla_task *out_tasks, size_t *out_n_tasks)
{
    int err = check_run(plan, run);
    device_memo memo = {.i_device = -1};
    size_t n_tasks = 0;
    for (int64_t i = 0; !err && i < cx_plan_n_transfers(plan); i++) {
        parla_task scratch[2];
        size_t n = 0;
        err = run_transfer(plan, rt, run, i, &memo, out_tasks ? out_tasks + n_tasks : scratch, &n);
        n_tasks += n;
    }
    if (out_n_tasks) {
        *out_n_tasks = n_tasks;
    }
    return err;
}

/* --- Without a runtime ------------------------------------------------------------------------------------------------------- */

static int acquire_destination(parla_data *data, int *out_mode, parla_instance *out)
{
    parla_data_info info = {.size = sizeof info};
    int err = parla_data_query(data, &info);
    *out_mode = info.valid_mask ? PARLA_INOUT : PARLA_OUT; /* what has no content yet cannot be read */
    return err ? err : parla_data_acquire(NULL, data, *out_mode, PARLA_FOREVER, out);
}

static int copy_now(const cx_plan *plan, const cx_transfer *t, parla_data *dst, parla_data *src)
{
    parla_instance to, from;
    int mode;
    int err = acquire_destination(dst, &mode, &to);
    if (err) {
        return err;
    }
    err = parla_data_acquire(NULL, src, PARLA_IN, PARLA_FOREVER, &from);
    if (!err) {
        parla_strided dst_part = cx_strided_part(&to.box, &t->dst_box), src_part = cx_strided_part(&from.box, &t->src_box);
        parla_strided stretched = cx_strided_stretch(&src_part, &t->dst_box, cx_plan_axes(plan));
        err = parla_strided_copy(&dst_part, &stretched);
        parla_data_release(src, PARLA_IN);
    }
    parla_data_release(dst, mode);
    return err;
}

int cx_plan_run_now(const cx_plan *plan, const cx_run *run)
{
    int err = check_run(plan, run);
    for (int64_t i = 0; !err && i < cx_plan_n_transfers(plan); i++) {
        cx_transfer t;
        cx_plan_transfer(plan, i, &t);
        if ((run->flags & CX_RUN_LOCAL) && (t.dst_place.rank != run->rank || t.src_place.rank != run->rank)) {
            continue;
        }
        if (t.dst_place.rank != run->rank || t.src_place.rank != run->rank) {
            return parla_error_set(PARLA_E_INVALID, "blocks of other ranks take a runtime");
        }
        err = copy_now(plan, &t, run->dst[t.dst_block], run->src[t.src_block]);
    }
    return err;
}
