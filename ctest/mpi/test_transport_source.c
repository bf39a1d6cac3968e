/* test_transport_source.c - a transport handed to parla_mpi_init moves without anybody calling its progress: by idle workers, by the thread
 * when the workers are busy, and at rest when only another rank has something to do. On both transports. */
#include "exchange_state.h"
#include "mpi_test.h"

#include <parla/event.h>
#include <parla/mpi_transport.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A runtime, its ranks and their transport. */
typedef struct joined {
    m_comm comm;
    parla_transport *transport;
    parla_runtime *rt;
    parla_mpi *mpi;
} joined;

/* False where this build has no UCX. */
static bool open_joined(joined *out, MPI_Comm comm, const char *kind)
{
    parla_mpi_transport_options options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    parla_mpi_options mpi_options = PARLA_MPI_OPTIONS_INIT;
    parla_options rt_options = PARLA_OPTIONS_INIT;
    *out = (joined){.comm = m_describe(comm)};
    options.kind = kind;
    parla_memory_source memory;
    rt_options.n_workers = 1;
    rt_options.devices = "sim:1,mem=64MiB";
    int code = parla_mpi_transport(&out->transport, comm, &options);
    if (code == PARLA_E_UNSUPPORTED)
        return false;
    T_OK(code);
    code = parla_mpi_memory_source(out->transport, &memory);
    T_EQ(code, strcmp(out->transport->name, "ucx") == 0 ? 0 : PARLA_E_UNSUPPORTED);
    rt_options.memory = code == 0 ? &memory : NULL;
    T_OK(parla_runtime_create(&out->rt, &rt_options));
    mpi_options.transport = out->transport;
    T_OK(parla_mpi_init(&out->mpi, out->rt, comm, &mpi_options));
    return true;
}

static void close_joined(joined *j)
{
    T_OK(parla_runtime_wait(j->rt, PARLA_FOREVER));
    parla_mpi_fini(j->mpi);
    parla_runtime_destroy(j->rt);
    j->transport->close(j->transport->self);
}

static void on_each(void (*function)(joined *j))
{
    static const char *const kinds[] = {"mpi", "ucx"};
    static const char *const phases[] = {"mpi on the world", "ucx on the world", "mpi on halves", "ucx on halves"};
    MPI_Comm comms[2];
    int rank;
    parla_log_set_level(PARLA_LOG_ERROR); /* the ranks of a test share cores on purpose */
    T_OK(parla_mpi_start(NULL, NULL));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &comms[1]);
    for (int i = 0; i < 4; i++) {
        joined j;
        t_phase(phases[i]);
        if (open_joined(&j, comms[i / 2], kinds[i % 2])) {
            function(&j);
            close_joined(&j);
        }
    }
    MPI_Comm_free(&comms[0]);
    MPI_Comm_free(&comms[1]);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* --- One message ---------------------------------------------------------------------------------------------------------------- */

/* A message under an event. */
typedef struct message {
    parla_task event;
    parla_transfer number;
    parla_strided box;
} message;

static void on_done(void *ctx, int status)
{
    message *m = ctx;
    T_OK(parla_event_complete(m->event, status, status ? "the message failed" : NULL));
}

static void post(joined *j, message *m, bool is_send, int rank, uint64_t tag, void *memory, size_t n_bytes)
{
    parla_transport *t = j->transport;
    parla_transfer_memory place = {.box = {.base = memory, .item_bytes = n_bytes}};
    T_OK(parla_event_create(j->rt, &m->event, is_send ? "send" : "receive"));
    T_OK((is_send ? t->send : t->receive)(t->self, &m->number, rank, tag, &place, on_done, m));
}

static int finish(joined *j, message *m)
{
    int code = parla_task_wait(j->rt, &m->event, 1, PARLA_FOREVER);
    parla_task_unref(m->event);
    return code;
}

/* --- Idle workers --------------------------------------------------------------------------------------------------------------- */

static void run_ring(joined *j)
{
    static const size_t sizes[] = {8, 5000, 300000};
    int left = (j->comm.rank + j->comm.n_ranks - 1) % j->comm.n_ranks, right = (j->comm.rank + 1) % j->comm.n_ranks;
    unsigned char *sent = malloc(300000), *received = malloc(300000);
    for (int i = 0; i < 30; i++) {
        size_t n = sizes[i % 3];
        message send, receive;
        memset(sent, j->comm.rank + i, n);
        post(j, &receive, false, left, 1, received, n);
        post(j, &send, true, right, 1, sent, n);
        T_OK(finish(j, &receive));
        T_OK(finish(j, &send));
        T_EQ(received[0], left + i);
        T_EQ(received[n - 1], left + i);
    }
    free(sent);
    free(received);
}

T_TEST(idle_workers_move_it) { on_each(run_ring); }

/* --- Busy workers --------------------------------------------------------------------------------------------------------------- */

typedef struct busy {
    joined *j;
    message send, receive;
    int sent, received;
    atomic_bool is_left;
} busy;

/* Posts and stays until its messages have arrived: on the only worker. */
static int exchange_body(parla_context *context, void *arg)
{
    busy *b = arg;
    m_comm *comm = &b->j->comm;
    (void)context;
    b->sent = comm->rank;
    post(b->j, &b->receive, false, (comm->rank + 1) % comm->n_ranks, 2, &b->received, sizeof b->received);
    post(b->j, &b->send, true, (comm->rank + comm->n_ranks - 1) % comm->n_ranks, 2, &b->sent, sizeof b->sent);
    while (!parla_task_has_ended(b->receive.event) || !parla_task_has_ended(b->send.event))
        sched_yield();
    atomic_store(&b->is_left, true);
    return 0;
}

static void run_busy(joined *j)
{
    static busy b;
    b = (busy){.j = j};
    T_OK(parla_spawn(j->rt, NULL, exchange_body, &b, NULL, 0));
    T_EVENTUALLY(atomic_load(&b.is_left), 30000);
    T_OK(finish(j, &b.receive));
    T_OK(finish(j, &b.send));
    T_EQ(b.received, (j->comm.rank + 1) % j->comm.n_ranks);
}

T_TEST(thread_moves_it) { on_each(run_busy); }

/* --- At rest -------------------------------------------------------------------------------------------------------------------- */

/* Rank 0 sends what nobody receives, and takes it back: the others have nothing pending, but must answer. */
static void run_rest(joined *j)
{
    static char value[100000];
    for (int i = 0; i < 3 && j->comm.rank == 0; i++) {
        size_t n_bytes = i == 1 ? sizeof value : 8;
        for (int rank = 1; rank < j->comm.n_ranks; rank++) {
            message send;
            post(j, &send, true, rank, 3, value, n_bytes);
            T_EQ(j->transport->cancel(j->transport->self, send.number), PARLA_PENDING);
            T_EQ(finish(j, &send), PARLA_E_CANCELLED);
        }
    }
    MPI_Request barrier;
    parla_task event;
    MPI_Ibarrier(parla_mpi_comm(j->mpi), &barrier);
    T_OK(parla_mpi_event(j->mpi, &event, 1, &barrier, MPI_STATUSES_IGNORE));
    T_OK(parla_task_wait(j->rt, &event, 1, PARLA_FOREVER));
    parla_task_unref(event);
}

T_TEST(answers_at_rest) { on_each(run_rest); }

/* --- Arrays that other ranks reach ---------------------------------------------------------------------------------------------- */

enum { N_ITEMS = 300 };

/* A task's body sends or receives the columns 1, 3, 5, … of an array of doubles that lies on a device: the host, or a simulated one. */
typedef struct columns {
    joined *j;
    int i_device;
    parla_task task;
    bool is_send;
    int rank;
} columns;

static void on_columns(void *ctx, int status) { T_OK(parla_release(((columns *)ctx)->task, status, status ? "columns" : NULL)); }

static int columns_body(parla_context *context, void *arg)
{
    columns *c = arg;
    parla_transport *t = c->j->transport;
    parla_instance instance;
    T_OK(parla_context_instance(context, 0, &instance));
    T_EQ(instance.i_device, c->i_device);
    double *base = instance.box.base;
    if (c->is_send)
        for (int i = 0; i < N_ITEMS * N_ITEMS; i++)
            base[i] = c->j->comm.rank * 1e6 + i;
    parla_transfer_memory memory = {.box = {.base = base + 1,
                                            .item_bytes = sizeof(double),
                                            .ndim = 2,
                                            .extent = {N_ITEMS, N_ITEMS / 2},
                                            .stride = {N_ITEMS * sizeof(double), 2 * sizeof(double)}},
                                    .i_device = instance.i_device};
    c->task = parla_context_task(context);
    T_OK(parla_hold(context, 1));
    T_OK((c->is_send ? t->send : t->receive)(t->self, NULL, c->rank, 7, &memory, on_columns, c));
    return 0;
}

static parla_data *spawn_columns(joined *j, columns *c)
{
    parla_data *data;
    parla_data_options data_options = PARLA_DATA_OPTIONS_INIT;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    static const parla_demand devices[] = {{.arch = PARLA_ARCH_CPU}, {.arch = PARLA_ARCH_GPU}};
    static const parla_choice choices[] = {{&devices[0], 1}, {&devices[1], 1}};
    data_options.host = (parla_strided){.item_bytes = sizeof(double),
                                        .ndim = 2,
                                        .extent = {N_ITEMS, N_ITEMS},
                                        .stride = {N_ITEMS * sizeof(double), sizeof(double)}};
    T_OK(parla_data_create(&data, &data_options));
    parla_access access = {.data = data, .mode = PARLA_OUT};
    options.body = columns_body;
    options.arg = c;
    options.accesses = &access;
    options.n_accesses = 1;
    options.choices = &choices[c->i_device];
    options.n_choices = 1;
    T_OK(parla_task_spawn(j->rt, NULL, &options));
    return data;
}

static void check_columns(joined *j, parla_data *data, int rank)
{
    parla_instance host;
    T_OK(parla_data_acquire(j->rt, data, PARLA_IN, PARLA_FOREVER, &host));
    const double *base = host.box.base;
    for (int i = 0; i < N_ITEMS * N_ITEMS; i++)
        if (i % 2 == 1)
            T_TRUE(base[i] == rank * 1e6 + i);
    parla_data_release(data, PARLA_IN);
}

/* The same without a runtime. */
static void check_host(parla_data *data, int rank)
{
    joined none = {.rt = NULL};
    check_columns(&none, data, rank);
}

/* From device to device, box to box, in one copy: it is counted where it is made. */
static void move_columns(joined *j, int from, int to)
{
    int left = (j->comm.rank + j->comm.n_ranks - 1) % j->comm.n_ranks, right = (j->comm.rank + 1) % j->comm.n_ranks;
    plm_exchange *exchange = plm_exchange_of(j->transport);
    bool is_reached = strcmp(j->transport->name, "ucx") == 0 && j->comm.n_ranks > 1;
    long counts[2] = {(long)exchange->n_direct, (long)exchange->n_direct_bytes}, totals[2];
    columns send = {.j = j, .i_device = from, .is_send = true, .rank = right}, receive = {.j = j, .i_device = to, .rank = left};
    parla_data *received = spawn_columns(j, &receive), *sent = spawn_columns(j, &send);
    T_OK(parla_runtime_wait(j->rt, PARLA_FOREVER));
    check_columns(j, received, left);
    parla_data_unref(received);
    parla_data_unref(sent);
    counts[0] = (long)exchange->n_direct - counts[0];
    counts[1] = (long)exchange->n_direct_bytes - counts[1];
    MPI_Allreduce(counts, totals, 2, MPI_LONG, MPI_SUM, j->comm.comm);
    T_EQ(totals[0], is_reached ? j->comm.n_ranks : 0);
    T_EQ(totals[1], is_reached ? j->comm.n_ranks * N_ITEMS * (N_ITEMS / 2) * (long)sizeof(double) : 0);
}

static void run_columns(joined *j)
{
    for (int i = 0; i < 4; i++)
        move_columns(j, i / 2, i % 2);
}

T_TEST(one_copy_between_devices) { on_each(run_columns); }

/* --- Arrays that outlive their transport ---------------------------------------------------------------------------------------- */

/* An array on the host whose content came from another rank. */
static parla_data *receive_columns(joined *j)
{
    int left = (j->comm.rank + j->comm.n_ranks - 1) % j->comm.n_ranks, right = (j->comm.rank + 1) % j->comm.n_ranks;
    columns send = {.j = j, .is_send = true, .rank = right}, receive = {.j = j, .rank = left};
    parla_data *received = spawn_columns(j, &receive), *sent = spawn_columns(j, &send);
    T_OK(parla_runtime_wait(j->rt, PARLA_FOREVER));
    parla_data_unref(sent);
    return received;
}

/* Content stays, also over other transports; the array can be used with the next runtime, and freed in any order. */
static void run_outlive(joined *j)
{
    joined next;
    parla_data *first = receive_columns(j);
    MPI_Comm comm = j->comm.comm;
    int left = (j->comm.rank + j->comm.n_ranks - 1) % j->comm.n_ranks;
    const char *kind = strcmp(j->transport->name, "ucx") == 0 ? "ucx" : "mpi";
    close_joined(j);
    T_TRUE(open_joined(&next, comm, kind));
    parla_data *second = receive_columns(&next);
    check_columns(&next, first, left);
    close_joined(&next);
    parla_data_unref(first);
    check_host(second, left);
    parla_data_unref(second);
    T_TRUE(open_joined(j, comm, kind));
}

T_TEST(arrays_outlive_their_transport) { on_each(run_outlive); }

/* --- Refused -------------------------------------------------------------------------------------------------------------------- */

T_TEST(other_transports_are_refused)
{
    parla_transport *loopback;
    parla_options rt_options = PARLA_OPTIONS_INIT;
    parla_mpi_options options = PARLA_MPI_OPTIONS_INIT;
    parla_runtime *rt;
    parla_mpi *mpi;
    T_OK(parla_mpi_start(NULL, NULL));
    T_OK(parla_transport_loopback(&loopback));
    rt_options.n_workers = 1;
    T_OK(parla_runtime_create(&rt, &rt_options));
    options.transport = loopback;
    T_EQ(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "loopback");
    parla_runtime_destroy(rt);
    loopback->close(loopback->self);
}

/* --- MPI_Finalize first --------------------------------------------------------------------------------------------------------- */

/* The last case, since MPI ends: what waits is told, memory stays until the transport is closed. */
T_TEST(finalize_shuts_it)
{
    for (int i = 0; i < 2; i++) {
        joined j;
        message receive;
        void *memory;
        parla_data *array;
        char value;
        parla_log_set_level(PARLA_LOG_ERROR);
        T_OK(parla_mpi_start(NULL, NULL));
        bool is_last = i == 1;
        if (!open_joined(&j, MPI_COMM_WORLD, is_last ? NULL : "mpi"))
            continue;
        array = receive_columns(&j);
        int left = (j.comm.rank + j.comm.n_ranks - 1) % j.comm.n_ranks;
        post(&j, &receive, false, j.comm.rank, 4, &value, 1);
        T_OK(parla_mpi_memory_alloc(j.transport, &memory, 10000));
        if (is_last)
            MPI_Finalize();
        else
            T_EQ(j.transport->cancel(j.transport->self, receive.number), 0);
        T_EQ(finish(&j, &receive), PARLA_E_CANCELLED);
        memset(memory, 1, 10000);
        T_OK(parla_mpi_memory_free(j.transport, memory));
        if (is_last) {
            T_EQ(j.transport->barrier(j.transport->self), PARLA_E_STATE);
            T_HAS_STR(parla_error_detail(), "MPI was finalized");
        }
        close_joined(&j);
        check_host(array, left); /* on the host: after MPI's end, and that of all else */
        parla_data_unref(array);
    }
}
