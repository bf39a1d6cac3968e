/* message.c - tasks that send or receive one box.
 *
 * The task names the block in its accesses, so it is ordered with all others on it. Its body posts the operation and returns
 * under a hold; the transport's callback releases the hold, which ends the task. A sender takes the block from where it lies, a
 * receiver writes on the device of its place. Both sides order the elements by the destination's dimensions (C order), so a
 * message is the same bytes whatever the blocks' shapes; a repeated source is stretched by the sender.
 *
 * A message is owned by its task: made at spawn, freed in on_end, which comes after the callback. */
#include "message.h"

#include <parla/error.h>
#include <parla/event.h>

#include <stdlib.h>

typedef struct message {
    parla_transport *transport;
    int peer;
    uint64_t tag;
    parla_task task; /* set by the body, read by the callback that it leads to */
    const int *axes; /* of the plan, on which the message holds a reference */
    cx_plan *plan;
    cx_box dst_box, src_box;
    bool is_send;
} message;

parla_strided cx_strided_part(const parla_strided *outer, const cx_box *part)
{
    parla_strided out = {.base = outer->base, .item_bytes = outer->item_bytes, .ndim = part->ndim};
    char *base = out.base;
    for (int k = 0; k < part->ndim; k++) {
        parla_range range = part->range[k];
        base += range.start * outer->stride[k];
        out.extent[k] = cx_range_count(range);
        out.stride[k] = range.step * outer->stride[k];
    }
    out.base = base;
    return out;
}

parla_strided cx_strided_stretch(const parla_strided *src, const cx_box *dst_box, const int *axes)
{
    parla_strided out = {.base = src->base, .item_bytes = src->item_bytes, .ndim = dst_box->ndim};
    for (int k = 0; k < dst_box->ndim; k++) {
        out.extent[k] = cx_range_count(dst_box->range[k]);
        out.stride[k] = axes[k] >= 0 ? src->stride[axes[k]] : 0;
    }
    return out;
}

static void message_destroy(message *m)
{
    cx_plan_unref(m->plan);
    free(m);
}

static void on_end(void *arg, const parla_outcome *outcome)
{
    (void)outcome;
    message_destroy(arg);
}

static void on_transferred(void *ctx, int status)
{
    message *m = ctx;
    parla_task task = m->task; /* the release may free the message */
    int err = parla_release(task, status, status ? "a block did not get through to its rank" : NULL);
    (void)err; /* the hold is ours, so there is one to release */
}

static int post(message *m, const parla_transfer_memory *memory)
{
    parla_transport *t = m->transport;
    return m->is_send ? t->send(t->self, NULL, m->peer, m->tag, memory, on_transferred, m)
                      : t->receive(t->self, NULL, m->peer, m->tag, memory, on_transferred, m);
}

static int body(parla_context *context, void *arg)
{
    message *m = arg;
    parla_instance instance;
    int err = m->is_send ? parla_context_source(context, 0, &instance) : parla_context_instance(context, 0, &instance);
    err = err ? err : parla_hold(context, 1);
    if (err) {
        return err;
    }
    parla_strided part = cx_strided_part(&instance.box, m->is_send ? &m->src_box : &m->dst_box);
    parla_transfer_memory memory = {m->is_send ? cx_strided_stretch(&part, &m->dst_box, m->axes) : part, instance.i_device};
    m->task = parla_context_task(context);
    err = post(m, &memory);
    if (err) {
        int released = parla_release(m->task, PARLA_OK, NULL);
        (void)released; /* as in on_transferred */
        return parla_fail(context, err, "%s", parla_error_detail());
    }
    return PARLA_OK;
}

static message *message_create(const cx_plan *plan, const cx_transfer *transfer, const cx_run *run, uint64_t tag, bool is_send)
{
    message *m = malloc(sizeof *m);
    if (m) {
        *m = (message){.transport = run->transport,
                       .peer = is_send ? transfer->dst_place.rank : transfer->src_place.rank,
                       .tag = tag,
                       .axes = cx_plan_axes(plan),
                       .plan = cx_plan_ref(plan),
                       .dst_box = transfer->dst_box,
                       .src_box = transfer->src_box,
                       .is_send = is_send};
    } else {
        parla_error_set(PARLA_E_NOMEM, "no memory for a message");
    }
    return m;
}

static int spawn(parla_runtime *rt, parla_task *out, message *m, const parla_access *access, const parla_choice *choice)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = m;
    options.on_end = on_end;
    options.name = m->is_send ? "crosspy send" : "crosspy receive";
    options.accesses = access;
    options.n_accesses = 1;
    options.choices = choice;
    options.n_choices = choice ? 1 : 0;
    int err = parla_task_spawn(rt, out, &options);
    if (err) {
        message_destroy(m);
    }
    return err;
}

int cx_message_send(parla_runtime *rt, parla_task *out, const cx_plan *plan, const cx_transfer *transfer, const cx_run *run,
                    uint64_t tag)
{
    message *m = message_create(plan, transfer, run, tag, true);
    parla_access access = {run->src[transfer->src_block], PARLA_IN | PARLA_ORDER, 0, transfer->src_box.range};
    return m ? spawn(rt, out, m, &access, NULL) : PARLA_E_NOMEM;
}

int cx_message_receive(parla_runtime *rt, parla_task *out, const cx_plan *plan, const cx_transfer *transfer, const cx_run *run,
                       uint64_t tag)
{
    message *m = message_create(plan, transfer, run, tag, false);
    parla_demand device = {transfer->dst_place.arch, transfer->dst_place.number, 0, 0};
    parla_choice choice = {&device, 1};
    parla_access access = {run->dst[transfer->dst_block], PARLA_OUT, 0, transfer->dst_box.range};
    return m ? spawn(rt, out, m, &access, &choice) : PARLA_E_NOMEM;
}
