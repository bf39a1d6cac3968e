/* registry.h - all contexts of the process, and whose the CPUs are. */
#ifndef PL_VLC_REGISTRY_H
#define PL_VLC_REGISTRY_H

#include "vlc/context.h"

void pl_vlc_registry_lock(void);
void pl_vlc_registry_unlock(void);

/* The rest needs the lock. */

/* Chooses the CPUs that the options ask for; *out_is_claimed says whether they are to be counted. Codes with words. */
int pl_vlc_choose_cpus_locked(const parla_vlc_options *options, pl_cpus *out, bool *out_is_claimed);

/* Counts the context's CPUs as taken (n = 1) or given back (n = -1), if it has claims. */
void pl_vlc_claim_locked(const parla_vlc *vlc, int n);

void pl_vlc_list_add_locked(parla_vlc *vlc);

parla_vlc *pl_vlc_list_first_locked(void);

/* A number for a context without a name. */
int pl_vlc_next_number_locked(void);

#endif
