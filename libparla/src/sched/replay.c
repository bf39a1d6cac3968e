/* replay.c - a frozen graph that runs as one task.
 *
 * The nodes lie in one array, their successors in another (compressed rows: node i has successors[first … first + n_successors)). A run
 * allocates nothing: ready nodes go into the workers' deques as tagged pointers, and are stolen like tasks.
 *
 *   pending   how many predecessors of a node are not over. Who brings it to 0 has the node for itself: sets it back for the next run, and
 *             runs the node or puts it into its deque.
 *   left      how many sinks (nodes without successors) are not over. A run is over when they are: every node leads to a sink, and a sink
 *             runs only when all that leads to it has let go of it.
 *
 * R1 A worker has let go of a node with the release of its last successor, and does not touch the replay afterwards: the run may be over, the
 *    replay run again or freed. A sink is let go of by subtracting it from `left`; a worker collects what it has run and subtracts it once,
 *    as the last thing. Until then the run cannot be over, so the replay stays.
 * R2 The next run sets nothing that a worker of this one still reads: it is spawned only after the task of this one has ended (is_running).
 * R3 A node that fails, or is left out, marks its successors (is_poisoned) before it releases them; the last release hands the mark on with
 *    the node. So exactly what follows from a failure is left out, as with tasks.
 *
 * Rejected: a task object for each node, kept between runs (three cache lines instead of less than one, and states that a run has no use
 * for); a queue of ready nodes for each replay, with workers that join in (a second way of finding and stealing work beside the deques). */
#include "sched/replay.h"
#include "base/break.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* So many nodes a worker runs before it looks around as between two tasks. */
enum { MAX_STEPS = 64 };

typedef struct node {
    parla_body body;
    void *arg;
    parla_replay *replay;
    _Atomic uint32_t pending_shared;
    uint32_t n_predecessors, first, n_successors;
    struct node *link; /* in a worker's list of nodes that found no room in its deque */
    _Atomic bool is_poisoned_shared;
    bool is_managed;
} node;

struct parla_replay {
    parla_runtime *rt;
    node *nodes;
    uint32_t *successors;
    uint32_t *sources;  /* nodes without predecessors */
    const char **names; /* of nodes */
    unsigned char *bytes;
    uint32_t n_nodes, n_sources, n_sinks;
    pl_task *whole; /* of the run */
    void *run_arg;
    _Atomic bool is_running;
    _Atomic int refs; /* the owner's, and one for a run */
    _Alignas(PL_CACHE_LINE) _Atomic uint32_t left_shared;
};

static void unref(parla_replay *replay)
{
    if (!replay || pl_sub_acq_rel(&replay->refs, 1) != 1)
        return;
    free(replay->nodes);
    free(replay->successors);
    free(replay->sources);
    free(replay->names);
    free(replay->bytes);
    free(replay);
}

/* --- Freeze --------------------------------------------------------------------------------------------------------------------- */

static void fill_nodes(parla_replay *replay, const pl_capture *capture)
{
    for (uint32_t i = 0; i < replay->n_nodes; i++) {
        const pl_recorded *from = &capture->tasks[i];
        size_t end = i + 1 < replay->n_nodes ? capture->tasks[i + 1].first_dep : capture->n_deps;
        node *to = &replay->nodes[i];
        to->body = from->body;
        to->arg = from->arg_bytes > 0 ? replay->bytes + (size_t)from->arg : from->arg;
        to->replay = replay;
        to->n_predecessors = (uint32_t)(end - from->first_dep);
        atomic_init(&to->pending_shared, to->n_predecessors);
        to->is_managed = from->is_managed;
        replay->names[i] = from->name;
        if (to->n_predecessors == 0)
            replay->sources[replay->n_sources++] = i;
        for (size_t k = from->first_dep; k < end; k++)
            replay->nodes[capture->deps[k]].n_successors++;
    }
}

/* Rows in the order of the nodes; each node's successors in the order of their spawns. */
static void fill_rows(parla_replay *replay, const pl_capture *capture)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < replay->n_nodes; i++) {
        replay->nodes[i].first = at;
        at += replay->nodes[i].n_successors;
        replay->n_sinks += replay->nodes[i].n_successors == 0;
        replay->nodes[i].n_successors = 0;
    }
    for (uint32_t i = 0; i < replay->n_nodes; i++) {
        size_t first = capture->tasks[i].first_dep;
        for (size_t k = first; k < first + replay->nodes[i].n_predecessors; k++) {
            node *from = &replay->nodes[capture->deps[k]];
            replay->successors[from->first + from->n_successors++] = i;
        }
    }
}

parla_replay *pl_replay_create(parla_runtime *rt, pl_capture *capture)
{
    size_t n = capture->n_tasks ? capture->n_tasks : 1, n_edges = capture->n_deps ? capture->n_deps : 1;
    parla_replay *replay = aligned_alloc(PL_CACHE_LINE, (sizeof *replay + PL_CACHE_LINE - 1) & ~(size_t)(PL_CACHE_LINE - 1));
    if (!replay)
        return NULL;
    memset(replay, 0, sizeof *replay);
    replay->rt = rt;
    atomic_init(&replay->refs, 1);
    replay->nodes = calloc(n, sizeof *replay->nodes);
    replay->successors = calloc(n_edges, sizeof *replay->successors);
    replay->sources = calloc(n, sizeof *replay->sources);
    replay->names = calloc(n, sizeof *replay->names);
    if (!replay->nodes || !replay->successors || !replay->sources || !replay->names) {
        unref(replay);
        return NULL;
    }
    replay->n_nodes = (uint32_t)capture->n_tasks;
    replay->bytes = capture->bytes;
    capture->bytes = NULL;
    fill_nodes(replay, capture);
    fill_rows(replay, capture);
    return replay;
}

/* --- Nodes ---------------------------------------------------------------------------------------------------------------------- */

static inline void *entry_of(node *at) { return (void *)((uintptr_t)at | 1); }
static inline node *node_of(void *entry) { return (node *)((uintptr_t)entry & ~(uintptr_t)1); }

/* What a worker has in hand while it runs nodes. */
typedef struct hand {
    node *next;     /* runs next */
    node *overflow; /* more of that, by `link`: the deque has no room */
} hand;

static inline void push(parla_runtime *rt, pl_worker *self, hand *h, node *at)
{
    if (pl_likely(pl_deque_push(&self->deque, entry_of(at)) == 0)) {
        pl_park_wake_one(&rt->park);
        return;
    }
    at->link = h->overflow;
    h->overflow = at;
}

/* One predecessor of a node is over; true if it was the last. Nobody else lowers a count of 1, so that needs no read-modify-write; the load
 * acquires what the others have released. */
static inline bool release(node *at, bool is_poisoned)
{
    if (pl_unlikely(is_poisoned))
        pl_store_relaxed(&at->is_poisoned_shared, true);
    uint32_t last = pl_is_broken(PL_BREAK_REPLAY) ? 2 : 1;
    if (pl_load_acquire(&at->pending_shared) != 1 && pl_sub_acq_rel(&at->pending_shared, 1) > last)
        return false;
    pl_store_relaxed(&at->pending_shared, at->n_predecessors);
    return true;
}

/* Calls the body, unless something that it follows has failed. False if it was not done. */
static inline bool run_body(parla_context *context, pl_step *step, node *at)
{
    if (pl_unlikely(pl_load_relaxed(&at->is_poisoned_shared))) {
        pl_store_relaxed(&at->is_poisoned_shared, false);
        return false;
    }
    if (pl_unlikely(pl_steps_are_cancelled(context->task)))
        return false;
    step->index = (size_t)(at - at->replay->nodes);
    step->name = at->replay->names[step->index];
    return pl_step_run(context, at->body, at->arg, at->is_managed);
}

/* Runs a node and releases its successors. Returns 1 if it was a sink. */
static inline uint32_t run_one(parla_context *context, pl_step *step, hand *h, node *at)
{
    bool is_done = run_body(context, step, at);
    uint32_t n = at->n_successors;
    if (n == 0)
        return 1;
    node *nodes = at->replay->nodes;
    const uint32_t *row = at->replay->successors + at->first;
    for (uint32_t k = 0; k < n; k++) {
        node *successor = &nodes[row[k]];
        if (!release(successor, !is_done))
            continue;
        if (!h->next)
            h->next = successor;
        else
            push(context->rt, context->self, h, successor);
    }
    return 0;
}

/* What to run next of the same replay; NULL: back to the scheduler. */
static inline node *take(parla_runtime *rt, pl_worker *self, hand *h, const parla_replay *replay, bool may_pop)
{
    node *at = h->next;
    if (at) {
        h->next = NULL;
        return at;
    }
    if (pl_unlikely(h->overflow != NULL)) {
        at = h->overflow;
        h->overflow = at->link;
        return at;
    }
    void *entry = may_pop ? pl_deque_pop(&self->deque) : NULL;
    if (!entry)
        return NULL;
    if (pl_is_node(entry) && node_of(entry)->replay == replay) /* in this deque: its run is not over */
        return node_of(entry);
    pl_push_runnable(rt, self, entry); /* where it was: there is room */
    return NULL;
}

void pl_node_run(parla_runtime *rt, pl_worker *self, void *entry)
{
    node *at = node_of(entry);
    parla_replay *replay = at->replay;
    pl_task *whole = replay->whole;
    pl_step step = {.run_arg = replay->run_arg};
    parla_context context = {.rt = rt, .task = whole, .self = self, .outer = pl_current(), .step = &step};
    bool may_pop = self->index >= 0 && !context.outer;
    hand h = {NULL, NULL};
    uint32_t n_sinks = 0;
    pl_context_set(&context);
    for (int n = 1; at; n++) {
        n_sinks += run_one(&context, &step, &h, at);
        if (n >= MAX_STEPS && !h.overflow)
            break;
        at = take(rt, self, &h, replay, may_pop);
    }
    pl_context_set(context.outer);
    if ((at = h.next)) { /* for the worker after it has looked around, or for others */
        h.next = NULL;
        push(rt, self, &h, at);
        if (pl_unlikely(h.overflow != NULL))
            pl_node_run(rt, self, entry_of(at));
    }
    if (n_sinks > 0 && pl_sub_acq_rel(&replay->left_shared, n_sinks) == n_sinks) /* R1 */
        pl_steps_end(rt, self, whole);
}

/* --- Runs ----------------------------------------------------------------------------------------------------------------------- */

typedef struct run_args {
    parla_replay *replay;
    void *run_arg;
} run_args;

/* The body of the whole: hands out the sources, the first on top. */
static int run_begin(parla_context *context, void *arg)
{
    run_args *args = arg;
    parla_replay *replay = args->replay;
    if (replay->n_nodes == 0)
        return 0;
    int error = pl_steps_begin(context);
    if (error)
        return error;
    replay->whole = context->task;
    replay->run_arg = args->run_arg;
    pl_store_relaxed(&replay->left_shared, replay->n_sinks);
    for (uint32_t i = replay->n_sources; i-- > 0;) { /* the run cannot be over before the last of them is handed out */
        node *source = &replay->nodes[replay->sources[i]];
        hand h = {NULL, NULL};
        push(context->rt, context->self, &h, source);
        if (pl_unlikely(h.overflow != NULL))
            pl_node_run(context->rt, context->self, entry_of(source));
    }
    return 0;
}

static void run_ended(void *arg, const parla_outcome *outcome)
{
    parla_replay *replay = ((run_args *)arg)->replay;
    (void)outcome;
    pl_store_release(&replay->is_running, false);
    unref(replay);
}

int pl_replay_spawn(pl_worker *self, parla_replay *replay, parla_task *out, void *arg, const parla_task *deps, size_t n_deps)
{
    bool is_running = false;
    if (!pl_cas_acq_rel(&replay->is_running, &is_running, true))
        return pl_error_set(PARLA_E_STATE, "a run of this replay is under way: wait for its task first");
    pl_add_relaxed(&replay->refs, 1);
    run_args args = {replay, arg};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = run_begin;
    options.arg = &args;
    options.arg_bytes = sizeof args;
    options.on_end = run_ended;
    options.name = "replay";
    options.deps = deps;
    options.n_deps = n_deps;
    int error = pl_spawn(replay->rt, self, out, &options);
    if (error) {
        pl_store_release(&replay->is_running, false);
        unref(replay);
    }
    return error;
}

int parla_replay_run(parla_replay *replay, parla_task *out, void *arg, const parla_task *deps, size_t n_deps)
{
    int error = pl_runtime_check(replay->rt);
    if (error)
        return error;
    pl_worker *self = pl_self(replay->rt);
    if (!self)
        return PARLA_E_NOMEM;
    if (self->capture)
        return pl_error_set(PARLA_E_STATE, "this thread is capturing: a replay cannot be part of another one");
    return pl_replay_spawn(self, replay, out, arg, deps, n_deps);
}

size_t parla_replay_size(const parla_replay *replay) { return replay->n_nodes; }

int parla_replay_set_arg(parla_replay *replay, size_t i, void *arg)
{
    if (i >= replay->n_nodes)
        return pl_error_set(PARLA_E_INVALID, "task %zu was asked for, %u were recorded", i, replay->n_nodes);
    if (pl_load_acquire(&replay->is_running))
        return pl_error_set(PARLA_E_STATE, "a run of this replay is under way: its arguments cannot be changed");
    replay->nodes[i].arg = arg;
    return 0;
}

void parla_replay_destroy(parla_replay *replay) { unref(replay); }
