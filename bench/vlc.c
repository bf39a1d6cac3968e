/* vlc.c - contexts: what making one, calling into it and staying in it cost, and two programs at once; run by vlc.py.
 *
 *   create.new        a context in a new namespace with OpenBLAS loaded into it; beside dlmopen alone, without shim and checks
 *   create.again      the same in the namespace that a context has left behind, and its end
 *   call              a call of a function of a context; beside the same function of the process's own copy
 *   enter.bound       entering and leaving on a thread that has the context's cores anyway, as a worker of a pool that uses one core each
 *   enter.moved       on a thread that has others: bound, and given its own back; beside the two system calls that do it, alone
 *
 * The loads of vlc_loads.c follow, each in the arrangements of vlc_agents.h. */
#include "bench.h"
#include "vlc_loads.h"

#include <dlfcn.h>
#include <parla/error.h>
#include <parla/vlc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int code, const char *what)
{
    if (code < 0)
        bench_die("%s: %s", what, parla_error_detail());
}

/* --- Making ------------------------------------------------------------------------------------------------------------------ */

enum { N_NEW = 4 }; /* in one process: with the usual reserve of static thread-local memory there is room for more */

typedef struct making {
    char library[BENCH_PATH];
} making;

static parla_vlc *make(const making *m)
{
    parla_vlc *vlc;
    check(parla_vlc_create(&vlc, NULL), "a context");
    check(parla_vlc_open(vlc, NULL, m->library), "OpenBLAS");
    return vlc;
}

/* Runs `body` in a child process, whose namespaces go with it. Returns the nanoseconds that it says. */
static double in_child(double (*body)(const making *m), const making *m)
{
    int ends[2], status;
    double ns = 0;
    if (pipe(ends))
        bench_die("no pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        ns = body(m);
        _exit(write(ends[1], &ns, sizeof ns) == (ssize_t)sizeof ns ? 0 : 1);
    }
    close(ends[1]);
    bool is_read = pid > 0 && read(ends[0], &ns, sizeof ns) == (ssize_t)sizeof ns;
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0 || !is_read)
        bench_die("making contexts failed");
    return ns;
}

/* The first one of a process warms: it reads the libraries' pages. */
static double make_new(const making *m)
{
    make(m);
    double begin_ns = bench_now_ns();
    for (int i = 0; i < N_NEW; i++)
        make(m);
    return bench_now_ns() - begin_ns;
}

static double open_bare(const making *m)
{
    double begin_ns = 0;
    for (int i = -1; i < N_NEW; i++) {
        if (i == 0)
            begin_ns = bench_now_ns();
        if (!dlmopen(LM_ID_NEWLM, m->library, RTLD_NOW | RTLD_LOCAL))
            bench_die("%s", dlerror());
    }
    return bench_now_ns() - begin_ns;
}

static double ours_new(void *m) { return in_child(make_new, m); }
static double bare_new(void *m) { return in_child(open_bare, m); }

static double ours_again(void *m)
{
    double begin_ns = bench_now_ns();
    for (int i = 0; i < N_NEW; i++)
        parla_vlc_destroy(make(m));
    return bench_now_ns() - begin_ns;
}

static void measure_making(void)
{
    making m;
    if (!bench_find_library("openblas-pthread/libopenblas.so.0", m.library)) {
        printf("# create: skipped, OpenBLAS is not installed\n");
        return;
    }
    if (bench_wants("create.new"))
        bench_compare("create.new", 1, N_NEW, &(bench_side){"ours", ours_new, &m}, &(bench_side){"dlmopen", bare_new, &m});
    if (bench_wants("create.again"))
        bench_compare("create.again", 1, N_NEW, &(bench_side){"ours", ours_again, &m}, NULL);
}

/* --- Calling and staying ----------------------------------------------------------------------------------------------------- */

typedef int call_function(int);

typedef struct calling {
    call_function *function;
    int n;
} calling;

static double run_calls(void *ctx)
{
    const calling *c = ctx;
    call_function *volatile function = c->function; /* looked up each time: a call through a pointer, as programs make it */
    int sum = 0;
    double begin_ns = bench_now_ns();
    for (int i = 0; i < c->n; i++)
        sum += function(-1);
    double ns = bench_now_ns() - begin_ns;
    if (sum != c->n)
        bench_die("a call's result is wrong");
    return ns;
}

static void measure_call(parla_vlc *vlc)
{
    void *library, *inner;
    check(parla_vlc_open(vlc, &library, "libc.so.6"), "a C library");
    check(parla_vlc_symbol(vlc, library, "abs", &inner), "a function");
    int n = bench_is_smoke() ? 1000 : 20000000;
    calling ours = {(call_function *)inner, n}, direct = {(call_function *)dlsym(RTLD_DEFAULT, "abs"), n};
    bench_compare("call", 1, n, &(bench_side){"ours", run_calls, &ours}, &(bench_side){"direct call", run_calls, &direct});
}

typedef struct staying {
    parla_vlc *vlc;
    cpu_set_t inside, outside;
    int n;
} staying;

static double run_stays(void *ctx)
{
    const staying *s = ctx;
    parla_vlc_entry entry;
    double begin_ns = bench_now_ns();
    for (int i = 0; i < s->n; i++) {
        check(parla_vlc_enter(s->vlc, &entry), "entering");
        parla_vlc_leave(&entry);
    }
    return bench_now_ns() - begin_ns;
}

/* What a thread that is moved to other cores and back pays the kernel. */
static double run_binds(void *ctx)
{
    const staying *s = ctx;
    double begin_ns = bench_now_ns();
    for (int i = 0; i < s->n; i++) {
        syscall(SYS_sched_setaffinity, 0, sizeof s->inside, &s->inside);
        syscall(SYS_sched_setaffinity, 0, sizeof s->outside, &s->outside);
    }
    return bench_now_ns() - begin_ns;
}

static void measure_stays(void)
{
    staying s = {.n = bench_is_smoke() ? 100 : 100000};
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc *bound, *narrow;
    options.n_cpus = 1;
    options.flags = PARLA_VLC_SHARE;
    check(parla_vlc_create(&bound, NULL), "a context");
    check(parla_vlc_create(&narrow, &options), "a context");
    if (bench_wants("enter.bound")) {
        s.vlc = bound;
        bench_compare("enter.bound", 1, s.n, &(bench_side){"ours", run_stays, &s}, NULL);
    }
    if (bench_wants("enter.moved") && sched_getaffinity(0, sizeof s.outside, &s.outside) == 0 && CPU_COUNT(&s.outside) > 1) {
        int first = 0;
        while (!CPU_ISSET(first, &s.outside))
            first++;
        CPU_ZERO(&s.inside);
        CPU_SET(first, &s.inside);
        s.vlc = narrow;
        bench_compare("enter.moved", 1, s.n, &(bench_side){"ours", run_stays, &s}, &(bench_side){"two binds", run_binds, &s});
    }
    if (bench_wants("call"))
        measure_call(bound);
    parla_vlc_destroy(narrow);
    parla_vlc_destroy(bound);
}

int main(int argc, char **argv)
{
    bench_begin("vlc", argc, argv);
    bench_loads(); /* first: its processes are children, and start without contexts */
    measure_making();
    measure_stays();
    return 0;
}
