/* test_worker.c - the threads: as many as asked for, stand-ins for those that block, guests that come and go, sleep when there is no work. */
#include "sched/runtime.h"

#include "runtime_fixture.h"

/* --- How many run at once ----------------------------------------------------------------------------------------------------- */

typedef struct meeting {
    _Atomic int n_here, n_most, n_wanted;
} meeting;

/* Returns when n_wanted bodies are inside at the same time. */
static int meet(parla_context *context, void *arg)
{
    meeting *self = arg;
    (void)context;
    pl_add_acq_rel(&self->n_here, 1);
    T_EVENTUALLY(pl_load_acquire(&self->n_here) >= pl_load_acquire(&self->n_wanted), 20000);
    return 0;
}

T_TEST(as_many_bodies_run_at_once_as_there_are_workers)
{
    for (int n = 1; n <= 5; n++) {
        meeting self = {.n_wanted = n};
        open_runtime(n);
        T_EQ(counts().n_workers, n);
        for (int i = 0; i < n; i++)
            spawn(meet, &self, NULL, 0);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        close_runtime();
    }
}

static int measure(parla_context *context, void *arg)
{
    meeting *self = arg;
    (void)context;
    int n = pl_add_acq_rel(&self->n_here, 1) + 1, most = pl_load_acquire(&self->n_most);
    while (n > most && !pl_cas_acq_rel(&self->n_most, &most, n)) {
    }
    for (int i = 0; i < 1000; i++)
        pl_cpu_relax();
    pl_sub_acq_rel(&self->n_here, 1);
    return 0;
}

T_TEST(and_never_more)
{
    meeting self = {0};
    open_runtime(3);
    for (int i = 0; i < 3000; i++)
        spawn(measure, &self, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_LE(self.n_most, 3);
    close_runtime();
}

/* --- Bodies that block -------------------------------------------------------------------------------------------------------- */

typedef struct blocker {
    parla_task event;
    _Atomic int n_blocked, n_over;
} blocker;

static int block(parla_context *context, void *arg)
{
    blocker *self = arg;
    pl_add_acq_rel(&self->n_blocked, 1);
    int code = parla_task_wait(parla_context_runtime(context), &self->event, 1, PARLA_FOREVER);
    pl_add_acq_rel(&self->n_over, 1);
    return code;
}

T_TEST(others_work_while_bodies_block)
{
    open_runtime(2);
    for (int round = 0; round < 20; round++) {
        blocker self = {.event = create_event("gate")};
        _Atomic int n = 0;
        for (int i = 0; i < 10; i++)
            spawn(block, &self, NULL, 0);
        T_EVENTUALLY(pl_load_acquire(&self.n_blocked) == 10, 20000); /* five times as many as workers */
        T_OK(wait_for(spawn(count_body, (void *)&n, NULL, 0)));
        T_EQ(self.n_over, 0);
        T_OK(parla_event_complete(self.event, 0, NULL));
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        T_EQ(self.n_over, 10);
        parla_task_unref(self.event);
        T_LE(pl_load_acquire(&rt->n_threads), 2 + 10 + 2); /* stand-ins are used again */
    }
    T_EVENTUALLY(pl_load_acquire(&rt->n_active) == 2, 20000); /* those too many have stepped back */
    close_runtime();
}

static int block_or_refuse(parla_context *context, void *arg)
{
    blocker *self = arg;
    pl_add_acq_rel(&self->n_blocked, 1);
    int code = parla_task_wait(parla_context_runtime(context), &self->event, 1, PARLA_FOREVER);
    if (code == PARLA_E_RESOURCES) {
        T_HAS_STR(parla_error_detail(), "parla_suspend_on");
        T_OK(parla_event_complete(self->event, 0, NULL)); /* lets the others go */
        return 0;
    }
    return code;
}

T_TEST(too_many_blocked_bodies_are_refused)
{
    blocker self = {0};
    open_runtime(1);
    self.event = create_event("gate");
    for (int i = 0; i < 1 + PL_MAX_SPARES; i++)
        spawn(block_or_refuse, &self, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(counts().n_failed, 0);
    T_TRUE(parla_task_has_ended(self.event));
    parla_task_unref(self.event);
    close_runtime();
}

/* A thread that has to step back, for another came back from a wait, has the successor of its last task in hand: it must run that first. */
typedef struct handover {
    parla_task event;
    _Atomic bool is_back, has_run;
} handover;

static int wait_then_watch(parla_context *context, void *arg)
{
    handover *self = arg;
    T_OK(parla_task_wait(parla_context_runtime(context), &self->event, 1, PARLA_FOREVER));
    pl_store_release(&self->is_back, true); /* now two threads are active, one too many */
    T_EVENTUALLY(pl_load_acquire(&self->has_run), 3000);
    return 0;
}

static int let_go(parla_context *context, void *arg)
{
    handover *self = arg;
    (void)context;
    T_OK(parla_event_complete(self->event, 0, NULL));
    T_EVENTUALLY(pl_load_acquire(&self->is_back), 20000);
    return 0;
}

static int note_run(parla_context *context, void *arg)
{
    (void)context;
    pl_store_release(&((handover *)arg)->has_run, true);
    return 0;
}

T_TEST(a_successor_in_hand_runs_before_its_thread_steps_back)
{
    handover self = {0};
    open_runtime(1);
    self.event = create_event("e");
    parla_task first = spawn(wait_then_watch, &self, NULL, 0), name = create_name("let go");
    T_EVENTUALLY(pl_load_acquire(&rt->n_threads) == 2, 10000); /* it blocks, a stand-in is there */
    parla_task last = spawn(note_run, &self, &name, 1);
    spawn_as(name, NULL, let_go, &self, NULL, 0);
    T_OK(wait_for(last));
    T_OK(wait_for(first));
    parla_task_unref(name);
    parla_task_unref(self.event);
    close_runtime();
}

/* While threads step back, successors that were handed over without a queue must not be left behind. */
static int block_briefly(parla_context *context, void *arg)
{
    parla_task child;
    T_OK(parla_spawn(parla_context_runtime(context), &child, count_body, arg, NULL, 0));
    T_OK(parla_task_wait(parla_context_runtime(context), (parla_task[]){child}, 1, PARLA_FOREVER));
    return 0;
}

static int wait_for_sibling(parla_context *context, void *arg)
{
    return parla_task_wait(parla_context_runtime(context), arg, 1, PARLA_FOREVER);
}

T_TEST(threads_that_step_back_leave_nothing_behind)
{
    _Atomic int n = 0;
    open_runtime(2);
    int n_rounds = (int)t_scale(300);
    for (int round = 0; round < n_rounds; round++) {
        parla_task name = create_name("name"), chain = PARLA_TASK_NONE;
        for (int i = 0; i < 4; i++)
            spawn(wait_for_sibling, &name, NULL, 0);
        for (int i = 0; i < 20; i++)
            chain = spawn(count_body, (void *)&n, &chain, 1);
        spawn(block_briefly, (void *)&n, NULL, 0);
        spawn_as(name, NULL, count_body, (void *)&n, NULL, 0);
        T_OK(parla_runtime_wait(rt, 20000000000));
        parla_task_unref(name);
    }
    T_EQ(n, n_rounds * 22);
    close_runtime();
}

/* --- Nobody is left behind ---------------------------------------------------------------------------------------------------- */

typedef struct relay {
    _Atomic bool may_end;
    _Atomic int n_links;
    bool as_child; /* the older task comes from the body, else from this thread */
} relay;

static int end_relay(parla_context *context, void *arg)
{
    (void)context;
    pl_store_release(&((relay *)arg)->may_end, true);
    return 0;
}

/* Spawns the next one for as long as an older task has not run. */
static int pass_on(parla_context *context, void *arg)
{
    relay *self = arg;
    if (pl_add_acq_rel(&self->n_links, 1) == 0 && self->as_child)
        spawn(end_relay, self, NULL, 0);
    return pl_load_acquire(&self->may_end) ? 0 : parla_spawn(parla_context_runtime(context), NULL, pass_on, arg, NULL, 0);
}

/* The only worker's queue never becomes empty, and the newest task stands first in it. */
T_TEST(a_body_that_spawns_itself_again_starves_nobody)
{
    for (int as_child = 0; as_child < 2; as_child++) {
        relay self = {.as_child = as_child};
        open_runtime(1);
        spawn(pass_on, &self, NULL, 0);
        T_EVENTUALLY(pl_load_acquire(&self.n_links) > 1000 || as_child, 20000);
        if (!as_child)
            spawn(end_relay, &self, NULL, 0);
        T_EVENTUALLY(pl_load_acquire(&self.may_end), 20000);
        T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
        if (as_child)
            T_LT(self.n_links, 1000);
        close_runtime();
    }
}

/* --- Sleep -------------------------------------------------------------------------------------------------------------------- */

T_TEST(without_work_all_sleep)
{
    _Atomic int n = 0;
    open_runtime(3);
    for (int i = 0; i < 100; i++)
        spawn(count_body, (void *)&n, NULL, 0);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EVENTUALLY(pl_load_acquire(&rt->n_idle) == 3 && (uint32_t)pl_load_acquire(&rt->park.word) >= 3, 10000);
    uint64_t n_wakes = pl_load_acquire(&rt->n_wakes);
    for (int i = 0; i < 1000; i++)
        T_FALSE(pl_has_work(rt));
    T_EQ(pl_load_acquire(&rt->n_wakes), n_wakes); /* and are not woken for nothing */
    close_runtime();
}

/* --- Guests ------------------------------------------------------------------------------------------------------------------- */

static int n_guests(void)
{
    int n = 0;
    for (pl_worker *guest = pl_load_acquire(&rt->guests); guest; guest = guest->next_guest)
        n++;
    return n;
}

static void *spawn_some(void *arg)
{
    for (int i = 0; i < 10; i++)
        spawn(count_body, arg, NULL, 0);
    return NULL;
}

T_TEST(threads_come_and_go)
{
    _Atomic int n = 0;
    open_runtime(2);
    int n_threads = (int)t_scale(500);
    for (int i = 0; i < n_threads; i++)
        pthread_join(start_thread(spawn_some, (void *)&n), NULL);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, n_threads * 10);
    T_LE(n_guests(), 3); /* one after the other use the same place */
    close_runtime();
}

static void *spawn_in_two(void *arg)
{
    parla_runtime **both = arg;
    _Atomic int n = 0;
    for (int i = 0; i < 200; i++) {
        parla_task task;
        T_OK(parla_spawn(both[i % 2], &task, count_body, (void *)&n, NULL, 0));
        T_OK(parla_task_wait(both[i % 2], &task, 1, PARLA_FOREVER));
    }
    T_EQ(n, 200);
    return NULL;
}

T_TEST(a_thread_can_use_two_runtimes_in_turn)
{
    parla_runtime *both[2];
    open_runtime(1);
    both[0] = rt;
    T_OK(parla_runtime_create(&both[1], NULL));
    pthread_t a = start_thread(spawn_in_two, both), b = start_thread(spawn_in_two, both);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    T_LE(n_guests(), 3);
    parla_runtime_destroy(both[1]);
    close_runtime();
}

/* A destructor of the thread's own data that runs after the library's finds the runtime as usable as before. */
static pthread_key_t key;
static _Atomic int n_late;

static void use_late(void *value)
{
    spawn(count_body, (void *)&n_late, NULL, 0);
    pthread_setspecific(key, value == (void *)1 ? (void *)2 : NULL); /* once more */
}

static void *use_at_exit(void *unused)
{
    pthread_setspecific(key, (void *)1);
    spawn(count_body, (void *)&n_late, NULL, 0);
    return unused;
}

T_TEST(the_end_of_a_thread_may_use_the_runtime)
{
    pthread_t threads[4];
    open_runtime(2);
    T_EQ(pthread_key_create(&key, use_late), 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 4; i++)
            threads[i] = start_thread(use_at_exit, NULL);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n_late, 20 * 4 * 3);
    close_runtime();
}
