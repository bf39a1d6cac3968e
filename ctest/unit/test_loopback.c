/* test_loopback.c - the transport of one rank against an oracle that matches by (tag, order posted). */
#include <parla/error.h>
#include <parla/transport.h>

#include "base/atomic.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>

enum { UNSET = 12345 };

/* What one operation reported. */
typedef struct result {
    _Atomic int status;
    _Atomic int n_calls;
} result;

static void note(void *ctx, int status)
{
    result *self = ctx;
    pl_store_relaxed(&self->status, status);
    pl_add_acq_rel(&self->n_calls, 1);
}

static parla_transport *open_loopback(void)
{
    parla_transport *transport = NULL;
    T_OK(parla_transport_loopback(&transport));
    return transport;
}

static void close_transport(parla_transport *transport) { transport->close(transport->self); }

static parla_transfer_memory row_of(void *base, size_t item_bytes, int64_t n)
{
    parla_transfer_memory memory = {.i_device = 0};
    T_OK(parla_strided_contiguous(&memory.box, base, item_bytes, 1, &n));
    return memory;
}

static parla_transfer send_row(parla_transport *t, uint64_t tag, void *base, size_t item_bytes, int64_t n, result *out)
{
    parla_transfer number = 0;
    parla_transfer_memory memory = row_of(base, item_bytes, n);
    *out = (result){UNSET, 0};
    T_OK(t->send(t->self, &number, 0, tag, &memory, note, out));
    T_NE(number, 0);
    return number;
}

static parla_transfer receive_row(parla_transport *t, uint64_t tag, void *base, size_t item_bytes, int64_t n, result *out)
{
    parla_transfer number = 0;
    parla_transfer_memory memory = row_of(base, item_bytes, n);
    *out = (result){UNSET, 0};
    T_OK(t->receive(t->self, &number, 0, tag, &memory, note, out));
    T_NE(number, 0);
    return number;
}

static void progress_all(parla_transport *t)
{
    while (t->progress(t->self) > 0) {
    }
}

#define T_ENDED(r, s)                                                                                                              \
    do {                                                                                                                           \
        T_EQ((r).n_calls, 1);                                                                                                      \
        T_EQ((r).status, (s));                                                                                                     \
    } while (0)

T_TEST(table)
{
    parla_transport *t = open_loopback();
    T_EQ(t->abi, PARLA_TRANSPORT_ABI);
    T_EQ_STR(t->name, "loopback");
    T_EQ(t->rank, 0);
    T_EQ(t->n_ranks, 1);
    T_EQ(t->progress(t->self), 0);
    T_OK(t->barrier(t->self));
    close_transport(t);
}

T_TEST(either_order)
{
    parla_transport *t = open_loopback();
    int64_t from[3] = {1, 2, 3}, to[3] = {0};
    result sent, received;
    send_row(t, 7, from, 8, 3, &sent);
    T_EQ(t->progress(t->self), 0);
    receive_row(t, 7, to, 8, 3, &received);
    T_EQ(sent.n_calls, 0); /* nothing completes inside a post */
    T_EQ(t->progress(t->self), 2);
    T_ENDED(sent, 0);
    T_ENDED(received, 0);
    T_EQ_MEM(from, to, sizeof from);

    int64_t back[3] = {0};
    receive_row(t, 7, back, 8, 3, &received);
    send_row(t, 7, to, 8, 3, &sent);
    T_EQ(t->progress(t->self), 2);
    T_ENDED(sent, 0);
    T_EQ_MEM(from, back, sizeof from);
    close_transport(t);
}

T_TEST(strides_and_shapes)
{
    parla_transport *t = open_loopback();
    int32_t from[4][6], to[24] = {0};
    result sent, received;
    for (int i = 0; i < 24; i++) {
        from[i / 6][i % 6] = i;
    }
    /* Every second column of the rows from the last to the first, into a row of 3 * 4 pairs of halves. */
    parla_transfer_memory a = {.box = {.base = &from[3][0], .item_bytes = 4, .ndim = 2, .extent = {4, 3}, .stride = {-24, 8}}};
    parla_transfer_memory b = row_of(to, 2, 24);
    sent = received = (result){UNSET, 0};
    T_OK(t->send(t->self, NULL, 0, 1, &a, note, &sent));
    T_OK(t->receive(t->self, NULL, 0, 1, &b, note, &received));
    progress_all(t);
    T_ENDED(sent, 0);
    T_ENDED(received, 0);
    for (int i = 0; i < 12; i++) {
        T_EQ(to[i], from[3 - i / 3][i % 3 * 2]);
    }
    close_transport(t);
}

T_TEST(memory_that_overlaps)
{
    parla_transport *t = open_loopback();
    char text[] = "abcdefgh";
    result sent, received;
    send_row(t, 1, text, 1, 6, &sent);
    receive_row(t, 1, text + 2, 1, 6, &received);
    progress_all(t);
    T_ENDED(received, 0);
    T_EQ_STR(text, "ababcdef");
    send_row(t, 1, text, 1, 8, &sent);
    receive_row(t, 1, text, 1, 8, &received);
    progress_all(t);
    T_ENDED(received, 0);
    T_EQ_STR(text, "ababcdef");
    close_transport(t);
}

T_TEST(sizes_that_differ)
{
    parla_transport *t = open_loopback();
    int64_t from[3] = {1, 2, 3}, to[3] = {9, 9, 9};
    result sent, received;
    send_row(t, 5, from, 8, 3, &sent);
    receive_row(t, 5, to, 8, 2, &received);
    progress_all(t);
    T_ENDED(sent, PARLA_E_TRANSPORT);
    T_ENDED(received, PARLA_E_TRANSPORT);
    T_EQ_STR(parla_error_detail(), "message with tag 5: 24 bytes were sent, but the receiver takes 16");
    T_EQ(to[0], 9);
    close_transport(t);
}

T_TEST(empty_messages)
{
    parla_transport *t = open_loopback();
    result sent, received;
    send_row(t, 5, NULL, 8, 0, &sent);
    receive_row(t, 5, NULL, 4, 0, &received);
    progress_all(t);
    T_ENDED(sent, 0);
    T_ENDED(received, 0);
    close_transport(t);
}

T_TEST(invalid_arguments)
{
    parla_transport *t = open_loopback();
    int64_t value = 0;
    parla_transfer number = 77;
    parla_transfer_memory good = row_of(&value, 8, 1), bad = good;
    result never = {UNSET, 0};
    T_EQ(t->send(t->self, &number, 1, 0, &good, note, &never), PARLA_E_INVALID);
    T_EQ(t->receive(t->self, &number, -1, 0, &good, note, &never), PARLA_E_INVALID);
    T_EQ(t->send(t->self, &number, 0, 0, &good, NULL, &never), PARLA_E_INVALID);
    bad.box.ndim = PARLA_MAX_NDIM + 1;
    T_EQ(t->send(t->self, &number, 0, 0, &bad, note, &never), PARLA_E_INVALID);
    bad = good;
    bad.box.extent[0] = -1;
    T_EQ(t->send(t->self, &number, 0, 0, &bad, note, &never), PARLA_E_INVALID);
    bad = good;
    bad.box.base = NULL;
    T_EQ(t->send(t->self, &number, 0, 0, &bad, note, &never), PARLA_E_INVALID);
    bad = good;
    bad.box.extent[0] = 2;
    bad.box.stride[0] = 0;
    T_EQ(t->receive(t->self, &number, 0, 0, &bad, note, &never), PARLA_E_INVALID);
    T_EQ(t->cancel(t->self, 0), PARLA_E_STATE);
    T_EQ(t->cancel(t->self, 999999), PARLA_E_STATE);
    T_EQ(number, 77);
    T_EQ(never.n_calls, 0);
    close_transport(t);
    T_EQ(never.n_calls, 0);
}

T_TEST(broadcast_of_one_element)
{
    parla_transport *t = open_loopback();
    int64_t value = 3, to[4] = {0};
    parla_transfer_memory same = {.box = {.base = &value, .item_bytes = 8, .ndim = 1, .extent = {4}, .stride = {0}}};
    result sent = {UNSET, 0}, received;
    T_OK(t->send(t->self, NULL, 0, 2, &same, note, &sent));
    receive_row(t, 2, to, 8, 4, &received);
    progress_all(t);
    T_ENDED(sent, 0);
    T_EQ(to[0] + to[1] + to[2] + to[3], 12);
    close_transport(t);
}

T_TEST(cancel)
{
    parla_transport *t = open_loopback();
    int64_t from[2] = {1, 2}, to = 0;
    result first, second, received, third;
    parla_transfer number = send_row(t, 5, &from[0], 8, 1, &first);
    parla_transfer other = send_row(t, 5, &from[1], 8, 1, &second);
    T_NE(number, other);
    T_OK(t->cancel(t->self, number));
    T_ENDED(first, PARLA_E_CANCELLED);
    T_EQ(t->cancel(t->self, number), PARLA_E_STATE);
    receive_row(t, 5, &to, 8, 1, &received);
    T_EQ(t->cancel(t->self, other), PARLA_E_STATE); /* it has a partner now */
    progress_all(t);
    T_ENDED(second, 0);
    T_EQ(to, 2);
    /* Cancelling the last of a list leaves one that can grow. */
    number = send_row(t, 5, &from[0], 8, 1, &first);
    other = send_row(t, 5, &from[1], 8, 1, &second);
    T_OK(t->cancel(t->self, other));
    send_row(t, 5, &from[1], 8, 1, &third);
    receive_row(t, 5, &to, 8, 1, &received);
    progress_all(t);
    T_EQ(to, 1);
    receive_row(t, 5, &to, 8, 1, &received);
    progress_all(t);
    T_EQ(to, 2);
    T_ENDED(third, 0);
    close_transport(t);
}

typedef struct poster {
    parla_transport *transport;
    int64_t value;
    int n_left;
    int n_refused;
} poster;

static void post_again(void *ctx, int status)
{
    poster *self = ctx;
    parla_transport *t = self->transport;
    parla_transfer_memory memory = row_of(&self->value, 8, 1);
    if (status == PARLA_E_CANCELLED) {
        T_EQ(t->send(t->self, NULL, 0, 1, &memory, post_again, self), PARLA_E_STATE);
        self->n_refused++;
    } else if (self->n_left-- > 0) {
        T_OK(t->send(t->self, NULL, 0, 1, &memory, post_again, self));
    }
}

T_TEST(close_cancels_what_is_pending)
{
    parla_transport *t = open_loopback();
    poster self = {.transport = t};
    int64_t value = 0;
    result received, matched;
    parla_transfer_memory memory = row_of(&self.value, 8, 1);
    T_OK(t->send(t->self, NULL, 0, 1, &memory, post_again, &self));
    receive_row(t, 2, &value, 8, 1, &received);
    T_OK(t->send(t->self, NULL, 0, 3, &memory, post_again, &self));
    receive_row(t, 3, &value, 8, 1, &matched);
    close_transport(t);
    T_ENDED(received, PARLA_E_CANCELLED);
    T_ENDED(matched, PARLA_E_CANCELLED);
    T_EQ(self.n_refused, 2);
}

/* A long chain of messages, each posted by the callback of the one before, neither nests calls nor keeps progress busy. */
T_TEST(callbacks_may_post)
{
    enum { N = 100000 };
    parla_transport *t = open_loopback();
    poster self = {.transport = t, .n_left = N};
    int64_t to = 0;
    result received;
    parla_transfer_memory memory = row_of(&self.value, 8, 1);
    T_OK(t->send(t->self, NULL, 0, 1, &memory, post_again, &self));
    for (int i = 0; i <= N; i++) {
        receive_row(t, 1, &to, 8, 1, &received);
        T_EQ(t->progress(t->self), 2);
    }
    T_EQ(self.n_left, -1);
    close_transport(t);
}

/* --- Random operations ------------------------------------------------------------------------------------------------------- */

enum { N_TAGS = 6, N_OPERATIONS = 4000, MAX_ITEMS = 20 };

typedef struct operation {
    parla_transfer number;
    uint64_t tag;
    int64_t n;
    int partner; /* by the oracle: index, -1 waiting, -2 cancelled */
    bool is_send;
    uint16_t items[MAX_ITEMS];
    result result;
} operation;

static operation operations[N_OPERATIONS];

/* The oldest waiting operation of the other direction with the tag. */
static int find_partner(int i)
{
    for (int k = 0; k < i; k++) {
        if (operations[k].partner == -1 && operations[k].tag == operations[i].tag &&
            operations[k].is_send != operations[i].is_send) {
            return k;
        }
    }
    return -1;
}

static void post_random(parla_transport *t, t_rng *rng, int i)
{
    operation *one = &operations[i];
    one->tag = t_below(rng, N_TAGS) << (t_below(rng, 2) * 40);
    one->is_send = t_below(rng, 2) == 0;
    one->n = (int64_t)t_below(rng, 16) == 0 ? (int64_t)t_below(rng, MAX_ITEMS) : 12;
    for (int k = 0; k < MAX_ITEMS; k++) {
        one->items[k] = one->is_send ? (uint16_t)t_next(rng) : 0;
    }
    one->number = one->is_send ? send_row(t, one->tag, one->items, 2, one->n, &one->result)
                               : receive_row(t, one->tag, one->items, 2, one->n, &one->result);
    one->partner = find_partner(i);
    if (one->partner >= 0) {
        operations[one->partner].partner = i;
    }
}

static void cancel_random(parla_transport *t, t_rng *rng, int n)
{
    operation *one = &operations[t_below(rng, (uint64_t)n)];
    bool is_waiting = one->partner == -1;
    T_EQ(t->cancel(t->self, one->number), is_waiting ? 0 : PARLA_E_STATE);
    if (is_waiting) {
        one->partner = -2;
    }
}

static void check_operation(const operation *one)
{
    if (one->partner < 0) {
        T_ENDED(one->result, PARLA_E_CANCELLED);
        return;
    }
    const operation *other = &operations[one->partner];
    T_ENDED(one->result, one->n == other->n ? 0 : PARLA_E_TRANSPORT);
    if (one->n == other->n) {
        T_EQ_MEM(one->items, other->items, (size_t)one->n * 2);
    }
}

T_TEST(random_operations_against_an_oracle)
{
    parla_transport *t = open_loopback();
    t_rng rng = {t_seed() + 5};
    for (int i = 0; i < N_OPERATIONS; i++) {
        post_random(t, &rng, i);
        if (t_below(&rng, 10) == 0) {
            cancel_random(t, &rng, i + 1);
        }
        if (t_below(&rng, 5) == 0) {
            (void)t->progress(t->self);
        }
    }
    progress_all(t);
    close_transport(t);
    for (int i = 0; i < N_OPERATIONS; i++) {
        check_operation(&operations[i]);
    }
}

/* --- Several threads --------------------------------------------------------------------------------------------------------- */

enum { N_THREADS = 4, N_MESSAGES = 2000 };

static parla_transport *shared;
static uint64_t sent_values[N_THREADS][N_MESSAGES], received_values[N_THREADS][N_MESSAGES];
static result results[2][N_THREADS][N_MESSAGES];

/* Even threads send on the tags of their pair, odd ones receive; all of them progress. */
static void *exchange(void *arg)
{
    int me = *(int *)arg, n = (int)t_scale(N_MESSAGES);
    for (int i = 0; i < n; i++) {
        uint64_t tag = (uint64_t)(me / 2 * 1000 + i % 7);
        if (me % 2 == 0) {
            sent_values[me][i] = (uint64_t)me << 32 | (uint64_t)i;
            send_row(shared, tag, &sent_values[me][i], 8, 1, &results[0][me][i]);
        } else {
            receive_row(shared, tag, &received_values[me][i], 8, 1, &results[1][me][i]);
        }
        if (i % 3 == 0) {
            (void)shared->progress(shared->self);
        }
    }
    return NULL;
}

T_TEST(threads_post_and_progress_together)
{
    pthread_t threads[N_THREADS];
    int numbers[N_THREADS], n = (int)t_scale(N_MESSAGES);
    shared = open_loopback();
    for (int i = 0; i < N_THREADS; i++) {
        numbers[i] = i;
        T_EQ(pthread_create(&threads[i], NULL, exchange, &numbers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    progress_all(shared);
    for (int me = 1; me < N_THREADS; me += 2) {
        for (int i = 0; i < n; i++) {
            T_ENDED(results[0][me - 1][i], 0);
            T_ENDED(results[1][me][i], 0);
            T_EQ(received_values[me][i], sent_values[me - 1][i]);
        }
    }
    close_transport(shared);
}
