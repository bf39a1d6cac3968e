/* context.h - a context as the files of this folder see it. */
#ifndef PL_VLC_CONTEXT_H
#define PL_VLC_CONTEXT_H

#include "base/atomic.h"
#include "vlc/loader.h"

#include <parla/vlc.h>

#include <pthread.h>

typedef struct pl_vlc_library {
    char *name;
    void *handle;
} pl_vlc_library;

struct parla_vlc {
    _Atomic int refs_shared; /* the owner, and each stay */
    int process;             /* pl_vlc_process() where it was made */

    /* Constant while it is alive. */
    char *name, *cpus_text;
    pl_cpus cpus;
    bool has_claims; /* its CPUs are counted in the registry */
    bool is_reused;
    parla_vlc_memory memory;
    uint64_t nodes[PL_CPU_WORDS];  /* memory nodes of its CPUs; for a policy only */
    char **environment, **globals; /* lists that end with NULL; globals may be NULL */
    pl_vlc_start start;
    const pl_vlc_loader *loader;
    pl_vlc_space space;

    /* Under lock. */
    pthread_mutex_t lock;
    pl_vlc_library *libraries;
    int n_libraries;

    /* Under the registry's lock. */
    bool is_parked;
    struct parla_vlc *next;
};

/* Counts forks: differs between a process and its forked child. */
int pl_vlc_process(void);

/* 0, or PARLA_E_INVALID for NULL, PARLA_E_FORKED. */
int pl_vlc_check(const parla_vlc *vlc);

/* The last reference is gone: parks it. */
void pl_vlc_retire(parla_vlc *vlc);

/* Between enter and leave of another kind, without binding the thread: for calls of the shim that need its C library. */
void pl_vlc_step_in(const parla_vlc *vlc);
void pl_vlc_step_out(const parla_vlc *vlc);

#endif
