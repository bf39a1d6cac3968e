/* space.c - names for tasks: a map from tuples of integers to tasks, and the strings that those tasks are called.
 *
 * A lock guards the map; tasks are created under it, so a name has one task at a time. The space holds a reference on each.
 *
 * A task borrows its name, and may outlive its space or its place in it. So the string of a task that is let go is freed if the
 * task's memory was recycled at once, and goes to a list of the process otherwise. The list is swept when it has grown twice as
 * long as the last sweep left it: strings are freed whose task was recycled meanwhile or whose runtime is gone. Locks, in this
 * order: a space's, kept.lock, the registry's. */
#include "base/error.h"
#include "base/lock.h"
#include "base/map.h"
#include "sched/runtime.h"
#include "task/task.h"

#include <parla/space.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_FIRST = 64, NUMBER_BYTES = 21 /* "_-9223372036854775808" */ };

/* One task with its name. In a space's map, or in the list of the process. */
typedef struct entry {
    parla_task task;
    uint64_t rt_id;
    struct entry *next_kept;
    bool is_in_use; /* while the list is swept */
    char name[];
} entry;

struct parla_space {
    parla_runtime *rt;
    pthread_mutex_t lock;
    pl_map map; /* under lock: tuple to entry */
    char name[];
};

static void forget_kept(void);

static struct {
    pl_lock lock;
    entry *first; /* this and the next two: under lock */
    size_t n, sweep_at;
} kept = {.lock = PL_LOCK_INIT(forget_kept), .sweep_at = SWEEP_FIRST};

/* In a forked child: the names are the parent's, leaked quietly. */
static void forget_kept(void)
{
    kept.first = NULL;
    kept.n = 0;
    kept.sweep_at = SWEEP_FIRST;
}

/* --- Names that outlive their place in a space ------------------------------------------------------------------------------ */

/* Nobody reads the name of a task whose slot has moved on to another generation. The runtime is alive. */
static bool is_recycled(parla_task task)
{
    return pl_head_generation(pl_load_acquire(&pl_task_of(task)->head_shared)) != (uint32_t)task.generation;
}

/* Called for each living runtime, on the thread that holds kept.lock. */
static void mark_in_use(parla_runtime *rt)
{
    for (entry *one = kept.first; one; one = one->next_kept)
        if (one->rt_id == rt->id)
            one->is_in_use = !is_recycled(one->task);
}

static void sweep_locked(void)
{
    for (entry *one = kept.first; one; one = one->next_kept)
        one->is_in_use = false;
    pl_registry_each(mark_in_use);
    entry **link = &kept.first;
    while (*link) {
        entry *one = *link;
        if (one->is_in_use) {
            link = &one->next_kept;
            continue;
        }
        *link = one->next_kept;
        kept.n--;
        free(one);
    }
    kept.sweep_at = 2 * kept.n + SWEEP_FIRST;
}

/* Drops the space's reference on a task; its name is freed now or later. */
static void let_go(entry *one)
{
    parla_task_unref(one->task);
    if (is_recycled(one->task)) {
        free(one);
        return;
    }
    pl_lock_take(&kept.lock);
    one->next_kept = kept.first;
    kept.first = one;
    if (++kept.n >= kept.sweep_at)
        sweep_locked();
    pl_lock_give(&kept.lock);
}

/* --- Create and destroy ------------------------------------------------------------------------------------------------------ */

int parla_space_create(parla_space **out, parla_runtime *rt, const char *name)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    const char *text = name ? name : "task";
    parla_space *space = calloc(1, sizeof *space + strlen(text) + 1);
    if (!space)
        return pl_error_set(PARLA_E_NOMEM, "no memory for space %s", text);
    strcpy(space->name, text);
    space->rt = rt;
    pl_map_init(&space->map);
    pthread_mutex_init(&space->lock, NULL);
    *out = space;
    return 0;
}

void parla_space_destroy(parla_space *space)
{
    if (!space || pl_runtime_check(space->rt))
        return; /* in a forked child everything is left alone */
    for (size_t i = 0; i < pl_map_count(&space->map); i++)
        let_go(pl_map_value(&space->map, i));
    pl_map_fini(&space->map);
    pthread_mutex_destroy(&space->lock);
    free(space);
}

/* --- Names ------------------------------------------------------------------------------------------------------------------- */

static int check_name(const parla_space *space, int n_index)
{
    int error = pl_runtime_check(space->rt);
    if (error)
        return error; /* another thread of the parent may have held the lock */
    if (n_index < 1 || n_index > PARLA_SPACE_MAX_NDIM)
        return pl_error_set(PARLA_E_INVALID, "a name of %d numbers was asked for; 1 to %d are possible", n_index,
                            PARLA_SPACE_MAX_NDIM);
    return 0;
}

/* A new task with its name. */
static int create_entry(const parla_space *space, const int64_t *index, int n_index, entry **out)
{
    size_t capacity = strlen(space->name) + (size_t)n_index * NUMBER_BYTES + 1;
    entry *one = calloc(1, sizeof *one + capacity);
    if (!one)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a name in space %s", space->name);
    size_t length = (size_t)snprintf(one->name, capacity, "%s", space->name);
    for (int k = 0; k < n_index; k++)
        length += (size_t)snprintf(one->name + length, capacity - length, "_%" PRId64, index[k]);
    one->rt_id = space->rt->id;
    int error = parla_task_create(space->rt, &one->task, one->name);
    if (error) {
        free(one);
        return error;
    }
    *out = one;
    return 0;
}

static int add_locked(parla_space *space, const int64_t *index, int n_index, entry **out)
{
    entry *one;
    int error = create_entry(space, index, n_index, &one);
    if (error)
        return error;
    error = pl_map_insert(&space->map, index, (size_t)n_index * sizeof *index, one);
    if (error) {
        let_go(one);
        return error;
    }
    *out = one;
    return 0;
}

/* Puts a new task in the place of one that has ended. */
static int renew_locked(parla_space *space, const int64_t *index, int n_index, entry **inout)
{
    entry *fresh;
    int error = create_entry(space, index, n_index, &fresh);
    if (error)
        return error;
    pl_map_replace(&space->map, index, (size_t)n_index * sizeof *index, fresh);
    let_go(*inout);
    *inout = fresh;
    return 0;
}

static int look_up(parla_space *space, const int64_t *index, int n_index, bool may_renew, parla_task *out)
{
    int error = check_name(space, n_index);
    if (error)
        return error;
    pthread_mutex_lock(&space->lock);
    entry *one = pl_map_find(&space->map, index, (size_t)n_index * sizeof *index);
    if (!one)
        error = add_locked(space, index, n_index, &one);
    else if (may_renew && parla_task_has_ended(one->task))
        error = renew_locked(space, index, n_index, &one);
    if (!error)
        *out = one->task;
    pthread_mutex_unlock(&space->lock);
    return error;
}

int parla_space_at(parla_space *space, const int64_t *index, int n_index, parla_task *out)
{
    return look_up(space, index, n_index, false, out);
}

int parla_space_renew(parla_space *space, const int64_t *index, int n_index, parla_task *out)
{
    return look_up(space, index, n_index, true, out);
}

int parla_space_find(parla_space *space, const int64_t *index, int n_index, parla_task *out)
{
    int error = check_name(space, n_index);
    if (error)
        return error;
    pthread_mutex_lock(&space->lock);
    entry *one = pl_map_find(&space->map, index, (size_t)n_index * sizeof *index);
    if (one)
        *out = one->task;
    pthread_mutex_unlock(&space->lock);
    return one ? 0 : PARLA_PENDING;
}

/* --- All of them ------------------------------------------------------------------------------------------------------------- */

size_t parla_space_tasks(parla_space *space, parla_task *out, size_t capacity)
{
    if (pl_runtime_check(space->rt))
        return 0;
    pthread_mutex_lock(&space->lock);
    size_t n = pl_map_count(&space->map);
    for (size_t i = 0; i < n && i < capacity; i++)
        out[i] = ((entry *)pl_map_value(&space->map, i))->task;
    pthread_mutex_unlock(&space->lock);
    return n;
}

int parla_space_wait(parla_space *space, int64_t timeout_ns)
{
    size_t capacity = parla_space_tasks(space, NULL, 0);
    parla_task *tasks = malloc((capacity + 1) * sizeof *tasks);
    if (!tasks)
        return pl_error_set(PARLA_E_NOMEM, "no memory to wait for the %zu tasks of space %s", capacity, space->name);
    size_t n = parla_space_tasks(space, tasks, capacity);
    int error = parla_task_wait(space->rt, tasks, n < capacity ? n : capacity, timeout_ns);
    free(tasks);
    return error;
}
