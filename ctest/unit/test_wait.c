/* test_wait.c - waiting from outside and inside of bodies: results, time limits, signals, and when there is nothing to wait for. */
#include "runtime_fixture.h"

#include <signal.h>

enum { SOON_NS = 2000000 };

T_TEST(nothing_to_wait_for)
{
    parla_task none = PARLA_TASK_NONE;
    open_runtime(1);
    T_OK(parla_task_wait(rt, NULL, 0, PARLA_FOREVER));
    T_OK(parla_task_wait(rt, &none, 1, 0));
    T_OK(parla_runtime_wait(rt, 0));
    close_runtime();
}

T_TEST(the_first_failure_of_the_list_is_returned)
{
    open_runtime(1);
    parla_task event = create_event("e");
    parla_task tasks[] = {spawn_as(PARLA_TASK_NONE, "good", stop_body, &(stopper){.may_go = true}, NULL, 0), PARLA_TASK_NONE, event,
                          spawn_as(PARLA_TASK_NONE, "bad", fail_body, NULL, NULL, 0)};
    T_OK(parla_event_complete(event, PARLA_E_TRANSPORT, "peer gone"));
    T_EQ(parla_task_wait(rt, tasks, 4, PARLA_FOREVER), PARLA_E_TRANSPORT);
    T_EQ_STR(parla_error_detail(), "peer gone");
    T_EQ(parla_task_wait(rt, &tasks[3], 1, PARLA_FOREVER), PARLA_E_USER);
    T_OK(parla_task_wait(rt, tasks, 2, PARLA_FOREVER));
    parla_failure *failure;
    T_EQ(parla_runtime_take_failure(rt, &failure), PARLA_PENDING); /* both were looked at */
    parla_task_unref(event);
    close_runtime();
}

T_TEST(a_time_limit_is_told_in_words)
{
    open_runtime(1);
    stopper stop = {0};
    parla_task task = spawn(stop_body, &stop, NULL, 0);
    parla_error_set(PARLA_E_USER, "an older failure");
    T_EQ(parla_task_wait(rt, &task, 1, 0), PARLA_E_TIMEOUT);
    T_HAS_STR(parla_error_detail(), "time");
    T_EQ(parla_task_wait(rt, &task, 1, SOON_NS), PARLA_E_TIMEOUT);
    T_EQ(parla_runtime_wait(rt, 0), PARLA_E_TIMEOUT);
    T_EQ(parla_runtime_wait(rt, SOON_NS), PARLA_E_TIMEOUT);
    T_HAS_STR(parla_error_detail(), "time");
    pl_store_release(&stop.may_go, true);
    T_OK(parla_runtime_wait(rt, INT64_MAX));
    T_OK(parla_task_wait(rt, &task, 1, 0));
    close_runtime();
}

/* --- Refusals ----------------------------------------------------------------------------------------------------------------- */

static int wait_wrongly(parla_context *context, void *arg)
{
    parla_runtime *own = parla_context_runtime(context);
    parla_task self = parla_context_task(context);
    (void)arg;
    T_EQ(parla_runtime_wait(own, 0), PARLA_E_STATE);
    T_EQ(parla_task_wait(own, &self, 1, 0), PARLA_E_INVALID);
    T_EQ_STR(parla_error_detail(), "wrong waits for itself");
    return 0;
}

T_TEST(waits_that_cannot_end_are_refused)
{
    open_runtime(1);
    T_OK(wait_for(spawn_as(PARLA_TASK_NONE, "wrong", wait_wrongly, NULL, NULL, 0)));
    close_runtime();
}

T_TEST(tasks_of_another_runtime_are_refused)
{
    parla_runtime *other;
    open_runtime(1);
    T_OK(parla_runtime_create(&other, NULL));
    parla_task tasks[2] = {PARLA_TASK_NONE};
    T_OK(parla_task_create(other, &tasks[1], "foreign"));
    T_EQ(parla_task_wait(rt, tasks, 2, 0), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "task 1 of the list");
    T_EQ(parla_runtime_wait(NULL, 0), PARLA_E_INVALID);
    parla_task_unref(tasks[1]);
    parla_runtime_destroy(other);
    close_runtime();
}

/* --- In bodies ---------------------------------------------------------------------------------------------------------------- */

typedef struct fib {
    int n;
    long value;
} fib;

static int fib_body(parla_context *context, void *arg)
{
    fib *self = arg, parts[2] = {{self->n - 1, 0}, {self->n - 2, 0}};
    parla_task children[2];
    if (self->n < 2) {
        self->value = self->n;
        return 0;
    }
    for (int i = 0; i < 2; i++)
        T_OK(parla_spawn(parla_context_runtime(context), &children[i], fib_body, &parts[i], NULL, 0));
    T_OK(parla_task_wait(parla_context_runtime(context), children, 2, PARLA_FOREVER));
    self->value = parts[0].value + parts[1].value;
    return 0;
}

T_TEST(bodies_wait_for_their_children)
{
    for (int n_workers = 1; n_workers <= 4; n_workers++) {
        fib self = {.n = 12};
        open_runtime(n_workers);
        spawn(fib_body, &self, NULL, 0);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        T_EQ(self.value, 144);
        close_runtime();
    }
}

/* An unrelated task on top of the queue must not run under the wait: it could wait for what this very body does next. */
typedef struct buried {
    parla_task child, event;
} buried;

static int wait_on_event(parla_context *context, void *arg)
{
    return parla_task_wait(parla_context_runtime(context), &((buried *)arg)->event, 1, PARLA_FOREVER);
}

static int complete_after_child(parla_context *context, void *arg)
{
    buried *self = arg;
    parla_runtime *own = parla_context_runtime(context);
    static _Atomic int n;
    T_OK(parla_spawn(own, &self->child, count_body, (void *)&n, NULL, 0));
    T_OK(parla_spawn(own, NULL, wait_on_event, self, NULL, 0));
    T_OK(parla_task_wait(own, &self->child, 1, PARLA_FOREVER));
    return parla_event_complete(self->event, 0, NULL);
}

T_TEST(nothing_unrelated_runs_under_a_wait)
{
    for (int i = 0; i < 50; i++) {
        buried self;
        open_runtime(1);
        self.event = create_event("e");
        T_OK(wait_for(spawn(complete_after_child, &self, NULL, 0)));
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        parla_task_unref(self.event);
        close_runtime();
    }
}

/* --- In vain ------------------------------------------------------------------------------------------------------------------ */

T_TEST(waiting_in_vain_is_told)
{
    _Atomic int n = 0;
    open_runtime(2);
    parla_task name = create_name("never");
    T_EQ(wait_for(name), PARLA_E_STUCK); /* by a name alone */
    T_HAS_STR(parla_error_detail(), "never, which was never spawned");
    parla_task after = spawn_as(PARLA_TASK_NONE, "after", count_body, (void *)&n, &name, 1);
    T_EQ(wait_for(after), PARLA_E_STUCK);
    T_HAS_STR(parla_error_detail(), "after waits for never");
    T_EQ(parla_runtime_wait(rt, PARLA_FOREVER), PARLA_E_STUCK);
    spawn_as(name, NULL, count_body, (void *)&n, NULL, 0);
    T_OK(wait_for(after));
    T_EQ(n, 2);
    parla_task_unref(name);
    close_runtime();
}

/* Two bodies that wait for each other on their threads: whoever waits outside is told; when the runtime stops, the bodies are. */
typedef struct tied {
    parla_task *other;
    _Atomic int *n_told;
} tied;

static int wait_in_vain(parla_context *context, void *arg)
{
    tied *self = arg;
    int code = parla_task_wait(parla_context_runtime(context), self->other, 1, PARLA_FOREVER);
    pl_add_acq_rel(self->n_told, code == PARLA_E_STUCK);
    return code;
}

T_TEST(bodies_that_wait_for_each_other)
{
    for (int round = 0; round < 10; round++) {
        _Atomic int n_told = 0;
        open_runtime(2);
        parla_task a = create_name("a"), b = create_name("b");
        tied to_b = {&b, &n_told}, to_a = {&a, &n_told};
        spawn_as(a, NULL, wait_in_vain, &to_b, NULL, 0);
        spawn_as(b, NULL, wait_in_vain, &to_a, NULL, 0);
        int code = wait_for(a); /* whether this thread or one of the bodies is told first is open */
        T_TRUE(code == PARLA_E_STUCK || code == PARLA_E_CANCELLED);
        close_runtime();
        T_GE(n_told, 1); /* the other one learns that its fellow failed */
    }
}

static int wait_with_limit(parla_context *context, void *arg)
{
    T_EQ(parla_task_wait(parla_context_runtime(context), arg, 1, 30000000), PARLA_E_TIMEOUT);
    return 0;
}

T_TEST(a_body_with_a_time_limit_goes_on_so_nobody_is_stuck)
{
    open_runtime(1);
    parla_task name = create_name("never");
    T_OK(wait_for(spawn(wait_with_limit, &name, NULL, 0)));
    spawn(wait_with_limit, &name, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(name);
    close_runtime();
}

T_TEST(a_pending_event_is_a_reason_to_wait)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task event = create_event("e"), after = spawn(count_body, (void *)&n, &event, 1);
    T_EQ(parla_runtime_wait(rt, SOON_NS), PARLA_E_TIMEOUT);
    T_EQ(parla_task_wait(rt, &after, 1, SOON_NS), PARLA_E_TIMEOUT);
    T_EQ(parla_task_wait(rt, &event, 1, SOON_NS), PARLA_E_TIMEOUT);
    T_OK(parla_event_complete(event, 0, NULL));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(event);
    close_runtime();
}

/* --- Signals ------------------------------------------------------------------------------------------------------------------ */

static void on_signal(int number) { (void)number; }

typedef struct interrupted {
    parla_task task;
    _Atomic int code, is_over;
} interrupted;

static void *wait_until_interrupted(void *arg)
{
    interrupted *self = arg;
    pl_store_release(&self->code, parla_task_wait(rt, &self->task, 1, PARLA_FOREVER));
    T_HAS_STR(parla_error_detail(), "signal");
    T_EQ(parla_runtime_wait(rt, 60000000000), PARLA_E_INTERRUPTED);
    pl_store_release(&self->is_over, 1);
    return NULL;
}

T_TEST(a_signal_interrupts_a_wait)
{
    struct sigaction action = {.sa_handler = on_signal};
    stopper stop = {0};
    T_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    open_runtime(1);
    interrupted self = {.task = spawn(stop_body, &stop, NULL, 0), .code = 1};
    T_EVENTUALLY(pl_load_acquire(&stop.is_inside), 10000); /* on the worker: the waiting thread would run it itself */
    pthread_t thread = start_thread(wait_until_interrupted, &self);
    T_EVENTUALLY(pl_load_acquire(&self.is_over) || (pthread_kill(thread, SIGUSR1), false), 20000);
    pthread_join(thread, NULL);
    T_EQ(self.code, PARLA_E_INTERRUPTED);
    pl_store_release(&stop.may_go, true);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    close_runtime();
}
