/* bench.h - how benchmarks measure and report: interleaved runs of ours and a peer, medians, one JSON line for each case.
 *
 * A side runs a case once and returns the nanoseconds that it took. Runs alternate (ours, peer, ours, peer, …) so that both see the same
 * neighbours, after one run of each that warms caches and memory and does not count. */
#ifndef PARLA_BENCH_H
#define PARLA_BENCH_H

#include <stdbool.h>
#include <stdint.h>

enum { BENCH_RUNS = 9 };

typedef struct bench_side {
    const char *name; /* of the peer; ours needs none */
    double (*run_ns)(void *ctx);
    void *ctx;
} bench_side;

/* Reads the options: --smoke (one short run of each case) and the names of cases to run. Call first. */
void bench_begin(const char *bench, int argc, char **argv);

/* True under --smoke; then cases are as small as they can be. */
bool bench_is_smoke(void);

/* True if this case was asked for; all are without names. A name matches its cases at every number of threads. */
bool bench_wants(const char *name);

/* Runs `body` in a child process that is pinned to the first n_cores cores that this process may use, so that each number of threads starts
 * from the same state. Returns false, having said why, if there are fewer cores; exits if the child fails. */
bool bench_on_cores(int n_cores, void (*body)(int n_cores));

/* Measures both sides and prints a line with the time of one item. `peer` may be NULL. */
void bench_compare(const char *name, int n_threads, long n_items, const bench_side *ours, const bench_side *peer);

/* Prints a line of a figure that the program formed itself, the smaller the better, beside a peer's. `peer` may be NULL; a value of 0 means
 * that there is none. */
void bench_report(const char *name, int n_threads, const char *metric, const char *unit, double value, const char *peer,
                  double peer_value);

/* Prints a line of times that the program took itself: medians, beside the least. `peer` may be NULL. Sorts the times. */
void bench_print_times(const char *name, int n_threads, double *ours_ns, int n_runs, const char *peer, double *peer_ns,
                       double neighbours);

/* CPU time that the whole machine has spent busy; what processes other than the measured ones took of it are the neighbours. */
double bench_machine_busy_s(void);

/* CPU time of this process. */
double bench_own_busy_s(void);

/* Prints a line of a figure that was counted, not timed. */
void bench_count(const char *name, int n_threads, const char *metric, const char *unit, double value);

/* Ends the program with a message: a benchmark whose result is wrong has no speed. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);

/* Sorts the values and returns the middle one. */
double bench_median(double *values, int n);

/* Monotonic time. */
double bench_now_ns(void);

#endif
