/* test_log.c - levels, sinks, prefixes, and lines that stay whole. */
#include <parla/log.h>

#include "base/atomic.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct kept {
    char lines[4096];
    parla_log_level last_level;
    int n;
} kept;

static void keep_line(void *ctx, parla_log_level level, const char *line)
{
    kept *self = ctx;
    self->n++;
    self->last_level = level;
    strcat(strcat(self->lines, line), "\n");
}

T_TEST(default_level_is_warn)
{
    kept all = {.n = 0};
    parla_log_set_sink(keep_line, &all);
    parla_log(PARLA_LOG_INFO, "info");
    parla_log(PARLA_LOG_DEBUG, "debug");
    T_EQ(all.n, 0);
    parla_log(PARLA_LOG_WARN, "warn %d", 1);
    T_EQ(all.last_level, PARLA_LOG_WARN);
    parla_log(PARLA_LOG_ERROR, "error");
    T_EQ(all.last_level, PARLA_LOG_ERROR);
    T_EQ_STR(all.lines, "warn 1\nerror\n");
}

static void check_level(const char *text, int n_wanted)
{
    kept all = {.n = 0};
    setenv("PARLA_LOG", text, 1);
    parla_log_set_sink(keep_line, &all);
    for (int level = PARLA_LOG_OFF; level <= PARLA_LOG_DEBUG; level++) {
        parla_log((parla_log_level)level, "x");
    }
    T_EQ(all.n, n_wanted);
}

T_TEST(variable_off) { check_level("off", 0); }
T_TEST(variable_error) { check_level("ERROR", 1); }
T_TEST(variable_warn) { check_level("Warn", 2); }
T_TEST(variable_info) { check_level("info", 3); }
T_TEST(variable_debug) { check_level("debug", 4); }

T_TEST(malformed_variable_warns_once)
{
    kept all = {.n = 0};
    setenv("PARLA_LOG", "loud", 1);
    parla_log_set_sink(keep_line, &all);
    parla_log(PARLA_LOG_INFO, "not shown");
    parla_log(PARLA_LOG_WARN, "shown");
    T_EQ_STR(all.lines, "PARLA_LOG='loud': expected off, error, warn, info or debug; using warn\nshown\n");
}

T_TEST(set_level_wins_over_the_variable)
{
    kept all = {.n = 0};
    setenv("PARLA_LOG", "debug", 1);
    parla_log_set_level(PARLA_LOG_OFF);
    parla_log_set_sink(keep_line, &all);
    parla_log(PARLA_LOG_ERROR, "x");
    T_EQ(all.n, 0);
    parla_log_set_level(PARLA_LOG_DEBUG);
    parla_log(PARLA_LOG_DEBUG, "x");
    T_EQ(all.n, 1);
    parla_log_set_level((parla_log_level)77);
    parla_log((parla_log_level)78, "no such level");
    parla_log((parla_log_level)-5, "no such level");
    parla_log(PARLA_LOG_OFF, "no such line");
    T_EQ(all.n, 1);
}

T_TEST(prefix_and_control_characters)
{
    kept all = {.n = 0};
    parla_log_set_sink(keep_line, &all);
    parla_log_set_prefix("rank 3");
    parla_log(PARLA_LOG_WARN, "two\nlines\t%s", "§");
    parla_log_set_prefix(NULL);
    parla_log(PARLA_LOG_WARN, "plain");
    parla_log_set_prefix("0123456789012345678901234567890123456789");
    parla_log(PARLA_LOG_WARN, "x");
    T_EQ_STR(all.lines, "[rank 3] two lines §\nplain\n[0123456789012345678901234567…] x\n");
}

T_TEST(errno_is_kept)
{
    errno = EDOM;
    parla_log(PARLA_LOG_WARN, "%s", "x");
    T_EQ(errno, EDOM);
}

/* Sends standard error into a pipe that holds all that a case writes. */
static int redirect_stderr(void)
{
    int ends[2];
    T_EQ(pipe(ends), 0);
    T_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    return ends[0];
}

T_TEST(line_on_standard_error)
{
    char text[256] = "";
    int from = redirect_stderr();
    parla_log_set_prefix("rank 3");
    parla_log(PARLA_LOG_ERROR, "words %s", "here");
    parla_log_set_prefix("");
    parla_log(PARLA_LOG_WARN, "words");
    T_EQ(read(from, text, sizeof text - 1), strlen("parla: [rank 3] error: words here\nparla: warn: words\n"));
    T_EQ_STR(text, "parla: [rank 3] error: words here\nparla: warn: words\n");
}

T_TEST(long_line_is_cut_and_still_a_line)
{
    static char text[8192];
    static char line[8192];
    int from = redirect_stderr();
    memset(text, 'x', sizeof text - 1);
    parla_log(PARLA_LOG_WARN, "%s", text);
    ssize_t n = read(from, line, sizeof line - 1);
    T_GT(n, 2000);
    T_LT(n, 2200);
    T_EQ_STR(line + n - 4, "…\n");
}

enum { N_THREADS = 4, N_LINES = 100 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < N_LINES; i++) {
        parla_log(PARLA_LOG_WARN, "thread %d line %d end", *(int *)arg, i);
    }
    return NULL;
}

T_TEST(lines_of_several_threads_stay_whole)
{
    static char text[N_THREADS * N_LINES * 64];
    pthread_t threads[N_THREADS];
    int numbers[N_THREADS];
    int from = redirect_stderr();
    for (int i = 0; i < N_THREADS; i++) {
        numbers[i] = i;
        T_EQ(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    close(STDERR_FILENO);
    size_t n_bytes = 0;
    for (ssize_t n; (n = read(from, text + n_bytes, sizeof text - 1 - n_bytes)) > 0;) {
        n_bytes += (size_t)n;
    }
    int next[N_THREADS] = {0};
    int n_lines = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), n_lines++) {
        int thread, number, length = 0;
        T_EQ(sscanf(line, "parla: warn: thread %d line %d end%n", &thread, &number, &length), 2);
        T_EQ(length, strlen(line));
        T_EQ(number, next[thread]++);
    }
    T_EQ(n_lines, N_THREADS * N_LINES);
}

static _Atomic int n_inside, n_calls;

static void slow_sink(void *ctx, parla_log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
    pl_add_relaxed(&n_inside, 1);
    pl_add_relaxed(&n_calls, 1);
    sched_yield();
    pl_sub_acq_rel(&n_inside, 1);
}

static _Atomic bool is_over;

static void *log_until_over(void *arg)
{
    (void)arg;
    while (!pl_load_relaxed(&is_over)) {
        parla_log(PARLA_LOG_WARN, "x");
        sched_yield();
    }
    return NULL;
}

static void other_sink(void *ctx, parla_log_level level, const char *line) { (void)ctx, (void)level, (void)line; }

T_TEST(set_sink_waits_for_the_old_one)
{
    pthread_t thread;
    parla_log_set_sink(slow_sink, NULL);
    T_EQ(pthread_create(&thread, NULL, log_until_over, NULL), 0);
    for (uint64_t i = 0; i < t_scale(200); i++) {
        int before = pl_load_relaxed(&n_calls);
        parla_log_set_sink(slow_sink, NULL);
        T_EVENTUALLY(pl_load_relaxed(&n_calls) > before, 10000);
        parla_log_set_sink(other_sink, NULL);
        T_EQ(pl_load_acquire(&n_inside), 0);
    }
    pl_store_relaxed(&is_over, true);
    pthread_join(thread, NULL);
}
