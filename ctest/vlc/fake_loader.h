/* fake_loader.h - namespaces without a dynamic linker, for sanitizers that cannot follow dlmopen: the shim's table filled with counters. */
#ifndef PARLA_TEST_VLC_FAKE_LOADER_H
#define PARLA_TEST_VLC_FAKE_LOADER_H

#include "base/atomic.h"
#include "vlc/loader.h"

#include "test.h"

#include <stdio.h>

static _Atomic int fake_inside, fake_spaces, fake_loaded;

static void fake_enter(void) { pl_add_acq_rel(&fake_inside, 1); }
static void fake_leave(void) { pl_sub_acq_rel(&fake_inside, 1); }
static void fake_nothing(void) {}
static int fake_none(void) { return 0; }

static void *fake_open(const char *library)
{
    (void)library;
    pl_add_acq_rel(&fake_loaded, 1);
    return &fake_loaded;
}

static int fake_close(void *library)
{
    (void)library;
    pl_sub_acq_rel(&fake_loaded, 1);
    return 0;
}

static const char *fake_error(void) { return "none"; }

static const pl_vlc_inside fake_shim = {.abi = PL_VLC_ABI,
                                        .enter = fake_enter,
                                        .leave = fake_leave,
                                        .pin_threads = fake_nothing,
                                        .n_threads = fake_none,
                                        .n_thread_objects = fake_none,
                                        .flush = fake_nothing,
                                        .open = fake_open,
                                        .close = fake_close,
                                        .error = fake_error,
                                        .end = fake_nothing,
                                        .renew = fake_nothing};

static int fake_space(pl_vlc_space *out, const char *const *globals, const pl_vlc_start *start)
{
    (void)globals;
    (void)start;
    T_LT(pl_add_acq_rel(&fake_spaces, 1), PL_VLC_MAX_SPACES);
    *out = (pl_vlc_space){&fake_spaces, &fake_shim};
    return 0;
}

static void fake_look(const pl_vlc_space *space, pl_vlc_contents *out)
{
    (void)space;
    *out = (pl_vlc_contents){.n_objects = 3};
}

static void *fake_symbol(void *library, const char *name)
{
    (void)library;
    (void)name;
    return NULL;
}

static const pl_vlc_loader fake_loader = {fake_space, fake_look, fake_symbol};

#endif
