/* test_stall.c - a rank that stalls has all ranks of its node say what is in flight there. */
#include "log_lines.h"
#include "mpi_test.h"

enum { TAG = 7 };

typedef struct waiter {
    m_fixture *f;
    int value;
} waiter;

static int wait_for_message(parla_context *context, void *arg)
{
    waiter *w = arg;
    MPI_Request request;
    MPI_Irecv(&w->value, 1, MPI_INT, 1, TAG, w->f->comm.comm, &request);
    return parla_mpi_bind(w->f->mpi, context, 1, &request);
}

static void stall(m_fixture *f)
{
    waiter w = {.f = f};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = wait_for_message;
    options.arg = &w;
    options.name = "left alone";
    T_OK(parla_task_spawn(f->rt, NULL, &options));
    T_EVENTUALLY(t_log_has("this rank 0 stalls: 1 request of MPI pending here; 1 task in flight here: left alone"), 20000);
    T_OK(parla_runtime_wait(f->rt, PARLA_FOREVER)); /* rank 1 sends once it has been asked */
    T_EQ(w.value, 5);
}

static void answer(m_fixture *f)
{
    int value = 5;
    T_EVENTUALLY(t_log_has("rank 0 stalls: 0 requests of MPI pending here; no task in flight here"), 20000);
    T_FALSE(t_log_has("this rank"));
    if (f->comm.rank == 1)
        MPI_Send(&value, 1, MPI_INT, 0, TAG, f->comm.comm);
}

T_TEST(who_does_not_send_says_so)
{
    T_OK(parla_mpi_start(NULL, NULL));
    m_fixture f = {.comm = m_describe(MPI_COMM_WORLD)};
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1;
    options.stall_ns = 30000000;
    t_log_keep();
    T_OK(parla_runtime_create(&f.rt, &options));
    T_OK(parla_mpi_init(&f.mpi, f.rt, f.comm.comm, NULL));
    (f.comm.rank == 0 ? stall : answer)(&f);
    m_close(&f);
    t_log_print();
}
