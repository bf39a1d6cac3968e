/* test_transport.c - the transports between ranks, on all ranks and on parts of them, against a sequential oracle.
 *
 * Started by launch.sh on 1 to 4 ranks. Each case runs on every transport and group of ranks. The loopback joins as a group of one. */
#include "test.h"
#include "transport_program.h"

#include <parla/error.h>
#include <parla/mpi.h>
#include <parla/mpi_transport.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { UNSET = 12345 };

typedef enum group_kind { WORLD, HALVES } group_kind;

/* Ranks of which each has a transport to the others. */
typedef struct group {
    MPI_Comm comm;
    parla_transport *transport;
} group;

/* HALVES: even and odd ranks, each in falling order. No transport where this build has no UCX. */
static group group_open(const char *kind, group_kind which)
{
    group self;
    int rank;
    T_OK(parla_mpi_start(NULL, NULL));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    bool is_loopback = strcmp(kind, "loopback") == 0;
    MPI_Comm_split(MPI_COMM_WORLD, is_loopback ? rank : which == WORLD ? 0 : rank % 2, which == WORLD ? rank : -rank, &self.comm);
    parla_mpi_transport_options options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    options.kind = kind;
    int code = is_loopback ? parla_transport_loopback(&self.transport) : parla_mpi_transport(&self.transport, self.comm, &options);
    if (code == PARLA_E_UNSUPPORTED && strcmp(kind, "ucx") == 0) {
        T_EQ_STR(parla_error_detail(), "this build has no UCX");
        self.transport = NULL;
    } else {
        T_OK(code);
    }
    return self;
}

static void group_close(group *self)
{
    if (self->transport != NULL) {
        self->transport->close(self->transport->self);
    }
    MPI_Comm_free(&self->comm);
}

/* Makes a case for each transport and group out of: static void name(group *self). */
#define ON_EACH(name)                                                                                                              \
    ON_ONE(name, loopback, WORLD, loopback)                                                                                        \
    ON_ONE(name, mpi, WORLD, mpi_world)                                                                                            \
    ON_ONE(name, mpi, HALVES, mpi_halves) ON_ONE(name, ucx, WORLD, ucx_world) ON_ONE(name, ucx, HALVES, ucx_halves)
#define ON_ONE(name, kind, which, suffix)                                                                                          \
    T_TEST(name##_##suffix)                                                                                                        \
    {                                                                                                                              \
        group self = group_open(#kind, which);                                                                                     \
        if (self.transport == NULL) {                                                                                              \
            group_close(&self);                                                                                                    \
            T_SKIP("this build has no UCX");                                                                                       \
        }                                                                                                                          \
        name(&self);                                                                                                               \
        group_close(&self);                                                                                                        \
    }

static bool is_loopback(const group *self) { return strcmp(self->transport->name, "loopback") == 0; }

static parla_transfer_memory row_of(void *base, size_t item_bytes, int64_t n)
{
    parla_transfer_memory memory = {.i_device = 0};
    T_OK(parla_strided_contiguous(&memory.box, base, item_bytes, 1, &n));
    return memory;
}

static void send_row(group *self, int rank, uint64_t tag, void *base, int64_t n_bytes, report *out)
{
    parla_transport *t = self->transport;
    parla_transfer_memory memory = row_of(base, 1, n_bytes);
    *out = (report){UNSET, 0};
    T_OK(t->send(t->self, NULL, rank, tag, &memory, report_done, out));
}

static void receive_row(group *self, int rank, uint64_t tag, void *base, int64_t n_bytes, report *out)
{
    parla_transport *t = self->transport;
    parla_transfer_memory memory = row_of(base, 1, n_bytes);
    *out = (report){UNSET, 0};
    T_OK(t->receive(t->self, NULL, rank, tag, &memory, report_done, out));
}

static bool progress_until(group *self, report *one)
{
    if (self->transport->progress(self->transport->self) == 0) {
        sched_yield();
    }
    return atomic_load_explicit(&one->n_calls, memory_order_acquire) > 0;
}

static void expect(group *self, report *one, int status)
{
    T_EVENTUALLY(progress_until(self, one), 50000);
    T_EQ(one->n_calls, 1);
    T_EQ(one->status, status);
}

/* --- One thing at a time ------------------------------------------------------------------------------------------------------- */

static void table(group *self)
{
    parla_transport *t = self->transport;
    int rank, n_ranks;
    MPI_Comm_rank(self->comm, &rank);
    MPI_Comm_size(self->comm, &n_ranks);
    T_EQ(t->abi, PARLA_TRANSPORT_ABI);
    T_EQ(t->rank, rank);
    T_EQ(t->n_ranks, n_ranks);
    T_OK(t->barrier(t->self));
}
ON_EACH(table)

static void invalid_arguments(group *self)
{
    parla_transport *t = self->transport;
    int64_t value = 0;
    parla_transfer number = 77;
    parla_transfer_memory good = row_of(&value, 8, 1), bad = good;
    report never = {UNSET, 0};
    T_EQ(t->send(t->self, &number, t->n_ranks, 0, &good, report_done, &never), PARLA_E_INVALID);
    T_EQ(t->receive(t->self, &number, -1, 0, &good, report_done, &never), PARLA_E_INVALID);
    T_EQ(t->send(t->self, &number, 0, 0, &good, NULL, &never), PARLA_E_INVALID);
    bad.box.ndim = PARLA_MAX_NDIM + 1;
    T_EQ(t->send(t->self, &number, 0, 0, &bad, report_done, &never), PARLA_E_INVALID);
    bad = good;
    bad.box.base = NULL;
    T_EQ(t->send(t->self, &number, 0, 0, &bad, report_done, &never), PARLA_E_INVALID);
    bad = good;
    bad.box.extent[0] = 2;
    bad.box.stride[0] = 0;
    T_EQ(t->receive(t->self, &number, 0, 0, &bad, report_done, &never), PARLA_E_INVALID);
    T_EQ(t->cancel(t->self, 0), PARLA_E_STATE);
    T_EQ(t->cancel(t->self, 999999), PARLA_E_STATE);
    T_EQ(number, 77);
    T_EQ(never.n_calls, 0);
}
ON_EACH(invalid_arguments)

/* Every rank sends a row to the next one, of sizes around those where the way changes, which must arrive in order. */
static void sizes(group *self)
{
    static const int64_t bytes[] = {0, 1, 511, 512, 513, 8191, 8192, 8193, 65536, 1 << 20, 4 << 20};
    enum { N = sizeof bytes / sizeof bytes[0] };
    parla_transport *t = self->transport;
    int next = (t->rank + 1) % t->n_ranks, last = (t->rank + t->n_ranks - 1) % t->n_ranks;
    unsigned char *from[N], *to[N];
    report sent[N], received[N];
    for (int i = 0; i < N; i++) {
        from[i] = malloc((size_t)bytes[i] + 1);
        to[i] = calloc((size_t)bytes[i] + 1, 1);
        memset(from[i], 1 + t->rank + i, (size_t)bytes[i]);
        send_row(self, next, UINT64_MAX, from[i], bytes[i], &sent[i]);
    }
    for (int i = 0; i < N; i++) {
        receive_row(self, last, UINT64_MAX, to[i], bytes[i], &received[i]);
    }
    for (int i = 0; i < N; i++) {
        expect(self, &received[i], 0);
        expect(self, &sent[i], 0);
        memset(from[i], 1 + last + i, (size_t)bytes[i]);
        T_EQ_MEM(to[i], from[i], (size_t)bytes[i]);
        free(from[i]);
        free(to[i]);
    }
}
ON_EACH(sizes)

static void sizes_that_differ(group *self)
{
    parla_transport *t = self->transport;
    int next = (t->rank + 1) % t->n_ranks, last = (t->rank + t->n_ranks - 1) % t->n_ranks;
    static unsigned char from[20000], to[20000];
    for (int64_t n = 16; n <= 16384; n *= 1024) {
        report sent, received;
        memset(to, 9, sizeof to);
        send_row(self, next, 5, from, n + 8, &sent);
        receive_row(self, last, 5, to, n, &received);
        expect(self, &received, PARLA_E_TRANSPORT);
        expect(self, &sent, PARLA_E_TRANSPORT);
        for (size_t i = 0; i < sizeof to; i++) {
            T_EQ(to[i], 9);
        }
    }
}
ON_EACH(sizes_that_differ)

static int n_refused;

static void post_while_closing(void *ctx, int status)
{
    group *self = ctx;
    int64_t value = 0;
    parla_transfer_memory memory = row_of(&value, 8, 1);
    T_EQ(status, PARLA_E_CANCELLED);
    T_EQ(self->transport->send(self->transport->self, NULL, 0, 1, &memory, post_while_closing, self), PARLA_E_STATE);
    n_refused++;
}

static void callbacks_post_in_vain_while_closing(group *self)
{
    parla_transport *t = self->transport;
    int64_t value = 0;
    parla_transfer_memory memory = row_of(&value, 8, 1);
    n_refused = 0;
    T_OK(t->receive(t->self, NULL, 0, 1, &memory, post_while_closing, self));
    T_OK(t->send(t->self, NULL, (t->rank + 1) % t->n_ranks, 2, &memory, post_while_closing, self));
    t->close(t->self);
    self->transport = NULL;
    T_EQ(n_refused, 2);
}
ON_EACH(callbacks_post_in_vain_while_closing)

/* A message to each rank and from each, after which all are connected. */
static void greet_all(group *self)
{
    enum { MOST_RANKS = 16 };
    parla_transport *t = self->transport;
    static unsigned char from[1000], to[MOST_RANKS][sizeof from];
    report sent[MOST_RANKS], received[MOST_RANKS];
    T_LE(t->n_ranks, MOST_RANKS);
    for (int i = 0; i < t->n_ranks; i++) {
        send_row(self, i, 1000, from, sizeof from, &sent[i]);
        receive_row(self, i, 1000, to[i], sizeof to[i], &received[i]);
    }
    for (int i = 0; i < t->n_ranks; i++) {
        expect(self, &sent[i], 0);
        expect(self, &received[i], 0);
    }
    T_OK(t->barrier(t->self));
}

/* A rank that does nothing after it has posted must not keep another from reading its shared memory. */
static void one_sided(group *self)
{
    enum { N = 1 << 20 };
    parla_transport *t = self->transport;
    report received = {UNSET, 0}, sent = {UNSET, 0};
    void *memory;
    if (t->n_ranks < 2 || is_loopback(self)) {
        return;
    }
    greet_all(self);
    T_OK(parla_mpi_memory_alloc(t, &memory, N));
    memset(memory, 40 + t->rank, N);
    if (t->rank == 0) {
        send_row(self, 1, 3, memory, N, &sent);
    } else if (t->rank == 1 && strcmp(t->name, "ucx") == 0) {
        unsigned char *to = calloc(N, 1);
        receive_row(self, 0, 3, to, N, &received);
        expect(self, &received, 0);
        T_EQ(to[0], 40);
        T_EQ(to[N - 1], 40);
        free(to);
    } else if (t->rank == 1) {
        receive_row(self, 0, 3, memory, N, &received);
    }
    MPI_Barrier(self->comm); /* until here rank 0 has made no progress since it posted */
    if (t->rank == 0) {
        expect(self, &sent, 0);
    } else if (t->rank == 1) {
        expect(self, &received, 0);
    }
    T_OK(parla_mpi_memory_free(t, memory));
}
ON_EACH(one_sided)

/* --- Random programs ----------------------------------------------------------------------------------------------------------- */

static void check_balance(const group *self, const program *one)
{
    const int *mine;
    int n = program_balance(one, &mine);
    int *sum = calloc((size_t)n, sizeof *sum);
    MPI_Allreduce(mine, sum, n, MPI_INT, MPI_SUM, self->comm);
    for (int i = 0; i < n; i++) {
        T_EQ(sum[i], 0);
    }
    free(sum);
}

static void run_program(group *self, uint64_t seed, const program_options *options)
{
    program *one = program_create(self->transport, seed, options);
    program_run(one);
    self->transport = NULL;
    program_check(one);
    check_balance(self, one);
    program_destroy(one);
}

static void random_messages(group *self)
{
    program_options options = {.n_classes = 40, .n_largest = 3};
    run_program(self, t_seed() + 1, &options);
}
ON_EACH(random_messages)

static void random_messages_in_shared_memory(group *self)
{
    program_options options = {.n_classes = 30, .n_largest = 4, .is_shared_memory = !is_loopback(self)};
    run_program(self, t_seed() + 2, &options);
}
ON_EACH(random_messages_in_shared_memory)

static void close_with_all_on_the_way(group *self)
{
    program_options options = {.n_classes = 30, .n_largest = 2, .is_hasty = true, .is_shared_memory = !is_loopback(self)};
    run_program(self, t_seed() + 3, &options);
}
ON_EACH(close_with_all_on_the_way)

/* --- Several threads ----------------------------------------------------------------------------------------------------------- */

enum { N_THREADS = 3, N_MESSAGES = 300, MESSAGE_BYTES = 9000 };

typedef struct talker {
    group *group;
    int number;
    unsigned char *from, *to;
    report sent[N_MESSAGES], received[N_MESSAGES];
} talker;

/* Thread i of each rank sends to thread i of the next rank; short and long messages take turns. */
static void *talk(void *arg)
{
    talker *self = arg;
    parla_transport *t = self->group->transport;
    int next = (t->rank + 1) % t->n_ranks, last = (t->rank + t->n_ranks - 1) % t->n_ranks, n = (int)t_scale(N_MESSAGES);
    for (int i = 0; i < n; i++) {
        int64_t n_bytes = i % 3 == 0 ? MESSAGE_BYTES : 8;
        size_t at = (size_t)i * MESSAGE_BYTES;
        memset(self->from + at, 1 + i % 100 + self->number, MESSAGE_BYTES);
        send_row(self->group, next, (uint64_t)self->number, self->from + at, n_bytes, &self->sent[i]);
        receive_row(self->group, last, (uint64_t)self->number, self->to + at, n_bytes, &self->received[i]);
    }
    for (int i = 0; i < n; i++) {
        expect(self->group, &self->received[i], 0);
        expect(self->group, &self->sent[i], 0);
        T_EQ(self->to[(size_t)i * MESSAGE_BYTES + 7], 1 + i % 100 + self->number);
    }
    return NULL;
}

static void threads_post_and_progress_together(group *self)
{
    pthread_t threads[N_THREADS];
    talker *talkers = calloc(N_THREADS, sizeof *talkers);
    for (int i = 0; i < N_THREADS; i++) {
        talkers[i].group = self;
        talkers[i].number = i;
        talkers[i].from = malloc((size_t)N_MESSAGES * MESSAGE_BYTES);
        talkers[i].to = calloc(N_MESSAGES, MESSAGE_BYTES);
        T_EQ(pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        free(talkers[i].from);
        free(talkers[i].to);
    }
    free(talkers);
}
ON_EACH(threads_post_and_progress_together)

/* --- Sleeping, choosing ---------------------------------------------------------------------------------------------------------- */

/* Sleeps on the transport's descriptor until something has arrived. */
static bool sleep_until(group *self, report *one)
{
    struct pollfd wanted = {.events = POLLIN};
    (void)self->transport->progress(self->transport->self);
    if (atomic_load_explicit(&one->n_calls, memory_order_acquire) == 0) {
        int code = parla_mpi_transport_arm(self->transport, &wanted.fd);
        T_GE(code, 0);
        if (code == 0) {
            T_GE(poll(&wanted, 1, -1), 0);
        }
    }
    return atomic_load_explicit(&one->n_calls, memory_order_acquire) > 0;
}

static void ping_pong_asleep(group *self)
{
    parla_transport *t = self->transport;
    unsigned char from[64] = {1}, to[64];
    report sent, received;
    if (strcmp(t->name, "ucx") != 0) {
        int fd;
        T_EQ(parla_mpi_transport_arm(t, &fd), is_loopback(self) ? PARLA_E_INVALID : PARLA_E_UNSUPPORTED);
        return;
    }
    for (int i = 0; i < 50; i++) {
        send_row(self, (t->rank + 1) % t->n_ranks, 1, from, sizeof from, &sent);
        receive_row(self, (t->rank + t->n_ranks - 1) % t->n_ranks, 1, to, sizeof to, &received);
        T_EVENTUALLY(sleep_until(self, &received), 50000);
        T_EVENTUALLY(sleep_until(self, &sent), 50000);
        T_EQ(received.status, 0);
        T_EQ(sent.status, 0);
    }
}
ON_EACH(ping_pong_asleep)

static void memory_of_a_transport(group *self)
{
    void *first, *second;
    char foreign;
    if (is_loopback(self))
        return;
    T_OK(parla_mpi_memory_alloc(self->transport, &first, 10000));
    T_OK(parla_mpi_memory_alloc(self->transport, &second, 1));
    T_EQ((uintptr_t)first % 4096, 0);
    memset(first, 1, 10000);
    T_EQ(parla_mpi_memory_free(self->transport, &foreign), PARLA_E_INVALID);
    T_OK(parla_mpi_memory_free(self->transport, first));
    T_EQ(parla_mpi_memory_free(self->transport, first), PARLA_E_INVALID); /* the second one ends with the transport */
}
ON_EACH(memory_of_a_transport)

static void expect_kind(const char *variable, const char *argument, const char *expected)
{
    parla_mpi_transport_options options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    parla_transport *t;
    setenv("PARLA_TRANSPORT", variable, 1);
    options.kind = argument;
    T_OK(parla_mpi_transport(&t, MPI_COMM_WORLD, argument != NULL ? &options : NULL));
    T_EQ_STR(t->name, expected);
    t->close(t->self);
}

T_TEST(choice)
{
    parla_mpi_transport_options options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    parla_transport *t = NULL;
    group probe = group_open("ucx", WORLD);
    int n_ranks;
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    bool has_ucx = probe.transport != NULL;
    group_close(&probe);
    expect_kind("", NULL, has_ucx && n_ranks > 1 ? "ucx" : "mpi"); /* a single rank opens nothing that it does not need */
    expect_kind("mpi", NULL, "mpi");
    expect_kind("ucx", "mpi", "mpi");
    setenv("PARLA_TRANSPORT", "pigeon", 1);
    T_EQ(parla_mpi_transport(&t, MPI_COMM_WORLD, NULL), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "pigeon");
    options.kind = "mpi";
    options.size = 3;
    T_EQ(parla_mpi_transport(&t, MPI_COMM_WORLD, &options), PARLA_E_INVALID);
    unsetenv("PARLA_TRANSPORT");
}

T_TEST(several_transports_at_once)
{
    group probe = group_open("ucx", WORLD);
    const char *kind = probe.transport != NULL ? "ucx" : "mpi";
    group_close(&probe);
    group a = group_open(kind, WORLD), b = group_open("mpi", WORLD), c = group_open(kind, HALVES);
    sizes(&a);
    sizes(&b);
    sizes(&c);
    group_close(&b);
    group_close(&a);
    group_close(&c);
}
