/* test_progress.c - who moves requests along: the thread when the workers are busy, the workers when they are not, a source's descriptor. */
#include "mpi_test.h"
#include "plm.h"

#include <parla/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- All workers inside a long body ---------------------------------------------------------------------------------------------- */

typedef struct long_body {
    parla_task event;
    _Atomic bool is_running, is_left;
} long_body;

/* Leaves when the event has completed, which only the progress thread can bring about: this is the only worker. */
static int occupy(parla_context *context, void *arg)
{
    long_body *l = arg;
    (void)context;
    atomic_store(&l->is_running, true);
    while (!parla_task_has_ended(l->event))
        sched_yield();
    atomic_store(&l->is_left, true);
    return 0;
}

static void run_busy(m_fixture *f)
{
    int value = -1, sent = 3;
    long_body l = {.event = PARLA_TASK_NONE};
    MPI_Request receive;
    MPI_Irecv(&value, 1, MPI_INT, f->comm.rank, 1, f->comm.comm, &receive);
    T_OK(parla_mpi_event(f->mpi, &l.event, 1, &receive, MPI_STATUSES_IGNORE));
    T_OK(parla_spawn(f->rt, NULL, occupy, &l, NULL, 0));
    T_EVENTUALLY(atomic_load(&l.is_running), 20000);
    MPI_Send(&sent, 1, MPI_INT, f->comm.rank, 1, f->comm.comm);
    T_EVENTUALLY(atomic_load(&l.is_left), 20000);
    T_EQ(value, 3);
    parla_task_unref(l.event);
}

T_TEST(thread_takes_over) { m_on_comms(run_busy, 1); }

/* --- Sleep ---------------------------------------------------------------------------------------------------------------------- */

static bool is_asleep(parla_mpi *mpi)
{
    pthread_mutex_lock(&mpi->progress.lock);
    bool answer = mpi->progress.is_asleep;
    pthread_mutex_unlock(&mpi->progress.lock);
    return answer;
}

static void run_sleep(m_fixture *f)
{
    for (int i = 0; i < 3; i++) {
        int value = -1;
        parla_task event;
        MPI_Request receive;
        T_EQ(parla_mpi_pending(f->mpi), 0);
        T_EVENTUALLY(is_asleep(f->mpi), 20000);
        MPI_Irecv(&value, 1, MPI_INT, f->comm.rank, 1, f->comm.comm, &receive);
        T_OK(parla_mpi_event(f->mpi, &event, 1, &receive, MPI_STATUSES_IGNORE));
        T_EQ(parla_mpi_pending(f->mpi), 1);
        MPI_Send(&i, 1, MPI_INT, f->comm.rank, 1, f->comm.comm);
        T_OK(parla_task_wait(f->rt, &event, 1, PARLA_FOREVER));
        T_EQ(value, i);
        parla_task_unref(event);
    }
}

T_TEST(sleeps_between) { m_on_comms(run_sleep, 1); }

/* --- A source with a descriptor -------------------------------------------------------------------------------------------------- */

typedef struct counter {
    int fd;
    _Atomic int n_runs, n_armed, n_found;
} counter;

static int counter_run(void *ctx)
{
    counter *c = ctx;
    uint64_t count;
    atomic_fetch_add(&c->n_runs, 1);
    if (read(c->fd, &count, sizeof count) != sizeof count)
        return -1;
    atomic_fetch_add(&c->n_found, 1);
    return 1;
}

static int counter_arm(void *ctx)
{
    counter *c = ctx;
    atomic_fetch_add(&c->n_armed, 1);
    return 0;
}

static void run_source(m_fixture *f)
{
    counter c = {.fd = eventfd(0, EFD_NONBLOCK)};
    plm_source source = {.ctx = &c, .run = counter_run, .arm = counter_arm, .fd = c.fd};
    uint64_t one = 1;
    plm_progress_add(&f->mpi->progress, &source);
    for (int i = 1; i <= 5; i++) {
        T_EVENTUALLY(atomic_load(&c.n_armed) > 0 && is_asleep(f->mpi), 20000);
        T_EQ(write(c.fd, &one, sizeof one), (long)sizeof one);
        T_EVENTUALLY(atomic_load(&c.n_found) == i, 20000);
    }
    plm_progress_remove(&f->mpi->progress, &source);
    int n_runs = atomic_load(&c.n_runs);
    T_EQ(parla_mpi_progress(f->mpi), 0);
    T_EQ(atomic_load(&c.n_runs), n_runs);
    close(c.fd);
}

T_TEST(source_wakes_the_thread) { m_on_comms(run_source, 1); }

/* --- Many threads post at once --------------------------------------------------------------------------------------------------- */

enum { N_TASKS = 64, N_ROUNDS = 8 };

typedef struct player {
    m_fixture *f;
    int number, round, value, other;
    MPI_Request requests[2];
    MPI_Status statuses[2];
    bool has_failed;
} player;

/* Sends to and receives from the neighbour N_ROUNDS times, suspended in between. */
static int play(parla_context *context, void *arg)
{
    player *p = arg;
    m_comm *c = &p->f->comm;
    int left = (c->rank + c->n_ranks - 1) % c->n_ranks, right = (c->rank + 1) % c->n_ranks;
    if (p->round > 0 && p->other != left * 100000 + p->number * 100 + p->round)
        p->has_failed = true;
    if (p->round == N_ROUNDS)
        return 0;
    p->round++;
    p->value = c->rank * 100000 + p->number * 100 + p->round;
    MPI_Irecv(&p->other, 1, MPI_INT, left, p->number, c->comm, &p->requests[0]);
    MPI_Isend(&p->value, 1, MPI_INT, right, p->number, c->comm, &p->requests[1]);
    int rc = parla_mpi_suspend_on(p->f->mpi, context, 2, p->requests, p->statuses);
    return rc < 0 ? rc : PARLA_SUSPENDED;
}

static void run_players(m_fixture *f)
{
    static player players[N_TASKS];
    parla_task tasks[N_TASKS];
    for (int i = 0; i < N_TASKS; i++) {
        players[i] = (player){.f = f, .number = i};
        T_OK(parla_spawn(f->rt, &tasks[i], play, &players[i], NULL, 0));
    }
    T_OK(parla_task_wait(f->rt, tasks, N_TASKS, PARLA_FOREVER));
    for (int i = 0; i < N_TASKS; i++) {
        T_FALSE(players[i].has_failed);
        T_EQ(players[i].round, N_ROUNDS);
    }
}

T_TEST(many_tasks_post) { m_on_comms(run_players, 2); }
