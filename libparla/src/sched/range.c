/* range.c - parla_task_spawn_n: a task whose body is called once for each index of a range.
 *
 * What it needs lies in the 40 bytes of copied arguments of the whole task (whole_args). Its own body works through 0 … n - 1. A worker that
 * works through a range and finds its deque empty leaves the upper half of what remains there, as an internal task, for others to take; it
 * comes back to it if nobody does. So halves are made only where somebody has taken the one before, about log2(n) for each thief, and a
 * range costs one slot for each half that lies around. After BATCH calls a worker puts the rest of its range into its deque and looks
 * around, as it does between tasks.
 *
 * Each index belongs to exactly one range that is worked on or waits in a deque; `left` counts indices that are not over. A range subtracts
 * its part once, when it is left, and does not touch the whole afterwards. */
#include "base/break.h"
#include "base/error.h"
#include "sched/replay.h"

enum { BATCH = 256 };

typedef struct whole_args {
    parla_body body;
    void *arg;
    parla_on_end on_end;
    size_t n;
    _Atomic size_t left_shared;
} whole_args;

typedef struct part_args {
    pl_task *whole;
    size_t first, end;
} part_args;

_Static_assert(sizeof(whole_args) <= PARLA_ARG_BYTES && sizeof(part_args) <= PARLA_ARG_BYTES, "they are copied into the task");

static void run_part(parla_runtime *rt, pl_worker *self, part_args part);

static int part_body(parla_context *context, void *arg)
{
    run_part(context->rt, context->self, *(part_args *)arg);
    return 0;
}

/* Leaves a part of a range to whoever takes it. False when memory is out: the caller keeps it. */
static bool leave(parla_runtime *rt, pl_worker *self, part_args part)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = part_body;
    options.arg = &part;
    options.arg_bytes = sizeof part;
    return pl_spawn_internal(rt, self, NULL, &options) == 0;
}

static void split(parla_runtime *rt, pl_worker *self, part_args *part)
{
    size_t middle = part->first + (part->end - part->first) / 2;
    if (leave(rt, self, (part_args){part->whole, middle, part->end}) && !pl_is_broken(PL_BREAK_RANGE))
        part->end = middle;
}

/* Calls the body for at most BATCH indices of a part; what is over is taken off its front. */
static void call_some(parla_context *context, part_args *part)
{
    whole_args *args = (whole_args *)part->whole->arg_bytes;
    bool is_managed = part->whole->flags & PL_FLAG_MANAGED, is_shared = context->rt->n_workers > 1;
    pl_step *step = (pl_step *)context->step;
    for (int n = 0; n < BATCH && part->first < part->end; n++) {
        if (is_shared && part->end - part->first > 1 && pl_deque_looks_empty(&context->self->deque))
            split(context->rt, context->self, part);
        step->index = part->first++;
        if (!pl_steps_are_cancelled(part->whole))
            (void)pl_step_run(context, args->body, args->arg, is_managed);
    }
}

static void run_part(parla_runtime *rt, pl_worker *self, part_args part)
{
    pl_step step = {0};
    parla_context context = {.rt = rt, .task = part.whole, .self = self, .outer = pl_current(), .step = &step};
    whole_args *args = (whole_args *)part.whole->arg_bytes;
    pl_context_set(&context);
    size_t n_over = 0;
    do {
        size_t first = part.first;
        call_some(&context, &part);
        n_over += part.first - first;
    } while (part.first < part.end && !leave(rt, self, part));
    pl_context_set(context.outer);
    if (pl_sub_acq_rel(&args->left_shared, n_over) == n_over)
        pl_steps_end(rt, self, part.whole);
}

static int whole_body(parla_context *context, void *arg)
{
    whole_args *args = arg;
    if (args->n == 0)
        return 0;
    int error = pl_steps_begin(context);
    if (error)
        return error;
    part_args part = {context->task, 0, args->n};
    if (!leave(context->rt, context->self, part))
        run_part(context->rt, context->self, part);
    return 0;
}

static void whole_ended(void *arg, const parla_outcome *outcome)
{
    whole_args *args = arg;
    args->on_end(args->arg, outcome);
}

int parla_task_spawn_n(parla_runtime *rt, parla_task *out, size_t n, const parla_task_options *options)
{
    if (!options || options->size != sizeof *options || !options->body)
        return parla_task_spawn(rt, out, options); /* says what is wrong */
    if (options->arg_bytes > 0 || pl_place_is_needed(options))
        return pl_error_set(PARLA_E_INVALID, "a range takes body, arg, on_end, name, flags, task and deps: %s",
                            options->arg_bytes > 0 ? "arg_bytes has to be 0, pass a pointer"
                                                   : "it has no devices, arrays, priority or retries");
    whole_args args = {.body = options->body, .arg = options->arg, .on_end = options->on_end, .n = n};
    atomic_init(&args.left_shared, n);
    parla_task_options whole = *options;
    whole.body = whole_body;
    whole.arg = &args;
    whole.arg_bytes = sizeof args;
    whole.on_end = options->on_end ? whole_ended : NULL;
    return parla_task_spawn(rt, out, &whole);
}
