/* agent.c - see agent.h. The process stops itself when it has nothing to do; who has an order writes it down and lets it go on. */
#include "tasks/agent.h"

#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT_S = 300 };

static long count_switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

static void carry_out(const tk_runner *runner, tk_order *order)
{
    tk.wants_bytes = order->wants_bytes;
    long n_switches = count_switches();
    double cpu_s = bench_own_busy_s();
    for (int i = 0; i == 0 || i < order->n_repeats; i++) {
        tk_prepare(order->shape, order->n, order->is_checked);
        double ns = runner->run(order->shape);
        order->ns = i == 0 || ns < order->ns ? ns : order->ns;
    }
    order->cpu_s = bench_own_busy_s() - cpu_s;
    order->n_switches = count_switches() - n_switches;
    order->bytes = tk.bytes;
    if (order->ns > 0) {
        tk_check(order->shape, runner->name);
    }
}

static _Noreturn void serve(const tk_runner *runner, int n_cores, tk_order *order)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(LIMIT_S);
    tk.n_cores = n_cores;
    runner->start(n_cores);
    for (;;) {
        alarm(0);
        raise(SIGSTOP);
        alarm(LIMIT_S); /* a runner that hangs is killed */
        if (order->shape == TK_N_SHAPES) {
            runner->stop();
            exit(0);
        }
        carry_out(runner, order);
    }
}

/* Until the process has stopped itself. */
static void await(const tk_agent *agent)
{
    int status = 0;
    if (waitpid(agent->pid, &status, WUNTRACED) != agent->pid || !WIFSTOPPED(status)) {
        bench_die("%s failed, or took more than %d s", agent->runner->name, LIMIT_S);
    }
}

void tk_agent_start(tk_agent *agent, const tk_runner *runner, int n_cores)
{
    agent->runner = runner;
    agent->order = mmap(NULL, sizeof *agent->order, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (agent->order == MAP_FAILED) {
        bench_die("no memory");
    }
    agent->pid = fork();
    if (agent->pid == 0) {
        serve(runner, n_cores, agent->order);
    }
    if (agent->pid < 0) {
        bench_die("no process for %s", runner->name);
    }
    await(agent);
}

void tk_agent_run(tk_agent *agent)
{
    kill(agent->pid, SIGCONT);
    await(agent);
}

void tk_agent_stop(tk_agent *agent)
{
    int status = 0;
    agent->order->shape = TK_N_SHAPES;
    kill(agent->pid, SIGCONT);
    if (waitpid(agent->pid, &status, 0) != agent->pid || status != 0) {
        bench_die("%s did not stop", agent->runner->name);
    }
    munmap(agent->order, sizeof *agent->order);
}
