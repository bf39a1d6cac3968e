/* message.c - tasks that send or receive one box.
 *
 * The task names the block in its accesses, so it is ordered with all others on it. Its body posts the operation and returns
 * under a hold; the transport's callback releases the hold, which ends the task. A sender takes the block from where it lies, a
 * receiver writes on the device of its place. Transports read and write memory of the host, though: where the runtime has devices
 * with memory of their own, both run on the CPU, and the block comes there, or is fetched from there, as for any task.
 *
 * Both sides order the elements by the destination's dimensions (C order), so a message is the same bytes whatever the blocks' shapes; a
 * repeated source is stretched by the sender.
 *
 * Every message that one side expects is sent, and every one that is sent is received, or the other rank would wait for ever:
 *   - a sender that ends without having posted (what it depends on has failed) sends a message of another size, which ends the receive
 *     with PARLA_E_TRANSPORT, and the reason under the tag with CX_TAG_WORDS; the receiver reads it and fails with those words;
 *   - a receiver that ends without having posted takes the message into memory of its own and drops it.
 *
 * A message is owned by its task: made at spawn, freed in on_end, which comes after the callback; or, where on_end itself posts, by the
 * callbacks of what it has posted. */
#include "message.h"

#include "breaks.h"

#include <parla/device.h>
#include <parla/error.h>
#include <parla/event.h>
#include <parla/trace.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_BYTES = 512 };

static const char receive_name[] = "crosspy receive";

typedef struct message {
    parla_runtime *rt;
    parla_transport *transport;
    int peer;
    uint64_t tag;
    parla_task task; /* set by the body, read by the callback that it leads to */
    cx_plan *plan;   /* with a reference; NULL: the whole array */
    cx_box dst_box, src_box;
    size_t n_bytes;
    uint64_t begin_ns; /* when it was posted, if that is recorded */
    bool is_send, is_posted;
    bool is_anywhere; /* it takes the block from wherever that lies */
    bool is_orphan;   /* its task has ended; `memory` is its own */
    void *memory;
    atomic_int n_under_way; /* of what on_end has posted */
    char words[WORDS_BYTES];
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
    if (m->plan) {
        cx_plan_unref(m->plan);
    }
    free(m->memory);
    free(m);
}

static int post(message *m, uint64_t tag, const parla_transfer_memory *memory, parla_transfer_done done)
{
    parla_transport *t = m->transport;
    return m->is_send ? t->send(t->self, NULL, m->peer, tag, memory, done, m)
                      : t->receive(t->self, NULL, m->peer, tag, memory, done, m);
}

static int post_bytes(message *m, uint64_t tag, void *base, size_t n_bytes, parla_transfer_done done)
{
    parla_transfer_memory memory = {.i_device = 0};
    int64_t extent = (int64_t)n_bytes;
    int err = parla_strided_contiguous(&memory.box, base, 1, 1, &extent);
    return err ? err : post(m, tag, &memory, done);
}

/* --- The receiver's end ------------------------------------------------------------------------------------------------------ */

static void finish(message *m, int status, const char *words)
{
    if (m->is_orphan) {
        message_destroy(m);
        return;
    }
    parla_task task = m->task; /* the release may free the message */
    int err = parla_release(task, status, words);
    (void)err; /* the hold is ours, so there is one to release */
}

static void on_words(void *ctx, int status)
{
    message *m = ctx;
    m->words[WORDS_BYTES - 1] = '\0';
    finish(m, PARLA_E_TRANSPORT, status ? "a block did not get through to its rank" : m->words);
}

static void on_transferred(void *ctx, int status)
{
    message *m = ctx;
    if (status == PARLA_E_TRANSPORT && !m->is_send &&
        post_bytes(m, m->tag | CX_TAG_WORDS, m->words, WORDS_BYTES, on_words) == PARLA_OK) {
        return;
    }
    finish(m, status, status ? "a block did not get through to its rank" : NULL);
}

/* --- Messages whose task did not come to post them ---------------------------------------------------------------------------- */

static const parla_failure *root_of(const parla_failure *failure)
{
    while (failure && parla_failure_cause(failure)) {
        failure = parla_failure_cause(failure);
    }
    return failure;
}

/* What has been told by another rank is passed on as it is. */
static void put_words(message *m, const parla_failure *failure)
{
    const parla_failure *root = root_of(failure);
    const char *name = root ? parla_failure_task_name(root) : "", *text = root ? parla_failure_message(root) : "it was cancelled";
    if (strcmp(name, receive_name) == 0) {
        snprintf(m->words, WORDS_BYTES, "%s", text);
    } else {
        snprintf(m->words, WORDS_BYTES, "task '%s' of rank %d failed: %s", name, m->transport->rank, text);
    }
}

static void on_told(void *ctx, int status)
{
    message *m = ctx;
    (void)status;
    if (atomic_fetch_sub_explicit(&m->n_under_way, 1, memory_order_acq_rel) == 1) {
        message_destroy(m);
    }
}

/* The byte that is sent in place of the block is one of the words, so that there is something to send. */
static void tell_failure(message *m, const parla_failure *failure)
{
    put_words(m, failure);
    atomic_init(&m->n_under_way, 3);
    if (post_bytes(m, m->tag, m->words, m->n_bytes == 1 ? 2 : 1, on_told)) {
        on_told(m, PARLA_E_STATE);
    }
    if (post_bytes(m, m->tag | CX_TAG_WORDS, m->words, WORDS_BYTES, on_told)) {
        on_told(m, PARLA_E_STATE);
    }
    on_told(m, PARLA_OK);
}

static void swallow(message *m)
{
    m->is_orphan = true;
    m->memory = malloc(m->n_bytes);
    if (!m->memory || post_bytes(m, m->tag, m->memory, m->n_bytes, on_transferred)) {
        message_destroy(m);
    }
}

static void on_end(void *arg, const parla_outcome *outcome)
{
    message *m = arg;
    if (outcome->status == PARLA_OK) {
        parla_trace_message(m->rt, outcome->task, m->is_send, m->peer, m->tag, m->begin_ns, m->n_bytes);
    }
    if (m->is_posted || outcome->status == PARLA_OK) {
        message_destroy(m);
    } else if (m->is_send && !cx_is_broken(CX_BREAK_FAILURE)) {
        tell_failure(m, outcome->failure);
    } else {
        swallow(m);
    }
}

/* --- The task ---------------------------------------------------------------------------------------------------------------- */

/* The bytes that travel, in an instance of the block. */
static parla_strided box_of(const message *m, const parla_strided *instance)
{
    if (!m->plan) {
        return *instance;
    }
    parla_strided part = cx_strided_part(instance, m->is_send ? &m->src_box : &m->dst_box);
    return m->is_send ? cx_strided_stretch(&part, &m->dst_box, cx_plan_axes(m->plan)) : part;
}

static int body(parla_context *context, void *arg)
{
    message *m = arg;
    parla_instance instance;
    int err = m->is_anywhere ? parla_context_source(context, 0, &instance) : parla_context_instance(context, 0, &instance);
    err = err ? err : parla_hold(context, 1);
    if (err) {
        return err;
    }
    parla_transfer_memory memory = {box_of(m, &instance.box), instance.i_device};
    m->task = parla_context_task(context);
    m->begin_ns = parla_trace_now(m->rt);
    m->is_posted = true; /* before the callback, which may come at once */
    err = post(m, m->tag, &memory, on_transferred);
    if (err) {
        m->is_posted = false;
        int released = parla_release(m->task, PARLA_OK, NULL);
        (void)released; /* as in finish */
        return parla_fail(context, err, "%s", parla_error_detail());
    }
    return PARLA_OK;
}

static message *message_create(parla_transport *transport, int peer, uint64_t tag, size_t n_bytes, bool is_send)
{
    message *m = calloc(1, sizeof *m);
    if (m) {
        m->transport = transport;
        m->peer = peer;
        m->tag = tag;
        m->n_bytes = n_bytes;
        m->is_send = is_send;
    } else {
        parla_error_set(PARLA_E_NOMEM, "no memory for a message");
    }
    return m;
}

static message *message_of_plan(const cx_plan *plan, const cx_transfer *transfer, const cx_run *run, uint64_t tag, bool is_send)
{
    size_t n_bytes = (size_t)cx_box_volume(&transfer->dst_box) * cx_plan_item_bytes(plan);
    message *m =
        message_create(run->transport, is_send ? transfer->dst_place.rank : transfer->src_place.rank, tag, n_bytes, is_send);
    if (m) {
        m->plan = cx_plan_ref(plan);
        m->dst_box = transfer->dst_box;
        m->src_box = transfer->src_box;
    }
    return m;
}

static int spawn(parla_runtime *rt, parla_task *out, message *m, parla_data *data, const parla_range *box,
                 const parla_choice *choice)
{
    m->rt = rt;
    m->is_anywhere = m->is_send && parla_device_is_host_memory(rt, -1);
    parla_access access = {data, m->is_send ? PARLA_IN : PARLA_OUT, 0, box};
    access.mode |= m->is_anywhere ? PARLA_ORDER : 0;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = m;
    options.on_end = on_end;
    options.name = m->is_send ? "crosspy send" : receive_name;
    options.accesses = &access;
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
    message *m = message_of_plan(plan, transfer, run, tag, true);
    return m ? spawn(rt, out, m, run->src[transfer->src_block], transfer->src_box.range, NULL) : PARLA_E_NOMEM;
}

int cx_message_receive(parla_runtime *rt, parla_task *out, const cx_plan *plan, const cx_transfer *transfer, const cx_run *run,
                       uint64_t tag)
{
    message *m = message_of_plan(plan, transfer, run, tag, false);
    parla_demand device = {transfer->dst_place.arch, transfer->dst_place.number, 0, 0};
    parla_choice choice = {&device, 1};
    int i_device;
    int err = m ? parla_device_find(rt, device.arch, device.number, &i_device) : PARLA_E_NOMEM;
    if (err) {
        if (m) {
            message_destroy(m);
        }
        return err;
    }
    bool is_direct = parla_device_is_host_memory(rt, i_device);
    return spawn(rt, out, m, run->dst[transfer->dst_block], transfer->dst_box.range, is_direct ? &choice : NULL);
}

int cx_message_send_block(parla_runtime *rt, parla_transport *transport, int rank, uint64_t tag, parla_data *data)
{
    message *m = message_create(transport, rank, tag, parla_strided_bytes(parla_data_shape(data)), true);
    return m ? spawn(rt, NULL, m, data, NULL, NULL) : PARLA_E_NOMEM;
}

int cx_message_receive_block(parla_runtime *rt, parla_transport *transport, int rank, uint64_t tag, parla_data *data)
{
    message *m = message_create(transport, rank, tag, parla_strided_bytes(parla_data_shape(data)), false);
    return m ? spawn(rt, NULL, m, data, NULL, NULL) : PARLA_E_NOMEM;
}
