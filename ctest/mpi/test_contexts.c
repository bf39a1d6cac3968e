/* test_contexts.c - contexts under a launcher: each rank has two, out of its own part of the node's cores, while MPI goes on outside. */
#include "mpi_test.h"
#include "vlc_fixture.h"

#include <pthread.h>
#include <stdlib.h>

enum { N_CONTEXTS = 2, N_SUMS = 200000 };

/* The contexts' CPUs are parts of the rank's, and no other rank's unless cores are shared; where there are enough, no other context's. */
typedef struct cores {
    pl_cpus rank, context[N_CONTEXTS];
} cores;

static pl_cpus cpus_of(parla_vlc *vlc)
{
    pl_cpus cpus;
    T_TRUE(pl_cpus_parse(info_of(vlc).cpus, &cpus));
    return cpus;
}

static bool meet(const pl_cpus *a, const pl_cpus *b)
{
    pl_cpus both = pl_cpus_and(a, b);
    return pl_cpus_count(&both) > 0;
}

static void check_cores(const cores *all, const m_comm *comm, bool is_shared)
{
    const cores *own = &all[comm->rank];
    for (int i = 0; i < N_CONTEXTS; i++) {
        pl_cpus both = pl_cpus_and(&own->rank, &own->context[i]);
        T_TRUE(pl_cpus_equal(&both, &own->context[i]));
        for (int r = 0; r < comm->n_ranks && !is_shared; r++)
            T_EQ(meet(&all[r].rank, &own->context[i]), r == comm->rank);
    }
    if (pl_cpus_count(&own->rank) >= N_CONTEXTS)
        T_TRUE(!meet(&own->context[0], &own->context[1]));
}

/* A thread inside: what it sees, what its threads see, and state that two threads in one copy would spoil. */
typedef struct side {
    parla_vlc *vlc;
    pthread_t thread;
    long sum;
} side;

static void *work(void *arg)
{
    side *self = arg;
    parla_vlc_entry entry;
    int seen[7], n = info_of(self->vlc).n_cpus;
    T_OK(parla_vlc_enter(self->vlc, &entry));
    GUEST_OF(self->vlc, guest_cpus)(seen);
    for (int i = 0; i < 7; i++)
        T_EQ(seen[i], n);
    T_EQ(GUEST_OF(self->vlc, guest_thread_cpus)(), n);
    self->sum = GUEST_OF(self->vlc, guest_unsafe_sum)(N_SUMS);
    parla_vlc_leave(&entry);
    return NULL;
}

/* Messages go round outside while both contexts compute. */
static long go_round(const m_comm *comm)
{
    long token = comm->rank, came = -1;
    for (int i = 0; i < comm->n_ranks; i++) {
        MPI_Sendrecv(&token, 1, MPI_LONG, (comm->rank + 1) % comm->n_ranks, 5, &came, 1, MPI_LONG,
                     (comm->rank + comm->n_ranks - 1) % comm->n_ranks, 5, comm->comm, MPI_STATUS_IGNORE);
        token = came;
    }
    return token;
}

static void run_round(const m_comm *comm, int n_cpus, bool is_shared)
{
    cores own, *all = calloc((size_t)comm->n_ranks, sizeof *all);
    side sides[N_CONTEXTS];
    long sum = 0, total = 0;
    T_EQ(pl_process_cpus(&own.rank), 0);
    for (int i = 0; i < N_CONTEXTS; i++) {
        sides[i].vlc = make_guest(n_cpus);
        own.context[i] = cpus_of(sides[i].vlc);
    }
    MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, comm->comm);
    check_cores(all, comm, is_shared);
    for (int i = 0; i < N_CONTEXTS; i++)
        T_EQ(pthread_create(&sides[i].thread, NULL, work, &sides[i]), 0);
    T_EQ(go_round(comm), comm->rank);
    for (int i = 0; i < N_CONTEXTS; i++) {
        T_EQ(pthread_join(sides[i].thread, NULL), 0);
        sum += sides[i].sum;
        T_HAS_STR(GUEST_OF(sides[i].vlc, guest_dlopen)("libmpi.so.40"), "MPI must exist once in a process");
        parla_vlc_destroy(sides[i].vlc);
    }
    MPI_Allreduce(&sum, &total, 1, MPI_LONG, MPI_SUM, comm->comm);
    T_EQ(total, (long)comm->n_ranks * N_CONTEXTS * N_SUMS);
    free(all);
}

T_TEST(ranks_with_two_contexts_each)
{
    parla_mpi_share_info share = {.size = sizeof share};
    T_OK(parla_mpi_start(NULL, NULL));
    m_comm comm = m_describe(MPI_COMM_WORLD);
    T_OK(parla_mpi_share(&share, comm.comm));
    T_OK(parla_mpi_share_bind(&share));
    int n = n_process_cpus();
    if (!share.is_oversubscribed)
        T_EQ(n, share.n_cores);
    for (int i = 0; i < 20; i++)
        run_round(&comm, n / N_CONTEXTS > 0 ? n / N_CONTEXTS : 1, share.is_oversubscribed);
    T_LE(limits_now().n_parked, N_CONTEXTS);
}

/* A body inside computes, the task's successor sends what it has written: MPI stays outside. */
typedef struct piece {
    m_fixture *f;
    double in, out;
} piece;

static int compute(parla_context *context, void *arg)
{
    piece *self = arg;
    (void)context;
    self->out = (double)GUEST_OF(parla_vlc_current(), guest_unsafe_sum)((long)self->in);
    return 0;
}

static int exchange(parla_context *context, void *arg)
{
    piece *self = arg;
    MPI_Request requests[2];
    const m_comm *comm = &self->f->comm;
    MPI_Irecv(&self->in, 1, MPI_DOUBLE, (comm->rank + comm->n_ranks - 1) % comm->n_ranks, 6, comm->comm, &requests[0]);
    MPI_Isend(&self->out, 1, MPI_DOUBLE, (comm->rank + 1) % comm->n_ranks, 6, comm->comm, &requests[1]);
    return parla_mpi_bind(self->f->mpi, context, 2, requests);
}

static void run_tasks(m_fixture *f)
{
    parla_vlc_options pool_options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc_pool *pool;
    piece one = {.f = f, .in = 1000 + f->comm.rank};
    parla_task last = PARLA_TASK_NONE;
    pool_options.n_cpus = 1;
    pool_options.flags = PARLA_VLC_SHARE;
    T_OK(parla_vlc_pool_create(&pool, N_CONTEXTS, &pool_options));
    for (int i = 0; i < N_CONTEXTS; i++)
        T_OK(parla_vlc_open(parla_vlc_pool_context(pool, i), NULL, T_GUEST));
    for (int i = 0; i < 2 * f->comm.n_ranks; i++) {
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        parla_task done = last;
        options.arg = &one;
        options.deps = &done;
        options.n_deps = !parla_task_is_none(last);
        options.body = i % 2 == 0 ? compute : exchange;
        T_OK(i % 2 == 0 ? parla_vlc_spawn(f->rt, pool, 1, &last, &options) : parla_task_spawn(f->rt, &last, &options));
    }
    T_OK(parla_runtime_wait(f->rt, PARLA_FOREVER));
    T_NEAR(one.in, 1000 + f->comm.rank, 0); /* once around */
    parla_vlc_pool_destroy(pool);
}

T_TEST(tasks_inside_and_messages_outside) { m_on_comms(run_tasks, 2); }
