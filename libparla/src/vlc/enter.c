/* enter.c - a thread's stay in a context.
 *
 * Each stay holds a reference on the context, so that destroying it waits for the last thread to leave. The chain of a thread's stays hangs
 * on `current`, innermost first, and lies in the callers' memory.
 *
 * The mask is read when a stay begins, since somebody else may have bound the thread meanwhile; it is written only where the context's
 * differs, so a worker that is bound to the context's CPUs already pays one system call. A stay in the context that the thread is in
 * anyway costs none. */
#include "base/break.h"
#include "base/error.h"
#include "vlc/context.h"
#include "vlc/thread_cpus.h"

#include <linux/mempolicy.h>
#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(((parla_vlc_entry *)NULL)->cpus) == sizeof(pl_cpus), "a stay remembers a set of CPUs");

/* Bits of parla_vlc_entry.flags: what leaving has to undo. */
enum { CPUS = 1, MEMORY = 2 };

static _Thread_local parla_vlc_entry *current;

parla_vlc *parla_vlc_current(void) { return current ? current->vlc : NULL; }

static int bind_cpus(const parla_vlc *vlc, parla_vlc_entry *entry)
{
    pl_cpus now;
    if (pl_thread_cpus(&now))
        return pl_error_set(PARLA_E_SYSTEM, "the thread's CPUs cannot be read: %m");
    if (!entry->outer)
        pl_process_cpus_note(&now);
    if (pl_cpus_equal(&now, &vlc->cpus))
        return 0;
    if (pl_thread_pin(&vlc->cpus))
        return pl_error_set(PARLA_E_SYSTEM,
                            "context %s: the thread cannot be bound to CPUs %s, which the process had when it was made: %m",
                            vlc->name, vlc->cpus_text);
    memcpy(entry->cpus, now.words, sizeof entry->cpus);
    entry->flags |= CPUS;
    return 0;
}

static int policy_of(parla_vlc_memory memory)
{
    static const int policies[] = {MPOL_DEFAULT, MPOL_LOCAL, MPOL_BIND, MPOL_PREFERRED_MANY, MPOL_INTERLEAVE};
    return policies[memory];
}

/* A policy is a wish: a kernel that refuses it (seccomp of a container; PREFERRED_MANY before 5.15) was asked when the context was made. */
static void bind_memory(const parla_vlc *vlc, parla_vlc_entry *entry)
{
    static const uint64_t none[PL_CPU_WORDS];
    bool has_nodes = vlc->memory != PARLA_VLC_MEMORY_LOCAL;
    if (pl_thread_memory(&entry->memory, entry->nodes) == 0 &&
        pl_thread_memory_set(policy_of(vlc->memory), has_nodes ? vlc->nodes : none) == 0)
        entry->flags |= MEMORY;
}

static void unbind(const parla_vlc_entry *entry)
{
    if (entry->flags & MEMORY)
        (void)pl_thread_memory_set(entry->memory, entry->nodes);
    if ((entry->flags & CPUS) && !pl_is_broken(PL_BREAK_VLC_UNBIND))
        (void)pl_thread_pin((const pl_cpus *)entry->cpus);
    if (!entry->outer)
        pl_process_cpus_note(NULL);
}

int parla_vlc_enter(parla_vlc *vlc, parla_vlc_entry *entry)
{
    int error = pl_vlc_check(vlc);
    if (error)
        return error;
    entry->vlc = vlc;
    entry->outer = current;
    entry->flags = 0;
    bool is_in_it = current && current->vlc == vlc;
    if (!is_in_it && (error = bind_cpus(vlc, entry)) != 0) {
        if (!entry->outer)
            pl_process_cpus_note(NULL);
        return error;
    }
    if (!is_in_it && vlc->memory != PARLA_VLC_MEMORY_INHERIT)
        bind_memory(vlc, entry);
    pl_add_acq_rel(&vlc->refs_shared, pl_is_broken(PL_BREAK_VLC_STAY) ? 0 : 1);
    current = entry;
    vlc->space.inside->enter();
    return 0;
}

void parla_vlc_leave(parla_vlc_entry *entry)
{
    if (entry != current) {
        (void)pl_error_set(PARLA_E_STATE, "parla_vlc_leave: this stay is not the calling thread's latest one");
        return;
    }
    parla_vlc *vlc = entry->vlc;
    vlc->space.inside->leave();
    current = entry->outer;
    unbind(entry);
    if (pl_sub_acq_rel(&vlc->refs_shared, pl_is_broken(PL_BREAK_VLC_STAY) ? 0 : 1) == 1)
        pl_vlc_retire(vlc);
}
