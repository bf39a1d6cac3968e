/* vlc_fixture.h - contexts with the guest library in them. */
#ifndef PARLA_TEST_VLC_FIXTURE_H
#define PARLA_TEST_VLC_FIXTURE_H

#include <parla/parla.h>

#include "guest.h"
#include "test.h"
#include "vlc/cpus.h"
#include "vlc/thread_cpus.h"

/* A function of a library of a context: GUEST_OF(vlc, guest_cpus)(out). */
#define GUEST_OF(vlc, function) ((__typeof__(&function))symbol_of((vlc), #function))

static inline void *symbol_of(parla_vlc *vlc, const char *name)
{
    void *found = NULL;
    T_OK(parla_vlc_symbol(vlc, NULL, name, &found));
    return found;
}

/* A context with so many CPUs, which other contexts may have too: tests run on machines with few. */
static inline parla_vlc *make_context(int n_cpus)
{
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc *vlc = NULL;
    options.n_cpus = n_cpus;
    options.flags = PARLA_VLC_SHARE;
    T_OK(parla_vlc_create(&vlc, &options));
    return vlc;
}

static inline parla_vlc *make_guest(int n_cpus)
{
    parla_vlc *vlc = make_context(n_cpus);
    T_OK(parla_vlc_open(vlc, NULL, T_GUEST));
    return vlc;
}

static inline int n_process_cpus(void)
{
    pl_cpus cpus;
    T_EQ(pl_process_cpus(&cpus), 0);
    return pl_cpus_count(&cpus);
}

static inline parla_vlc_info info_of(parla_vlc *vlc)
{
    parla_vlc_info info = {.size = sizeof info};
    T_OK(parla_vlc_query(vlc, &info));
    return info;
}

static inline parla_vlc_limits limits_now(void)
{
    parla_vlc_limits limits = {.size = sizeof limits};
    T_OK(parla_vlc_query_limits(&limits));
    return limits;
}

#endif
