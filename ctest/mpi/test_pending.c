/* test_pending.c - a hundred thousand pending requests cost memory, and no more polling than a few. Counted by a profiling tool in front of
 * the library: wrappers that MPI's profiling interface is for, so this shows as well that such tools see every call. */
#include "mpi_test.h"
#include "request.h"

#include <malloc.h>
#include <parla/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_PENDING = 100000, N_LOOKS = 50, GROUP_BYTES = 64, EVENT_BYTES = 512 };

/* --- The tool ------------------------------------------------------------------------------------------------------------------- */

static _Thread_local int n_calls; /* tests of any kind that this thread has made */
static _Atomic int n_all_calls, most_rows;

static void count_test(int n_rows)
{
    n_calls++;
    atomic_fetch_add(&n_all_calls, 1);
    int most = atomic_load(&most_rows);
    while (n_rows > most && !atomic_compare_exchange_weak(&most_rows, &most, n_rows))
        ;
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    count_test(1);
    return PMPI_Test(request, flag, status);
}

int MPI_Testsome(int n, MPI_Request requests[], int *n_done, int indices[], MPI_Status statuses[])
{
    count_test(n);
    return PMPI_Testsome(n, requests, n_done, indices, statuses);
}

/* --- The requests --------------------------------------------------------------------------------------------------------------- */

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static int received[N_PENDING];
static MPI_Request requests[N_PENDING];
static parla_task events[N_PENDING];

/* Hands over `n` receives from the rank itself in groups of `each`. Returns how many bytes of the heap that took. */
static size_t hand_over(m_fixture *f, int n, int each)
{
    for (int i = 0; i < n; i++)
        MPI_Irecv(&received[i], 1, MPI_INT, f->comm.rank, 1, f->comm.comm, &requests[i]);
    size_t before = heap_bytes();
    for (int i = 0; i < n; i += each)
        T_OK(parla_mpi_event(f->mpi, &events[i / each], each, &requests[i], MPI_STATUSES_IGNORE));
    T_EQ(parla_mpi_pending(f->mpi), n);
    (void)parla_mpi_progress(f->mpi); /* takes them up, unless a worker does */
    return heap_bytes() - before;
}

static void receive_all(m_fixture *f, int n, int each)
{
    for (int i = 0; i < n; i++)
        MPI_Send(&i, 1, MPI_INT, f->comm.rank, 1, f->comm.comm);
    T_OK(parla_task_wait(f->rt, events, n / each, PARLA_FOREVER));
    for (int i = 0; i < n; i++)
        T_EQ(received[i], i);
    for (int i = 0; i < n / each; i++)
        parla_task_unref(events[i]);
    T_EQ(parla_mpi_pending(f->mpi), 0);
}

/* However many are pending, a look is one call for one batch. */
static void look(m_fixture *f)
{
    int before = n_calls;
    atomic_store(&most_rows, 0);
    for (int i = 0; i < N_LOOKS; i++)
        T_EQ(parla_mpi_progress(f->mpi), 0);
    T_LE(n_calls - before, N_LOOKS);
    T_LE(atomic_load(&most_rows), PLM_BATCH);
    int n_then = atomic_load(&n_all_calls); /* somebody polls: the workers while they are idle, or else the thread */
    T_EVENTUALLY(atomic_load(&n_all_calls) > n_then, 20000);
}

static void run_pending(m_fixture *f)
{
    static const int counts[] = {PLM_BATCH, N_PENDING};
    for (int i = 0; i < 2; i++) {
        (void)hand_over(f, counts[i], 1);
        look(f);
        receive_all(f, counts[i], 1);
    }
}

T_TEST(polling_does_not_grow) { m_on_comms(run_pending, 1); }

static void run_bytes(m_fixture *f)
{
    size_t group = hand_over(f, N_PENDING, N_PENDING) / N_PENDING;
    receive_all(f, N_PENDING, N_PENDING);
    size_t event = hand_over(f, N_PENDING, 1) / N_PENDING;
    receive_all(f, N_PENDING, 1);
    fprintf(stderr, "# %zu bytes for a request of a large group, %zu for one with an event of its own\n", group, event);
    T_LE(group, GROUP_BYTES);
    T_LE(event, EVENT_BYTES);
}

T_TEST(bytes_per_request) { m_on_comms(run_bytes, 1); }
