/* transport_program.c - see transport_program.h. */
#include "transport_program.h"

#include "random_box.h"
#include "test.h"

#include <parla/error.h>
#include <parla/mpi_transport.h>

#include <sched.h>

enum { MOST_MESSAGES = 8, UNSET = 12345 };

typedef struct class
{
    int source, destination, n_sends, n_receives;
    uint64_t tag, seed;
    parla_strided shape;
    bool is_racy; /* both sides may cancel at any time */
} class;

typedef struct operation {
    const class *class;
    int k;
    bool is_send, is_cancelled;
    random_box memory;
    bool is_shared;
    parla_transfer number;
    report report;
} operation;

struct program {
    parla_transport *transport;
    program_options options;
    t_rng rng; /* of this rank */
    class *classes;
    operation *operations; /* of this rank, in the order posted */
    int n_operations;
    int *balance;
};

void report_done(void *ctx, int status)
{
    report *self = ctx;
    atomic_store_explicit(&self->status, status, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->n_calls, 1, memory_order_acq_rel);
}

static bool is_done(const operation *op) { return atomic_load_explicit(&op->report.n_calls, memory_order_acquire) > 0; }

/* --- Drawing ----------------------------------------------------------------------------------------------------------------- */

static parla_strided large_shape(t_rng *rng)
{
    parla_strided shape = {.item_bytes = (size_t)8 << t_below(rng, 2), .ndim = 2};
    shape.extent[0] = 1 + (int64_t)t_below(rng, 512);
    shape.extent[1] = 1 + (int64_t)t_below(rng, 512);
    return shape;
}

static class draw_class(t_rng *rng, int n_ranks, bool is_large)
{
    static const uint64_t tags[] = {0, 1, UINT64_MAX, UINT64_C(1) << 40, UINT64_C(0x8000000000000001)};
    class one = {.source = (int)t_below(rng, (uint64_t)n_ranks),
                 .destination = (int)t_below(rng, (uint64_t)n_ranks),
                 .n_sends = (int)t_below(rng, MOST_MESSAGES),
                 .is_racy = t_below(rng, 6) == 0,
                 .seed = t_next(rng)};
    int extra = (int)t_below(rng, 3) - 1; /* often as many receives as sends, sometimes one more or less */
    one.n_receives = one.n_sends + extra > 0 ? one.n_sends + extra : 0;
    one.tag = tags[t_below(rng, 5)];
    one.shape = is_large ? large_shape(rng) : random_shape(rng, 12);
    return one;
}

/* Classes must not share (source, destination, tag); what makes the tag another one keeps its high bits. */
static void separate(class *classes, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            if (classes[i].source == classes[j].source && classes[i].destination == classes[j].destination &&
                classes[i].tag == classes[j].tag) {
                classes[i].tag -= UINT64_C(1) << (i % 60);
                j = -1; /* look at all of them again */
            }
        }
    }
}

/* Every tenth receive takes another size. */
static bool is_misfit(const class *one, int k)
{
    t_rng rng = {one->seed + (uint64_t)k * 77 + 5};
    return !one->is_racy && t_below(&rng, 10) == 0;
}

/* The same bytes as another shape: as they are, in single bytes, or with one dimension less. */
static parla_strided other_shape(t_rng *rng, const parla_strided *shape)
{
    parla_strided other = *shape;
    uint64_t kind = t_below(rng, 3);
    if (kind == 1) {
        other = (parla_strided){.item_bytes = 1, .ndim = 1, .extent = {(int64_t)parla_strided_bytes(shape)}};
    } else if (kind == 2 && shape->ndim > 0) {
        other.ndim--;
        other.item_bytes *= (size_t)(shape->extent[other.ndim] > 0 ? shape->extent[other.ndim] : 1);
        if (shape->extent[other.ndim] == 0) {
            other = *shape;
        }
    }
    return other;
}

/* The sender's memory: whoever knows class and k can make it. */
static random_box send_memory(const class *one, int k)
{
    t_rng rng = {one->seed + 1000 * (uint64_t)k};
    return random_layout(&rng, &one->shape, true);
}

static random_box receive_memory(const class *one, int k)
{
    t_rng rng = {one->seed + 1000 * (uint64_t)k + 500};
    parla_strided shape = other_shape(&rng, &one->shape);
    if (is_misfit(one, k)) {
        shape = (parla_strided){.item_bytes = 1, .ndim = 1, .extent = {(int64_t)parla_strided_bytes(&one->shape) + 1}};
    }
    return random_layout(&rng, &shape, false);
}

static program *program_alloc(parla_transport *transport, uint64_t seed, const program_options *options)
{
    program *self = calloc(1, sizeof *self);
    size_t n = (size_t)options->n_classes;
    self->transport = transport;
    self->options = *options;
    self->rng = (t_rng){seed + 31 * (uint64_t)transport->rank};
    self->classes = calloc(n, sizeof *self->classes);
    self->balance = calloc(n, sizeof *self->balance);
    self->operations = calloc(n * (2 * MOST_MESSAGES + 1), sizeof *self->operations);
    return self;
}

program *program_create(parla_transport *transport, uint64_t seed, const program_options *options)
{
    program *self = program_alloc(transport, seed, options);
    t_rng rng = {seed};
    for (int i = 0; i < options->n_classes; i++) {
        self->classes[i] = draw_class(&rng, transport->n_ranks, i < options->n_largest);
    }
    separate(self->classes, options->n_classes);
    return self;
}

/* --- Running ----------------------------------------------------------------------------------------------------------------- */

/* Moves a box into memory that other ranks can address. */
static void share(program *self, operation *op)
{
    void *shared;
    T_OK(parla_mpi_memory_alloc(self->transport, &shared, op->memory.n_bytes));
    memcpy(shared, op->memory.memory, op->memory.n_bytes);
    op->memory.box.base = (char *)shared + ((unsigned char *)op->memory.box.base - op->memory.memory);
    free(op->memory.memory);
    op->memory.memory = shared;
    op->is_shared = true;
}

static void post(program *self, const class *one, int k, bool is_send)
{
    parla_transport *t = self->transport;
    operation *op = &self->operations[self->n_operations++];
    *op = (operation){.class = one, .k = k, .is_send = is_send, .memory = is_send ? send_memory(one, k) : receive_memory(one, k)};
    op->report.status = UNSET;
    if (self->options.is_shared_memory && t_below(&self->rng, 2) == 0) {
        share(self, op);
    }
    parla_transfer_memory memory = {.box = op->memory.box};
    T_OK(is_send ? t->send(t->self, &op->number, one->destination, one->tag, &memory, report_done, &op->report)
                 : t->receive(t->self, &op->number, one->source, one->tag, &memory, report_done, &op->report));
    T_NE(op->number, 0);
}

/* Cancels an operation that the oracle knows to wait, or that may be cancelled at any time. */
static void cancel(program *self, operation *op)
{
    parla_transport *t = self->transport;
    bool is_asked = op->is_send && op->class->destination != t->rank; /* the receiver has the last word */
    int code = t->cancel(t->self, op->number);
    if (op->class->is_racy) {
        T_TRUE(code == 0 || code == PARLA_PENDING || code == PARLA_E_STATE);
    } else if (is_asked) {
        T_TRUE(code == PARLA_PENDING || code == PARLA_E_STATE); /* the receiver may have refused it, being closed */
    } else {
        T_EQ(code, 0);
    }
    T_EQ(t->cancel(t->self, op->number), PARLA_E_STATE);
    op->is_cancelled = true;
}

/* By the oracle: it has a partner. */
static bool is_matched(const operation *op)
{
    return op->k < (op->is_send ? op->class->n_receives : op->class->n_sends) && !op->class->is_racy;
}

/* Posts this rank's operations, each time in a class drawn from those that have some left. */
static void post_all(program *self)
{
    int rank = self->transport->rank, n = self->options.n_classes, n_left = 0;
    int *left = calloc(2 * (size_t)n, sizeof *left); /* sends, then receives */
    for (int i = 0; i < n; i++) {
        left[i] = self->classes[i].source == rank ? self->classes[i].n_sends : 0;
        left[n + i] = self->classes[i].destination == rank ? self->classes[i].n_receives : 0;
        n_left += left[i] + left[n + i];
    }
    while (n_left > 0) {
        int i = (int)t_below(&self->rng, 2 * (uint64_t)n);
        if (left[i] > 0) {
            const class *one = &self->classes[i % n];
            post(self, one, (i < n ? one->n_sends : one->n_receives) - left[i], i < n);
            left[i]--;
            n_left--;
        }
        operation *last = self->n_operations > 0 ? &self->operations[t_below(&self->rng, (uint64_t)self->n_operations)] : NULL;
        if (last != NULL && last->class->is_racy && !last->is_cancelled && t_below(&self->rng, 4) == 0) {
            cancel(self, last);
        }
        if (t_below(&self->rng, 5) == 0) {
            (void)self->transport->progress(self->transport->self);
        }
    }
    free(left);
}

static bool progress_until_matched_are_done(program *self)
{
    (void)self->transport->progress(self->transport->self);
    for (int i = 0; i < self->n_operations; i++) {
        if (is_matched(&self->operations[i]) && !is_done(&self->operations[i])) {
            sched_yield();
            return false;
        }
    }
    return true;
}

static void close_transport(program *self)
{
    self->transport->close(self->transport->self);
    self->transport = NULL;
}

/* Shared memory ends with the transport, so what arrived in it moves to plain memory before. */
static void move_out(program *self)
{
    for (int i = 0; i < self->n_operations; i++) {
        operation *op = &self->operations[i];
        if (op->is_shared && is_done(op)) {
            unsigned char *memory = malloc(op->memory.n_bytes);
            T_TRUE(memory != NULL);
            memcpy(memory, op->memory.memory, op->memory.n_bytes);
            T_OK(parla_mpi_memory_free(self->transport, op->memory.memory));
            op->memory.memory = memory;
            op->is_shared = false;
        }
    }
}

void program_run(program *self)
{
    post_all(self);
    if (!self->options.is_hasty) {
        T_EVENTUALLY(progress_until_matched_are_done(self), 50000);
        for (int i = 0; i < self->n_operations; i++) {
            operation *op = &self->operations[i];
            if (!is_matched(op) && !op->class->is_racy && t_below(&self->rng, 2) == 0) {
                cancel(self, op);
            }
        }
        move_out(self);
    }
    close_transport(self);
}

/* --- Checking ---------------------------------------------------------------------------------------------------------------- */

/* What a receive has left in its memory if it got the k-th send of its class; k < 0: nothing. */
static random_box expected_memory(const operation *op, int k)
{
    random_box expected = receive_memory(op->class, op->k);
    if (k >= 0) {
        random_box source = send_memory(op->class, k);
        size_t n = parla_strided_bytes(&source.box), a = source.box.item_bytes, b = expected.box.item_bytes;
        char *flat = malloc(n + 1);
        for (int64_t i = 0; i < parla_strided_items(&source.box); i++) {
            memcpy(flat + (size_t)i * a, element(&source.box, i), a);
        }
        for (int64_t i = 0; i < parla_strided_items(&expected.box); i++) {
            memcpy(element(&expected.box, i), flat + (size_t)i * b, b);
        }
        free(flat);
        free(source.memory);
    }
    return expected;
}

static bool has_got(const operation *op, int k)
{
    random_box expected = expected_memory(op, k);
    bool is_same = memcmp(op->memory.memory, expected.memory, expected.n_bytes) == 0;
    free(expected.memory);
    return is_same;
}

/* Where a side may withdraw, the order decides no more which of the class a receive gets, only that it is a later one. */
static bool may_be_withdrawn(const program *self, const operation *op) { return op->class->is_racy || self->options.is_hasty; }

static void check_received(const program *self, const operation *op, int status)
{
    if (status == 0 && may_be_withdrawn(self, op)) {
        int k = 0;
        while (k < op->class->n_sends && !has_got(op, k)) {
            k++;
        }
        T_LT(k, op->class->n_sends);
        return;
    }
    random_box expected = expected_memory(op, status == 0 ? op->k : -1);
    T_EQ_MEM(op->memory.memory, expected.memory, expected.n_bytes);
    free(expected.memory);
}

static void check_status(const program *self, const operation *op, int status)
{
    if (!may_be_withdrawn(self, op)) {
        T_EQ(status, !is_matched(op) ? PARLA_E_CANCELLED : is_misfit(op->class, op->k) ? PARLA_E_TRANSPORT : 0);
    } else if (!op->is_send && is_misfit(op->class, op->k)) {
        T_TRUE(status == PARLA_E_CANCELLED || status == PARLA_E_TRANSPORT);
    } else if (!op->is_send) {
        T_TRUE(status == PARLA_E_CANCELLED || status == 0);
    } else {
        T_TRUE(status == PARLA_E_CANCELLED || status == 0 || status == PARLA_E_TRANSPORT);
    }
}

void program_check(const program *self)
{
    for (int i = 0; i < self->n_operations; i++) {
        const operation *op = &self->operations[i];
        int status = op->report.status;
        T_EQ(op->report.n_calls, 1);
        check_status(self, op, status);
        if (!op->is_send && !op->is_shared) { /* shared memory is gone with the transport */
            check_received(self, op, status);
        }
        self->balance[op->class - self->classes] += status == 0 ? (op->is_send ? 1 : -1) : 0;
    }
}

int program_balance(const program *self, const int **out)
{
    *out = self->balance;
    return self->options.n_classes;
}

void program_destroy(program *self)
{
    for (int i = 0; i < self->n_operations; i++) {
        if (!self->operations[i].is_shared) {
            free(self->operations[i].memory.memory);
        }
    }
    free(self->operations);
    free(self->balance);
    free(self->classes);
    free(self);
}
