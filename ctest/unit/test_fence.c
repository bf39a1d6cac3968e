/* test_fence.c - of two threads that each store and then look, at least one sees the other, whichever fences the build and the kernel have. */
#include "base/fence.h"
#include "test.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each word on a line of its own, so that a store takes its time while a load beside it does not. */
typedef struct word {
    _Alignas(PL_CACHE_LINE) _Atomic uint64_t value;
} word;

static word frequent, rare; /* what the two sides store: the round */
static word at_start[2];    /* rounds that each side has begun */
static uint64_t seen_by[2]; /* by the side with that number, in this round */

static void start_together(int me, uint64_t round)
{
    pl_store_seq(&at_start[me].value, round);
    for (int i = 1; pl_load_acquire(&at_start[!me].value) < round; i++)
        if (i % 256 == 0)
            sched_yield();                                             /* the other may need this core */
    for (uint64_t i = round * (uint64_t)(me ? 7 : 3) % 32; i > 0; i--) /* now one is a little later, now the other */
        (void)pl_load_relaxed(&at_start[me].value);
}

static void *look_often(void *arg)
{
    uint64_t n = *(uint64_t *)arg;
    for (uint64_t round = 1; round <= n; round++) {
        start_together(0, 2 * round);
        pl_store_light(&frequent.value, round); /* F1 */
        seen_by[0] = pl_load_seq(&rare.value);  /* F2 */
        start_together(0, 2 * round + 1);
    }
    return NULL;
}

/* The other side, which also checks that one of them has seen the other. */
static void look_rarely(uint64_t n)
{
    for (uint64_t round = 1; round <= n; round++) {
        start_together(1, 2 * round);
        pl_store_seq(&rare.value, round);          /* R1 */
        pl_fence_heavy();                          /* R2 */
        seen_by[1] = pl_load_seq(&frequent.value); /* R3 */
        start_together(1, 2 * round + 1);
        T_TRUE(seen_by[0] == round || seen_by[1] == round);
    }
}

static void run_rounds(uint64_t n)
{
    pthread_t other;
    T_EQ(pthread_create(&other, NULL, look_often, &n), 0);
    look_rarely(n);
    T_EQ(pthread_join(other, NULL), 0);
    t_count(n, "rounds of two threads that each store and look");
}

T_TEST(one_of_two_sees_the_other)
{
    pl_fence_open();
    run_rounds(t_scale(20000));
}

T_TEST(a_child_process_has_it_too)
{
    int status;
    pl_fence_open();
    pid_t child = fork();
    T_TRUE(child >= 0);
    if (child == 0) {
        pl_fence_open();
        run_rounds(t_scale(1000)); /* who misses ends the child with another status */
        _exit(0);
    }
    T_EQ(waitpid(child, &status, 0), child);
    T_EQ(status, 0);
}

#ifndef PL_PORTABLE_FENCES
T_TEST(it_is_used_where_the_kernel_has_it)
{
    pl_fence_open();
    long can = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    T_EQ(pl_fence_is_asymmetric, can > 0 && (can & MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}

T_TEST(without_it_both_sides_pay)
{
    pl_fence_open();
    pl_fence_is_asymmetric = false;
    run_rounds(t_scale(20000));
}
#endif
