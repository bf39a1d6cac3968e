/* test_idle.c - what waiting costs: a runtime with nothing to do stays off the cores, and so do ranks that wait beside others that work.
 *
 * Measured is CPU time, which does not depend on what else runs on the machine, and how often threads went to sleep: a thread that looks
 * around every few milliseconds would show there. The two seconds are those of the claim. */
#include "sched/runtime.h"

#include "../unit/runtime_fixture.h"
#include "base/clock.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What pages, locks and a thread of a sanitizer's may cost; a thread that looks around every 10 ms comes to 200. */
enum { OTHER_SLEEPS = 100 };
enum { WINDOW_MS = 2000, CORE_PERCENT = 1 };

typedef struct usage {
    int64_t cpu_ns;
    long n_sleeps;
} usage;

static usage usage_now(void)
{
    struct rusage all;
    struct timespec cpu;
    T_EQ(getrusage(RUSAGE_SELF, &all), 0);
    T_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu), 0);
    return (usage){(int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec, all.ru_nvcsw};
}

static int64_t thread_cpu_ns(void)
{
    struct timespec cpu;
    T_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu), 0);
    return (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec;
}

/* Nothing of the window is used, and threads sleep through it: but for `n_alarms` that were asked for, and this one. */
static void expect_idle(long n_alarms)
{
    T_EVENTUALLY(pl_load_acquire(&rt->n_idle) == pl_load_acquire(&rt->n_active), 20000);
    T_EVENTUALLY((uint32_t)pl_load_acquire(&rt->park.word) >= (uint32_t)pl_load_acquire(&rt->n_active), 20000);
    usage before = usage_now();
    pl_sleep_until(pl_now_ns() + WINDOW_MS * UINT64_C(1000000));
    usage after = usage_now();
    T_LT(after.cpu_ns - before.cpu_ns, WINDOW_MS * INT64_C(1000000) * CORE_PERCENT / 100);
    T_LE(after.n_sleeps - before.n_sleeps, n_alarms + OTHER_SLEEPS);
}

static void open_with(const char *devices, int64_t stall_ns)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 4;
    options.devices = devices;
    options.stall_ns = stall_ns;
    T_OK(parla_runtime_create(&rt, &options));
}

T_TEST(a_fresh_runtime_with_devices)
{
    open_with("sim:4", 0);
    expect_idle(0);
    close_runtime();
}

/* --- After work, with things pending -------------------------------------------------------------------------------------------- */

static parla_task outside;

static int suspend_once(parla_context *context, void *arg)
{
    _Atomic bool *was_here = arg;
    if (pl_exchange_acq_rel(was_here, true))
        return 0;
    T_OK(parla_suspend_on(context, &outside, 1));
    return PARLA_SUSPENDED;
}

static int wait_in_body(parla_context *context, void *arg)
{
    (void)context;
    pl_add_acq_rel((_Atomic int *)arg, 1);
    return wait_for(outside);
}

static void *wait_for_all(void *unused)
{
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    return unused;
}

static void spawn_on_gpus(int n, _Atomic int *n_run)
{
    parla_demand gpu = {PARLA_ARCH_GPU, PARLA_ANY_NUMBER, 0.5, 1000};
    parla_choice choice = {&gpu, 1};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count_body;
    options.arg = (void *)n_run;
    options.choices = &choice;
    options.n_choices = 1;
    for (int i = 0; i < n; i++)
        T_OK(parla_task_spawn(rt, NULL, &options));
}

static int idle_function(void *ctx)
{
    pl_add_acq_rel((_Atomic int *)ctx, 1);
    return -1;
}

/* Bodies that block, one that is suspended, tasks behind a name, a progress function without work, a watchdog, a thread that waits for all. */
T_TEST(after_work_with_everything_waiting)
{
    _Atomic int n = 0, n_inside = 0, n_polls = 0;
    _Atomic bool was_here = false;
    parla_poll *poll;
    enum { LOOKS_OF_THE_WATCHDOG = 4 * WINDOW_MS / 1000 + 1 };
    open_with("sim:2", 1000000000);
    outside = create_event("outside");
    T_OK(parla_poll_add(rt, &poll, idle_function, (void *)&n_polls));
    for (int i = 0; i < 1000; i++)
        spawn(count_body, (void *)&n, NULL, 0);
    spawn_on_gpus(200, &n);
    T_EVENTUALLY(pl_load_acquire(&n) == 1200, 20000);
    for (int i = 0; i < 6; i++) /* more than workers: spares have come */
        spawn(wait_in_body, (void *)&n_inside, NULL, 0);
    parla_task suspended = spawn(suspend_once, (void *)&was_here, NULL, 0), name = create_name("name");
    spawn(count_body, (void *)&n, &name, 1);
    pthread_t waiter = start_thread(wait_for_all, NULL);
    T_EVENTUALLY(pl_load_acquire(&n_inside) == 6 && parla_task_query(suspended) == PARLA_TASK_SUSPENDED, 20000);
    T_EVENTUALLY(pl_load_acquire(&rt->n_rest_waiters) == 7, 20000);
    parla_log_set_level(PARLA_LOG_OFF); /* the watchdog tells what waits, once */
    expect_idle(LOOKS_OF_THE_WATCHDOG);
    int n_polled = pl_load_acquire(&n_polls);
    T_OK(parla_event_complete(outside, 0, NULL));
    spawn_as(name, NULL, count_body, (void *)&n, NULL, 0);
    pthread_join(waiter, NULL);
    T_EQ(n, 1202);
    T_LT(n_polled, 5000);
    parla_poll_remove(poll);
    parla_task_unref(outside);
    parla_task_unref(name);
    close_runtime();
}

/* --- Ranks that share cores ------------------------------------------------------------------------------------------------------- */

/* A rank that works burns its own CPU time; ranks that wait are woken every now and then and wait again. They get what they need for that,
 * and no more, though all have the same core. */
enum { N_WAKES = 100, WAKE_EVERY_US = 2000, WORK_NS = 300000000, RANKS_MAX = 4 };

static int burn(parla_context *context, void *arg)
{
    (void)context;
    int64_t end_ns = thread_cpu_ns() + WORK_NS;
    while (thread_cpu_ns() < end_ns)
        for (int i = 0; i < 1000; i++)
            pl_cpu_relax();
    return count_body(context, arg);
}

static void work(void)
{
    _Atomic int n = 0;
    spawn(burn, (void *)&n, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 1);
}

static void *complete_it(void *event)
{
    pl_sleep_until(pl_now_ns() + WAKE_EVERY_US * 1000);
    T_OK(parla_event_complete(*(parla_task *)event, 0, NULL));
    return NULL;
}

static void wait_again_and_again(void)
{
    _Atomic int n = 0;
    for (int i = 0; i < N_WAKES; i++) {
        parla_task message = create_event("message");
        pthread_t other = start_thread(complete_it, &message);
        T_OK(wait_for(spawn(count_body, (void *)&n, &message, 1)));
        pthread_join(other, NULL);
        parla_task_unref(message);
    }
    T_EQ(n, N_WAKES);
}

static void run_rank(int rank, int n_workers, int start_at, int tell)
{
    char byte;
    open_runtime(n_workers);
    T_EQ(read(start_at, &byte, 1), 0); /* the end of the pipe: all ranks have been started */
    int64_t before = usage_now().cpu_ns;
    if (rank == 0)
        work();
    else
        wait_again_and_again();
    int64_t used = usage_now().cpu_ns - before;
    T_EQ(write(tell, &used, sizeof used), (ssize_t)sizeof used);
    close_runtime();
}

/* The CPU time of each rank. All ranks are on the first `n_cores` cores of this process. */
static void run_ranks(int n_ranks, int n_cores, int n_workers, int64_t *used)
{
    int start_at[2], tell[RANKS_MAX][2], status;
    cpu_set_t mine, few;
    T_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
    CPU_ZERO(&few);
    for (int cpu = 0, n = 0; cpu < CPU_SETSIZE && n < n_cores; cpu++)
        if (CPU_ISSET(cpu, &mine)) {
            CPU_SET(cpu, &few);
            n++;
        }
    T_EQ(pipe(start_at), 0);
    for (int rank = 0; rank < n_ranks; rank++) {
        T_EQ(pipe(tell[rank]), 0);
        pid_t child = fork();
        if (child == 0) {
            close(start_at[1]);
            T_EQ(sched_setaffinity(0, sizeof few, &few), 0);
            run_rank(rank, n_workers, start_at[0], tell[rank][1]);
            _exit(0);
        }
        T_GT(child, 0);
    }
    close(start_at[1]);
    for (int rank = 0; rank < n_ranks; rank++)
        T_EQ(read(tell[rank][0], &used[rank], sizeof used[rank]), (ssize_t)sizeof used[rank]);
    for (int rank = 0; rank < n_ranks; rank++) {
        T_GT(wait(&status), 0);
        T_EQ(status, 0);
    }
}

/* For each wake-up a thread that completes the event is made and ends, a worker runs a body, and the waiter comes back: some 50 µs. A rank that
 * spins until the next one takes as much as the scheduler of the machine gives it. */
static const int64_t allowed_ns = N_WAKES * INT64_C(1000000);

static void expect_no_spinning(int n_ranks, int n_cores, int n_workers)
{
    int64_t used[RANKS_MAX];
    run_ranks(n_ranks, n_cores, n_workers, used);
    T_GE(used[0], WORK_NS);
    for (int rank = 1; rank < n_ranks; rank++)
        T_LT(used[rank], allowed_ns);
}

T_TEST(two_ranks_on_a_core) { expect_no_spinning(2, 1, 2); }
T_TEST(four_ranks_on_a_core) { expect_no_spinning(4, 1, 2); }
T_TEST(four_ranks_that_take_themselves_for_alone) { expect_no_spinning(4, 2, 1); }

T_TEST(a_rank_that_spins_would_be_noticed)
{
    int64_t used[2];
    setenv("PARLA_SPIN_US", "1000000", 1);
    run_ranks(2, 1, 2, used);
    T_GE(used[1], allowed_ns);
}
