/* failures.c - what is remembered of tasks that did not succeed.
 *
 * Two lists under one lock. `unseen`: failures that nobody has looked at, oldest first, for the end of the program. `remembered`: the last
 * PL_MAX_REMEMBERED tasks that failed or were cancelled, each with a reference, so that their names go on telling how they ended; older ones
 * are forgotten, and then read as done. An ended task is in no other list, so `link` is free for this one. */
#include "sched/runtime.h"
#include "task/failure.h"

#include <stdlib.h>

typedef struct pl_unseen {
    parla_failure *failure; /* a reference */
    struct pl_unseen *next;
} pl_unseen;

static void add_unseen(parla_runtime *rt, parla_failure *failure)
{
    pl_unseen *entry = malloc(sizeof *entry);
    if (!entry)
        return; /* the failure stays with its task */
    *entry = (pl_unseen){.failure = parla_failure_ref(failure)};
    pthread_mutex_lock(&rt->failure_lock);
    *rt->unseen_end = entry;
    rt->unseen_end = &entry->next;
    rt->n_unseen++;
    pthread_mutex_unlock(&rt->failure_lock);
}

static void remember(parla_runtime *rt, pl_worker *self, pl_task *task)
{
    pl_task_ref(task);
    task->link = NULL;
    pl_task *forgotten = NULL;
    pthread_mutex_lock(&rt->failure_lock);
    *rt->remembered_end = task;
    rt->remembered_end = &task->link;
    if (++rt->n_remembered > PL_MAX_REMEMBERED) {
        forgotten = rt->remembered;
        rt->remembered = forgotten->link;
        rt->n_remembered--;
    }
    pthread_mutex_unlock(&rt->failure_lock);
    if (forgotten)
        pl_unpin(rt, self, forgotten);
}

void pl_failures_add(parla_runtime *rt, pl_worker *self, pl_task *task, parla_failure *failure)
{
    remember(rt, self, task);
    if (failure && !failure->cause && failure->code != PARLA_E_CANCELLED)
        add_unseen(rt, failure);
}

/* Takes the seen failures out of the list, and with `one` the oldest unseen one. */
static pl_unseen *take(parla_runtime *rt, bool one, pl_unseen **out)
{
    pl_unseen *seen = NULL;
    *out = NULL;
    pthread_mutex_lock(&rt->failure_lock);
    pl_unseen **at = &rt->unseen;
    while (*at) {
        pl_unseen *entry = *at;
        bool is_seen = pl_failure_is_seen(entry->failure);
        if (!is_seen && (!one || *out)) {
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        rt->n_unseen--;
        entry->next = is_seen ? seen : NULL;
        *(is_seen ? &seen : out) = entry;
    }
    rt->unseen_end = at;
    rt->n_since_seen = 0;
    pthread_mutex_unlock(&rt->failure_lock);
    return seen;
}

static void drop(pl_unseen *list)
{
    while (list) {
        pl_unseen *next = list->next;
        parla_failure_unref(list->failure);
        free(list);
        list = next;
    }
}

void pl_failures_seen(parla_runtime *rt, const parla_failure *failure)
{
    if (pl_failure_is_seen(failure))
        return;
    pl_failure_mark_seen(failure);
    pthread_mutex_lock(&rt->failure_lock);
    bool is_worth_it = 2 * ++rt->n_since_seen >= rt->n_unseen; /* else looking at each of many would walk the list each time */
    pthread_mutex_unlock(&rt->failure_lock);
    pl_unseen *none;
    if (is_worth_it)
        drop(take(rt, false, &none));
}

int parla_runtime_take_failure(parla_runtime *rt, parla_failure **out)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pl_unseen *entry;
    drop(take(rt, true, &entry));
    if (!entry)
        return PARLA_PENDING;
    *out = parla_failure_ref(entry->failure);
    pl_failure_mark_seen(entry->failure);
    drop(entry);
    return 0;
}

void pl_failures_fini(parla_runtime *rt)
{
    drop(rt->unseen);
    rt->unseen = NULL;
    rt->unseen_end = &rt->unseen;
}
