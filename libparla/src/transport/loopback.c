/* loopback.c - the transport of a single rank: what it sends, it receives itself.
 *
 * A posted operation either finds its partner, the oldest operation of the other direction with the same tag, or waits for one:
 *
 *   waiting[hash of tag]  operations without a partner, oldest first; of one tag only sends or only receives
 *   matched               pairs in the order in which they were found, to be copied by parla_transport.progress
 *
 * The lock guards these lists and nothing else: copies and callbacks run outside it, so several threads may progress at once and
 * a callback may post. Nothing completes inside send and receive, so callbacks never nest, however long a chain of messages is.
 *
 * An operation's number is (count << BUCKET_BITS | bucket): never used twice, and cancel knows where to look.
 *
 * All memory must be addressable by the host: that of the CPU and of simulated devices. */
#include <parla/transport.h>

#include "base/error.h"
#include "base/strided.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_BITS 10
#define N_BUCKETS (1u << BUCKET_BITS)

typedef struct operation {
    struct operation *next;
    struct operation *partner; /* of a matched send: the receive */
    parla_transfer number;
    uint64_t tag;
    parla_transfer_memory memory;
    parla_transfer_done done;
    void *ctx;
    bool is_send;
} operation;

typedef struct list {
    operation *first;
    operation **end;
} list;

typedef struct loopback {
    parla_transport table; /* what the caller sees; table.self is this struct */
    pthread_mutex_t lock;
    list waiting[N_BUCKETS];
    list matched; /* the sends */
    size_t n_matched;
    uint64_t n_posted;
    bool is_closing;
} loopback;

/* --- Lists ------------------------------------------------------------------------------------------------------------------- */

static void list_init(list *self)
{
    self->first = NULL;
    self->end = &self->first;
}

static void list_push(list *self, operation *one)
{
    one->next = NULL;
    *self->end = one;
    self->end = &one->next;
}

/* Takes out what *link points to. */
static operation *list_take(list *self, operation **link)
{
    operation *one = *link;
    if (one != NULL) {
        *link = one->next;
        if (one->next == NULL) {
            self->end = link;
        }
    }
    return one;
}

static size_t bucket_of_tag(uint64_t tag) { return (size_t)((tag * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - BUCKET_BITS)); }

/* --- Copying ----------------------------------------------------------------------------------------------------------------- */

/* The lowest address of a box that is not empty, and the one behind its highest. */
static void address_range(const parla_strided *box, uintptr_t *out_low, uintptr_t *out_high)
{
    *out_low = (uintptr_t)box->base;
    *out_high = (uintptr_t)box->base + box->item_bytes;
    for (int k = 0; k < box->ndim; k++) {
        int64_t reach = (box->extent[k] - 1) * box->stride[k];
        *(reach < 0 ? out_low : out_high) += (uintptr_t)reach;
    }
}

static bool may_overlap(const parla_strided *a, const parla_strided *b)
{
    uintptr_t a_low, a_high, b_low, b_high;
    address_range(a, &a_low, &a_high);
    address_range(b, &b_low, &b_high);
    return a_low < b_high && b_low < a_high;
}

static bool has_same_shape(const parla_strided *a, const parla_strided *b)
{
    return a->item_bytes == b->item_bytes && a->ndim == b->ndim &&
           (a->ndim == 0 || memcmp(a->extent, b->extent, (size_t)a->ndim * sizeof a->extent[0]) == 0);
}

/* Copies in C order through a contiguous buffer: for shapes that differ, and for memory that overlaps. */
static int copy_packed(const parla_strided *dst, const parla_strided *src, size_t n_bytes)
{
    void *buffer = malloc(n_bytes);
    if (buffer == NULL) {
        return pl_error_set(PARLA_E_TRANSPORT, "no memory for a buffer of %zu bytes", n_bytes);
    }
    parla_strided packed;
    int code = parla_strided_contiguous(&packed, buffer, src->item_bytes, src->ndim, src->extent);
    code = code == 0 ? parla_strided_copy(&packed, src) : code;
    code = code == 0 ? parla_strided_contiguous(&packed, buffer, dst->item_bytes, dst->ndim, dst->extent) : code;
    code = code == 0 ? parla_strided_copy(dst, &packed) : code;
    free(buffer);
    return code == 0 ? 0 : PARLA_E_TRANSPORT;
}

static int copy_message(uint64_t tag, const parla_strided *dst, const parla_strided *src)
{
    size_t n_dst = parla_strided_bytes(dst);
    size_t n_src = parla_strided_bytes(src);
    if (n_dst != n_src) {
        return pl_error_set(PARLA_E_TRANSPORT, "message with tag %" PRIu64 ": %zu bytes were sent, but the receiver takes %zu", tag,
                            n_src, n_dst);
    }
    if (n_src == 0) {
        return 0;
    }
    if (!has_same_shape(dst, src) || may_overlap(dst, src)) {
        return copy_packed(dst, src, n_src);
    }
    return parla_strided_copy(dst, src) == 0 ? 0 : PARLA_E_TRANSPORT;
}

/* --- Operations -------------------------------------------------------------------------------------------------------------- */

static int check_memory(const parla_strided *box, bool is_send)
{
    parla_strided same_shape;
    int code = parla_strided_contiguous(&same_shape, box->base, box->item_bytes, box->ndim, box->extent);
    if (code != 0) {
        return code;
    }
    if (parla_strided_bytes(box) == 0) {
        return 0;
    }
    if (box->base == NULL) {
        return pl_error_set(PARLA_E_INVALID, "the memory of a transfer is NULL");
    }
    return is_send ? 0 : pl_strided_check_written(box);
}

/* Puts an operation into the lists: beside its partner, or among those that wait. */
static int post_locked(loopback *self, operation *one)
{
    if (self->is_closing) {
        return pl_error_set(PARLA_E_STATE, "the transport is being closed");
    }
    size_t i_bucket = bucket_of_tag(one->tag);
    one->number = ++self->n_posted << BUCKET_BITS | i_bucket;
    list *bucket = &self->waiting[i_bucket];
    operation **link = &bucket->first;
    while (*link != NULL && ((*link)->tag != one->tag || (*link)->is_send == one->is_send)) {
        link = &(*link)->next;
    }
    operation *partner = list_take(bucket, link);
    if (partner == NULL) {
        list_push(bucket, one);
        return 0;
    }
    operation *send = one->is_send ? one : partner;
    send->partner = one->is_send ? partner : one;
    list_push(&self->matched, send);
    self->n_matched++;
    return 0;
}

static int post(loopback *self, parla_transfer *out, int rank, const operation *wanted)
{
    if (rank != 0) {
        return pl_error_set(PARLA_E_INVALID, "rank %d does not exist: this transport has rank 0 only", rank);
    }
    if (wanted->done == NULL) {
        return pl_error_set(PARLA_E_INVALID, "a transfer needs a completion callback");
    }
    int code = check_memory(&wanted->memory.box, wanted->is_send);
    if (code != 0) {
        return code;
    }
    operation *one = malloc(sizeof *one);
    if (one == NULL) {
        return pl_error_set(PARLA_E_NOMEM, "no memory for a transfer");
    }
    *one = *wanted;
    pthread_mutex_lock(&self->lock);
    code = post_locked(self, one);
    parla_transfer number = one->number; /* read here: without the lock it may be completed and freed at once */
    pthread_mutex_unlock(&self->lock);
    if (code != 0) {
        free(one);
        return code;
    }
    if (out != NULL) {
        *out = number;
    }
    return 0;
}

static int loopback_send(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                         parla_transfer_done done, void *ctx)
{
    return post(self, out, rank, &(operation){.tag = tag, .memory = *memory, .done = done, .ctx = ctx, .is_send = true});
}

static int loopback_receive(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                            parla_transfer_done done, void *ctx)
{
    return post(self, out, rank, &(operation){.tag = tag, .memory = *memory, .done = done, .ctx = ctx, .is_send = false});
}

static void complete(operation *one, int status)
{
    one->done(one->ctx, status);
    free(one);
}

static int loopback_cancel(void *context, parla_transfer number)
{
    loopback *self = context;
    list *bucket = &self->waiting[number & (N_BUCKETS - 1)];
    pthread_mutex_lock(&self->lock);
    operation **link = &bucket->first;
    while (*link != NULL && (*link)->number != number) {
        link = &(*link)->next;
    }
    operation *one = list_take(bucket, link);
    pthread_mutex_unlock(&self->lock);
    if (one == NULL) {
        return pl_error_set(PARLA_E_STATE, "transfer %" PRIu64 " is matched or completed already", number);
    }
    complete(one, PARLA_E_CANCELLED);
    return 0;
}

static operation *take_matched(loopback *self)
{
    pthread_mutex_lock(&self->lock);
    operation *send = list_take(&self->matched, &self->matched.first);
    self->n_matched -= send != NULL;
    pthread_mutex_unlock(&self->lock);
    return send;
}

/* Handles the pairs that were matched when it began, so that callbacks that post more cannot keep it for ever. */
static int loopback_progress(void *context)
{
    loopback *self = context;
    pthread_mutex_lock(&self->lock);
    size_t n_left = self->n_matched;
    pthread_mutex_unlock(&self->lock);
    int n_completed = 0;
    for (operation *send; n_left > 0 && (send = take_matched(self)) != NULL; n_left--) {
        operation *receive = send->partner;
        int status = copy_message(send->tag, &receive->memory.box, &send->memory.box);
        complete(receive, status);
        complete(send, status);
        n_completed += 2;
    }
    return n_completed;
}

/* One rank has nobody to wait for. */
static int loopback_barrier(void *self)
{
    (void)self;
    return 0;
}

static void cancel_list(list *self)
{
    for (operation *one; (one = list_take(self, &self->first)) != NULL;) {
        if (one->partner != NULL) {
            complete(one->partner, PARLA_E_CANCELLED);
        }
        complete(one, PARLA_E_CANCELLED);
    }
}

/* The caller lets no other call run any more; only callbacks may still try to post, and are refused. */
static void loopback_close(void *context)
{
    loopback *self = context;
    pthread_mutex_lock(&self->lock);
    self->is_closing = true;
    pthread_mutex_unlock(&self->lock);
    cancel_list(&self->matched);
    for (size_t i = 0; i < N_BUCKETS; i++) {
        cancel_list(&self->waiting[i]);
    }
    pthread_mutex_destroy(&self->lock);
    free(self);
}

int parla_transport_loopback(parla_transport **out)
{
    loopback *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return pl_error_set(PARLA_E_NOMEM, "no memory for a transport");
    }
    pthread_mutex_init(&self->lock, NULL);
    list_init(&self->matched);
    for (size_t i = 0; i < N_BUCKETS; i++) {
        list_init(&self->waiting[i]);
    }
    self->table = (parla_transport){.abi = PARLA_TRANSPORT_ABI,
                                    .name = "loopback",
                                    .rank = 0,
                                    .n_ranks = 1,
                                    .self = self,
                                    .send = loopback_send,
                                    .receive = loopback_receive,
                                    .cancel = loopback_cancel,
                                    .progress = loopback_progress,
                                    .barrier = loopback_barrier,
                                    .close = loopback_close};
    *out = &self->table;
    return 0;
}
