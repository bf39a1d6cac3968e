/* sim_queue.c - the thread behind a queue of a simulated device.
 *
 *   push (any thread) -> ring [head, head + n_ops) -> run (the queue's thread): take one, leave the lock, do it, again
 *
 * The ring doubles when it is full, so a push never waits for work. The thread sleeps on a condition variable while the ring is empty, and
 * ends when the queue is closing and the ring is empty: closing waits for everything queued.
 *
 * A failed copy leaves its code in `status`, where the next event of the queue finds it and takes it off. The first failure wins. Work behind a
 * failure, in this queue or in one that waits for it, is still done: the core decides what a failure stops.
 *
 * In modelled time the thread is an actor of a clock (sim_clock.h): it takes a piece of work only when it has the turn, and what a piece
 * takes is slept in the clock's time.
 *
 * Lock: the queue's own, never held during work, so that work may push to any queue, this one included. The clock's is taken inside it. */
#include "device/sim_queue.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/strided.h"
#include "base/text.h"
#include "device/thread.h"

#include <pthread.h>
#include <stdlib.h>

#define FIRST_CAPACITY 16

struct pl_sim_queue {
    pthread_t thread;
    char thread_name[16];
    int status; /* only for the thread */
    bool is_modelled;
    pl_sim_actor actor; /* if so */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t grown; /* n_ops or is_closing changed */
    pl_sim_op *ring;
    size_t capacity; /* a power of two */
    size_t head;
    size_t n_ops;
    bool is_closing;
    bool is_working;     /* the thread does a piece of work that it has taken out */
    pthread_cond_t idle; /* the ring is empty and nothing is being done */
};

/* The queue whose thread this is. */
static _Thread_local pl_sim_queue *own;

static void sleep_for(pl_sim_queue *queue, uint64_t begin_ns, uint64_t duration_ns)
{
    if (queue->is_modelled)
        pl_sim_actor_sleep(&queue->actor, duration_ns);
    else
        pl_sleep_until(begin_ns + duration_ns);
}

static void fail(pl_sim_queue *queue, int code)
{
    if (queue->status == 0)
        queue->status = code;
}

static void run_copy(pl_sim_queue *queue, const pl_sim_op *op)
{
    uint64_t begin_ns = pl_now_ns();
    if (op->is_faulty)
        fail(queue, pl_error_set(PARLA_E_DEVICE, "a copy on %s failed, as a fault was injected", queue->thread_name));
    else
        pl_strided_copy_checked(&op->dst, &op->src);
    if (op->least_ns > 0)
        sleep_for(queue, begin_ns, (uint64_t)op->least_ns);
}

static void run_wait(const pl_sim_op *op)
{
    (void)pl_sim_queue_wait_for(op->event);
    pl_sim_event_unref(op->event);
}

static void run_record(pl_sim_queue *queue, const pl_sim_op *op)
{
    int status = queue->status;
    queue->status = 0;
    pl_sim_event_pass(op->event, status);
    pl_sim_event_unref(op->event);
}

static void run_op(pl_sim_queue *queue, const pl_sim_op *op)
{
    switch (op->kind) {
    case PL_SIM_COPY:
        run_copy(queue, op);
        break;
    case PL_SIM_FILL:
        pl_strided_fill_checked(&op->dst, op->value);
        break;
    case PL_SIM_CALL:
        op->function(op->arg);
        break;
    case PL_SIM_RECORD:
        run_record(queue, op);
        break;
    case PL_SIM_WAIT:
        run_wait(op);
        break;
    }
}

/* Waits until there is work or the queue is closing; in modelled time until it is this queue's turn besides. Needs the lock. */
static void wait_for_work_locked(pl_sim_queue *queue)
{
    if (!queue->is_modelled) {
        while (queue->n_ops == 0 && !queue->is_closing)
            pthread_cond_wait(&queue->grown, &queue->lock);
        return;
    }
    pl_sim_actor_set_work(&queue->actor, queue->n_ops > 0 || queue->is_closing);
    pthread_mutex_unlock(&queue->lock);
    pl_sim_actor_next(&queue->actor);
    pthread_mutex_lock(&queue->lock);
}

/* Waits for the next piece of work; false when the queue is closing and there is none. */
static bool take(pl_sim_queue *queue, pl_sim_op *out)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_working = false;
    if (queue->n_ops == 0)
        pthread_cond_broadcast(&queue->idle);
    wait_for_work_locked(queue);
    bool has_work = queue->n_ops > 0;
    queue->is_working = has_work;
    if (has_work) {
        *out = queue->ring[queue->head];
        queue->head = (queue->head + 1) & (queue->capacity - 1);
        queue->n_ops--;
    }
    pthread_mutex_unlock(&queue->lock);
    return has_work;
}

static void *run(void *arg)
{
    pl_sim_queue *queue = arg;
    pl_sim_op op;
    own = queue;
    while (take(queue, &op))
        run_op(queue, &op);
    if (queue->is_modelled)
        pl_sim_actor_leave(&queue->actor);
    return NULL;
}

int pl_sim_queue_open(pl_sim_queue **out, const char *thread_name, pl_sim_clock *clock)
{
    int rc = PARLA_E_NOMEM;
    pl_sim_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return pl_error_set(rc, "no memory for a queue");
    queue->capacity = FIRST_CAPACITY;
    queue->ring = malloc(queue->capacity * sizeof queue->ring[0]);
    if (!queue->ring) {
        rc = pl_error_set(rc, "no memory for a queue");
        goto free_queue;
    }
    pl_text_format(queue->thread_name, sizeof queue->thread_name, "%s", thread_name);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->grown, NULL);
    pthread_cond_init(&queue->idle, NULL);
    queue->is_modelled = clock != NULL;
    if (clock)
        pl_sim_actor_enter(&queue->actor, clock);
    rc = pl_thread_start(&queue->thread, thread_name, run, queue);
    if (rc < 0)
        goto free_ring;
    *out = queue;
    return 0;

free_ring:
    if (clock)
        pl_sim_actor_leave(&queue->actor);
    pthread_cond_destroy(&queue->idle);
    pthread_cond_destroy(&queue->grown);
    pthread_mutex_destroy(&queue->lock);
    free(queue->ring);
free_queue:
    free(queue);
    return rc;
}

/* Its clock, or NULL in real time. */
static pl_sim_clock *clock_of(const pl_sim_queue *queue) { return queue->is_modelled ? queue->actor.clock : NULL; }

/* Something has come. Needs the lock. */
static void tell_locked(pl_sim_queue *queue)
{
    if (queue->is_modelled)
        pl_sim_actor_set_work(&queue->actor, true);
    else
        pthread_cond_signal(&queue->grown);
}

void pl_sim_queue_close(pl_sim_queue *queue)
{
    pl_sim_clock *clock = clock_of(queue);
    pl_sim_clock_force(clock);
    pthread_mutex_lock(&queue->lock);
    queue->is_closing = true;
    tell_locked(queue);
    pthread_mutex_unlock(&queue->lock);
    pthread_join(queue->thread, NULL);
    pl_sim_clock_unforce(clock);
    pthread_cond_destroy(&queue->idle);
    pthread_cond_destroy(&queue->grown);
    pthread_mutex_destroy(&queue->lock);
    free(queue->ring);
    free(queue);
}

static int grow_locked(pl_sim_queue *queue)
{
    pl_sim_op *ring = malloc(2 * queue->capacity * sizeof ring[0]);
    if (!ring)
        return pl_error_set(PARLA_E_NOMEM, "no memory for %zu pieces of work in queue %s", 2 * queue->capacity, queue->thread_name);
    for (size_t i = 0; i < queue->n_ops; i++)
        ring[i] = queue->ring[(queue->head + i) & (queue->capacity - 1)];
    free(queue->ring);
    queue->ring = ring;
    queue->capacity *= 2;
    queue->head = 0;
    return 0;
}

int pl_sim_queue_push(pl_sim_queue *queue, const pl_sim_op *op)
{
    pthread_mutex_lock(&queue->lock);
    int rc = queue->n_ops == queue->capacity ? grow_locked(queue) : 0;
    if (rc == 0) {
        queue->ring[(queue->head + queue->n_ops) & (queue->capacity - 1)] = *op;
        queue->n_ops++;
        tell_locked(queue);
    }
    pthread_mutex_unlock(&queue->lock);
    return rc;
}

void pl_sim_queue_drain(pl_sim_queue *queue)
{
    pl_sim_clock_force(clock_of(queue));
    pthread_mutex_lock(&queue->lock);
    while (queue->n_ops > 0 || queue->is_working)
        pthread_cond_wait(&queue->idle, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
    pl_sim_clock_unforce(clock_of(queue));
}

bool pl_sim_queue_spend(uint64_t duration_ns)
{
    if (own)
        sleep_for(own, pl_now_ns(), duration_ns);
    return own != NULL;
}

int pl_sim_queue_wait_for(pl_sim_event *event)
{
    if (!own || !own->is_modelled)
        return pl_sim_event_wait(event);
    if (pl_sim_event_query(event) == PARLA_PENDING)
        pl_sim_actor_await(&own->actor, event);
    return pl_sim_event_query(event);
}
