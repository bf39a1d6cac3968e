/* test_requests.c - requests as what tasks wait for: bound, suspended on, as events, looked at, failing, and many at once. */
#include "mpi_test.h"

#include <parla/event.h>
#include <stdlib.h>

/* A task's view of one exchange with its neighbours in a ring. */
typedef struct exchange {
    m_fixture *f;
    int sent, received, n_calls, code;
    MPI_Request requests[2];
    MPI_Status statuses[2];
    bool ignores_status;
} exchange;

static void start_exchange(exchange *e, int tag)
{
    m_comm *c = &e->f->comm;
    MPI_Irecv(&e->received, 1, MPI_INT, (c->rank + c->n_ranks - 1) % c->n_ranks, tag, c->comm, &e->requests[0]);
    MPI_Isend(&e->sent, 1, MPI_INT, (c->rank + 1) % c->n_ranks, tag, c->comm, &e->requests[1]);
}

static int left_of(const m_comm *c) { return (c->rank + c->n_ranks - 1) % c->n_ranks; }

static int bind_body(parla_context *context, void *arg)
{
    exchange *e = arg;
    e->n_calls++;
    start_exchange(e, 1);
    return parla_mpi_bind(e->f->mpi, context, 2, e->requests);
}

static int copy_body(parla_context *context, void *arg)
{
    exchange *e = arg;
    (void)context;
    e->code = e->received; /* what a dependent sees */
    return 0;
}

static void run_bind(m_fixture *f)
{
    exchange e = {.f = f, .sent = 100 + f->comm.rank, .received = -1};
    parla_task bound, after;
    T_OK(parla_spawn(f->rt, &bound, bind_body, &e, NULL, 0));
    T_OK(parla_spawn(f->rt, &after, copy_body, &e, &bound, 1));
    T_OK(parla_task_wait(f->rt, &after, 1, PARLA_FOREVER));
    T_EQ(e.code, 100 + left_of(&f->comm));
    T_EQ(e.n_calls, 1);
    T_TRUE(e.requests[0] == MPI_REQUEST_NULL && e.requests[1] == MPI_REQUEST_NULL);
}

T_TEST(bind) { m_on_comms(run_bind, 1); }

static int suspend_body(parla_context *context, void *arg)
{
    exchange *e = arg;
    if (e->n_calls++ == 0) {
        start_exchange(e, 2);
        int rc = parla_mpi_suspend_on(e->f->mpi, context, 2, e->requests, e->ignores_status ? MPI_STATUSES_IGNORE : e->statuses);
        return rc < 0 ? rc : PARLA_SUSPENDED;
    }
    e->code = e->received;
    return 0;
}

static void run_suspend(m_fixture *f)
{
    for (int i = 0; i < 2; i++) {
        exchange e = {.f = f, .sent = 7 * f->comm.rank + i, .received = -1, .ignores_status = i};
        parla_task task;
        T_OK(parla_spawn(f->rt, &task, suspend_body, &e, NULL, 0));
        T_OK(parla_task_wait(f->rt, &task, 1, PARLA_FOREVER));
        T_EQ(e.n_calls, 2);
        T_EQ(e.code, 7 * left_of(&f->comm) + i);
        if (!i) {
            T_EQ(e.statuses[0].MPI_SOURCE, left_of(&f->comm));
            T_EQ(e.statuses[0].MPI_ERROR, MPI_SUCCESS);
            T_EQ(e.statuses[1].MPI_ERROR, MPI_SUCCESS);
        }
    }
}

T_TEST(suspend) { m_on_comms(run_suspend, 1); }

static void run_event(m_fixture *f)
{
    exchange e = {.f = f, .sent = f->comm.rank + 1, .received = -1};
    parla_task event, after;
    start_exchange(&e, 3);
    T_OK(parla_mpi_event(f->mpi, &event, 2, e.requests, e.statuses));
    T_OK(parla_spawn(f->rt, &after, copy_body, &e, &event, 1));
    T_OK(parla_task_wait(f->rt, &after, 1, PARLA_FOREVER));
    T_EQ(e.code, left_of(&f->comm) + 1);
    T_EQ(parla_task_query(event), PARLA_TASK_DONE);
    parla_task_unref(event);
}

T_TEST(event) { m_on_comms(run_event, 1); }

/* More than a batch, posted by every rank in an order of its own. */
enum { N_MANY = 1500 };

static void shuffle(int *order, int n, uint64_t seed)
{
    t_rng rng = {seed};
    for (int i = 0; i < n; i++)
        order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)t_below(&rng, (uint64_t)i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static void post_sends(m_fixture *f, int *values, parla_task *out)
{
    int order[N_MANY];
    MPI_Request requests[N_MANY];
    shuffle(order, N_MANY, t_seed() + 1000 + (uint64_t)f->comm.rank);
    for (int i = 0; i < N_MANY; i++) {
        values[order[i]] = f->comm.rank * N_MANY + order[i];
        MPI_Isend(&values[order[i]], 1, MPI_INT, (f->comm.rank + 1) % f->comm.n_ranks, 100 + order[i], f->comm.comm, &requests[i]);
    }
    T_OK(parla_mpi_event(f->mpi, out, N_MANY, requests, MPI_STATUSES_IGNORE));
}

static void run_many(m_fixture *f)
{
    static int sent[N_MANY], received[N_MANY];
    static parla_task events[N_MANY + 1];
    int order[N_MANY];
    shuffle(order, N_MANY, t_seed() + (uint64_t)f->comm.rank);
    for (int i = 0; i < N_MANY; i++) {
        MPI_Request request;
        MPI_Irecv(&received[order[i]], 1, MPI_INT, left_of(&f->comm), 100 + order[i], f->comm.comm, &request);
        T_OK(parla_mpi_event(f->mpi, &events[i], 1, &request, MPI_STATUSES_IGNORE));
    }
    T_EQ(parla_mpi_pending(f->mpi), N_MANY);
    MPI_Barrier(f->comm.comm); /* nobody sends before everybody has looked */
    post_sends(f, sent, &events[N_MANY]);
    T_OK(parla_task_wait(f->rt, events, N_MANY + 1, PARLA_FOREVER));
    T_EQ(parla_mpi_pending(f->mpi), 0);
    for (int i = 0; i < N_MANY; i++)
        T_EQ(received[i], left_of(&f->comm) * N_MANY + i);
    for (int i = 0; i <= N_MANY; i++)
        parla_task_unref(events[i]);
}

T_TEST(many) { m_on_comms(run_many, 2); }

static void run_complete(m_fixture *f)
{
    int value = 5, inactive_value;
    parla_task event;
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL}, inactive, copy;
    T_OK(parla_mpi_event(f->mpi, &event, 2, requests, MPI_STATUSES_IGNORE));
    T_TRUE(parla_task_has_ended(event));
    parla_task_unref(event);
    T_OK(parla_mpi_event(f->mpi, &event, 0, NULL, MPI_STATUSES_IGNORE));
    T_TRUE(parla_task_has_ended(event));
    parla_task_unref(event);

    /* A persistent request: not started it is complete, started it is awaited; the caller keeps the handle. */
    MPI_Recv_init(&inactive_value, 1, MPI_INT, f->comm.rank, 9, f->comm.comm, &inactive);
    copy = inactive;
    T_OK(parla_mpi_event(f->mpi, &event, 1, &copy, MPI_STATUSES_IGNORE));
    T_TRUE(parla_task_has_ended(event));
    parla_task_unref(event);
    for (value = 5; value < 8; value++) {
        MPI_Start(&inactive);
        copy = inactive;
        T_OK(parla_mpi_event(f->mpi, &event, 1, &copy, MPI_STATUSES_IGNORE));
        T_FALSE(parla_task_has_ended(event));
        MPI_Send(&value, 1, MPI_INT, f->comm.rank, 9, f->comm.comm);
        T_OK(parla_task_wait(f->rt, &event, 1, PARLA_FOREVER));
        T_EQ(inactive_value, value);
        parla_task_unref(event);
    }
    MPI_Request_free(&inactive);
}

T_TEST(complete_already) { m_on_comms(run_complete, 1); }

/* --- Looking without taking ----------------------------------------------------------------------------------------------------- */

enum { N_PEEKS = 40 };

static void run_peek(m_fixture *f)
{
    int sent[N_PEEKS], received[N_PEEKS];
    MPI_Request sends[N_PEEKS], receives[N_PEEKS];
    parla_task events[N_PEEKS / 2];
    for (int i = 0; i < N_PEEKS; i++)
        MPI_Irecv(&received[i], 1, MPI_INT, left_of(&f->comm), i, f->comm.comm, &receives[i]);
    for (int i = 0; i < N_PEEKS / 2; i++)
        T_OK(parla_mpi_event_peek(f->mpi, &events[i], 2, &receives[2 * i]));
    for (int i = N_PEEKS - 1; i >= 0; i--) {
        sent[i] = f->comm.rank * 1000 + i;
        MPI_Isend(&sent[i], 1, MPI_INT, (f->comm.rank + 1) % f->comm.n_ranks, i, f->comm.comm, &sends[i]);
    }
    T_OK(parla_task_wait(f->rt, events, N_PEEKS / 2, PARLA_FOREVER));
    for (int i = 0; i < N_PEEKS; i++) {
        int flag = 0;
        T_TRUE(receives[i] != MPI_REQUEST_NULL);
        MPI_Test(&receives[i], &flag, MPI_STATUS_IGNORE);
        T_TRUE(flag);
        T_EQ(received[i], left_of(&f->comm) * 1000 + i);
    }
    for (int i = 0; i < N_PEEKS / 2; i++)
        parla_task_unref(events[i]);
    MPI_Waitall(N_PEEKS, sends, MPI_STATUSES_IGNORE);
}

T_TEST(peek) { m_on_comms(run_peek, 1); }

/* --- Failures ------------------------------------------------------------------------------------------------------------------- */

/* A message that is longer than the buffer of the receive. It is sent when the receive was posted, so that the table finds out; but one to
 * itself is sent before, since Open MPI 4.1 notices nothing the other way round. */
typedef struct truncation {
    m_fixture *f;
    int small[1];
    _Atomic int n_calls;
    _Atomic bool is_posted;
    MPI_Status statuses[1];
    bool binds, ignores_status;
} truncation;

static int truncate_body(parla_context *context, void *arg)
{
    truncation *t = arg;
    MPI_Request receive;
    if (t->n_calls++ > 0)
        return 0;
    MPI_Irecv(t->small, 1, MPI_INT, left_of(&t->f->comm), 4, t->f->comm.comm, &receive);
    int rc = t->binds
                 ? parla_mpi_bind(t->f->mpi, context, 1, &receive)
                 : parla_mpi_suspend_on(t->f->mpi, context, 1, &receive, t->ignores_status ? MPI_STATUSES_IGNORE : t->statuses);
    t->is_posted = true;
    return rc < 0 || t->binds ? rc : PARLA_SUSPENDED;
}

static void send_too_much(m_fixture *f, bool is_early)
{
    static const int big[64];
    if (is_early == (f->comm.n_ranks == 1))
        MPI_Send(big, 64, MPI_INT, (f->comm.rank + 1) % f->comm.n_ranks, 4, f->comm.comm);
}

static void expect_truncation(parla_task task)
{
    parla_failure *failure = parla_task_failure(task);
    T_TRUE(failure != NULL);
    T_EQ(parla_failure_code(failure), PARLA_E_TRANSPORT);
    T_HAS_STR(parla_failure_message(failure), "MPI_ERR_TRUNCATE");
    parla_failure_unref(failure);
}

static void run_failing_task(m_fixture *f, bool binds, bool ignores_status)
{
    truncation t = {.f = f, .binds = binds, .ignores_status = ignores_status};
    parla_task task, after;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    T_OK(parla_task_create(f->rt, &task, "truncated"));
    options.body = truncate_body;
    options.arg = &t;
    options.task = task;
    T_OK(parla_spawn(f->rt, &after, copy_body, &(exchange){.f = f}, &task, 1));
    T_OK(parla_task_ref(after));
    send_too_much(f, true);
    T_OK(parla_task_spawn(f->rt, NULL, &options));
    T_EVENTUALLY(t.is_posted, 20000);
    MPI_Barrier(f->comm.comm);
    send_too_much(f, false);
    int rc = parla_task_wait(f->rt, &after, 1, PARLA_FOREVER);
    if (binds || ignores_status) {
        T_EQ(rc, PARLA_E_CANCELLED);
        expect_truncation(task);
    } else {
        T_EQ(rc, 0);
        T_NE(t.statuses[0].MPI_ERROR, MPI_SUCCESS);
        T_EQ(parla_task_query(task), PARLA_TASK_DONE);
    }
    T_EQ(t.n_calls, binds ? 1 : 2);
    parla_task_unref(after);
    parla_task_unref(task);
}

static void run_failures(m_fixture *f)
{
    run_failing_task(f, true, false);
    run_failing_task(f, false, true);
    run_failing_task(f, false, false);
    int small;
    parla_task event;
    MPI_Request receive;
    send_too_much(f, true);
    MPI_Irecv(&small, 1, MPI_INT, left_of(&f->comm), 4, f->comm.comm, &receive);
    T_OK(parla_mpi_event(f->mpi, &event, 1, &receive, MPI_STATUSES_IGNORE));
    MPI_Barrier(f->comm.comm);
    send_too_much(f, false);
    T_EQ(parla_task_wait(f->rt, &event, 1, PARLA_FOREVER), PARLA_E_TRANSPORT);
    expect_truncation(event);
    parla_task_unref(event);
    parla_failure *unseen;
    T_EQ(parla_runtime_take_failure(f->rt, &unseen), PARLA_PENDING);
}

T_TEST(failures) { m_on_comms(run_failures, 1); }

static void run_arguments(m_fixture *f)
{
    parla_task event;
    MPI_Request request = MPI_REQUEST_NULL;
    T_EQ(parla_mpi_event(NULL, &event, 1, &request, MPI_STATUSES_IGNORE), PARLA_E_INVALID);
    T_EQ(parla_mpi_event(f->mpi, &event, -1, &request, MPI_STATUSES_IGNORE), PARLA_E_INVALID);
    T_EQ(parla_mpi_event(f->mpi, &event, 1, NULL, MPI_STATUSES_IGNORE), PARLA_E_INVALID);
}

T_TEST(arguments) { m_on_comms(run_arguments, 1); }
