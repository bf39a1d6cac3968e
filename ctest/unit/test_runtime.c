/* test_runtime.c - start and stop: options, what is refused, what stops with a runtime, several of them, and forks. */
#include "sched/runtime.h"

#include "runtime_fixture.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Options ------------------------------------------------------------------------------------------------------------------ */

static void refused(parla_options options, int code, const char *words)
{
    parla_runtime *out = (parla_runtime *)&options;
    T_EQ(parla_runtime_create(&out, &options), code);
    T_HAS_STR(parla_error_detail(), words);
    T_EQ_PTR(out, (parla_runtime *)&options); /* untouched */
}

T_TEST(malformed_options_are_refused)
{
    parla_runner runner = {.size = 1};
    parla_options options = PARLA_OPTIONS_INIT;
    options.size = 7;
    refused(options, PARLA_E_INVALID, "parla_options.size is 7");
    options = PARLA_OPTIONS_INIT;
    options.n_workers = -1;
    refused(options, PARLA_E_CONFIG, "n_workers is -1");
    options.n_workers = PL_MAX_WORKERS + 1;
    refused(options, PARLA_E_CONFIG, "expected 1 to 1024");
    options = PARLA_OPTIONS_INIT;
    options.devices = "abacus:2";
    refused(options, PARLA_E_NO_DEVICE, "abacus");
    options.devices = "sim:";
    refused(options, PARLA_E_CONFIG, "");
    options = PARLA_OPTIONS_INIT;
    options.policy = "wishful";
    refused(options, PARLA_E_CONFIG, "wishful");
    options = PARLA_OPTIONS_INIT;
    options.runner = &runner;
    refused(options, PARLA_E_INVALID, "parla_runner.size is 1");
}

T_TEST(the_environment_fills_in)
{
    setenv("PARLA_WORKERS", "3", 1);
    T_OK(parla_runtime_create(&rt, NULL));
    T_EQ(counts().n_workers, 3);
    close_runtime();
    open_runtime(2); /* an argument wins */
    T_EQ(counts().n_workers, 2);
    close_runtime();
    setenv("PARLA_WORKERS", "many", 1);
    refused(PARLA_OPTIONS_INIT, PARLA_E_CONFIG, "PARLA_WORKERS");
    setenv("PARLA_WORKERS", "2", 1);
    setenv("PARLA_SPIN_US", "-5", 1);
    refused(PARLA_OPTIONS_INIT, PARLA_E_CONFIG, "PARLA_SPIN_US");
    setenv("PARLA_SPIN_US", "100", 1);
    T_OK(parla_runtime_create(&rt, NULL));
    _Atomic int n = 0;
    for (int i = 0; i < 100; i++)
        T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0)));
    close_runtime();
}

T_TEST(counts_are_told)
{
    _Atomic int n = 0;
    open_runtime(2);
    T_EQ(counts().n_devices, 1);
    T_EQ(counts().n_spawned + counts().n_ended, 0);
    for (int i = 0; i < 10; i++)
        spawn(i % 2 ? count_body : fail_body, (void *)&n, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_runtime_info info = counts();
    T_EQ(info.n_spawned, 10);
    T_EQ(info.n_ended, 10);
    T_EQ(info.n_failed, 5);
    T_EQ(info.n_cancelled, 0);
    T_GT(info.task_bytes, 0);
    info.size = 3;
    T_EQ(parla_runtime_query(rt, &info), PARLA_E_INVALID);
    T_EQ(parla_runtime_query(NULL, &info), PARLA_E_INVALID);
    T_EQ(parla_runtime_cancel_all(NULL), 0);
    close_runtime();
}

/* --- Stop --------------------------------------------------------------------------------------------------------------------- */

typedef struct ended {
    _Atomic int n, n_cancelled;
} ended;

static void note_end(void *arg, const parla_outcome *outcome)
{
    pl_add_acq_rel(&((ended *)arg)->n, 1);
    pl_add_acq_rel(&((ended *)arg)->n_cancelled, outcome->status == PARLA_E_CANCELLED);
}

static int run_until_cancelled(parla_context *context, void *arg)
{
    (void)arg;
    T_EVENTUALLY(parla_context_is_cancelled(context), 20000);
    return 0;
}

static void spawn_noted(ended *sum, parla_body body, const parla_task *deps, size_t n_deps)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = sum;
    options.on_end = note_end;
    options.deps = deps;
    options.n_deps = n_deps;
    T_OK(parla_task_spawn(rt, NULL, &options));
}

T_TEST(destroy_cancels_what_has_not_started)
{
    ended running = {0}, waiting = {0};
    open_runtime(1);
    parla_task name = create_name("never"), event = create_event("pending");
    spawn_noted(&running, run_until_cancelled, NULL, 0);
    T_EVENTUALLY(!pl_has_work(rt), 10000); /* it was taken */
    for (int i = 0; i < 10; i++) {
        spawn_noted(&waiting, run_until_cancelled, NULL, 0);
        spawn_noted(&waiting, run_until_cancelled, &name, 1);
        spawn_noted(&waiting, run_until_cancelled, &event, 1);
    }
    close_runtime();
    T_EQ(running.n, 1);
    T_EQ(running.n_cancelled, 0);
    T_EQ(waiting.n, 30);
    T_GE(waiting.n_cancelled, 20); /* all but those that a worker took a moment before */
}

static int destroy_own(parla_context *context, void *arg)
{
    (void)arg;
    parla_runtime_destroy(parla_context_runtime(context));
    return 0;
}

T_TEST(destroy_from_inside_does_nothing)
{
    open_runtime(1);
    T_OK(wait_for(spawn(destroy_own, NULL, NULL, 0)));
    T_OK(wait_for(spawn(destroy_own, NULL, NULL, 0)));
    close_runtime();
    parla_runtime_destroy(NULL);
}

static void *destroy_elsewhere(void *unused)
{
    close_runtime();
    return unused;
}

T_TEST(another_thread_may_destroy)
{
    _Atomic int n = 0;
    open_runtime(2);
    T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0)));
    pthread_join(start_thread(destroy_elsewhere, NULL), NULL);
    open_runtime(2); /* this thread still remembers the old one */
    T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0)));
    close_runtime();
    T_EQ(n, 2);
}

/* --- The last release comes from outside: that call may still be under way when the runtime is destroyed. --------------------- */

typedef struct outsider {
    parla_task event;
    _Atomic bool is_known;
} outsider;

static void *complete_event(void *arg)
{
    outsider *self = arg;
    T_EVENTUALLY(pl_load_acquire(&self->is_known), 20000);
    T_OK(parla_event_complete(self->event, 0, NULL));
    return NULL;
}

T_TEST(a_call_that_ends_the_last_task_outlives_destroy)
{
    for (uint64_t i = 0; i < t_scale(500); i++) {
        outsider self = {0};
        pthread_t thread = start_thread(complete_event, &self);
        open_runtime(1);
        self.event = create_event("e");
        pl_store_release(&self.is_known, true);
        T_OK(wait_for(self.event));
        parla_task_unref(self.event);
        close_runtime();
        pthread_join(thread, NULL);
    }
}

/* --- Several ------------------------------------------------------------------------------------------------------------------ */

T_TEST(runtimes_live_side_by_side)
{
    enum { N = 5 };
    parla_runtime *all[N];
    _Atomic int n = 0;
    for (int i = 0; i < N; i++)
        T_OK(parla_runtime_create(&all[i], NULL));
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < N; i++)
            T_OK(parla_spawn(all[i], NULL, count_body, (void *)&n, NULL, 0));
    for (int i = 0; i < N; i++)
        T_OK(parla_runtime_wait(all[i], PARLA_FOREVER));
    T_EQ(n, 20 * N);
    for (int i = 0; i < N; i++)
        parla_runtime_destroy(all[(i * 2) % N]);
}

/* --- Fork --------------------------------------------------------------------------------------------------------------------- */

static int idle_poll(void *ctx)
{
    (void)ctx;
    return -1;
}

/* Everything that the child can call, with what it had before the fork. */
static void check_child(parla_task name, parla_task event, parla_poll *poll, parla_space *space)
{
    parla_task out;
    parla_failure *failure;
    parla_poll *other;
    parla_runtime_info info = {.size = sizeof info};
    parla_device_info device = {.size = sizeof device};
    parla_link_info link = {.size = sizeof link};
    int64_t index = 0;
    int number;
    T_EQ(parla_spawn(rt, &out, count_body, NULL, NULL, 0), PARLA_E_FORKED);
    T_HAS_STR(parla_error_detail(), "parent");
    T_EQ(parla_task_create(rt, &out, NULL), PARLA_E_FORKED);
    T_EQ(parla_event_create(rt, &out, NULL), PARLA_E_FORKED);
    T_EQ(parla_event_complete(event, 0, NULL), PARLA_E_FORKED);
    T_EQ(parla_release(name, 0, NULL), PARLA_E_FORKED);
    T_EQ(parla_task_ref(name), PARLA_E_FORKED);
    T_EQ(parla_task_cancel(name), PARLA_E_FORKED);
    T_EQ(parla_task_wait(rt, &name, 1, 0), PARLA_E_FORKED);
    T_EQ(parla_runtime_wait(rt, 0), PARLA_E_FORKED);
    T_EQ(parla_runtime_query(rt, &info), PARLA_E_FORKED);
    T_EQ(parla_runtime_take_failure(rt, &failure), PARLA_E_FORKED);
    T_EQ(parla_poll_add(rt, &other, idle_poll, NULL), PARLA_E_FORKED);
    T_EQ(parla_device_query(rt, 0, &device), PARLA_E_FORKED);
    T_EQ(parla_device_find(rt, PARLA_ARCH_CPU, 0, &number), PARLA_E_FORKED);
    T_EQ(parla_link_query(rt, 0, 0, &link), PARLA_E_FORKED);
    T_EQ(parla_space_at(space, &index, 1, &out), PARLA_E_FORKED);
    T_EQ(parla_runtime_cancel_all(rt), 0);
    T_TRUE(parla_task_failure(name) == NULL);
    T_EQ(parla_task_devices(name, &number, 1), 0);
    parla_poll_kick(poll);
    parla_poll_remove(poll);
    parla_task_unref(name);
    parla_runtime_destroy(rt);
    parla_runtime_destroy(rt); /* does nothing, however often */
}

/* ThreadSanitizer ends a child of threads that starts threads. */
static void use_anew(void)
{
#if defined(__SANITIZE_THREAD__)
    return;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return;
#endif
#endif
    _Atomic int n = 0;
    open_runtime(2);
    for (int i = 0; i < 10; i++)
        T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0)));
    T_EQ(n, 10);
    close_runtime();
}

static void check_exit(pid_t child)
{
    int status;
    T_EQ(waitpid(child, &status, 0), child);
    T_TRUE(WIFEXITED(status));
    T_EQ(WEXITSTATUS(status), 0);
}

typedef struct meeting {
    pthread_barrier_t barrier;
    _Atomic int n_met;
} meeting;

static int meet(parla_context *context, void *arg)
{
    (void)context;
    meeting *self = arg;
    pthread_barrier_wait(&self->barrier);
    self->n_met++;
    return 0;
}

/* Lets every worker run a body. AddressSanitizer holds a lock of its allocator while a thread starts, which a child would inherit. */
static void let_workers_start(int n_workers)
{
    meeting all = {.n_met = 0};
    T_EQ(pthread_barrier_init(&all.barrier, NULL, (unsigned)n_workers), 0);
    for (int i = 0; i < n_workers; i++)
        spawn(meet, &all, NULL, 0);
    T_EVENTUALLY(all.n_met == n_workers, 10000); /* a thread that waits would run one itself */
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    pthread_barrier_destroy(&all.barrier);
}

T_TEST(a_forked_child_cannot_use_it_but_can_start_its_own)
{
    _Atomic int n = 0;
    parla_poll *poll;
    parla_space *space;
    open_runtime(2);
    parla_task name = create_name("x"), event = create_event("e");
    T_OK(parla_poll_add(rt, &poll, idle_poll, NULL));
    T_OK(parla_space_create(&space, rt, "T"));
    let_workers_start(2);
    pid_t child = fork();
    T_GE(child, 0);
    if (child == 0) {
        check_child(name, event, poll, space);
        use_anew();
        _exit(0);
    }
    check_exit(child);
    T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0))); /* the parent goes on */
    T_OK(parla_event_complete(event, 0, NULL));
    parla_poll_remove(poll);
    parla_space_destroy(space);
    parla_task_unref(name);
    parla_task_unref(event);
    close_runtime();
}

static int fork_body(parla_context *context, void *arg)
{
    parla_task *event = arg;
    pid_t child = fork();
    if (child == 0) {
        T_EQ(parla_suspend_on(context, event, 1), PARLA_E_FORKED);
        T_EQ(parla_hold(context, 1), PARLA_E_FORKED);
        T_EQ(parla_spawn(parla_context_runtime(context), NULL, count_body, NULL, NULL, 0), PARLA_E_FORKED);
        _exit(0);
    }
    check_exit(child);
    return 0;
}

T_TEST(a_body_may_fork)
{
    open_runtime(2);
    parla_task event = create_event("e");
    T_OK(wait_for(spawn(fork_body, &event, NULL, 0)));
    T_OK(parla_event_complete(event, 0, NULL));
    parla_task_unref(event);
    close_runtime();
}

enum { N_WAITERS = 32 };

static struct {
    parla_runtime *rt;
    parla_task name;
    _Atomic int n_ready;
} vain;

static void *wait_in_vain(void *unused)
{
    (void)unused;
    pl_add_acq_rel(&vain.n_ready, 1);
    int code = parla_task_wait(vain.rt, &vain.name, 1, PARLA_FOREVER);
    T_TRUE(code == PARLA_E_CANCELLED || code == PARLA_E_STUCK);
    return NULL;
}

/* Destroy cancels what they wait for, and frees nothing that they still look at. */
T_TEST(destroy_tells_those_who_wait)
{
    for (size_t round = 0; round < t_scale(20); round++) {
        pthread_t threads[N_WAITERS];
        parla_options options = PARLA_OPTIONS_INIT;
        options.n_workers = 1;
        T_OK(parla_runtime_create(&vain.rt, &options));
        T_OK(parla_task_create(vain.rt, &vain.name, "never spawned"));
        pl_store_release(&vain.n_ready, 0);
        for (int i = 0; i < N_WAITERS; i++) {
            T_EQ(pthread_create(&threads[i], NULL, wait_in_vain, NULL), 0);
        }
        /* Here too: a thread that has not begun to wait must not find the runtime gone. */
        T_EVENTUALLY(pl_load_acquire(&vain.n_ready) == N_WAITERS, 10000);
        T_EVENTUALLY(pl_load_acquire(&vain.rt->n_rest_waiters) == N_WAITERS, 10000);
        if (round % 2)
            parla_runtime_stop(vain.rt);
        else
            parla_runtime_destroy(vain.rt);
        for (int i = 0; i < N_WAITERS; i++) {
            pthread_join(threads[i], NULL);
        }
        if (round % 2)
            parla_runtime_destroy(vain.rt);
    }
}

static int stop_from_inside(parla_context *context, void *arg)
{
    (void)arg;
    parla_runtime_stop(parla_context_runtime(context));
    return 0;
}

/* Names and events are cancelled as well; what has ended can still be asked for. */
T_TEST(a_stopped_runtime_takes_nothing_new_and_still_answers)
{
    _Atomic int n = 0;
    open_runtime(2);
    T_OK(wait_for(spawn(stop_from_inside, NULL, NULL, 0))); /* ignored, with a line in the log */
    parla_task done = spawn(count_body, (void *)&n, NULL, 0), name = create_name("name"), event = create_event("event");
    parla_task after = spawn(count_body, (void *)&n, &name, 1);
    T_OK(wait_for(done));
    T_OK(parla_task_ref(after));
    for (int i = 0; i < 2; i++)
        parla_runtime_stop(rt);
    T_EQ(parla_spawn(rt, NULL, count_body, (void *)&n, NULL, 0), PARLA_E_STATE);
    T_OK(wait_for(done));
    T_EQ(parla_task_query(name), PARLA_TASK_CANCELLED);
    T_EQ(parla_task_query(event), PARLA_TASK_CANCELLED);
    T_EQ(wait_for(after), PARLA_E_CANCELLED);
    T_EQ(counts().n_spawned, counts().n_ended);
    T_EQ(n, 1);
    parla_task_unref(after);
    parla_task_unref(name);
    parla_task_unref(event);
    close_runtime();
}
