/* test_init.c - start and stop of the MPI layer, again and again, with requests pending; thread levels; cores of a node shared out. */
#include "error.h"
#include "mpi_test.h"
#include "share.h"

#include <parla/event.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_again(m_fixture *f)
{
    for (int i = 0; i < 5; i++) {
        parla_mpi *second;
        int result;
        T_OK(parla_mpi_init(&second, f->rt, f->comm.comm, NULL));
        T_EQ(parla_mpi_rank(second), f->comm.rank);
        T_EQ(parla_mpi_n_ranks(second), f->comm.n_ranks);
        MPI_Comm_compare(parla_mpi_comm(second), f->comm.comm, &result);
        T_EQ(result, MPI_CONGRUENT);
        T_EQ(parla_mpi_progress(second), 0);
        parla_mpi_lock(second);
        parla_mpi_unlock(second);
        parla_mpi_fini(second);
    }
    parla_mpi_fini(NULL);
}

T_TEST(again_and_again) { m_on_comms(run_again, 1); }

/* --- Stop with requests pending -------------------------------------------------------------------------------------------------- */

typedef struct receiver {
    parla_mpi *mpi;
    MPI_Comm comm;
    int rank, value;
    bool binds;
    int n_calls;
} receiver;

/* Waits for a message that nobody has sent. */
static int receive_body(parla_context *context, void *arg)
{
    receiver *r = arg;
    MPI_Request request;
    if (r->n_calls++ > 0)
        return 0;
    MPI_Irecv(&r->value, 1, MPI_INT, r->rank, 77, r->comm, &request);
    if (r->binds)
        return parla_mpi_bind(r->mpi, context, 1, &request);
    int rc = parla_mpi_suspend_on(r->mpi, context, 1, &request, MPI_STATUSES_IGNORE);
    return rc < 0 ? rc : PARLA_SUSPENDED;
}

static parla_task spawn_receiver(parla_runtime *rt, receiver *r)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    T_OK(parla_task_create(rt, &options.task, "receiver"));
    options.body = receive_body;
    options.arg = r;
    T_OK(parla_task_spawn(rt, NULL, &options));
    return options.task;
}

static void run_pending(m_fixture *f)
{
    parla_mpi *second;
    parla_task tasks[3];
    int value, expected = 0;
    MPI_Request request;
    T_OK(parla_mpi_init(&second, f->rt, f->comm.comm, NULL));
    receiver r[2] = {{.mpi = second, .comm = f->comm.comm, .rank = f->comm.rank, .binds = true},
                     {.mpi = second, .comm = f->comm.comm, .rank = f->comm.rank}};
    tasks[0] = spawn_receiver(f->rt, &r[0]);
    tasks[1] = spawn_receiver(f->rt, &r[1]);
    MPI_Irecv(&value, 1, MPI_INT, f->comm.rank, 77, f->comm.comm, &request);
    T_OK(parla_mpi_event_peek(second, &tasks[2], 1, &request));
    T_EVENTUALLY(parla_mpi_pending(second) == 3, 20000);
    parla_mpi_fini(second);
    for (int i = 0; i < 3; i++) {
        T_EQ(parla_task_wait(f->rt, &tasks[i], 1, PARLA_FOREVER), PARLA_E_CANCELLED);
        parla_failure *failure = parla_task_failure(tasks[i]);
        T_HAS_STR(parla_failure_message(failure), "shut down");
        parla_failure_unref(failure);
        parla_task_unref(tasks[i]);
    }
    for (; expected < 3; expected++) /* the receives still take their messages */
        MPI_Send(&expected, 1, MPI_INT, f->comm.rank, 77, f->comm.comm);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

T_TEST(pending_at_the_end) { m_on_comms(run_pending, 1); }

/* --- Refusals -------------------------------------------------------------------------------------------------------------------- */

T_TEST(thread_levels)
{
    int is_serialized = -1;
    T_OK(parla_mpi_start(NULL, NULL));
    T_OK(plm_check_threads(MPI_THREAD_MULTIPLE, &is_serialized));
    T_EQ(is_serialized, 0);
    T_OK(plm_check_threads(MPI_THREAD_SERIALIZED, &is_serialized));
    T_EQ(is_serialized, 1);
    T_EQ(plm_check_threads(MPI_THREAD_FUNNELED, &is_serialized), PARLA_E_UNSUPPORTED);
    T_HAS_STR(parla_error_detail(), "MPI_THREAD_FUNNELED");
    T_HAS_STR(parla_error_detail(), "MPI_THREAD_MULTIPLE");
    T_HAS_STR(parla_error_detail(), "mpi4py.rc.thread_level");
}

static void run_arguments(m_fixture *f)
{
    parla_mpi *out = NULL;
    parla_mpi_options wrong = {.size = 1};
    parla_mpi_share_info info = {.size = 1};
    T_EQ(parla_mpi_init(&out, NULL, f->comm.comm, NULL), PARLA_E_INVALID);
    T_EQ(parla_mpi_init(&out, f->rt, MPI_COMM_NULL, NULL), PARLA_E_INVALID);
    T_EQ(parla_mpi_init(&out, f->rt, f->comm.comm, &wrong), PARLA_E_INVALID);
    T_EQ(parla_mpi_share(&info, f->comm.comm), PARLA_E_INVALID);
    T_TRUE(out == NULL);
}

T_TEST(arguments) { m_on_comms(run_arguments, 1); }

/* --- Cores ----------------------------------------------------------------------------------------------------------------------- */

static void run_share(m_fixture *f)
{
    parla_mpi_share_info info = {.size = sizeof info};
    T_OK(parla_mpi_share(&info, f->comm.comm));
    T_EQ(info.n_local, f->comm.n_ranks); /* tests run on one machine */
    T_EQ(info.local_rank, f->comm.rank);
    T_GE(info.n_cores, 1);
    T_GE(info.n_node_cores, info.n_cores);
    T_EQ(info.is_oversubscribed, info.n_local > info.n_node_cores);
    int sum;
    MPI_Allreduce(&info.n_cores, &sum, 1, MPI_INT, MPI_SUM, f->comm.comm);
    T_EQ(sum, info.is_oversubscribed ? info.n_local : info.n_node_cores);
}

T_TEST(share) { m_on_comms(run_share, 1); }

static plm_cores cores_from(int first, int last)
{
    plm_cores cores = {{0}};
    for (int i = first; i <= last; i++)
        plm_cores_add(&cores, i);
    return cores;
}

enum { N_ORDER = 64 };

/* Shares masks out and returns the numbers of cores as digits, rank 0 first. */
static int shared(plm_cores *parts, const plm_cores *masks, int n, bool *out_oversubscribed)
{
    int order[N_ORDER], digits = 0;
    for (int i = 0; i < N_ORDER; i++)
        order[i] = i;
    *out_oversubscribed = plm_share(parts, masks, n, order, N_ORDER);
    for (int r = 0; r < n; r++)
        digits = digits * 10 + plm_cores_count(&parts[r]);
    return digits;
}

T_TEST(share_arithmetic)
{
    plm_cores parts[4], all4 = cores_from(0, 3), all5 = cores_from(0, 4), two = cores_from(0, 1);
    bool is_over;
    T_EQ(shared(parts, (plm_cores[]){all4, all4}, 2, &is_over), 22);
    T_FALSE(is_over);
    T_EQ(parts[0].words[0], 0x3);
    T_EQ(parts[1].words[0], 0xc);
    T_EQ(shared(parts, (plm_cores[]){all5, all5}, 2, &is_over), 32);
    T_EQ(shared(parts, (plm_cores[]){all4, all4, all4}, 3, &is_over), 211);
    T_FALSE(is_over);
    T_EQ(shared(parts, (plm_cores[]){cores_from(0, 1), cores_from(2, 7)}, 2, &is_over), 26); /* bound by a launcher */
    T_EQ(shared(parts, (plm_cores[]){two, two, two}, 3, &is_over), 111);
    T_TRUE(is_over);
    T_EQ(shared(parts, (plm_cores[]){two, two, two, two}, 4, &is_over), 1111);
    T_TRUE(is_over);
    T_EQ(parts[2].words[0], 1); /* spread over the cores */
    T_EQ(parts[3].words[0], 2);
    T_EQ(shared(parts, (plm_cores[]){cores_from(0, 3), cores_from(2, 5)}, 2, &is_over), 33); /* two in common */
    T_FALSE(is_over);
}

/* Disjoint, within the masks, and all cores given away, whatever the masks are. */
T_TEST(share_random)
{
    t_rng rng = {t_seed()};
    for (int round = 0; round < 200; round++) {
        plm_cores masks[4], parts[4], seen = {{0}};
        bool is_over;
        int n = 1 + (int)t_below(&rng, 4), n_all = 0;
        for (int r = 0; r < n; r++) {
            masks[r] = (plm_cores){{t_next(&rng) & t_next(&rng)}};
            plm_cores_add(&masks[r], (int)t_below(&rng, N_ORDER));
        }
        (void)shared(parts, masks, n, &is_over);
        for (int r = 0; r < n; r++) {
            T_EQ(parts[r].words[0] & ~masks[r].words[0], 0);
            T_GE(plm_cores_count(&parts[r]), 1);
            T_TRUE(is_over || (parts[r].words[0] & seen.words[0]) == 0);
            seen.words[0] |= parts[r].words[0];
            n_all += plm_cores_count(&parts[r]);
        }
        uint64_t all = 0;
        for (int r = 0; r < n; r++)
            all |= masks[r].words[0];
        T_TRUE(seen.words[0] == all);
        T_TRUE(is_over || n_all == plm_cores_count(&seen));
    }
}

static void run_bind(m_fixture *f)
{
    parla_mpi_share_info info = {.size = sizeof info};
    T_OK(parla_mpi_share(&info, f->comm.comm));
    T_OK(parla_mpi_share_bind(&info));
    MPI_Barrier(f->comm.comm);
    parla_mpi_share_info again = {.size = sizeof again};
    T_OK(parla_mpi_share(&again, f->comm.comm)); /* who is bound keeps what it has */
    T_EQ(again.n_cores, info.n_cores);
    T_EQ_MEM(again.cores, info.cores, sizeof info.cores);
    for (int i = 0; i < PARLA_MPI_MAX_CORES / 64; i++)
        info.cores[i] = ~UINT64_C(0);
    info.is_oversubscribed = false;
    T_OK(parla_mpi_share_bind(&info));
}

T_TEST(share_bind) { m_on_comms(run_bind, 1); }
