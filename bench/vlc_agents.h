/* vlc_agents.h - two sides of a program at once, in several arrangements of cores and copies.
 *
 *   partitioned     one process, a context with its part of the cores for each side
 *   unpartitioned   one process, a context with all cores for each side
 *   one copy        one process, one copy of the library without a context; in turns if it is not safe for two threads
 *   processes       a process for each side, bound to its part of the cores
 *   free processes  a process for each side, not bound
 *
 * Every arrangement lives in processes of its own, which are started once and work when they are told to: what one leaves spinning
 * does not share a libgomp, an allocator or a scheduler's history with another. */
#ifndef PARLA_BENCH_VLC_AGENTS_H
#define PARLA_BENCH_VLC_AGENTS_H

#include <parla/vlc.h>

#include <stdbool.h>

enum { BENCH_N_SIDES = 2 };

/* Where a side's copy of the library lies: in a context, or, with NULL, in the process itself. */
typedef struct bench_place {
    parla_vlc *vlc;
    void *library;
} bench_place;

/* A function of the library. Dies if there is none. */
void *bench_find(const bench_place *place, const char *symbol);

/* What a side does. */
typedef struct bench_load {
    const char *name;
    const char *library;                                        /* a path or a name; opened once for each place */
    const char *environment;                                    /* "NAME=value" for its processes, or NULL */
    void *(*prepare)(const bench_place *place, int side);       /* its state, which is never freed */
    void (*run)(void *state, int n_rounds);                     /* on the side's own thread */
    void (*team)(void (*body)(int side, void *arg), void *arg); /* calls body for all sides at once; NULL: threads that are kept */
    bool is_unsafe;                                             /* two threads must not be in one copy */
    int n_rounds;                                               /* of one run */
} bench_load;

/* Runs all arrangements in turn and prints their medians: partitioned beside each of the others and beside the best of them, and for
 * each how often its threads were switched and moved to another core in a run. Needs a core for each side. */
void bench_arrangements(const bench_load *load);

#endif
