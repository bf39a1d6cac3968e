/* registry.c - one list of contexts, alive and parked, and a count for each CPU of the contexts that have it to themselves.
 *
 * One mutex guards both. It is held while a namespace is opened or closed, which the dynamic linker serialises anyway; entering, leaving and
 * looking up do not take it. A forked child starts with an empty registry: the parent's contexts have lost their threads there.
 *
 * At the end of the process each context's standard output is flushed, by a destructor of this library: the destructors of libraries
 * inside have run by then (the dynamic linker goes through the namespaces from the last to the first), and nothing is unmapped. What the parent
 * of a forked child has not written is the parent's to write: those contexts are not in the child's registry. */
#include "vlc/registry.h"

#include "base/break.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/lock.h"
#include "vlc/thread_cpus.h"

#include <limits.h>
#include <string.h>

static void forget_in_child(void);

static pl_lock lock = PL_LOCK_INIT(forget_in_child);
static parla_vlc *first;
static int n_named;
static short claims[PL_CPUS_MAX];

static _Atomic int n_forks;

int pl_vlc_process(void) { return pl_load_relaxed(&n_forks); }

static void forget_in_child(void)
{
    pl_add_relaxed(&n_forks, 1);
    first = NULL;
    memset(claims, 0, sizeof claims);
}

void pl_vlc_registry_lock(void) { pl_lock_take(&lock); }
void pl_vlc_registry_unlock(void) { pl_lock_give(&lock); }

/* A thread that was stopped in the middle of an opening must not keep the process from ending. */
__attribute__((destructor)) static void flush_at_exit(void)
{
    if (!pl_lock_take_until(&lock, pl_now_ns() + 1000000000u))
        return;
    for (parla_vlc *vlc = first; vlc; vlc = vlc->next) {
        pl_vlc_step_in(vlc);
        vlc->space.inside->flush();
        pl_vlc_step_out(vlc);
    }
    pl_lock_give(&lock);
}

/* --- The list ---------------------------------------------------------------------------------------------------------------- */

void pl_vlc_list_add_locked(parla_vlc *vlc)
{
    vlc->next = first;
    first = vlc;
}

parla_vlc *pl_vlc_list_first_locked(void) { return first; }

int pl_vlc_next_number_locked(void) { return n_named++; }

/* --- CPUs -------------------------------------------------------------------------------------------------------------------- */

void pl_vlc_claim_locked(const parla_vlc *vlc, int n)
{
    for (int i = 0; vlc->has_claims && !pl_is_broken(PL_BREAK_VLC_CLAIM) && i < PL_CPUS_MAX; i++)
        if (pl_cpus_has(&vlc->cpus, i))
            claims[i] = (short)(claims[i] + n);
}

static int choose_named(const char *text, const pl_cpus *ours, pl_cpus *out)
{
    char list[PL_CPUS_TEXT];
    pl_cpus asked;
    pl_cpus_format(ours, list, sizeof list);
    if (!pl_cpus_parse(text, &asked))
        return pl_error_set(PARLA_E_INVALID, "cpus='%s': expected a list of CPUs such as 0-3,8, out of %s", text, list);
    pl_cpus both = pl_cpus_and(&asked, ours);
    if (!pl_cpus_equal(&both, &asked))
        return pl_error_set(PARLA_E_INVALID, "cpus='%s': this process may use CPUs %s only", text, list);
    *out = asked;
    return 0;
}

/* Adds free CPUs up to n, those with the fewest claims first if they may be shared. Returns how many there are. */
static int pick(int n, const pl_cpus *ours, bool is_shared, pl_cpus *out)
{
    int n_picked = 0;
    for (int most = 0; n_picked < n && most <= (is_shared ? SHRT_MAX : 0); most++) {
        bool is_beyond = true;
        for (int i = 0; i < PL_CPUS_MAX && n_picked < n; i++) {
            if (!pl_cpus_has(ours, i))
                continue;
            is_beyond = is_beyond && claims[i] < most;
            if (claims[i] == most) {
                pl_cpus_add(out, i);
                n_picked++;
            }
        }
        if (is_beyond)
            break;
    }
    return n_picked;
}

int pl_vlc_choose_cpus_locked(const parla_vlc_options *options, pl_cpus *out, bool *out_is_claimed)
{
    pl_cpus ours, picked = {{0}};
    int n = options->n_cpus;
    if (pl_process_cpus(&ours))
        return pl_error_set(PARLA_E_SYSTEM, "the process's CPUs cannot be read: %m");
    *out_is_claimed = options->cpus || n > 0;
    if (options->cpus)
        return choose_named(options->cpus, &ours, out);
    if (n < 0)
        return pl_error_set(PARLA_E_INVALID, "n_cpus is %d, expected at least 1, or 0 for all of the process", n);
    if (n == 0) {
        *out = ours;
        return 0;
    }
    int n_ours = pl_cpus_count(&ours), n_picked = pick(n, &ours, options->flags & PARLA_VLC_SHARE, &picked);
    if (n_picked < n)
        return pl_error_set(PARLA_E_RESOURCES, "%d CPUs were asked for, %d of the process's %d are in no other context%s", n,
                            n_picked, n_ours, n <= n_ours ? "; PARLA_VLC_SHARE takes others too" : "");
    *out = picked;
    return 0;
}
