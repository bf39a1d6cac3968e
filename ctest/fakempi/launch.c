/* launch.c - becomes the ranks of a job: with FAKEMPI_RANKS=N a test program that is told to run cases (--case, --in-process) forks N ranks
 * before main, and its first process is their launcher. As real ones do, it ends the others when one fails. */
#include "fakempi.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SKIPPED = 77, GRACE_MS = 3000 };

int fake_rank, fake_n_ranks = 1;
int fake_sockets[FAKE_MAX_RANKS] = {-1, -1, -1, -1, -1, -1, -1, -1};

static int pairs[FAKE_MAX_RANKS][FAKE_MAX_RANKS]; /* [i][j]: rank i's end towards rank j */

static void fail(const char *what)
{
    perror(what);
    _exit(2);
}

static void make_pairs(void)
{
    for (int i = 0; i < fake_n_ranks; i++)
        for (int j = 0; j < i; j++) {
            int ends[2];
            if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
                fail("fakempi: socketpair");
            pairs[i][j] = ends[0];
            pairs[j][i] = ends[1];
        }
}

/* Keeps the ends of `rank`, closes the others. -1: keeps none. */
static void keep_ends(int rank)
{
    for (int i = 0; i < fake_n_ranks; i++)
        for (int j = 0; j < fake_n_ranks; j++)
            if (i != j && i != rank)
                close(pairs[i][j]);
    for (int j = 0; rank >= 0 && j < fake_n_ranks; j++)
        fake_sockets[j] = j == rank ? -1 : pairs[rank][j];
}

static void become_rank(int rank)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fake_rank = rank;
    keep_ends(rank);
    if (rank > 0 && !freopen("/dev/null", "w", stdout))
        fail("fakempi: /dev/null");
}

static void end_others(const pid_t *ranks, int signal_number)
{
    for (int i = 0; i < fake_n_ranks; i++)
        if (ranks[i] > 0)
            (void)kill(ranks[i], signal_number);
}

/* Returns what the job exits with: that of the first rank that failed. */
static int wait_for_all(pid_t *ranks)
{
    int result = 0, n_left = fake_n_ranks, ms_left = -1;
    while (n_left > 0) {
        int status;
        pid_t ended = waitpid(-1, &status, ms_left < 0 ? 0 : WNOHANG);
        if (ended == 0) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            if (--ms_left == 0)
                end_others(ranks, SIGKILL);
            continue;
        }
        n_left--;
        for (int i = 0; i < fake_n_ranks; i++)
            ranks[i] = ranks[i] == ended ? 0 : ranks[i];
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (code != 0 && result == 0)
            result = code;
        if (code != 0 && code != SKIPPED && ms_left < 0) {
            end_others(ranks, SIGTERM);
            ms_left = GRACE_MS;
        }
    }
    return result;
}

static bool runs_cases(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--case") || !strcmp(argv[i], "--in-process"))
            return true;
    return false;
}

__attribute__((constructor)) static void launch(int argc, char **argv)
{
    const char *text = getenv("FAKEMPI_RANKS");
    pid_t ranks[FAKE_MAX_RANKS] = {0};
    if (!text || !runs_cases(argc, argv))
        return;
    fake_n_ranks = atoi(text);
    if (fake_n_ranks < 1 || fake_n_ranks > FAKE_MAX_RANKS)
        fail("fakempi: FAKEMPI_RANKS");
    make_pairs();
    for (int i = 0; i < fake_n_ranks; i++) {
        ranks[i] = fork();
        if (ranks[i] < 0)
            fail("fakempi: fork");
        if (ranks[i] == 0) {
            become_rank(i);
            return;
        }
    }
    keep_ends(-1);
    _exit(wait_for_all(ranks));
}
