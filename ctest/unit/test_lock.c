/* test_lock.c - locks of the process in forked children. */
#include "base/lock.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic int n_renewed;

static void note_fork(void) { pl_add_acq_rel(&n_renewed, 1); }

static pl_lock lock = PL_LOCK_INIT(note_fork), other = PL_LOCK_INIT(NULL), unused = PL_LOCK_INIT(NULL);

/* The exit code of a child that runs `function`. A child that hangs is ended by the limit of the case. It ends without a word to
 * sanitizers, which would call the parent's threads leaks of the child. */
static int in_child(int (*function)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0)
        syscall(SYS_exit_group, function());
    T_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int take_all(void)
{
    pl_lock *all[] = {&lock, &other, &unused};
    for (int i = 0; i < 3; i++)
        pl_lock_take(all[i]);
    for (int i = 0; i < 3; i++)
        pl_lock_give(all[i]);
    return pl_load_acquire(&n_renewed);
}

typedef struct holder {
    _Atomic bool holds, may_go;
} holder;

static void *hold(void *arg)
{
    holder *self = arg;
    pl_lock_take(&lock);
    pl_lock_take(&other);
    pl_store_release(&self->holds, true);
    T_EVENTUALLY(pl_load_acquire(&self->may_go), 20000);
    pl_lock_give(&other);
    pl_lock_give(&lock);
    return NULL;
}

T_TEST(it_excludes)
{
    pthread_t thread;
    holder self = {0};
    T_EQ(pthread_create(&thread, NULL, hold, &self), 0);
    T_EVENTUALLY(pl_load_acquire(&self.holds), 10000);
    T_EQ(pl_lock_take_until(&lock, pl_now_ns()), false);
    pl_store_release(&self.may_go, true);
    T_EQ(take_all(), 0);
    pthread_join(thread, NULL);
}

T_TEST(a_child_takes_what_a_thread_of_the_parent_holds)
{
    pthread_t thread;
    holder self = {0};
    T_EQ(pthread_create(&thread, NULL, hold, &self), 0);
    T_EVENTUALLY(pl_load_acquire(&self.holds), 10000);
    T_EQ(in_child(take_all), 1); /* told once */
    T_EQ(n_renewed, 0);          /* and not the parent */
    pl_store_release(&self.may_go, true);
    pthread_join(thread, NULL);
}

static int fork_again(void)
{
    pl_lock_take(&lock);
    int n = in_child(take_all);
    pl_lock_give(&lock);
    return n;
}

T_TEST(children_of_children)
{
    pl_lock_take(&lock);
    T_EQ(in_child(fork_again), 2);
    pl_lock_give(&lock);
}

/* Every addition counts, whoever sleeps: a lost wake-up would hang, a second holder would lose additions. */
enum { N_ADDERS = 4, N_ADDITIONS = 20000 };

static int n_added; /* under lock */

static void *add(void *unused_arg)
{
    for (int i = 0; i < N_ADDITIONS; i++) {
        pl_lock_take(&lock);
        int n = n_added;
        if (i % 64 == 0)
            sched_yield(); /* others come to wait */
        n_added = n + 1;
        pl_lock_give(&lock);
    }
    return unused_arg;
}

T_TEST(nobody_is_forgotten)
{
    pthread_t threads[N_ADDERS];
    for (int i = 0; i < N_ADDERS; i++)
        T_EQ(pthread_create(&threads[i], NULL, add, NULL), 0);
    for (int i = 0; i < N_ADDERS; i++)
        pthread_join(threads[i], NULL);
    T_EQ(n_added, N_ADDERS * N_ADDITIONS);
}

/* Forks at any moment of a lock's first use by several threads. */
enum { N_LOCKS = 1000, N_THREADS = 3 };

static pl_lock fresh[N_LOCKS];

static void *use_fresh(void *unused_arg)
{
    for (int i = 0; i < N_LOCKS; i++) {
        pl_lock_take(&fresh[i]);
        pl_lock_give(&fresh[i]);
    }
    return unused_arg;
}

static int use_fresh_here(void)
{
    use_fresh(NULL);
    use_fresh(NULL);
    return take_all();
}

T_TEST(forks_while_locks_are_used_for_the_first_time)
{
    pthread_t threads[N_THREADS];
    take_all();
    for (int i = 0; i < N_THREADS; i++)
        T_EQ(pthread_create(&threads[i], NULL, use_fresh, NULL), 0);
    for (int i = 0; i < 10; i++)
        T_EQ(in_child(use_fresh_here), 1);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    use_fresh(NULL);
}
