/* pool_task.c - tasks whose bodies run inside a context of a pool.
 *
 * A wrapper stands between the task and its body, on the public functions alone. Each call of it is one of two:
 *
 *   no context    takes one, or stands in the pool's queue with an event, suspends on the event, and is called again with the context
 *   a context     enters, calls the body, leaves, gives the context back
 *
 * So no thread waits, and a body that suspends holds no context meanwhile: tasks that wait for each other cannot block a pool.
 *
 * The record lives from spawn to on_end, which the runtime calls exactly once. If the task ends while it stands in the queue (the runtime
 * was destroyed, and the body called with its event cancelled), it takes itself out, or waits for the hand-over that is under way and gives
 * the context back. */
#include "vlc/pool.h"

#include "base/atomic.h"
#include "base/break.h"
#include "base/error.h"

#include <parla/event.h>
#include <parla/log.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

typedef struct record {
    pl_vlc_waiter waiter; /* first: take() casts */
    parla_vlc_pool *pool;
    parla_body body;
    parla_on_end on_end;
    void *arg;
    parla_task event;            /* while it stands in the queue */
    bool is_waiting;             /* it was put into the queue and has not run since */
    _Atomic(parla_vlc *) shared; /* handed over by the thread that released it; pairs with `taken` */
    char copy[PARLA_ARG_BYTES];
} record;

/* Nobody else completes the event, so a refusal can only mean that its runtime is gone, and with it who waited. */
static void complete(parla_task event, int status)
{
    if (parla_event_complete(event, status, NULL))
        parla_log(PARLA_LOG_DEBUG, "a context came too late for its task");
    parla_task_unref(event);
}

static void hand_over(pl_vlc_waiter *waiter, parla_vlc *vlc)
{
    record *self = (record *)waiter;
    parla_task event = self->event; /* the record may go as soon as the context is stored */
    pl_store_release(&self->shared, vlc);
    complete(event, 0);
}

static parla_vlc *taken(record *self) { return pl_exchange_acq_rel(&self->shared, NULL); }

/* Stands in the queue, unless a context is free after all: then that one. */
static parla_vlc *wait_for_context(record *self, parla_context *context, int *out_status)
{
    int error = parla_event_create(parla_context_runtime(context), &self->event, "a context of the pool");
    if (!error)
        error = parla_suspend_on(context, &self->event, 1);
    if (error) {
        *out_status = error;
        return NULL;
    }
    self->is_waiting = true;
    *out_status = PARLA_SUSPENDED;
    parla_vlc *vlc = pl_vlc_pool_take(self->pool, &self->waiter);
    if (vlc)
        hand_over(&self->waiter, vlc); /* the event is met before the body has returned, which is allowed */
    return NULL;
}

static int run_inside(record *self, parla_vlc *vlc, parla_context *context)
{
    parla_vlc_entry entry;
    int status = parla_vlc_enter(vlc, &entry);
    if (status)
        return status;
    status = self->body(context, self->arg);
    parla_vlc_leave(&entry);
    return status;
}

/* The task ended without the step that its context was meant for. */
static void give_back(record *self)
{
    if (pl_vlc_pool_forget(self->pool, &self->waiter)) {
        complete(self->event, PARLA_E_CANCELLED);
        return;
    }
    parla_vlc *vlc;
    while (!(vlc = taken(self)))
        sched_yield(); /* the other thread is between taking it from the queue and storing the context */
    parla_vlc_pool_release(self->pool, vlc);
}

static int run(parla_context *context, void *arg)
{
    record *self = arg;
    int status = 0;
    parla_vlc *vlc = taken(self);
    bool is_in_vain = self->is_waiting && !vlc; /* the runtime ends, and has cancelled the event */
    if (is_in_vain && !pl_is_broken(PL_BREAK_VLC_QUEUE))
        give_back(self);
    self->is_waiting = false;
    if (is_in_vain)
        return PARLA_E_CANCELLED;
    if (!vlc)
        vlc = pl_vlc_pool_take(self->pool, NULL);
    if (!vlc)
        vlc = wait_for_context(self, context, &status);
    if (!vlc)
        return status;
    status = run_inside(self, vlc, context);
    parla_vlc_pool_release(self->pool, vlc);
    return status;
}

static void end(void *arg, const parla_outcome *outcome)
{
    record *self = arg;
    if (self->is_waiting && !pl_is_broken(PL_BREAK_VLC_QUEUE))
        give_back(self);
    if (self->on_end)
        self->on_end(self->arg, outcome);
    pl_vlc_pool_count_tasks(self->pool, -1);
    free(self);
}

static int make_record(parla_vlc_pool *pool, const parla_task_options *options, record **out)
{
    if (options->arg_bytes > PARLA_ARG_BYTES)
        return pl_error_set(PARLA_E_INVALID, "arg_bytes is %zu, at most %d fit into a task", options->arg_bytes, PARLA_ARG_BYTES);
    record *self = calloc(1, sizeof *self);
    if (!self)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a task");
    self->waiter.take = hand_over;
    self->pool = pool;
    self->body = options->body;
    self->on_end = options->on_end;
    self->arg = options->arg;
    if (options->arg_bytes > 0) {
        memcpy(self->copy, options->arg, options->arg_bytes);
        self->arg = self->copy;
    }
    *out = self;
    return 0;
}

int parla_vlc_spawn(parla_runtime *rt, parla_vlc_pool *pool, int n_cpus, parla_task *out, const parla_task_options *options)
{
    record *self = NULL;
    if (!pool || !options || options->size != sizeof *options || !options->body)
        return pl_error_set(PARLA_E_INVALID, "parla_vlc_spawn needs a pool and options of %zu bytes with a body", sizeof *options);
    if (n_cpus < 0 || n_cpus > pl_vlc_pool_cpus(pool))
        return pl_error_set(PARLA_E_INVALID, "%d CPUs were asked for, the contexts of the pool have %d", n_cpus,
                            pl_vlc_pool_cpus(pool));
    int error = make_record(pool, options, &self);
    if (error)
        return error;
    parla_task_options wrapped = *options;
    wrapped.body = run;
    wrapped.arg = self;
    wrapped.arg_bytes = 0;
    wrapped.on_end = end;
    pl_vlc_pool_count_tasks(pool, 1);
    error = parla_task_spawn(rt, out, &wrapped);
    if (error) {
        pl_vlc_pool_count_tasks(pool, -1);
        free(self);
    }
    return error;
}
