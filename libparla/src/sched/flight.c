/* flight.c - what a runtime is at, for a last word before its process ends.
 *
 * Called while everything goes on, so no lock is taken, and a task may end and be recycled under our eyes: its name is copied first, and counts
 * only if the task is the same and still in flight afterwards, since a name is valid as long as that. The copy is made by the kernel, which
 * says so where the memory is gone. */
#include "sched/runtime.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_NAMED = 8, NAME_BYTES = 48 };

static bool is_in_flight(parla_task_state state)
{
    return state == PARLA_TASK_RUNNING || state == PARLA_TASK_LAUNCHED || state == PARLA_TASK_SUSPENDED;
}

/* Copies what may change or be gone. Returns how many bytes could be read. */
static size_t peek(void *out, const void *from, size_t n_bytes)
{
    struct iovec to = {.iov_base = out, .iov_len = n_bytes}, source = {.iov_base = (void *)(uintptr_t)from, .iov_len = n_bytes};
    ssize_t n = process_vm_readv(getpid(), &to, 1, &source, 1, 0);
    return n > 0 ? (size_t)n : 0;
}

/* Not beyond the string's page, since the next one may not exist. */
static void peek_name(char *out, const char *name)
{
    size_t to_page_end = 4096 - (uintptr_t)name % 4096;
    out[name ? peek(out, name, to_page_end < NAME_BYTES - 1 ? to_page_end : NAME_BYTES - 1) : 0] = '\0';
}

/* True if the task is in flight; `out` gets its name then. */
static bool look_at(pl_task *task, char *out)
{
    pl_task copy;
    parla_task before = pl_task_handle(task);
    if (pl_load_acquire(&task->refs_shared) == 0 || !is_in_flight(pl_task_state(task)))
        return false;
    bool is_known = peek(&copy, task, sizeof copy) == sizeof copy;
    if (is_known && !(copy.flags & PL_FLAG_COUNTED))
        return false;
    peek_name(out, is_known ? copy.name : NULL);
    if (!*out)
        snprintf(out, NAME_BYTES, "task %u", pl_slot_number(task));
    return pl_task_handle(task).generation == before.generation && is_in_flight(pl_task_state(task));
}

size_t parla_runtime_in_flight(parla_runtime *rt, char *out, size_t capacity)
{
    size_t n = 0, length = 0;
    if (capacity > 0)
        *out = '\0';
    if (pl_runtime_check(rt))
        return 0;
    uint32_t n_slots = pl_slab_count(&rt->slabs);
    for (uint32_t i = 1; i <= n_slots; i++) {
        char name[NAME_BYTES];
        if (!look_at(pl_slot_at(&rt->slabs, i), name) || ++n > MOST_NAMED + 1 || length >= capacity)
            continue;
        int added = snprintf(out + length, capacity - length, "%s%s", n > 1 ? ", " : "", n > MOST_NAMED ? "…" : name);
        length += added > 0 ? (size_t)added : 0;
    }
    return n;
}
