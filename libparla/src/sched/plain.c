/* plain.c - spawn, run and end of a task that has nothing but dependencies: no devices, arrays, priority, retries, no name given before,
 * and no trace that is being written. It is the same task object in the same states as on the long way (spawn.c, run.c, end.c), and each
 * step leaves it as the long way would, so that cancels, waits, failures, reports and walks over all slots need not know which way a task
 * came. What is left out is what can be proved to be of no use:
 *
 * Spawn
 *   P1 No state SPAWNING. The task is filled in before its first reference is published; until then nobody can pin it, for pinning needs
 *      a reference, and old handles of the slot have another generation. It is published as READY, or as WAITING with all its dependencies
 *      written into its edges. Cancelled from that moment on it is one of these two, which is the ordinary case.
 *   P2 No look at cancel_shared: only who has a handle or walks over the slots can cancel, and finds one of the states of P1.
 *   P3 No guard of its own. `pending` starts as the number of edges; those that are not linked yet, or were met already, stand for the
 *      guard, and are released together at the end. If none was met, the last link hands the task over and spawn touches it no more: it
 *      may run, end and live again by then. Therefore all edges count as used before the first is linked. An edge whose predecessor had
 *      ended stays listed; who looks through the list asks whether a predecessor has ended (pl_task_each_edge).
 *   P4 No read-modify-write but one compare-and-swap for each edge. The deque's bottom, the mark of a busy guest and its counters are light
 *      stores (fence.h): who goes to sleep, or takes the runtime to be at rest, has a heavy fence first (worker.c, wait.c).
 *
 * Run
 *   P5 A successor that the worker takes next stays WAITING in self->next until pl_run claims it, WAITING -> RUNNING in one step. It may
 *      be cancelled there like any waiting task; pl_run then finds that and drops the life reference, which it has.
 *
 * End
 *   P6 `pending` is lowered without a read-modify-write by the last one who holds an edge. Everybody lowers it by what he holds, once,
 *      so who finds no more than his own there is alone (pl_release). The load acquires what the others released before. */
#include "sched/plain.h"

#include "base/error.h"
#include "sched/replay.h"
#include "task/failure.h"

#include <stdlib.h>

/* So many tasks a guest spawns inside a body before it asks again whether it is in one. */
enum { CREDIT_INSIDE = 64 };

/* --- Spawn ------------------------------------------------------------------------------------------------------------------------ */

static PL_COLD int refuse(parla_runtime *rt, pl_worker *self, pl_task *task, size_t i)
{
    pl_slab_free(&rt->slabs, &self->cache, task);
    return pl_error_set(PARLA_E_INVALID, "dependency %zu belongs to another runtime", i);
}

/* Writes the dependencies into the edges of a task that nobody knows. Returns how many there are, or an error after giving the task back. */
static inline int write_edges(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_task *deps, size_t n_deps)
{
    int n = 0;
    for (size_t i = 0; i < n_deps; i++) {
        pl_task *predecessor = pl_task_of(deps[i]);
        if (!predecessor)
            continue;
        if (pl_unlikely(pl_task_runtime(predecessor) != rt))
            return refuse(rt, self, task, i);
        pl_store_relaxed(&task->edges[n].predecessor_shared, predecessor);
        pl_store_relaxed(&task->edges[n].predecessor_gen_shared, (uint32_t)deps[i].generation);
        n++;
    }
    return n;
}

/* A dependency failed before the spawn. The caller holds n of `pending`. */
static PL_COLD void follow(parla_runtime *rt, pl_worker *self, pl_task *task, parla_task predecessor, int n)
{
    if (!pl_is_broken(PL_BREAK_LINK))
        (void)pl_cancel_following(rt, self, task, pl_failure_of_ended(rt, self, predecessor));
    pl_release(rt, self, task, n, false);
}

/* A dependency was linked. Is it a name that is not spawned yet? Then its dependents do not count in the window. */
static inline bool hold_window(parla_runtime *rt, pl_worker *self, parla_task dependency)
{
    return pl_unlikely(pl_load_relaxed(&pl_task_of(dependency)->state_shared) == PARLA_TASK_CREATED) && rt->window > 0 &&
           pl_window_hold(rt, self, dependency);
}

/* Links all edges of a published task; see P3. */
static inline __attribute__((always_inline)) void link_edges(parla_runtime *rt, pl_worker *self, pl_task *task, int n)
{
    uint32_t number = pl_edge_number(task, 0);
    int n_met = 0;
    bool is_held = false;
    for (int k = 0; k < n; k++) {
        pl_edge *edge = &task->edges[k];
        parla_task dependency = {pl_load_relaxed(&edge->predecessor_shared), pl_load_relaxed(&edge->predecessor_gen_shared)};
        pl_link_result result = pl_edge_push(edge, number + (uint32_t)k, pl_task_of(dependency), dependency.generation);
        if (pl_likely(result == PL_LINKED)) {
            if (!is_held)
                is_held = hold_window(rt, self, dependency);
            continue;
        }
        if (pl_unlikely(result == PL_PREDECESSOR_FAILED)) {
            follow(rt, self, task, dependency, n_met + n - k);
            return;
        }
        n_met++;
    }
    if (n_met > 0)
        pl_release(rt, self, task, n_met, false);
}

static inline __attribute__((always_inline)) int start(parla_runtime *rt, pl_worker *self, parla_task *out, const pl_plain *plain)
{
    pl_task *task = pl_task_take(&rt->slabs, &self->cache);
    if (pl_unlikely(!task))
        return pl_error_set(PARLA_E_NOMEM, "no memory for a task");
    int n_edges = plain->n_deps == 0 ? 0 : write_edges(rt, self, task, plain->deps, plain->n_deps);
    if (pl_unlikely(n_edges < 0))
        return n_edges;
    task->body = plain->body;
    task->on_end = plain->on_end;
    task->name = plain->name;
    task->arg = plain->arg;
    if (plain->arg_bytes > 0) {
        memcpy(task->arg_bytes, plain->arg, plain->arg_bytes);
        task->arg = task->arg_bytes;
    }
    parla_task handle = pl_task_new_handle(task);
    pl_task_bits bits =
        pl_task_first_bits(n_edges > 0 ? PARLA_TASK_WAITING : PARLA_TASK_READY, PL_FLAG_COUNTED | plain->flags, (uint8_t)n_edges);
    pl_count(&self->n_spawned_shared, 1); /* before it can end */
    pl_task_publish(handle, bits, n_edges - pl_is_broken(PL_BREAK_EDGES));
    if (n_edges > 0)
        link_edges(rt, self, task, n_edges);
    else
        pl_push(rt, self, task);
    if (out)
        *out = handle; /* last: it may be one of the dependencies, too */
    return 0;
}

/* A guest has spawned its credit. Inside of bodies and callbacks it is no thread of the application, and never waits. */
static PL_COLD void renew_credit(parla_runtime *rt, pl_worker *self)
{
    if (!pl_current() && self->n_ending == 0)
        pl_window_enter(rt, self);
    else
        self->credit = pl_load_relaxed(&self->is_spawner_shared) ? CREDIT_INSIDE : 0;
}

static inline __attribute__((always_inline)) int spawn(parla_runtime *rt, pl_worker *self, parla_task *out, const pl_plain *plain)
{
    bool is_guest = self->index < 0;
    if (is_guest && pl_unlikely(--self->credit < 0))
        renew_credit(rt, self);
    if (is_guest)
        pl_guest_busy_begin(self);
    int error = start(rt, self, out, plain);
    if (is_guest)
        pl_guest_busy_end(rt, self);
    return error;
}

int pl_plain_spawn(parla_runtime *rt, pl_worker *self, parla_task *out, const pl_plain *plain)
{
    return spawn(rt, self, out, plain);
}

static PL_COLD int spawn_with_questions(parla_runtime *rt, parla_task *out, parla_body body, void *arg, const parla_task *deps,
                                        size_t n_deps)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pl_worker *self = pl_self(rt);
    if (!self)
        return PARLA_E_NOMEM;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = arg;
    options.deps = deps;
    options.n_deps = n_deps;
    return pl_spawn(rt, self, out, &options);
}

/* Each kind has a function of its own, with few registers to save. */
static __attribute__((noinline)) int spawn_after(parla_runtime *rt, parla_task *out, parla_body body, void *arg,
                                                 const parla_task *deps, size_t n_deps)
{
    pl_worker *self = NULL;
    if (pl_likely(rt && pl_gate_is_open(rt) && body && deps && n_deps <= PL_INLINE_EDGES))
        self = pl_self_or_null(rt);
    if (pl_unlikely(!self || self->capture))
        return spawn_with_questions(rt, out, body, arg, deps, n_deps);
    pl_plain plain = {.body = body, .arg = arg, .deps = deps, .n_deps = n_deps};
    return spawn(rt, self, out, &plain);
}

static __attribute__((noinline)) int spawn_free(parla_runtime *rt, parla_task *out, parla_body body, void *arg)
{
    pl_worker *self = NULL;
    if (pl_likely(rt && pl_gate_is_open(rt) && body))
        self = pl_self_or_null(rt);
    if (pl_unlikely(!self || self->capture))
        return spawn_with_questions(rt, out, body, arg, NULL, 0);
    pl_plain plain = {.body = body, .arg = arg};
    return spawn(rt, self, out, &plain);
}

int parla_spawn(parla_runtime *rt, parla_task *out, parla_body body, void *arg, const parla_task *deps, size_t n_deps)
{
    return n_deps > 0 ? spawn_after(rt, out, body, arg, deps, n_deps) : spawn_free(rt, out, body, arg);
}

/* --- Run and end ------------------------------------------------------------------------------------------------------------------ */

static __attribute__((noinline)) void tell_done(pl_worker *self, pl_task *task)
{
    parla_outcome outcome = {.task = pl_task_handle(task)};
    self->n_ending++;
    task->on_end(task->arg, &outcome);
    self->n_ending--;
}

static inline void release_dependents(parla_runtime *rt, pl_worker *self, uint32_t edge)
{
    bool may_chain = self->may_chain && !pl_current();
    do {
        pl_task *dependent = pl_edge_owner(&rt->slabs, edge, &edge);
        pl_release(rt, self, dependent, pl_is_broken(PL_BREAK_RELEASE) ? 2 : 1, may_chain);
    } while (edge != PL_HEAD_NONE);
}

/* Ends a task whose body returned 0, and drops its life reference. */
static inline void end_done(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    if (pl_unlikely(task->on_end))
        tell_done(self, task);
    pl_store_release(&task->state_shared, (uint8_t)PARLA_TASK_DONE);
    uint32_t edge = pl_task_close(task, PL_HEAD_DONE);
    if (edge != PL_HEAD_NONE)
        release_dependents(rt, self, edge);
    pl_tell_ended(rt, self, task, pl_load_seq(&task->waited_shared));
    if (pl_likely(pl_task_unref(task)))
        (void)pl_task_recycle(&rt->slabs, &self->cache, task); /* it has no placed part */
}

static inline bool is_plain(const parla_runtime *rt, const pl_task *task)
{
    return !(task->flags & (PL_FLAG_PLACED | PL_FLAG_EVENT | PL_FLAG_INTERNAL)) && !pl_load_relaxed(&rt->is_traced);
}

/* P5. False if it was cancelled, or is RESERVED, since it was suspended. */
static inline bool take_turn(pl_task *task)
{
    uint8_t state = pl_load_relaxed(&task->state_shared);
    if (pl_is_broken(PL_BREAK_TURN)) {
        pl_store_seq(&task->state_shared, (uint8_t)PARLA_TASK_RUNNING);
        return true;
    }
    return (state == PARLA_TASK_READY || state == PARLA_TASK_WAITING) &&
           pl_cas_seq(&task->state_shared, &state, (uint8_t)PARLA_TASK_RUNNING);
}

void pl_run(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    if (pl_unlikely(pl_is_node(task))) {
        pl_node_run(rt, self, task);
        return;
    }
    if (pl_unlikely(!is_plain(rt, task) || !take_turn(task))) {
        if (pl_run_begin(rt, self, task))
            pl_run_body(rt, self, task, false);
        return;
    }
    parla_context context = {.rt = rt, .task = task, .self = self, .outer = pl_current()};
    pl_store_relaxed(&task->i_device_shared, (uint16_t)0);
    pl_current_context = &context;
    pl_error_clear();
    int result = pl_call_body(rt, &context, task);
    pl_current_context = context.outer;
    if (pl_likely(result == 0 && !pl_task_extra_or_null(task)))
        end_done(rt, self, task);
    else
        pl_run_after(rt, self, task, &context, result);
    if (pl_unlikely(context.failure || context.awaited)) {
        parla_failure_unref(context.failure); /* parla_fail was called, but the body did not fail */
        free(context.awaited);
    }
}
