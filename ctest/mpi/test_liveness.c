/* test_liveness.c - what ranks learn of one that ends, leaves or fails, on the MPI of ctest/fakempi, whose launcher lets the others go on. */
#include "log_lines.h"
#include "mpi_test.h"
#include "plm.h"

#include <errno.h>
#include <parla/error.h>
#include <signal.h>
#include <unistd.h>

enum { LEAVER = 1, TAG = 3 };

static m_fixture open_raising(void)
{
    T_OK(parla_mpi_start(NULL, NULL));
    m_fixture f = {.comm = m_describe(MPI_COMM_WORLD)};
    parla_options options = PARLA_OPTIONS_INIT;
    parla_mpi_options mpi_options = PARLA_MPI_OPTIONS_INIT;
    options.n_workers = 1;
    mpi_options.on_failure = PARLA_MPI_RAISE;
    t_log_keep();
    T_OK(parla_runtime_create(&f.rt, &options));
    T_OK(parla_mpi_init(&f.mpi, f.rt, f.comm.comm, &mpi_options));
    return f;
}

/* Waits for a message that never comes. */
static int receive(parla_context *context, void *arg)
{
    static int value;
    m_fixture *f = arg;
    MPI_Request request;
    MPI_Irecv(&value, 1, MPI_INT, LEAVER, TAG, f->comm.comm, &request);
    return parla_mpi_bind(f->mpi, context, 1, &request);
}

static parla_task spawn_receiver(m_fixture *f)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    T_OK(parla_task_create(f->rt, &options.task, "receiver"));
    options.body = receive;
    options.arg = f;
    T_OK(parla_task_spawn(f->rt, NULL, &options));
    return options.task;
}

/* The task fails and says why; so does what is handed over later. Nobody finalizes MPI with a rank missing. */
static void expect_words(m_fixture *f, parla_task task, const char *words)
{
    MPI_Request request = MPI_REQUEST_NULL;
    T_EQ(parla_task_wait(f->rt, &task, 1, PARLA_FOREVER), PARLA_E_TRANSPORT);
    parla_failure *failure = parla_task_failure(task);
    T_HAS_STR(parla_failure_message(failure), words);
    T_TRUE(t_log_has(words));
    parla_failure_unref(failure);
    parla_task_unref(task);
    parla_task later;
    T_OK(parla_mpi_event(f->mpi, &later, 1, &request, MPI_STATUSES_IGNORE)); /* complete already */
    parla_task_unref(later);
    parla_mpi_fini(f->mpi);
    parla_runtime_destroy(f->rt);
    _exit(0);
}

T_TEST(a_rank_that_ends_is_named)
{
    m_fixture f = open_raising();
    if (f.comm.rank == LEAVER)
        _exit(0);
    expect_words(&f, spawn_receiver(&f), "died: it exited with status 0 in the middle of the job");
}

T_TEST(a_rank_that_fails_is_named)
{
    m_fixture f = open_raising();
    parla_task task = PARLA_TASK_NONE;
    if (f.comm.rank == LEAVER) {
        T_OK(parla_mpi_fail(f.mpi, 1, "no more bread"));
        _exit(0);
    }
    task = spawn_receiver(&f);
    expect_words(&f, task, "rank 1 has failed: no more bread");
}

/* The thread looks at what is readable each time somebody stalls; the second time it has looked at the end of the other process. */
static void have_it_look(m_fixture *f)
{
    for (int i = 0; i < 2; i++) {
        int n = t_log_n_lines();
        plm_liveness_tell_stall(&f->mpi->liveness);
        T_EVENTUALLY(t_log_n_lines() > n, 20000);
    }
}

T_TEST(a_rank_that_leaves_is_not_missed)
{
    m_fixture f = open_raising();
    pid_t leaver = f.mpi->liveness.board.seats[LEAVER].process;
    if (f.comm.rank == LEAVER) {
        parla_mpi_fini(f.mpi);
        parla_runtime_destroy(f.rt);
        _exit(0);
    }
    T_EVENTUALLY(kill(leaver, 0) < 0 && errno == ESRCH, 20000);
    have_it_look(&f);
    T_FALSE(t_log_has("died"));
    T_TRUE(t_log_has("this rank"));
    parla_mpi_fini(f.mpi);
    parla_runtime_destroy(f.rt);
    _exit(0);
}
