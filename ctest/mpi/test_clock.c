/* test_clock.c - how far clocks are apart is found, whichever way they are wrong. */
#include "clock.h"
#include "mpi_test.h"

#include <time.h>

/* A clock that is so many ns ahead of the node's. */
static uint64_t skewed(void *ctx)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec + *(int64_t *)ctx);
}

static int64_t skew_of(int rank) { return rank % 2 ? rank * INT64_C(7000000000) : rank * -INT64_C(3000000000); }

static void run_ask(m_fixture *f)
{
    plm_clock clock = {0, 0};
    int64_t skew = skew_of(f->comm.rank);
    T_EQ(plm_clock_ask(f->comm.comm, skewed, &skew, &clock), MPI_SUCCESS);
    if (f->comm.rank > 0) {
        T_LE(clock.ahead_ns - skew, (int64_t)clock.error_ns);
        T_GE(clock.ahead_ns - skew, -(int64_t)clock.error_ns - 1);
        T_LT(clock.error_ns, 1000000000u); /* or the bounds would say nothing of the skew */
    }
}

T_TEST(clocks_that_are_seconds_apart) { m_on_comms(run_ask, 1); }

static void run_measure(m_fixture *f)
{
    plm_clock clock = {1, 1};
    int64_t none = 0;
    T_EQ(plm_clock_measure(f->comm.comm, skewed, &none, &clock), MPI_SUCCESS);
    T_EQ(clock.ahead_ns, 0); /* one node, one clock */
    T_EQ(clock.error_ns, 0);
}

T_TEST(ranks_of_a_node_share_their_clock) { m_on_comms(run_measure, 1); }
