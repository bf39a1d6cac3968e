/* test_api_task.c - one task seen from outside: its states, references, cancellation, and events. */
#include "runtime_fixture.h"

static int suspend_once(parla_context *context, void *arg)
{
    parla_task *event = arg;
    if (parla_task_has_ended(*event))
        return 0;
    T_OK(parla_suspend_on(context, event, 1));
    return PARLA_SUSPENDED;
}

T_TEST(a_task_goes_through_its_states)
{
    _Atomic int n = 0;
    stopper first = {0}, second = {0};
    open_runtime(1);
    parla_task busy = spawn(stop_body, &first, NULL, 0);
    T_EVENTUALLY(parla_task_query(busy) == PARLA_TASK_RUNNING, 10000);
    parla_task task = create_name("t");
    T_EQ(parla_task_query(task), PARLA_TASK_CREATED);
    spawn_as(task, NULL, stop_body, &second, &busy, 1);
    T_EQ(parla_task_query(task), PARLA_TASK_WAITING);
    parla_task ready = spawn(count_body, (void *)&n, NULL, 0);
    T_EQ(parla_task_query(ready), PARLA_TASK_READY);
    T_FALSE(parla_task_has_ended(ready));
    pl_store_release(&first.may_go, true);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_RUNNING, 10000);
    pl_store_release(&second.may_go, true);
    T_OK(wait_for(task));
    T_EQ(parla_task_query(task), PARLA_TASK_DONE);
    T_TRUE(parla_task_has_ended(task));
    parla_task event = create_event("e"), suspended = spawn(suspend_once, &event, NULL, 0);
    T_EVENTUALLY(parla_task_query(suspended) == PARLA_TASK_SUSPENDED, 10000);
    T_OK(parla_event_complete(event, 0, NULL));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(parla_task_query(PARLA_TASK_NONE), PARLA_TASK_DONE);
    T_TRUE(parla_task_has_ended(PARLA_TASK_NONE));
    parla_task_unref(event);
    parla_task_unref(task);
    close_runtime();
}

T_TEST(states_have_names)
{
    T_EQ_STR(parla_task_state_name(PARLA_TASK_CREATED), "created");
    T_EQ_STR(parla_task_state_name(PARLA_TASK_RESERVED), "reserved");
    T_EQ_STR(parla_task_state_name(PARLA_TASK_CANCELLED), "cancelled");
    T_EQ_STR(parla_task_state_name((parla_task_state)(PARLA_TASK_CANCELLED + 1)), "?");
    T_EQ_STR(parla_task_state_name((parla_task_state)-1), "?");
}

/* --- References --------------------------------------------------------------------------------------------------------------- */

T_TEST(a_reference_keeps_the_outcome)
{
    stopper stop = {0};
    open_runtime(1);
    parla_task task = spawn(stop_body, &stop, NULL, 0);
    T_OK(parla_task_ref(task));
    T_OK(parla_task_ref(task));
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(task));
    int device = -1;
    T_EQ(parla_task_devices(task, &device, 1), 1);
    T_EQ(device, 0);
    parla_task_unref(task);
    T_OK(parla_task_ref(task));
    parla_task_unref(task);
    parla_task_unref(task);
    T_EVENTUALLY(is_forgotten(task), 10000);
    T_EQ(parla_task_ref(task), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "forgotten");
    T_EQ(parla_task_devices(task, &device, 1), 0);
    T_EQ(parla_task_query(task), PARLA_TASK_DONE);
    T_EQ(parla_task_ref(PARLA_TASK_NONE), PARLA_E_STATE);
    parla_task_unref(PARLA_TASK_NONE);
    close_runtime();
}

T_TEST(a_dropped_name_cancels_who_waits_for_it)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task name = create_name("dropped"), after = spawn(count_body, (void *)&n, &name, 1);
    T_OK(parla_task_ref(name));
    parla_task_unref(name);
    T_EQ(parla_task_query(after), PARLA_TASK_WAITING);
    parla_task_unref(name);
    T_EQ(wait_for(after), PARLA_E_CANCELLED);
    T_HAS_STR(parla_error_detail(), "dropped before it was spawned");
    T_EQ(parla_task_query(name), PARLA_TASK_CANCELLED);
    T_EQ(n, 0);
    close_runtime();
}

/* Whichever of two threads drops a name last, those that wait for it learn of it. */
typedef struct drops {
    parla_task *names;
    int n, step;
    _Atomic int *n_ready;
} drops;

static void *drop_names(void *arg)
{
    drops *self = arg;
    pl_add_acq_rel(self->n_ready, 1);
    T_EVENTUALLY(pl_load_acquire(self->n_ready) == 2, 10000);
    for (int i = 0; i < self->n; i++)
        parla_task_unref(self->names[i]);
    return NULL;
}

T_TEST(names_can_be_dropped_by_two_threads_at_once)
{
    enum { N = 400 };
    parla_task names[N];
    _Atomic int n = 0;
    open_runtime(2);
    for (uint64_t round = 0; round < t_scale(30); round++) {
        _Atomic int n_ready = 0;
        for (int i = 0; i < N; i++) {
            names[i] = create_name("dropped");
            T_OK(parla_task_ref(names[i]));
            spawn(count_body, (void *)&n, &names[i], 1);
        }
        drops self = {.names = names, .n = N, .n_ready = &n_ready};
        pthread_t a = start_thread(drop_names, &self), b = start_thread(drop_names, &self);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
        T_OK(parla_runtime_wait(rt, 20000000000));
    }
    T_EQ(n, 0);
    close_runtime();
}

/* --- Cancel ------------------------------------------------------------------------------------------------------------------- */

static int wait_for_cancel(parla_context *context, void *arg)
{
    (void)arg;
    T_EVENTUALLY(parla_context_is_cancelled(context), 20000);
    return parla_fail(context, PARLA_E_CANCELLED, "gave up as asked");
}

T_TEST(a_running_task_sees_the_request)
{
    open_runtime(1);
    parla_task task = spawn(wait_for_cancel, NULL, NULL, 0);
    T_EVENTUALLY(parla_task_query(task) == PARLA_TASK_RUNNING, 10000);
    T_EQ(parla_task_cancel(task), PARLA_PENDING);
    T_EQ(wait_for(task), PARLA_E_CANCELLED);
    T_EQ_STR(parla_error_detail(), "gave up as asked");
    T_EQ(parla_task_cancel(task), PARLA_E_STATE);
    T_EQ(parla_task_cancel(PARLA_TASK_NONE), PARLA_E_STATE);
    close_runtime();
}

T_TEST(a_waiting_task_is_cancelled_with_its_dependents_and_its_predecessor_goes_on)
{
    _Atomic int n = 0;
    stopper stop = {0};
    open_runtime(1);
    parla_task first = spawn(stop_body, &stop, NULL, 0), second = spawn(count_body, (void *)&n, &first, 1);
    parla_task third = spawn(count_body, (void *)&n, &second, 1);
    T_OK(parla_task_cancel(second));
    T_TRUE(parla_task_has_ended(second));
    T_TRUE(parla_task_has_ended(third));
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(first));
    T_EQ(n, 0);
    T_EQ_STR(failure_text(second), "cancelled before it started");
    close_runtime();
}

/* --- Events ------------------------------------------------------------------------------------------------------------------- */

T_TEST(an_event_is_completed_once)
{
    open_runtime(1);
    parla_task event = create_event("reply");
    T_EQ(parla_task_query(event), PARLA_TASK_RUNNING);
    T_EQ(parla_event_complete(event, 3, NULL), PARLA_E_INVALID);
    T_OK(parla_event_complete(event, 0, "no failure, so nobody reads this"));
    T_EQ(parla_event_complete(event, 0, NULL), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "completed before");
    T_OK(wait_for(event));
    parla_task_unref(event);
    T_EQ(parla_event_complete(event, 0, NULL), PARLA_E_STATE);
    T_EQ(parla_event_complete(PARLA_TASK_NONE, 0, NULL), PARLA_E_STATE);
    parla_task name = create_name("x");
    T_EQ(parla_event_complete(name, 0, NULL), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "not an event");
    parla_task_unref(name);
    close_runtime();
}

T_TEST(a_failed_event_cancels_its_dependents)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task event = create_event("reply"), after = spawn_as(PARLA_TASK_NONE, "use", count_body, (void *)&n, &event, 1);
    T_OK(parla_event_complete(event, PARLA_E_TRANSPORT, NULL));
    T_EQ(wait_for(after), PARLA_E_CANCELLED);
    T_EQ_STR(parla_error_detail(), "use was cancelled because reply failed: a transfer between ranks failed");
    T_EQ(wait_for(event), PARLA_E_TRANSPORT);
    parla_task_unref(event);
    close_runtime();
}

static _Atomic int n_won;

static void *complete_all(void *arg)
{
    parla_task *events = arg;
    for (int i = 0; i < 1000; i++)
        pl_add_acq_rel(&n_won, parla_event_complete(events[i], 0, NULL) == 0);
    return NULL;
}

T_TEST(one_of_several_completes_an_event)
{
    static parla_task events[1000];
    _Atomic int n = 0;
    open_runtime(2);
    for (int i = 0; i < 1000; i++)
        events[i] = create_event("e");
    spawn(count_body, (void *)&n, events, 1000);
    pthread_t a = start_thread(complete_all, events), b = start_thread(complete_all, events);
    complete_all(events);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_won, 1000);
    T_EQ(n, 1);
    for (int i = 0; i < 1000; i++)
        parla_task_unref(events[i]);
    close_runtime();
}

T_TEST(what_has_no_hold_cannot_be_released)
{
    stopper stop = {0};
    open_runtime(1);
    parla_task task = spawn(stop_body, &stop, NULL, 0), name = create_name("x"), event = create_event("e");
    T_EQ(parla_release(task, PARLA_E_USER, "x"), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "no hold");
    T_EQ(parla_release(name, 0, NULL), PARLA_E_STATE);
    T_EQ(parla_release(event, 0, NULL), PARLA_E_STATE);
    T_EQ(parla_release(task, 1, NULL), PARLA_E_INVALID);
    T_EQ(parla_release(PARLA_TASK_NONE, 0, NULL), PARLA_E_STATE);
    pl_store_release(&stop.may_go, true);
    T_OK(wait_for(task));
    T_OK(parla_event_complete(event, 0, NULL));
    parla_task_unref(event);
    parla_task_unref(name);
    close_runtime();
}
