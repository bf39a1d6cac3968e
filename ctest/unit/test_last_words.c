/* test_last_words.c - what is said before a signal ends a process, and what the process's end looks like from outside. */
#include "base/last_words.h"

#include "base/atomic.h"
#include "test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int paper[2]; /* where words go */

static void say(void *arg, const char *signal)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%s: %s;", (const char *)arg, signal);
    T_EQ(write(paper[1], line, (size_t)n), n);
}

static volatile sig_atomic_t n_own;

static void own(int number)
{
    (void)number;
    n_own++;
}

/* Runs `life` in a child, which a signal ends or which exits with what `life` returns; `out_said`: the words. Returns the wait status. */
static int lives(int (*life)(void), char *out_said, size_t capacity)
{
    int status;
    size_t length = 0;
    ssize_t n;
    T_EQ(pipe(paper), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(life());
    close(paper[1]);
    while ((n = read(paper[0], out_said + length, capacity - 1 - length)) > 0)
        length += (size_t)n;
    out_said[length] = 0;
    close(paper[0]);
    T_EQ(waitpid(child, &status, 0), child);
    return status;
}

static pl_last_words one = {.say = say, .arg = (void *)"one"}, two = {.say = say, .arg = (void *)"two"};

static void wait_for_the_end(void)
{
    for (;;)
        pause();
}

static int is_terminated(void)
{
    T_OK(pl_last_words_add(&one));
    T_OK(pl_last_words_add(&two));
    kill(getpid(), SIGTERM);
    wait_for_the_end();
    return 1;
}

T_TEST(all_speak_and_the_signal_ends_the_process)
{
    char said[256];
    int status = lives(is_terminated, said, sizeof said);
    T_EQ_STR(said, "two: SIGTERM;one: SIGTERM;");
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static int slow_ear[2];

/* Waits until it may go on. */
static void say_slowly(void *arg, const char *signal)
{
    char c;
    T_EQ(read(slow_ear[0], &c, 1), 1);
    say(arg, signal);
}

/* The second signal is there before the first one's words are said. */
static int hears_two(int number)
{
    static pl_last_words slow = {.say = say_slowly, .arg = (void *)"slow"};
    T_EQ(pipe(slow_ear), 0);
    T_OK(pl_last_words_add(&slow));
    raise(number);
    raise(number);
    T_EQ(write(slow_ear[1], "x", 1), 1);
    wait_for_the_end();
    return 1;
}

static int is_terminated_twice(void) { return hears_two(SIGTERM); }
static int is_interrupted_twice(void) { return hears_two(SIGINT); }

T_TEST(who_repeats_it_waits_for_the_words_unless_he_is_at_the_keyboard)
{
    char said[256];
    int status = lives(is_terminated_twice, said, sizeof said);
    T_EQ_STR(said, "slow: SIGTERM;");
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    status = lives(is_interrupted_twice, said, sizeof said);
    T_EQ_STR(said, "");
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static int warned = SIGUSR1;

static int is_warned(void)
{
    T_OK(pl_last_words_add(&one));
    kill(getpid(), warned);
    wait_for_the_end();
    return 1;
}

T_TEST(signals_that_warn_of_a_time_limit)
{
    static const int signals[] = {SIGINT, SIGXCPU, SIGUSR1, SIGUSR2};
    static const char *const names[] = {"one: SIGINT;", "one: SIGXCPU;", "one: SIGUSR1;", "one: SIGUSR2;"};
    char said[256];
    for (int i = 0; i < 4; i++) {
        warned = signals[i];
        int status = lives(is_warned, said, sizeof said);
        T_EQ_STR(said, names[i]);
        T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
    }
}

static int handles_it_before(void)
{
    signal(SIGTERM, own);
    T_OK(pl_last_words_add(&one));
    raise(SIGTERM);
    T_EQ(n_own, 1);
    pl_last_words_remove(&one);
    raise(SIGTERM);
    return n_own;
}

static int handles_it_later(void)
{
    T_OK(pl_last_words_add(&one));
    signal(SIGTERM, own);
    pl_last_words_remove(&one);
    raise(SIGTERM);
    return n_own + 1;
}

static int ignores_it(void)
{
    signal(SIGTERM, SIG_IGN);
    T_OK(pl_last_words_add(&one));
    raise(SIGTERM);
    pl_last_words_remove(&one);
    return 3;
}

T_TEST(a_signal_that_the_program_handles_is_its_own)
{
    char said[256];
    T_EQ(WEXITSTATUS(lives(handles_it_before, said, sizeof said)), 2);
    T_EQ_STR(said, "");
    T_EQ(WEXITSTATUS(lives(handles_it_later, said, sizeof said)), 2);
    T_EQ_STR(said, "");
    T_EQ(WEXITSTATUS(lives(ignores_it, said, sizeof said)), 3);
    T_EQ_STR(said, "");
}

static int has_nothing_left_to_say(void)
{
    for (int i = 0; i < 50; i++) {
        T_OK(pl_last_words_add(&one));
        T_OK(pl_last_words_add(&two));
        pl_last_words_remove(&one);
        pl_last_words_remove(&two);
    }
    struct sigaction there;
    T_EQ(sigaction(SIGTERM, NULL, &there), 0);
    T_TRUE(there.sa_handler == SIG_DFL);
    raise(SIGTERM);
    return 1;
}

T_TEST(afterwards_signals_are_as_they_were)
{
    char said[256];
    int status = lives(has_nothing_left_to_say, said, sizeof said);
    T_EQ_STR(said, "");
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* ThreadSanitizer calls no handlers in a child of threads, and ends one that starts threads. */
#if !defined(__SANITIZE_THREAD__)
static void check_speaking_child(void)
{
    int status;
    pid_t speaking = fork();
    if (speaking == 0) {
        signal(SIGTERM, SIG_DFL); /* what was inherited */
        T_OK(pl_last_words_add(&two));
        kill(getpid(), SIGTERM);
        wait_for_the_end();
    }
    T_EQ(waitpid(speaking, &status, 0), speaking);
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* Has a thread of this process the name that the one for signals gives itself? */
static bool has_speaker(void)
{
    bool is_there = false;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        is_there |= file && fgets(name, sizeof name, file) && strncmp(name, "parla last word", 15) == 0;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return is_there;
}

/* A child of it is ended without words, and may have its own. AddressSanitizer holds a lock of its own while a thread begins, which a child
 * that is forked then would wait for: so the thread has begun. */
static int has_children(void)
{
    int status;
    T_OK(pl_last_words_add(&one));
    T_EVENTUALLY(has_speaker(), 20000);
    pid_t silent = fork();
    if (silent == 0) {
        raise(SIGTERM);
        wait_for_the_end();
    }
    T_EQ(waitpid(silent, &status, 0), silent);
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    check_speaking_child();
    pl_last_words_remove(&one);
    return 4;
}

T_TEST(forked_children)
{
    char said[256];
    T_EQ(WEXITSTATUS(lives(has_children, said, sizeof said)), 4);
    T_EQ_STR(said, "two: SIGTERM;");
}
#endif
