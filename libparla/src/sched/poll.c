/* poll.c - progress functions: a short list under a lock that nobody waits for while working.
 *
 * Whoever gets the lock calls all functions; others go on, since somebody is polling. kick marks that something is pending and wakes a
 * sleeper, which then polls before it sleeps again.
 *
 * While something is pending one idle worker watches (worker.c): it sleeps 50 us at a time, the others until they are woken. Who has seen
 * something pending and goes to work reminds: it marks as a kick does, and wakes a sleeper unless somebody watches. So while something is
 * pending and a worker idle, somebody watches, or has just been woken to. A worker on its way to sleep announces itself (park.h) and then
 * looks at the mark: before the announcement the mark tells it, after it the wake-up; and whoever took the mark away has seen what is
 * pending and will watch or remind. Who finds is_watched set sleeps for good, announced: who watched will find it when it reminds. */
#include "base/error.h"
#include "sched/runtime.h"

#include <parla/poll.h>
#include <stdlib.h>

struct parla_poll {
    parla_runtime *rt;
    parla_poll_function function;
    void *ctx;
    parla_poll *next;
};

bool pl_poll_all(parla_runtime *rt)
{
    if (pthread_mutex_trylock(&rt->poll_lock))
        return true; /* somebody is at it, and may be busy with a body before the next time */
    pl_store_seq(&rt->polls_pending, false);
    bool is_pending = false;
    for (parla_poll *poll = rt->polls; poll; poll = poll->next)
        is_pending |= poll->function(poll->ctx) >= 0;
    pthread_mutex_unlock(&rt->poll_lock);
    return is_pending || pl_load_seq(&rt->polls_pending);
}

int parla_poll_add(parla_runtime *rt, parla_poll **out, parla_poll_function function, void *ctx)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    if (!function)
        return pl_error_set(PARLA_E_INVALID, "a progress function is needed");
    parla_poll *poll = malloc(sizeof *poll);
    if (!poll)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a progress function");
    *poll = (parla_poll){.rt = rt, .function = function, .ctx = ctx};
    pthread_mutex_lock(&rt->poll_lock);
    poll->next = rt->polls;
    rt->polls = poll;
    pl_add_seq(&rt->n_polls, 1);
    pthread_mutex_unlock(&rt->poll_lock);
    *out = poll;
    parla_poll_kick(poll);
    return 0;
}

void parla_poll_kick(parla_poll *poll)
{
    parla_runtime *rt = poll->rt;
    if (pl_runtime_check(rt))
        return;
    pl_store_seq(&rt->polls_pending, true);
    pl_park_wake_one(&rt->park);
}

void pl_poll_remind(parla_runtime *rt)
{
    pl_store_seq(&rt->polls_pending, true);
    /* Who watches looks again, or hands over, after this store; who spins looks again, or passes it on. */
    if (!pl_load_seq(&rt->is_watched) && pl_load_seq(&rt->n_spinning) == 0)
        pl_park_wake_one(&rt->park);
}

void parla_poll_remove(parla_poll *poll)
{
    if (!poll || pl_runtime_check(poll->rt)) /* in a forked child the lock may be held for ever */
        return;
    parla_runtime *rt = poll->rt;
    pthread_mutex_lock(&rt->poll_lock);
    parla_poll **at = &rt->polls;
    while (*at != poll)
        at = &(*at)->next;
    *at = poll->next;
    pl_sub_seq(&rt->n_polls, 1);
    pthread_mutex_unlock(&rt->poll_lock);
    free(poll);
}
