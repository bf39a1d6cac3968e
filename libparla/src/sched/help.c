/* help.c - threads that wait run tasks meanwhile.
 *
 * Two kinds of help:
 *
 *   for tasks   pl_help_for runs what is awaited: first what lies on top of the thread's own deque, the children that a body has just
 *               spawned; then any awaited task, or predecessor of one to a depth of MAX_DEPTH, that is ready. Nothing else: an unrelated task
 *               that is buried under this wait could itself wait for what comes after it.
 *   with all    pl_help_any runs whatever is ready, first what the thread has spawned itself, oldest first. Only for the outermost wait
 *               for everything of a thread that is no worker: nothing of the runtime is below it.
 *
 * A task in the middle of a deque cannot be taken out, but it can be run: the helper pins it and moves it from READY to RUNNING. Whoever
 * takes it out of the deque later finds that it is not READY and only drops the reference that the deque had (pl_run does that for every
 * task whose turn has passed). Should the task be ready once more by then, since it was suspended, it may as well be run through the old
 * entry: entries and references stay equal in number, and whichever comes first runs it.
 *
 * Workers help for tasks; threads that are no workers do both, in the place of a worker that is asleep, so that never more bodies run than
 * there are workers, but in a runtime whose bodies need a prepared thread (parla_runner) only if the runner says so. Waits with a limit in
 * time and threads that run an event loop never help: a body may take longer than they have. */
#include "sched/plain.h"
#include "sched/replay.h"

enum { MAX_DEPTH = 16, MAX_VISITS = 256, MAX_RUNS = 64 };

static _Thread_local bool is_loop;

void parla_thread_set_loop(bool runs_loop) { is_loop = runs_loop; }

bool pl_thread_is_loop(void) { return is_loop; }

bool pl_may_help(const parla_runtime *rt, const pl_worker *self)
{
    return !is_loop && (self->index >= 0 || !rt->has_runner || rt->runner.guests_help);
}

/* A guest works in the place of a sleeping worker, or not at all; one that is inside a body does so already. */
static bool begin(parla_runtime *rt, pl_worker *self)
{
    if (self->index >= 0 || pl_current())
        return true;
    pl_busy_begin(self);
    if (pl_active_enter(rt))
        return true;
    pl_busy_end(rt, self);
    return false;
}

static void end(parla_runtime *rt, pl_worker *self)
{
    if (self->index >= 0 || pl_current())
        return;
    pl_active_leave(rt);
    pl_busy_end(rt, self);
}

/* --- For tasks ------------------------------------------------------------------------------------------------------------------ */

static bool is_awaited(const parla_task *tasks, size_t n_tasks, pl_task *task)
{
    for (size_t i = 0; i < n_tasks; i++)
        if (tasks[i].object == task && (uint32_t)tasks[i].generation == pl_task_handle(task).generation)
            return true;
    return false;
}

static void run_from_top(parla_runtime *rt, pl_worker *self, const parla_task *tasks, size_t n_tasks)
{
    pl_task *task;
    while ((task = pl_deque_pop(&self->deque))) {
        if (!is_awaited(tasks, n_tasks, task)) {
            pl_push_runnable(rt, self, task);
            return;
        }
        pl_run(rt, self, task);
    }
}

typedef struct search {
    parla_runtime *rt;
    pl_worker *self;
    int depth, n_visits;
    pl_task *found; /* pinned */
} search;

/* False when the search is over. */
static bool visit_one(void *ctx, parla_task handle)
{
    search *s = ctx;
    pl_task *task = pl_task_of(handle);
    if (++s->n_visits > MAX_VISITS)
        return false;
    if (pl_handle_has_ended(handle) || !pl_pin(s->rt, s->self, handle))
        return true;
    parla_task_state state = pl_task_state(task);
    if (state == PARLA_TASK_READY && !(task->flags & PL_FLAG_PLACED)) {
        s->found = task;
        return false;
    }
    if (state == PARLA_TASK_WAITING && s->depth < MAX_DEPTH) {
        s->depth++;
        pl_task_each_edge(&s->rt->slabs, task, visit_one, s);
        s->depth--;
    }
    pl_unpin(s->rt, s->self, task);
    return !s->found && s->n_visits < MAX_VISITS;
}

/* Entries of tasks that were run from the middle of the deque and have come to its top. */
static void sweep_top(parla_runtime *rt, pl_worker *self)
{
    pl_task *task;
    while ((task = pl_deque_pop(&self->deque))) {
        if (pl_is_node(task)) { /* of a replay: nothing was taken from under it */
            pl_push_runnable(rt, self, task);
            return;
        }
        parla_task_state state = pl_task_state(task);
        if (state == PARLA_TASK_READY || state == PARLA_TASK_RESERVED) {
            pl_push_runnable(rt, self, task);
            return;
        }
        pl_drop_life(rt, self, task);
    }
}

static bool run_one_for(parla_runtime *rt, pl_worker *self, const parla_task *tasks, size_t n_tasks)
{
    search s = {.rt = rt, .self = self};
    for (size_t i = 0; i < n_tasks; i++)
        if (!parla_task_is_none(tasks[i]) && !visit_one(&s, tasks[i]))
            break;
    if (!s.found)
        return false;
    pl_run(rt, self, s.found); /* takes the pin over as the life reference */
    sweep_top(rt, self);
    return true;
}

void pl_help_for(parla_runtime *rt, pl_worker *self, const parla_task *tasks, size_t n_tasks)
{
    if (!begin(rt, self))
        return;
    run_from_top(rt, self, tasks, n_tasks);
    while (run_one_for(rt, self, tasks, n_tasks)) {
    }
    end(rt, self);
}

/* --- With all ------------------------------------------------------------------------------------------------------------------- */

static pl_task *next_of_any(parla_runtime *rt, pl_worker *self)
{
    pl_task *task = self->next;
    self->next = NULL;
    self->chain = task ? self->chain + 1 : 0;
    return task ? task : pl_guest_take(rt, self);
}

/* Only without a body below: then a guest can take successors without a queue, as a worker does. Nobody begins without something to run and
 * a sleeping worker's place to run it in: who has begun wakes the others that wait when he leaves off, and two of them would do so in turn
 * for as long as neither can run anything. */
bool pl_help_any(parla_runtime *rt, pl_worker *self)
{
    pl_task *task;
    int n = 0;
    bool can_run = (self->next || pl_has_work(rt)) && pl_active_has_room(rt);
    if (!can_run && !pl_is_broken(PL_BREAK_LOOK))
        return false;
    if (!begin(rt, self))
        return false;
    self->may_chain = true;
    while (n < MAX_RUNS && (task = next_of_any(rt, self)) != NULL) {
        pl_run(rt, self, task);
        n++;
    }
    self->may_chain = false;
    if ((task = self->next)) { /* WAITING, READY, RESERVED, or cancelled meanwhile, which pl_run finds out */
        self->next = NULL;
        if (pl_task_move(task, PARLA_TASK_WAITING, PARLA_TASK_READY) || !pl_is_broken(PL_BREAK_HAND))
            pl_push(rt, self, task);
        else
            pl_drop_life(rt, self, task);
    }
    end(rt, self);
    return n > 0;
}
