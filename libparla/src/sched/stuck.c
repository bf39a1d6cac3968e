/* stuck.c - words for unfinished tasks: who waits for whom, and the cycle if there is one.
 *
 * Walks all task slots. Follows, from the awaited or the first waiting task, one unfinished predecessor after the other: the walk ends at a
 * name that was never spawned, at a task that waits for resources, that runs, or that was met before (a cycle). Each task is pinned while it
 * is looked at.
 *
 * A runtime at rest holds still meanwhile, but for bodies that were told so a moment ago and go on. The watchdog and the end of the runtime
 * look at one that moves: what they say was true a moment ago. A name belongs to the application until its task has ended (task.h), which may
 * be now, so names are read through the kernel, which answers with an error where a plain access would crash. Where it does not answer such
 * questions at all (a sandbox), those of a runtime at rest are read plainly.
 *
 * Only the spawn of a name can close a cycle of dependencies, and only if something waits for the name already, or it for itself. That is
 * looked for before the spawn, along what its dependencies wait for, within bounds (MAX_VISITS, MAX_DEPTH), since a spawn must not take long.
 * Two spawns at the same time may close one together, and bodies may wait for anything: what is not seen there is told when the runtime has
 * come to rest. */
#include "base/error.h"
#include "base/text.h"
#include "sched/runtime.h"

#include <errno.h>
#include <parla/log.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_STEPS = 12, MAX_TEXT = 900, MAX_NAME = 200, MAX_NAMED = 4 };

typedef struct report {
    parla_runtime *rt;
    pl_worker *self;
    bool is_live; /* tasks may end meanwhile */
    char text[MAX_TEXT];
    size_t length;
} report;

static void add(report *r, const char *format, ...) PARLA_PRINTF(2, 3);
static void add(report *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(r->text + r->length, sizeof r->text - r->length, format, arguments);
    va_end(arguments);
    if (n > 0)
        r->length += (size_t)n < sizeof r->text - r->length ? (size_t)n : sizeof r->text - r->length - 1;
}

/* Copies what is there, at most to the end of the page after the first; false if nothing is. */
static bool read_name(char out[MAX_NAME], const char *name)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), in_page = page - (uintptr_t)name % page;
    size_t n = MAX_NAME - 1, n_first = in_page < n ? in_page : n;
    struct iovec to = {out, n}, from[2] = {{(void *)(uintptr_t)name, n_first}, {(void *)(uintptr_t)(name + n_first), n - n_first}};
    ssize_t n_read = process_vm_readv(getpid(), &to, 1, from, n_first < n ? 2 : 1, 0);
    out[n_read > 0 ? n_read : 0] = '\0';
    return n_read > 0;
}

static void add_name(report *r, pl_task *task)
{
    char copy[MAX_NAME];
    const char *name = task->name;
    if (name && read_name(copy, name))
        name = copy;
    else if (r->is_live || errno == EFAULT)
        name = NULL;
    if (name)
        add(r, "%s", name);
    else
        add(r, "task %u", pl_slot_number(task));
}

typedef struct search {
    report *r;
    pl_task *found; /* pinned */
} search;

/* Keeps the first predecessor that has not ended. */
static bool look_at_edge(void *ctx, parla_task predecessor)
{
    search *s = ctx;
    if (!pl_handle_has_ended(predecessor) && pl_pin(s->r->rt, s->r->self, predecessor))
        s->found = pl_task_of(predecessor);
    return !s->found;
}

static bool waits(parla_task_state state)
{
    return state == PARLA_TASK_WAITING || state == PARLA_TASK_SUSPENDED || state == PARLA_TASK_RESERVED;
}

/* What a body that is inside of a wait waits for: the tasks belong to its thread, which stays there as long as it is on the list. */
static void look_at_wait(search *s, const pl_task *task)
{
    parla_runtime *rt = s->r->rt;
    pthread_mutex_lock(&rt->spare_lock);
    for (const pl_blocked *blocked = rt->blocked; blocked; blocked = blocked->next)
        for (size_t i = 0; blocked->body == task && i < blocked->n_tasks && !s->found; i++)
            if (!parla_task_is_none(blocked->tasks[i]))
                (void)look_at_edge(s, blocked->tasks[i]);
    pthread_mutex_unlock(&rt->spare_lock);
}

/* Pinned, or NULL. */
static pl_task *waits_for(report *r, pl_task *task)
{
    search s = {.r = r};
    parla_task_state state = pl_task_state(task);
    if (waits(state))
        pl_task_each_edge(&r->rt->slabs, task, look_at_edge, &s);
    else if (state == PARLA_TASK_RUNNING)
        look_at_wait(&s, task);
    return s.found;
}

/* How a chain ends that ends at this task. */
static void add_reason(report *r, pl_task *task)
{
    parla_task_state state = pl_task_state(task);
    if (task->flags & PL_FLAG_EVENT)
        add(r, ", an event that nobody has completed");
    else if (state == PARLA_TASK_CREATED)
        add(r, ", which was never spawned");
    else if (state == PARLA_TASK_READY && (task->flags & PL_FLAG_PLACED))
        add(r, ", which waits for resources of its devices");
    else if (state == PARLA_TASK_WAITING)
        add(r, ", which waits for its turn with its arrays");
    else
        add(r, " (%s)", parla_task_state_name(state));
}

static void add_chain(report *r, pl_task *first)
{
    pl_task *met[MAX_STEPS];
    int n = 0;
    bool is_cycle = false;
    pl_task *task = first;
    pl_task_ref(first);
    add_name(r, task);
    while (task && n < MAX_STEPS) {
        met[n++] = task;
        pl_task *next = waits_for(r, task);
        if (!next)
            break;
        add(r, pl_task_state(task) == PARLA_TASK_RUNNING ? " (blocked) waits for " : " waits for ");
        add_name(r, next);
        for (int i = 0; i < n; i++)
            is_cycle = is_cycle || met[i] == next;
        task = next;
        if (is_cycle || n == MAX_STEPS) {
            pl_unpin(r->rt, r->self, next);
            break;
        }
    }
    if (is_cycle)
        add(r, ": a cycle");
    else
        add_reason(r, task);
    for (int i = 0; i < n; i++)
        pl_unpin(r->rt, r->self, met[i]);
}

/* Pins the task in slot number i, if there is one that counts as a task of the application. */
static pl_task *pin_slot(report *r, uint32_t i)
{
    pl_task *task = pl_slot_at(&r->rt->slabs, i);
    if (pl_load_acquire(&task->refs_shared) == 0 || !pl_pin(r->rt, r->self, pl_task_handle(task)))
        return NULL;
    parla_task_state state = pl_task_state(task); /* first: of a name that is being spawned the flags change */
    bool is_spawned = state != PARLA_TASK_CREATED && (int)state != PL_TASK_SPAWNING;
    if (is_spawned && (task->flags & PL_FLAG_COUNTED) && !pl_handle_has_ended(pl_task_handle(task)))
        return task;
    pl_unpin(r->rt, r->self, task);
    return NULL;
}

/* Calls function for each such task. */
static void each_task(report *r, void (*function)(void *ctx, pl_task *task), void *ctx)
{
    uint32_t n_slots = pl_slab_count(&r->rt->slabs);
    for (uint32_t i = 1; i <= n_slots; i++) {
        pl_task *task = pin_slot(r, i);
        if (!task)
            continue;
        function(ctx, task);
        pl_unpin(r->rt, r->self, task);
    }
}

static bool is_blocked(report *r, pl_task *task)
{
    pl_task *next = pl_task_state(task) == PARLA_TASK_RUNNING ? waits_for(r, task) : NULL;
    if (next)
        pl_unpin(r->rt, r->self, next);
    return next != NULL;
}

/* What is unfinished. Tasks that wait for resources count as waiting, and bodies that wait on their threads. */
typedef struct survey {
    report *r;
    size_t n_waiting, n_running, n_ready;
    pl_task *first;      /* that waits; a reference */
    const pl_task *told; /* the body that asks, since it waits in vain; or NULL */
} survey;

static void count_task(void *ctx, pl_task *task)
{
    survey *s = ctx;
    parla_task_state state = pl_task_state(task);
    bool is_queued = state == PARLA_TASK_READY && (task->flags & PL_FLAG_PLACED);
    bool is_waiting = waits(state) || is_queued || task == s->told || is_blocked(s->r, task);
    s->n_waiting += is_waiting;
    s->n_ready += state == PARLA_TASK_READY && !is_queued;
    if (is_waiting && !s->first) {
        pl_task_ref(task);
        s->first = task;
    }
    if (is_waiting)
        return;
    if (state != PARLA_TASK_RUNNING && state != PARLA_TASK_LAUNCHED)
        return;
    if (s->n_running < MAX_NAMED && s->r->is_live) {
        add(s->r, "%s", s->n_running == 0 ? "" : ", ");
        add_name(s->r, task);
        add(s->r, " (%s)", parla_task_state_name(state));
    }
    s->n_running++;
}

static void drop_first(survey *s)
{
    if (s->first)
        pl_unpin(s->r->rt, s->r->self, s->first);
}

void pl_log_unfinished(parla_runtime *rt)
{
    report r = {.rt = rt, .self = pl_self(rt), .is_live = true};
    survey s = {.r = &r};
    if (!r.self)
        return;
    each_task(&r, count_task, &s);
    if (s.n_running > 0)
        parla_log(PARLA_LOG_WARN, "the end of the runtime waits for %zu task%s: %s; Ctrl-\\ ends the process", s.n_running,
                  s.n_running == 1 ? "" : "s", r.text);
    drop_first(&s);
}

void pl_log_stall(parla_runtime *rt, uint64_t since_ns)
{
    report r = {.rt = rt, .self = pl_self(rt), .is_live = true};
    survey s = {.r = &r};
    if (!r.self)
        return;
    each_task(&r, count_task, &s);
    if (s.n_running == 0)
        add(&r, "none");
    parla_log(PARLA_LOG_WARN, "no task has ended for %.1f s: %zu wait, %zu are ready, %d things go on outside; running (%zu): %s",
              (double)since_ns / 1e9, s.n_waiting, s.n_ready, pl_load_seq(&rt->n_outside), s.n_running, r.text);
    if (s.first) {
        r.length = 0;
        add_chain(&r, s.first);
        parla_log(PARLA_LOG_WARN, "%s", r.text);
    }
    drop_first(&s);
}

int pl_report_stuck(parla_runtime *rt, const parla_task *awaited)
{
    report r = {.rt = rt, .self = pl_self(rt)};
    bool is_body = awaited && pl_current() && pl_current()->rt == rt;
    survey s = {.r = &r, .told = is_body ? pl_current()->task : NULL};
    if (!r.self)
        return PARLA_E_STUCK;
    each_task(&r, count_task, &s);
    if (awaited && pl_pin(rt, r.self, *awaited)) {
        drop_first(&s);
        s.first = pl_task_of(*awaited);
    }
    if (s.n_waiting > 0)
        add(&r, "nothing runs and nothing can start, but %zu task%s unfinished: ", s.n_waiting, s.n_waiting == 1 ? " is" : "s are");
    else
        add(&r, "nothing runs and nothing can start; this was waited for: ");
    if (is_body) {
        add_name(&r, pl_current()->task);
        add(&r, " waits for ");
    }
    if (s.first)
        add_chain(&r, s.first);
    drop_first(&s);
    return pl_error_set(PARLA_E_STUCK, "%s", r.text);
}

/* --- At the spawn ---------------------------------------------------------------------------------------------------------------- */

enum { MAX_VISITS = 512, MAX_DEPTH = 64 };

typedef struct way {
    parla_runtime *rt;
    pl_worker *self;
    parla_task end;
    pl_task *steps[MAX_DEPTH]; /* pinned while they are followed, and kept once the end is reached */
    int n_steps, n_visits;
    bool is_found;
} way;

/* Goes on from a task that something waits for; false when the search is over. */
static bool follow(void *ctx, parla_task handle)
{
    way *w = ctx;
    if (++w->n_visits > MAX_VISITS)
        return false;
    if (handle.object == w->end.object && (uint32_t)handle.generation == (uint32_t)w->end.generation) {
        w->is_found = true;
        return false;
    }
    if (w->n_steps == MAX_DEPTH || pl_handle_has_ended(handle) || !pl_pin(w->rt, w->self, handle))
        return true;
    pl_task *task = pl_task_of(handle);
    w->steps[w->n_steps++] = task;
    if (waits(pl_task_state(task)))
        pl_task_each_edge(&w->rt->slabs, task, follow, w);
    if (w->is_found)
        return false;
    w->n_steps--;
    pl_unpin(w->rt, w->self, task);
    return w->n_visits <= MAX_VISITS;
}

int pl_check_cycle(parla_runtime *rt, pl_worker *self, pl_task *task, const parla_task *deps, size_t n_deps)
{
    way w = {.rt = rt, .self = self, .end = pl_task_handle(task)};
    bool is_awaited = pl_head_low(pl_load_acquire(&task->head_shared)) != PL_HEAD_NONE;
    for (size_t i = 0; i < n_deps && !w.is_found; i++)
        if (is_awaited ? !parla_task_is_none(deps[i]) : deps[i].object == task)
            (void)follow(&w, deps[i]);
    if (!w.is_found)
        return 0;
    report r = {.rt = rt, .self = self, .is_live = true};
    add_name(&r, task);
    for (int i = 0; i < w.n_steps; i++) {
        add(&r, " waits for ");
        add_name(&r, w.steps[i]);
        pl_unpin(rt, self, w.steps[i]);
    }
    add(&r, " waits for ");
    add_name(&r, task);
    return pl_error_set(PARLA_E_STUCK, "spawned so, this task would never start: %s: a cycle", r.text);
}
