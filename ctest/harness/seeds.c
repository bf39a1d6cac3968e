/* seeds.c - see seeds.h. The forked process writes its t_run into a page that both share, and its time limit is an alarm, whose handler
 * (test.c) prints what it was doing. */
#include "seeds.h"

#include "test_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEED_LIMIT_S = 60, VARIANT_SHIFT = 56, PATH_BYTES = 512 };

static const char *program_path(void)
{
    static char path[PATH_BYTES];
    if (path[0] == '\0' && readlink("/proc/self/exe", path, sizeof(path) - 1) < 0) {
        T_FAIL("readlink of /proc/self/exe: %s", strerror(errno));
    }
    return path;
}

static const char *program_name(void)
{
    const char *slash = strrchr(program_path(), '/');
    return slash != NULL ? slash + 1 : program_path();
}

static t_run *shared_run(void)
{
    static t_run *run;
    if (run == NULL) {
        run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        T_TRUE(run != MAP_FAILED);
    }
    *run = (t_run){0, 0};
    return run;
}

static const char *command_of(const t_seeds *self, uint64_t seed)
{
    static char text[PATH_BYTES + 256];
    snprintf(text, sizeof(text), "PARLA_TEST_ONE=%llu %s --case %s", (unsigned long long)seed, program_path(), self->case_name);
    return text;
}

static void prepare(const t_seeds *self)
{
    static bool is_done;
    if (!is_done && self->prepare != NULL) {
        self->prepare();
    }
    is_done = true;
}

/* --- Processes -------------------------------------------------------------------------------------------------------------- */

T_NORETURN static void run_in_child(const t_seeds *self, uint64_t seed, t_run *out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    t_report_on(SIGALRM);
    alarm(SEED_LIMIT_S * (t_is_sanitized() ? 5 : 1));
    self->body(seed, out);
    exit(0);
}

static int status_of(pid_t child)
{
    int status = 0;
    T_TRUE(child > 0);
    while (waitpid(child, &status, 0) < 0) {
        T_EQ(errno, EINTR);
    }
    return status;
}

static void check_status(int status, const char *command)
{
    if (WIFSIGNALED(status)) {
        T_FAIL("signal %d (%s)\n    again: %s", WTERMSIG(status), strsignal(WTERMSIG(status)), command);
    }
    if (WEXITSTATUS(status) != 0) {
        T_FAIL("exit %d\n    again: %s", WEXITSTATUS(status), command);
    }
}

static t_run run_apart(const t_seeds *self, uint64_t seed)
{
    t_run *run = shared_run();
    const char *command = command_of(self, seed);
    prepare(self);
    t_phase(command);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run_in_child(self, seed, run);
    }
    check_status(status_of(child), command);
    t_phase(NULL);
    return *run;
}

/* --- One alone -------------------------------------------------------------------------------------------------------------- */

static bool number_of(const char *variable, uint64_t *out)
{
    const char *text = getenv(variable);
    if (text != NULL) {
        *out = strtoull(text, NULL, 0);
    }
    return text != NULL;
}

/* In this very process. PARLA_TEST_TRACE is what must come out. */
static void run_alone(const t_seeds *self, uint64_t seed)
{
    t_run run = {0, 0};
    uint64_t wanted;
    prepare(self);
    self->body(seed, &run);
    if (number_of("PARLA_TEST_TRACE", &wanted)) {
        T_EQ(run.trace, wanted);
        return;
    }
    fprintf(stderr, "# seed %llu did %llu steps, trace 0x%llx\n", (unsigned long long)seed, (unsigned long long)run.n_steps,
            (unsigned long long)run.trace);
}

void t_each_seed(const t_seeds *self, uint64_t first, uint64_t n)
{
    uint64_t one, n_steps = 0;
    if (number_of("PARLA_TEST_ONE", &one)) {
        run_alone(self, one);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        n_steps += run_apart(self, first + i).n_steps;
    }
    t_count(n, "schedule seeds");
    t_count(n_steps, "switches between threads");
}

T_NORETURN static void start_anew(const t_seeds *self, uint64_t seed, uint64_t trace)
{
    char number[32];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)seed);
    setenv("PARLA_TEST_ONE", number, 1);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)trace);
    setenv("PARLA_TEST_TRACE", number, 1);
    execl(program_path(), program_name(), "--case", self->case_name, (char *)NULL);
    _exit(T_EXIT_FAIL);
}

void t_check_alone(const t_seeds *self, uint64_t seed)
{
    uint64_t trace = run_apart(self, seed).trace;
    T_NE(trace, 0);
    pid_t child = fork();
    if (child == 0) {
        start_anew(self, seed, trace);
    }
    check_status(status_of(child), command_of(self, seed));
}

/* --- Kept ------------------------------------------------------------------------------------------------------------------- */

uint64_t t_variant_base(uint64_t seed) { return seed & ((UINT64_C(1) << VARIANT_SHIFT) - 1); }

static FILE *open_kept(void)
{
    const char *path = getenv("PARLA_TEST_KEPT");
    path = path != NULL ? path : KEPT_SEEDS;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        T_FAIL("%s: %s", path, strerror(errno));
    }
    return file;
}

/* A line is "program case seed", and words behind a #; *out_seed is the seed if it is for this program and case. */
static bool is_kept_for(const t_seeds *self, const char *line, uint64_t *out_seed)
{
    char program[64], name[64];
    unsigned long long seed;
    if (line[0] == '#' || line[0] == '\n') {
        return false;
    }
    if (sscanf(line, "%63s %63s %llu", program, name, &seed) != 3) {
        T_FAIL("no \"program case seed\" in the kept seeds: %s", line);
    }
    *out_seed = seed;
    return strcmp(program, program_name()) == 0 && strcmp(name, self->case_name) == 0;
}

void t_kept_seeds(const t_seeds *self)
{
    char line[512];
    uint64_t seed, n = 0;
    FILE *file = open_kept();
    while (fgets(line, sizeof(line), file) != NULL) {
        if (is_kept_for(self, line, &seed)) {
            for (uint64_t k = 0; k < T_VARIANTS; k++) {
                run_apart(self, seed ^ (k << VARIANT_SHIFT));
            }
            n++;
        }
    }
    fclose(file);
    t_count(n, "kept seeds");
}
