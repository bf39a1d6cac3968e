/* stuck.c - words for a runtime at rest with unfinished tasks: who waits for whom, and the cycle if there is one.
 *
 * Walks all task slots; nothing runs meanwhile. Follows, from the awaited or the first waiting task, one unfinished predecessor after the
 * other: the walk ends at a name that was never spawned, at a task that waits for resources, or at a task met before (a cycle). */
#include "base/error.h"
#include "sched/runtime.h"

#include <parla/log.h>
#include <stdarg.h>
#include <stdio.h>

enum { MAX_STEPS = 12, MAX_TEXT = 900 };

typedef struct report {
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

static void add_name(report *r, pl_task *task)
{
    if (task->name)
        add(r, "%s", task->name);
    else
        add(r, "task %u", pl_slot_number(task));
}

typedef struct search {
    parla_runtime *rt;
    pl_task *found;
} search;

/* Keeps the first predecessor that has not ended. */
static void look_at_edge(void *ctx, const pl_edge *edge)
{
    search *s = ctx;
    /* A thread of the application that spawns at this moment may be writing the edge: a number that means nothing is passed over. */
    if (edge->predecessor == 0 || edge->predecessor > pl_slab_count(&s->rt->slabs))
        return;
    pl_task *task = pl_slot_at(&s->rt->slabs, edge->predecessor);
    parla_task handle = {task, edge->predecessor_gen};
    if (!s->found && !pl_handle_has_ended(handle))
        s->found = task;
}

static pl_task *waits_for(parla_runtime *rt, pl_task *task)
{
    search s = {.rt = rt};
    parla_task_state state = pl_task_state(task);
    if (state == PARLA_TASK_WAITING || state == PARLA_TASK_SUSPENDED || state == PARLA_TASK_RESERVED)
        pl_task_each_edge(&rt->slabs, task, look_at_edge, &s);
    return s.found;
}

static void add_chain(report *r, parla_runtime *rt, pl_task *task)
{
    pl_task *met[MAX_STEPS];
    int n = 0;
    add_name(r, task);
    while (n < MAX_STEPS) {
        met[n++] = task;
        pl_task *next = waits_for(rt, task);
        if (!next)
            break;
        add(r, " waits for ");
        add_name(r, next);
        for (int i = 0; i < n; i++)
            if (met[i] == next) {
                add(r, ": a cycle");
                return;
            }
        task = next;
    }
    parla_task_state state = pl_task_state(task);
    if (state == PARLA_TASK_CREATED)
        add(r, ", which was never spawned");
    else if (state == PARLA_TASK_WAITING && !waits_for(rt, task))
        add(r, ", which waits for resources of its devices");
    else
        add(r, " (%s)", parla_task_state_name(state));
}

static bool is_unfinished(pl_task *task)
{
    parla_task_state state = pl_task_state(task);
    return pl_load_acquire(&task->refs_shared) > 0 &&
           (state == PARLA_TASK_WAITING || state == PARLA_TASK_SUSPENDED || state == PARLA_TASK_RESERVED);
}

void pl_log_unfinished(parla_runtime *rt)
{
    uint32_t n_slots = pl_slab_count(&rt->slabs);
    for (uint32_t i = 1; i <= n_slots; i++) {
        pl_task *task = pl_slot_at(&rt->slabs, i);
        parla_task_state state = pl_task_state(task);
        if (pl_load_acquire(&task->refs_shared) == 0 || (state != PARLA_TASK_RUNNING && state != PARLA_TASK_LAUNCHED))
            continue;
        report r = {.length = 0};
        add_name(&r, task);
        parla_log(PARLA_LOG_WARN, "the end of the runtime waits for %s, which is %s; Ctrl-\\ ends the process", r.text,
                  state == PARLA_TASK_RUNNING ? "still in its body" : "held by something outside");
        return;
    }
}

int pl_report_stuck(parla_runtime *rt, const parla_task *awaited)
{
    report r = {.length = 0};
    size_t n = 0;
    pl_task *first = awaited ? pl_task_of(*awaited) : NULL;
    uint32_t n_slots = pl_slab_count(&rt->slabs);
    for (uint32_t i = 1; i <= n_slots; i++) {
        pl_task *task = pl_slot_at(&rt->slabs, i);
        if (is_unfinished(task) && (task->flags & PL_FLAG_COUNTED)) {
            n++;
            if (!first)
                first = task;
        }
    }
    if (n > 0)
        add(&r, "nothing runs and nothing can start, but %zu task%s unfinished: ", n, n == 1 ? " is" : "s are");
    else
        add(&r, "nothing runs and nothing can start; this was waited for: ");
    if (first)
        add_chain(&r, rt, first);
    return pl_error_set(PARLA_E_STUCK, "%s", r.text);
}
