/* vlc_agents.c - see vlc_agents.h.
 *
 * An agent is a child process: it reads a number of rounds from a pipe, runs its sides, and writes what happened to another pipe; it ends
 * when the number is 0, or with its parent. The parent's clock runs from the order to the last answer, the same for every arrangement. */
#include "vlc_agents.h"

#include "bench.h"

#include <dirent.h>
#include <dlfcn.h>
#include <parla/error.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum arrangement { PARTITIONED, UNPARTITIONED, ONE_COPY, PROCESSES, FREE_PROCESSES, N_ARRANGEMENTS };
static const char *const names[] = {"partitioned", "unpartitioned", "one copy", "processes", "free processes"};

enum { N_RUNS = 9, PAUSE_NS = 20000000 }; /* libgomp's threads spin for some milliseconds after a run */

typedef struct answer {
    double n_switches, n_moves; /* n_moves < 0: the kernel does not tell */
} answer;

void *bench_find(const bench_place *place, const char *symbol)
{
    void *found = NULL;
    if (!place->vlc)
        found = dlsym(place->library, symbol);
    else if (parla_vlc_symbol(place->vlc, place->library, symbol, &found) < 0)
        found = NULL;
    if (!found)
        bench_die("no function %s", symbol);
    return found;
}

/* --- An agent ---------------------------------------------------------------------------------------------------------------- */

typedef struct agent {
    const bench_load *load;
    enum arrangement how;
    int first, n_sides; /* its sides */
    bench_place places[BENCH_N_SIDES];
    void *states[BENCH_N_SIDES];
    int n_rounds;
    pthread_mutex_t turn;
    pthread_barrier_t begin, end;
} agent;

/* The cores of a side: an equal part of those that the process may use. */
static void part_of_cores(int side, cpu_set_t *out)
{
    cpu_set_t all;
    int n = 0, at = 0;
    CPU_ZERO(out);
    if (sched_getaffinity(0, sizeof all, &all))
        bench_die("the cores of this process cannot be read");
    n = CPU_COUNT(&all) / BENCH_N_SIDES;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all) && at++ / n == side)
            CPU_SET(i, out);
}

static parla_vlc *make_context(int side, bool is_partitioned)
{
    char list[8 * CPU_SETSIZE] = "";
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc *vlc;
    cpu_set_t cores;
    part_of_cores(side, &cores);
    for (int i = 0, at = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &cores))
            at += snprintf(list + at, sizeof list - (size_t)at, at ? ",%d" : "%d", i);
    options.cpus = is_partitioned ? list : NULL;
    if (parla_vlc_create(&vlc, &options) < 0)
        bench_die("a context: %s", parla_error_detail());
    return vlc;
}

static void open_place(agent *self, int side)
{
    bench_place *place = &self->places[side];
    bool is_partitioned = self->how == PARTITIONED;
    if (is_partitioned || self->how == UNPARTITIONED) {
        place->vlc = make_context(side, is_partitioned);
        if (parla_vlc_open(place->vlc, &place->library, self->load->library) < 0)
            bench_die("%s: %s", self->load->library, parla_error_detail());
    } else if (!(place->library = dlopen(self->load->library, RTLD_NOW | RTLD_LOCAL))) {
        bench_die("%s", dlerror());
    }
    self->states[side] = self->load->prepare(place, side);
}

static void run_side(int side, void *arg)
{
    agent *self = arg;
    parla_vlc *vlc = self->places[side].vlc;
    bool has_turns = self->how == ONE_COPY && self->load->is_unsafe;
    parla_vlc_entry entry;
    if (vlc && parla_vlc_enter(vlc, &entry) < 0)
        bench_die("entering: %s", parla_error_detail());
    if (has_turns)
        pthread_mutex_lock(&self->turn);
    self->load->run(self->states[side], self->n_rounds);
    if (has_turns)
        pthread_mutex_unlock(&self->turn);
    if (vlc)
        parla_vlc_leave(&entry);
}

typedef struct driver {
    agent *agent;
    int side;
} driver;

static void *drive(void *arg)
{
    driver *self = arg;
    for (;;) {
        pthread_barrier_wait(&self->agent->begin);
        run_side(self->side, self->agent);
        pthread_barrier_wait(&self->agent->end);
    }
    return NULL;
}

/* Threads that were moved, over all threads of the process; they are never fewer than at the last look. */
static double count_moves(void)
{
    double n = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks)) != NULL;) {
        char path[300], line[256];
        double value;
        snprintf(path, sizeof path, "/proc/self/task/%s/sched", task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (task->d_name[0] != '.' && !file) {
            n = -1;
            break;
        }
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "se.nr_migrations : %lf", &value) == 1)
                n += value;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return n;
}

static double count_switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_nvcsw + usage.ru_nivcsw);
}

static void run_all(agent *self)
{
    if (self->load->team && self->n_sides > 1) {
        self->load->team(run_side, self);
    } else if (self->n_sides > 1) {
        pthread_barrier_wait(&self->begin);
        pthread_barrier_wait(&self->end);
    } else {
        run_side(self->first, self);
    }
}

static void start_drivers(agent *self)
{
    static driver drivers[BENCH_N_SIDES];
    pthread_t thread;
    pthread_barrier_init(&self->begin, NULL, (unsigned)self->n_sides + 1);
    pthread_barrier_init(&self->end, NULL, (unsigned)self->n_sides + 1);
    for (int i = 0; i < self->n_sides; i++) {
        drivers[i] = (driver){self, i};
        if (pthread_create(&thread, NULL, drive, &drivers[i]))
            bench_die("no thread");
    }
}

__attribute__((noreturn)) static void serve(agent *self, int orders, int answers)
{
    if (self->how == PROCESSES) {
        cpu_set_t cores;
        part_of_cores(self->first, &cores);
        sched_setaffinity(0, sizeof cores, &cores);
    }
    if (self->load->environment)
        putenv((char *)(uintptr_t)self->load->environment);
    pthread_mutex_init(&self->turn, NULL);
    for (int i = 0; i < self->n_sides; i++)
        open_place(self, self->first + i);
    if (!self->load->team && self->n_sides > 1)
        start_drivers(self);
    while (read(orders, &self->n_rounds, sizeof self->n_rounds) == (ssize_t)sizeof self->n_rounds && self->n_rounds > 0) {
        double n_switches = count_switches(), n_moves = count_moves();
        run_all(self);
        answer said = {count_switches() - n_switches, count_moves()};
        said.n_moves = n_moves < 0 || said.n_moves < n_moves ? -1 : said.n_moves - n_moves;
        if (write(answers, &said, sizeof said) != (ssize_t)sizeof said)
            break;
    }
    _exit(0);
}

/* --- The parent -------------------------------------------------------------------------------------------------------------- */

typedef struct child {
    pid_t pid;
    int orders, answers;
} child;

static child start_agent(const bench_load *load, enum arrangement how, int first, int n_sides)
{
    int to[2], from[2];
    if (pipe(to) || pipe(from))
        bench_die("no pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        bench_die("no process");
    if (pid == 0) {
        static agent self;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        self.load = load;
        self.how = how;
        self.first = first;
        self.n_sides = n_sides;
        serve(&self, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return (child){pid, to[1], from[0]};
}

typedef struct group {
    int n;
    child agents[BENCH_N_SIDES];
    double times[N_RUNS], switches[N_RUNS], moves[N_RUNS];
} group;

static void start_group(group *self, const bench_load *load, enum arrangement how)
{
    bool is_one = how == PARTITIONED || how == UNPARTITIONED || how == ONE_COPY;
    self->n = is_one ? 1 : BENCH_N_SIDES;
    for (int i = 0; i < self->n; i++)
        self->agents[i] = start_agent(load, how, i, is_one ? BENCH_N_SIDES : 1);
}

static void stop_group(group *self)
{
    const int end = 0;
    for (int i = 0; i < self->n; i++) {
        if (write(self->agents[i].orders, &end, sizeof end) != (ssize_t)sizeof end)
            bench_die("a process of the benchmark has ended");
        close(self->agents[i].orders);
        close(self->agents[i].answers);
        waitpid(self->agents[i].pid, NULL, 0);
    }
}

/* One run; returns nanoseconds. */
static double run_group(group *self, int n_rounds, answer *sum)
{
    *sum = (answer){0, 0};
    double begin_ns = bench_now_ns();
    for (int i = 0; i < self->n; i++)
        if (write(self->agents[i].orders, &n_rounds, sizeof n_rounds) != (ssize_t)sizeof n_rounds)
            bench_die("a process of the benchmark has ended");
    for (int i = 0; i < self->n; i++) {
        answer said;
        if (read(self->agents[i].answers, &said, sizeof said) != (ssize_t)sizeof said)
            bench_die("a process of the benchmark has ended");
        sum->n_switches += said.n_switches;
        sum->n_moves = said.n_moves < 0 ? -1 : sum->n_moves + said.n_moves;
    }
    double ns = bench_now_ns() - begin_ns;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    return ns;
}

static void report(const bench_load *load, group *groups, int n_runs, double neighbours)
{
    char name[96];
    int best = UNPARTITIONED;
    double *ours = groups[PARTITIONED].times;
    for (int how = UNPARTITIONED; how < N_ARRANGEMENTS; how++) {
        if (bench_median(groups[how].times, n_runs) < bench_median(groups[best].times, n_runs))
            best = how;
        bench_print_times(load->name, BENCH_N_SIDES, ours, n_runs, names[how], groups[how].times, neighbours);
    }
    snprintf(name, sizeof name, "%s.best", load->name);
    bench_print_times(name, BENCH_N_SIDES, ours, n_runs, names[best], groups[best].times, neighbours);
    for (int how = UNPARTITIONED; how < N_ARRANGEMENTS; how++) {
        snprintf(name, sizeof name, "%s.switches", load->name);
        bench_report(name, BENCH_N_SIDES, "switches", "a run", bench_median(groups[PARTITIONED].switches, n_runs), names[how],
                     bench_median(groups[how].switches, n_runs));
        snprintf(name, sizeof name, "%s.moves", load->name);
        double moves = bench_median(groups[PARTITIONED].moves, n_runs), theirs = bench_median(groups[how].moves, n_runs);
        if (moves >= 0 && theirs >= 0)
            bench_report(name, BENCH_N_SIDES, "migrations", "a run", moves, names[how], theirs);
    }
}

/* CPU time of the agents, which have ended. */
static double agents_busy_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void bench_arrangements(const bench_load *load)
{
    static group groups[N_ARRANGEMENTS];
    int n_runs = bench_is_smoke() ? 1 : N_RUNS, n_rounds = bench_is_smoke() ? 1 : load->n_rounds;
    cpu_set_t cores;
    answer sum;
    if (sched_getaffinity(0, sizeof cores, &cores) || CPU_COUNT(&cores) < BENCH_N_SIDES) {
        printf("# %s: skipped, needs %d cores\n", load->name, BENCH_N_SIDES);
        return;
    }
    double machine_s = bench_machine_busy_s(), own_s = agents_busy_s(), begin_ns = bench_now_ns();
    for (int how = 0; how < N_ARRANGEMENTS; how++) {
        start_group(&groups[how], load, (enum arrangement)how);
        run_group(&groups[how], n_rounds, &sum);
    }
    for (int run = 0; run < n_runs; run++) {
        for (int how = 0; how < N_ARRANGEMENTS; how++) {
            groups[how].times[run] = run_group(&groups[how], n_rounds, &sum) / n_rounds;
            groups[how].switches[run] = sum.n_switches;
            groups[how].moves[run] = sum.n_moves;
        }
    }
    for (int how = 0; how < N_ARRANGEMENTS; how++)
        stop_group(&groups[how]);
    double elapsed_s = 1e-9 * (bench_now_ns() - begin_ns);
    report(load, groups, n_runs, (bench_machine_busy_s() - machine_s - (agents_busy_s() - own_s)) / elapsed_s);
}
