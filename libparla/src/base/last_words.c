/* last_words.c - a handler that only writes the signal's number into a pipe, and a thread that reads it, speaks, and lets the signal end the
 * process as if nobody had handled it.
 *
 * What is to be said takes locks and memory, which a handler may not; so it is said on a thread. The handler is installed where the
 * program has left the default: SIGTERM (batch systems that pre-empt or cancel a job, and mpirun that passes it on), SIGXCPU, SIGUSR1, SIGUSR2
 * (those that warn before a time limit), SIGINT. Only the first signal counts: when one rank has ended, mpirun sends SIGTERM to those that
 * still speak. But a second SIGINT, from somebody who does not want to wait, ends the process at once. Thread and handlers exist while
 * somebody has something to say.
 *
 * Two locks: `life` is held while thread and handlers come and go, `list` by who changes the list and by the thread while it speaks. A forked
 * child inherits handlers, but neither thread nor words; there the handler sees that it is in another process and lets the signal do
 * what it does. */
#include "base/last_words.h"

#include "base/atomic.h"
#include "base/break.h"
#include "base/error.h"
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name;
} heard[] = {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGXCPU, "SIGXCPU"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}};
enum { N_HEARD = sizeof heard / sizeof heard[0] };

static void forget_parent(void);

static pl_lock life = PL_LOCK_INIT(forget_parent), list = PL_LOCK_INIT(NULL);
static pl_last_words *first;  /* under list */
static pthread_t speaker;     /* these three under life */
static bool is_ours[N_HEARD]; /* the handler was installed */
static int pipe_ends[2] = {-1, -1};
static _Atomic int listening_shared; /* process whose thread reads the pipe; 0: none */
static _Atomic int ear_shared;       /* the end of the pipe that the handler writes to */
static atomic_bool was_heard;

/* In a forked child: before anything else runs there. */
static void forget_parent(void)
{
    first = NULL;
    pl_store_relaxed(&was_heard, false);
    for (int i = 0; i < 2; i++) {
        if (pipe_ends[i] >= 0)
            close(pipe_ends[i]);
        pipe_ends[i] = -1;
    }
}

static void hear(int number)
{
    int saved_errno = errno;
    bool is_impatient = pl_exchange_acq_rel(&was_heard, true) && number == SIGINT;
    if (is_impatient || pl_load_relaxed(&listening_shared) != getpid() ||
        write(pl_load_relaxed(&ear_shared), &(char){(char)number}, 1) != 1) {
        signal(number, SIG_DFL);
        raise(number); /* ends the process when the handler returns */
    }
    errno = saved_errno;
}

static const char *name_of(int number)
{
    for (int i = 0; i < N_HEARD; i++)
        if (heard[i].number == number)
            return heard[i].name;
    return "a signal";
}

static void *speak(void *ear)
{
    char number = 0;
    ssize_t n;
    pthread_setname_np(pthread_self(), "parla last word");
    while ((n = read((int)(intptr_t)ear, &number, 1)) < 0 && errno == EINTR)
        ;
    if (n != 1 || number == 0)
        return NULL;
    pl_lock_take(&list);
    for (pl_last_words *words = first; words && !(pl_is_broken(PL_BREAK_LAST_WORD) && words != first); words = words->next)
        words->say(words->arg, name_of(number));
    pl_lock_give(&list);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    raise(number);
    return NULL;
}

static void install(void)
{
    struct sigaction ours = {.sa_handler = hear, .sa_flags = SA_RESTART}, there;
    sigfillset(&ours.sa_mask);
    for (int i = 0; i < N_HEARD; i++) {
        is_ours[i] = sigaction(heard[i].number, NULL, &there) == 0 && !(there.sa_flags & SA_SIGINFO) && there.sa_handler == SIG_DFL;
        is_ours[i] |= pl_is_broken(PL_BREAK_OWN_SIGNAL);
        if (is_ours[i])
            sigaction(heard[i].number, &ours, NULL);
    }
}

static void uninstall(void)
{
    struct sigaction there, none = {.sa_handler = SIG_DFL};
    for (int i = 0; i < N_HEARD; i++)
        if (is_ours[i] && sigaction(heard[i].number, NULL, &there) == 0 && !(there.sa_flags & SA_SIGINFO) &&
            there.sa_handler == hear)
            sigaction(heard[i].number, &none, NULL);
}

/* Under life. */
static int start(void)
{
    if (pipe2(pipe_ends, O_CLOEXEC))
        return pl_error_set(PARLA_E_SYSTEM, "cannot make a pipe for signals: %s", strerror(errno));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&speaker, NULL, speak, (void *)(intptr_t)pipe_ends[0]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        forget_parent();
        return pl_error_set(PARLA_E_SYSTEM, "cannot start a thread for signals: %s", strerror(error));
    }
    pl_store_relaxed(&ear_shared, pipe_ends[1]);
    pl_store_relaxed(&listening_shared, getpid());
    install();
    return 0;
}

/* Under life. A signal that came before is in the pipe before the zero: then the join does not return, and the process ends. */
static void stop(void)
{
    uninstall();
    while (write(pipe_ends[1], "", 1) < 0 && errno == EINTR)
        ;
    pthread_join(speaker, NULL);
    pl_store_relaxed(&listening_shared, 0);
    forget_parent();
}

int pl_last_words_add(pl_last_words *words)
{
    pl_lock_take(&life);
    int rc = pipe_ends[0] < 0 ? start() : 0;
    if (rc == 0) {
        pl_lock_take(&list);
        words->next = first;
        first = words;
        pl_lock_give(&list);
    }
    pl_lock_give(&life);
    return rc;
}

void pl_last_words_remove(pl_last_words *words)
{
    pl_lock_take(&life);
    pl_lock_take(&list);
    for (pl_last_words **at = &first; *at; at = &(*at)->next)
        if (*at == words) {
            *at = words->next;
            break;
        }
    bool is_last = first == NULL;
    pl_lock_give(&list);
    if (is_last && pipe_ends[0] >= 0)
        stop();
    pl_lock_give(&life);
}
