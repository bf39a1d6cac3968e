/* test_sim_queue.c - the thread behind a simulated queue: order, growth, failures, closing. */
#include "device/sim_queue.h"
#include "gate.h"
#include "test.h"

#include <parla/error.h>
#include <signal.h>

typedef struct log {
    int n;
    int entries[300];
} log;

typedef struct entry {
    log *log;
    int value;
} entry;

static void append(void *arg)
{
    entry *e = arg;
    e->log->entries[e->log->n++] = e->value;
}

static int call(pl_sim_queue *queue, void (*function)(void *arg), void *arg)
{
    return pl_sim_queue_push(queue, &(pl_sim_op){.kind = PL_SIM_CALL, .function = function, .arg = arg});
}

static pl_sim_event *record(pl_sim_queue *queue)
{
    pl_sim_event *event;
    T_OK(pl_sim_event_create(&event, NULL));
    pl_sim_event_ref(event);
    T_OK(pl_sim_queue_push(queue, &(pl_sim_op){.kind = PL_SIM_RECORD, .event = event}));
    return event;
}

static int finish(pl_sim_event *event)
{
    int status = pl_sim_event_wait(event);
    pl_sim_event_unref(event);
    return status;
}

/* The ring wraps round and grows several times while the first call holds up the rest. */
T_TEST(keeps_order_while_it_grows)
{
    pl_sim_queue *queue;
    T_OK(pl_sim_queue_open(&queue, "sim0.q0", NULL));
    log l = {0};
    entry entries[300];
    for (int i = 0; i < 10; i++) {
        entries[i] = (entry){&l, i};
        T_OK(call(queue, append, &entries[i]));
    }
    T_EQ(finish(record(queue)), 0);
    gate g = GATE_INIT;
    T_OK(call(queue, gate_pass, &g));
    for (int i = 10; i < 300; i++) {
        entries[i] = (entry){&l, i};
        T_OK(call(queue, append, &entries[i]));
    }
    gate_open(&g);
    pl_sim_queue_close(queue);
    T_EQ(l.n, 300);
    for (int i = 0; i < 300; i++)
        T_EQ(l.entries[i], i);
}

T_TEST(a_failure_goes_to_the_next_event_only)
{
    pl_sim_queue *queue;
    T_OK(pl_sim_queue_open(&queue, "sim0.q0", NULL));
    T_OK(pl_sim_queue_push(queue, &(pl_sim_op){.kind = PL_SIM_COPY, .is_faulty = true}));
    pl_sim_event *first = record(queue), *second = record(queue);
    T_EQ(finish(first), PARLA_E_DEVICE);
    T_EQ(finish(second), 0);
    pl_sim_queue_close(queue);
}

T_TEST(a_failure_stays_in_its_queue_and_does_not_stop_who_waits)
{
    pl_sim_queue *a, *b;
    T_OK(pl_sim_queue_open(&a, "sim0.q0", NULL));
    T_OK(pl_sim_queue_open(&b, "sim0.q1", NULL));
    T_OK(pl_sim_queue_push(a, &(pl_sim_op){.kind = PL_SIM_COPY, .is_faulty = true}));
    pl_sim_event *event = record(a);
    pl_sim_event_ref(event);
    T_OK(pl_sim_queue_push(b, &(pl_sim_op){.kind = PL_SIM_WAIT, .event = event}));
    T_EQ(finish(record(b)), 0);
    T_EQ(finish(event), PARLA_E_DEVICE);
    pl_sim_queue_close(a);
    pl_sim_queue_close(b);
}

typedef struct seen {
    pl_sim_queue *queue;
    char name[16];
    bool has_blocked;
    int n_calls;
} seen;

/* Looks at its thread, then queues itself once more on the queue that it runs on. */
static void look(void *arg)
{
    seen *s = arg;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    s->has_blocked = sigismember(&mask, SIGINT) == 1;
    T_EQ(pthread_getname_np(pthread_self(), s->name, sizeof s->name), 0);
    if (s->n_calls++ == 0)
        T_OK(call(s->queue, look, s));
}

T_TEST(work_runs_on_a_quiet_thread_and_may_queue_more)
{
    seen s = {0};
    T_OK(pl_sim_queue_open(&s.queue, "sim3.q1", NULL));
    T_OK(call(s.queue, look, &s));
    T_EQ(finish(record(s.queue)), 0);
    pl_sim_queue_close(s.queue);
    T_EQ(s.n_calls, 2);
    T_TRUE(s.has_blocked);
    T_EQ_STR(s.name, "sim3.q1");
}
