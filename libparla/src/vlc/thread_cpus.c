/* thread_cpus.c - system calls, and one note about the main thread.
 *
 * A process has no mask of its own: its main thread's is taken for it, as launchers and taskset do. While the main thread is in a context its
 * mask is the context's, so what it had before is noted here; only the main thread writes the note, word by word, and `has_note` after it. */
#include "vlc/thread_cpus.h"

#include "base/atomic.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int pl_thread_cpus(pl_cpus *out)
{
    pl_cpus set = {{0}};
    if (syscall(SYS_sched_getaffinity, 0, sizeof set, set.words) < 0)
        return -1;
    *out = set;
    return 0;
}

int pl_thread_pin(const pl_cpus *set) { return (int)syscall(SYS_sched_setaffinity, 0, sizeof *set, set->words); }

/* --- The process ------------------------------------------------------------------------------------------------------------- */

static _Atomic bool has_note;
static _Atomic uint64_t note[PL_CPU_WORDS];

static bool is_main_thread(void)
{
    static _Thread_local int
        known; /* 0: not asked yet; 1: no; 2: yes. A forked child's only thread keeps its answer, at worst "no" */
    if (known == 0)
        known = syscall(SYS_gettid) == getpid() ? 2 : 1;
    return known == 2;
}

void pl_process_cpus_note(const pl_cpus *outside)
{
    if (!is_main_thread())
        return;
    for (int i = 0; outside && i < PL_CPU_WORDS; i++)
        pl_store_relaxed(&note[i], outside->words[i]);
    pl_store_release(&has_note, outside != NULL); /* pairs with pl_process_cpus: the words before the flag */
}

int pl_process_cpus(pl_cpus *out)
{
    pl_cpus set = {{0}};
    if (pl_load_acquire(&has_note)) {
        for (int i = 0; i < PL_CPU_WORDS; i++)
            set.words[i] = pl_load_relaxed(&note[i]);
    } else if (syscall(SYS_sched_getaffinity, getpid(), sizeof set, set.words) < 0) {
        return -1;
    }
    *out = set;
    return 0;
}

/* --- Memory ------------------------------------------------------------------------------------------------------------------ */

void pl_nodes_of(const pl_cpus *set, uint64_t nodes[PL_CPU_WORDS])
{
    bool is_any = false;
    memset(nodes, 0, PL_CPU_WORDS * sizeof nodes[0]);
    for (int i = 0; i < PL_CPUS_MAX; i++) {
        char path[64], list[PL_CPUS_TEXT] = "";
        pl_cpus cpus;
        snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", i);
        FILE *file = fopen(path, "re");
        if (!file) {
            if (i >= 64)
                break; /* numbers may have gaps */
            continue;
        }
        bool is_read = fgets(list, sizeof list, file) != NULL;
        fclose(file);
        if (!is_read || !pl_cpus_parse(list, &cpus))
            continue;
        cpus = pl_cpus_and(&cpus, set);
        if (pl_cpus_count(&cpus) > 0) {
            nodes[i / 64] |= UINT64_C(1) << (i % 64);
            is_any = true;
        }
    }
    nodes[0] |= !is_any;
}

int pl_thread_memory(int *policy, uint64_t nodes[PL_CPU_WORDS])
{
    memset(nodes, 0, PL_CPU_WORDS * sizeof nodes[0]);
    return (int)syscall(SYS_get_mempolicy, policy, nodes, (unsigned long)PL_CPUS_MAX, NULL, 0UL);
}

/* The kernel reads one bit less than it is told. A policy without nodes takes none. */
int pl_thread_memory_set(int policy, const uint64_t nodes[PL_CPU_WORDS])
{
    bool is_any = false;
    for (int i = 0; i < PL_CPU_WORDS; i++)
        is_any = is_any || nodes[i] != 0;
    return (int)syscall(SYS_set_mempolicy, policy, is_any ? nodes : NULL, is_any ? (unsigned long)PL_CPUS_MAX + 1 : 0UL);
}
