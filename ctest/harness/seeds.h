/* seeds.h - many runs, each from a seed of its own and in a process of its own.
 *
 * The process is forked from that of the case, which runs nothing itself, so that every seed begins in the same state and does alone what it
 * does among others. One that fails, crashes or takes too long is told with the command that repeats it:
 *
 *   PARLA_TEST_ONE=N program --case NAME     this seed, in this very process (for a debugger)
 *
 * Seeds that failed once are kept in ctest/kept_seeds.txt (lines "program case seed  # words"; ci/keep_seeds writes them from a log), and
 * the case kept_seeds of the program runs them. PARLA_TEST_KEPT names another file. */
#ifndef PARLA_TEST_SEEDS_H
#define PARLA_TEST_SEEDS_H

#include <stdint.h>

/* What a run leaves behind for the process of the case. */
typedef struct t_run {
    uint64_t n_steps; /* switches between its threads */
    uint64_t trace;   /* what happened, as one number: the same whenever the seed does the same */
} t_run;

/* Runs from seeds. */
typedef struct t_seeds {
    const char *case_name;                   /* of the case that calls t_each_seed with them */
    void (*body)(uint64_t seed, t_run *out); /* one run */
    void (*prepare)(void); /* NULL, or called once, in the process of the case: what costs time and is the same for all */
} t_seeds;

/* Runs n seeds from `first` on, and counts them. Only from a process without other threads, like the next ones. */
void t_each_seed(const t_seeds *self, uint64_t first, uint64_t n);

/* The seed does the same alone, in a program that is started anew, as in a process forked from this one. */
void t_check_alone(const t_seeds *self, uint64_t seed);

/* Runs the kept seeds, each in T_VARIANTS ways: t_variant_base() is the seed that was kept. A schedule depends on every access that the
 * library makes, so it will be another one some day; what the body draws from the base, the program, stays. */
enum { T_VARIANTS = 20 };
void t_kept_seeds(const t_seeds *self);
uint64_t t_variant_base(uint64_t seed);

#endif
