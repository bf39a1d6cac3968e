/* agent.h - a runner in a process of its own, which is stopped while others run: threads that spin or sleep disturb nobody. */
#ifndef PARLA_BENCH_TASKS_AGENT_H
#define PARLA_BENCH_TASKS_AGENT_H

#include "tasks/work.h"

#include <sys/types.h>

/* What to run, and what came out; shared with the process. */
typedef struct tk_order {
    tk_shape shape;
    long n;
    int n_repeats; /* the shortest counts; 0: once */
    bool is_checked, wants_bytes;
    double ns;       /* 0: the runner does not have this shape */
    double bytes;    /* resident memory of one pending task */
    double cpu_s;    /* that the process took */
    long n_switches; /* how often its threads went to sleep */
} tk_order;

typedef struct tk_agent {
    const tk_runner *runner;
    pid_t pid;
    tk_order *order;
} tk_agent;

/* Starts the process and the runner in it, on the cores of the caller. */
void tk_agent_start(tk_agent *agent, const tk_runner *runner, int n_cores);

/* Carries out agent->order. */
void tk_agent_run(tk_agent *agent);

void tk_agent_stop(tk_agent *agent);

#endif
