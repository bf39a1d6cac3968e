/* env.h - the PARLA_* variables: one table of what exists, and getters that check what they find. */
#ifndef PL_BASE_ENV_H
#define PL_BASE_ENV_H

#include <parla/common.h>

/* X(name, default, meaning): the one list of variables. Each is also an argument of some function. */
#define PL_ENVIRONMENT(X)                                                                                                          \
    X(PARLA_BIND, "auto", "where workers run: each bound to a core (core), anywhere (none), or core if they take all (auto)")      \
    X(PARLA_DEVICES, "cpu", "devices of a runtime, for example sim:2 or cuda; the CPU is always one")                              \
    X(PARLA_LOG, "warn", "what is written to standard error: off, error, warn, info or debug")                                     \
    X(PARLA_POLICY, "locality", "how tasks are placed on devices: locality, eager or round_robin")                                 \
    X(PARLA_RECEIPT, "",                                                                                                           \
      "file for the exit receipt of a runtime (JSON; one for each rank), and a line of it on the log; none if empty")              \
    X(PARLA_SPIN_US, "20, or 0 if workers take all of fewer than 8 cores",                                                         \
      "microseconds that an idle worker looks for work before it sleeps, 0 to 1000000")                                            \
    X(PARLA_STALL_S, "0", "seconds without the end of a task after which a watchdog tells who waits for whom; 0: none")            \
    X(PARLA_TRACE, "", "file for the trace of a runtime, written when it is destroyed, one for each rank; none if empty")          \
    X(PARLA_TRANSPORT, "ucx, or mpi where UCX cannot be used",                                                                     \
      "what blocks travel by between the ranks of an MPI job: ucx or mpi")                                                         \
    X(PARLA_WINDOW, "4194304", "tasks in flight beyond which a thread that spawns helps or sleeps; 0: no bound")                   \
    X(PARLA_WORKERS, "one per core", "worker threads of a runtime, 1 to 1024")

/* The variable as a whole number from `min` to `max`; `missing` if it is not set or empty.
 * Errors: PARLA_E_CONFIG for anything else; the detail names the variable, its value and what it takes. */
PARLA_MUST_USE int pl_env_int(const char *name, int64_t min, int64_t max, int64_t missing, int64_t *out);

/* The variable's text, or NULL if it is not set or empty. Borrowed from the environment. */
const char *pl_env_string(const char *name);

/* Warns, once per process, of each PARLA_* variable in the environment that is not in the table, and names the nearest one that
 * is. */
void pl_env_check_unknown(void);

#endif
