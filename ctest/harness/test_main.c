/* test_main.c - runs the cases of a test program.
 *
 *   program                 every case, each in a process of its own; TAP on stdout, all else on stderr
 *   program NAME…           these cases only
 *   program --list          the names
 *   program --case NAME     one case in this very process: what the runner starts, and what a debugger wants
 *   program --in-process    every case here, one after the other (for programs started by a launcher)
 *   program --seed N        the seed that t_seed() returns; --fresh: a random one
 *
 * Exit: 0 passed, 1 failed, 77 everything skipped, 2 wrong usage. Environment: PARLA_TEST_SEED, PARLA_TEST_SCALE (test.h),
 * PARLA_TEST_TIMEOUT_S (limit of each case, 60 by default). All other PARLA_* variables are removed, so results depend on no setting.
 *
 * The parent waits for the child with SIGCHLD blocked. A case out of time gets SIGABRT, which prints the phase it was in, and five
 * seconds later SIGKILL. The child leads a process group, so what it forked ends with it. */
#include "test_internal.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const uint64_t default_seed = 20260101;
static const int64_t grace_ns = 5000000000;

typedef struct options {
    const char *only; /* --case */
    bool is_list, is_in_process;
    char **names; /* cases asked for; none means all */
    int n_names;
} options;

typedef struct tally {
    int n_run, n_failed, n_skipped;
} tally;

static int case_limit_s(const t_case *one)
{
    const char *text = getenv("PARLA_TEST_TIMEOUT_S");
    if (text != NULL && atoi(text) > 0) {
        return atoi(text);
    }
    return one->timeout_s > 0 ? one->timeout_s : 60;
}

static bool is_wanted(const options *opt, const t_case *one)
{
    for (int i = 0; i < opt->n_names; i++) {
        if (strcmp(opt->names[i], one->name) == 0) {
            return true;
        }
    }
    return opt->n_names == 0;
}

static const t_case *find_case(const char *name)
{
    for (const t_case *one = t_first_case(); one != NULL; one = one->next) {
        if (strcmp(one->name, name) == 0) {
            return one;
        }
    }
    fprintf(stderr, "no case named %s; --list shows them\n", name);
    exit(T_EXIT_USAGE);
}

/* --- One case in its own process -------------------------------------------------------------------------------------------- */

static pid_t start_case(const t_case *one)
{
    char *argv[] = {(char *)"/proc/self/exe", (char *)"--case", (char *)one->name, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t child = -1;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    int code = posix_spawn(&child, "/proc/self/exe", &files, &attributes, argv, environ);
    if (code != 0) {
        fprintf(stderr, "cannot start case %s: %s\n", one->name, strerror(code));
        exit(T_EXIT_FAIL);
    }
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return child;
}

/* Waits for the child until `deadline_ns`. Returns false if it still runs. */
static bool wait_until(pid_t child, int64_t deadline_ns, int *out_status)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    for (;;) {
        if (waitpid(child, out_status, WNOHANG) == child) {
            return true;
        }
        int64_t left_ns = deadline_ns - t_now_ns();
        if (left_ns <= 0) {
            return false;
        }
        struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
        sigtimedwait(&wanted, NULL, &left);
    }
}

/* Returns the status of waitpid; sets *out_late if the case ran out of time. */
static int run_child(const t_case *one, bool *out_late)
{
    int status = 0;
    pid_t child = start_case(one);
    *out_late = !wait_until(child, t_now_ns() + case_limit_s(one) * INT64_C(1000000000), &status);
    if (*out_late) {
        kill(child, SIGABRT);
        if (!wait_until(child, t_now_ns() + grace_ns, &status)) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
        }
    }
    kill(-child, SIGKILL);
    return status;
}

static void report(tally *sum, const t_case *one, int status, bool is_late, int64_t elapsed_ns)
{
    int number = ++sum->n_run;
    long long ms = (long long)(elapsed_ns / 1000000);
    if (!is_late && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        printf("ok %d - %s # %lld ms\n", number, one->name, ms);
    } else if (!is_late && WIFEXITED(status) && WEXITSTATUS(status) == T_EXIT_SKIP) {
        sum->n_skipped++;
        printf("ok %d - %s # SKIP\n", number, one->name);
    } else {
        sum->n_failed++;
        printf("not ok %d - %s # %s %d after %lld ms\n", number, one->name,
               is_late ? "out of time," : (WIFSIGNALED(status) ? "signal" : "exit"),
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), ms);
        printf("# again: --case %s with PARLA_TEST_SEED=%llu\n", one->name, (unsigned long long)t_seed());
    }
    fflush(stdout);
}

/* --- Modes ------------------------------------------------------------------------------------------------------------------ */

static int run_here(const t_case *one)
{
    t_begin_case(one);
    one->run();
    return t_was_skipped() ? T_EXIT_SKIP : 0;
}

/* The child of a runner that dies must not outlive it. */
static int run_one(const t_case *one)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    t_report_on(SIGABRT);
    t_report_on_crash();
    return run_here(one);
}

static int run_all(const options *opt)
{
    tally sum = {0, 0, 0};
    int n_cases = 0;
    for (const t_case *one = t_first_case(); one != NULL; one = one->next) {
        n_cases += is_wanted(opt, one);
    }
    printf("# seed %llu\n1..%d\n", (unsigned long long)t_seed(), n_cases);
    fflush(stdout);
    for (const t_case *one = t_first_case(); one != NULL; one = one->next) {
        if (!is_wanted(opt, one)) {
            continue;
        }
        bool is_late = false;
        int64_t begin_ns = t_now_ns();
        int status = 0;
        if (opt->is_in_process) {
            alarm((unsigned)case_limit_s(one));
            status = run_here(one) << 8; /* the layout of an exit status */
            alarm(0);
        } else {
            status = run_child(one, &is_late);
        }
        report(&sum, one, status, is_late, t_now_ns() - begin_ns);
    }
    if (sum.n_failed > 0) {
        return T_EXIT_FAIL;
    }
    return sum.n_run > 0 && sum.n_skipped == sum.n_run ? T_EXIT_SKIP : 0;
}

/* --- Start ------------------------------------------------------------------------------------------------------------------ */

static void clear_environment(void)
{
    size_t i = 0;
    while (environ[i] != NULL) {
        const char *equals = strchr(environ[i], '=');
        if (equals != NULL && strncmp(environ[i], "PARLA_", 6) == 0 && strncmp(environ[i], "PARLA_TEST_", 11) != 0) {
            char name[256];
            snprintf(name, sizeof(name), "%.*s", (int)(equals - environ[i]), environ[i]);
            unsetenv(name); /* shifts the rest down */
        } else {
            i++;
        }
    }
    setenv("XDG_CACHE_HOME", "/dev/null", 1); /* what tests measure is no news for the user's own programs */
}

/* Children find the seed in the environment. */
static void choose_seed(const char *text, bool is_fresh)
{
    uint64_t value = default_seed;
    char decimal[32];
    if (text == NULL) {
        text = getenv("PARLA_TEST_SEED");
    }
    if (is_fresh) {
        if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value)) {
            value = (uint64_t)t_now_ns();
        }
    } else if (text != NULL) {
        value = strtoull(text, NULL, 0);
    }
    t_set_seed(value);
    snprintf(decimal, sizeof(decimal), "%llu", (unsigned long long)value);
    setenv("PARLA_TEST_SEED", decimal, 1);
}

static options parse(int argc, char **argv)
{
    options opt = {.names = argv + argc};
    const char *seed = NULL;
    bool is_fresh = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            opt.is_list = true;
        } else if (strcmp(argv[i], "--in-process") == 0) {
            opt.is_in_process = true;
        } else if (strcmp(argv[i], "--fresh") == 0) {
            is_fresh = true;
        } else if (strcmp(argv[i], "--case") == 0 && i + 1 < argc) {
            opt.only = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = argv[++i];
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "usage: %s [--list] [--in-process] [--seed N | --fresh] [--case NAME | NAME...]\n", argv[0]);
            exit(T_EXIT_USAGE);
        } else {
            opt.names = argv + i;
            opt.n_names = argc - i;
            for (; i < argc; i++) {
                find_case(argv[i]);
            }
        }
    }
    choose_seed(seed, is_fresh);
    return opt;
}

int main(int argc, char **argv)
{
    clear_environment();
    options opt = parse(argc, argv);
    if (opt.is_list) {
        for (const t_case *one = t_first_case(); one != NULL; one = one->next) {
            puts(one->name);
        }
        return 0;
    }
    if (opt.only != NULL) {
        return run_one(find_case(opt.only));
    }
    if (opt.is_in_process) {
        t_report_on(SIGABRT);
        t_report_on(SIGALRM);
        t_report_on_crash();
    } else {
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, NULL);
    }
    return run_all(&opt);
}
