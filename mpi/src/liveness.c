/* liveness.c - see liveness.h.
 *
 * The thread sleeps in poll(2) on the pidfds of the node's other ranks and on this rank's bell (node_board.h). An end is a death unless the
 * rank has left or failed before, which its seat says: it is written before the process ends, so whoever sees the end sees it too. Every
 * LOOK_MS it looks whether somebody is stopped, which is told but is no death. Without pidfds it looks for ends as well, every BLIND_MS.
 *
 * A rank that stalls counts that in its seat and rings; every rank, itself too, then says what is in flight there.
 *
 * The launcher ends a job with SIGTERM, a second before SIGKILL. Where the program leaves that signal alone, a handler hands it to the thread,
 * which tells the deaths that it has not told yet, or else says so for all ranks, and then lets it kill. */
#include "liveness.h"

#include "breaks.h"
#include "failure.h"
#include "other_process.h"
#include "plm.h"

#include <errno.h>
#include <parla/error.h>
#include <parla/log.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 2000, BLIND_MS = 100, TOLD_MS = 800 };

/* --- SIGTERM -------------------------------------------------------------------------------------------------------------------- */

/* Whose bell the handler rings. Signals belong to the process, so this does too: the first of several layers has it. */
static plm_liveness *_Atomic term_owner;

static void on_term(int signal_number)
{
    plm_liveness *owner = atomic_load(&term_owner);
    if (owner) {
        plm_node_board_ring_own(&owner->board, (unsigned char)signal_number);
    } else {
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number);
    }
}

static void watch_term(plm_liveness *self)
{
    struct sigaction present, ours = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    plm_liveness *nobody = NULL;
    if (sigaction(SIGTERM, NULL, &present) || (present.sa_flags & SA_SIGINFO) || present.sa_handler != SIG_DFL)
        return;
    self->watches_term = atomic_compare_exchange_strong(&term_owner, &nobody, self);
    if (self->watches_term)
        (void)sigaction(SIGTERM, &ours, NULL);
}

static void unwatch_term(plm_liveness *self)
{
    struct sigaction present;
    if (!self->watches_term)
        return;
    self->watches_term = false;
    if (sigaction(SIGTERM, NULL, &present) == 0 && !(present.sa_flags & SA_SIGINFO) && present.sa_handler == on_term)
        (void)signal(SIGTERM, SIG_DFL);
    atomic_store(&term_owner, NULL);
}

static bool has_trouble(plm_liveness *self)
{
    for (int i = 0; i < self->board.n_seats; i++)
        if (plm_seat_presence(&self->board.seats[i]) == PLM_FAILED)
            return true;
    return false;
}

static void be_terminated(plm_liveness *self, int n_told)
{
    char flight[PLM_FLIGHT_BYTES];
    plm_flight_words(self->mpi, flight, sizeof flight);
    if (self->mpi->rank == 0 && n_told == 0 && !has_trouble(self))
        parla_log(PARLA_LOG_ERROR, "the job is ended from outside (SIGTERM): Ctrl-C, a time limit, or a rank on another node%s",
                  flight);
    unwatch_term(self);
    plm_node_board_set(&self->board, PLM_LEFT, NULL); /* the others are ended too */
    (void)kill(getpid(), SIGTERM);
}

/* --- The others ----------------------------------------------------------------------------------------------------------------- */

static void tell_stopped(plm_liveness *self, int i, bool is_stopped)
{
    plm_seat *seat = &self->board.seats[i];
    plm_watched *watched = &self->watched[i];
    if (is_stopped && !watched->is_stopped)
        parla_log(PARLA_LOG_WARN, "rank %d (process %d on this node) is stopped, not dead: what waits for it waits until SIGCONT",
                  seat->rank, (int)seat->process);
    else if (!is_stopped && watched->is_stopped)
        parla_log(PARLA_LOG_WARN, "rank %d goes on", seat->rank);
    watched->is_stopped = is_stopped;
}

/* Returns true if it has died. */
static bool look_at(plm_liveness *self, int i, bool is_readable, bool looks_closely)
{
    plm_watched *watched = &self->watched[i];
    plm_seat *seat = &self->board.seats[i];
    plm_life life = is_readable ? PLM_GONE : PLM_ALIVE;
    if (!is_readable && (looks_closely || watched->fd < 0))
        life = plm_process_look(seat->process);
    plm_presence presence = plm_seat_presence(seat); /* after the look: what was written before an end is seen with it */
    if (presence == PLM_FAILED)
        plm_peer_has_failed(self->mpi, seat->rank, seat->words);
    else if (presence == PLM_HERE && life != PLM_GONE)
        tell_stopped(self, i, life == PLM_STOPPED || (watched->is_stopped && !looks_closely));
    watched->is_done = presence != PLM_HERE || life == PLM_GONE;
    return presence == PLM_HERE && life == PLM_GONE;
}

static void tell_death(plm_liveness *self, int i)
{
    char end[128];
    plm_seat *seat = &self->board.seats[i];
    plm_process_end_words(seat->process, self->watched[i].fd, end, sizeof end);
    plm_peer_has_died(self->mpi, seat->rank, (int)seat->process, end);
}

/* Returns how many ends were told. */
static int look_at_all(plm_liveness *self, const struct pollfd *fds, bool looks_closely)
{
    int n_died = 0;
    for (int i = 0; i < self->board.n_seats; i++) {
        if (i == self->board.own || self->watched[i].is_done)
            continue;
        if (look_at(self, i, fds[i].revents != 0, looks_closely)) {
            tell_death(self, i);
            atomic_fetch_add(&self->board.seats[self->board.own].n_told, 1);
            n_died++;
        }
    }
    return n_died;
}

/* --- Stalls --------------------------------------------------------------------------------------------------------------------- */

void plm_liveness_tell_stall(plm_liveness *self)
{
    if (!self->is_open)
        return;
    atomic_fetch_add(&self->board.seats[self->board.own].n_stalls, 1); /* before the bell: who hears it finds the number */
    plm_node_board_ring(&self->board);
}

/* Says what is in flight here for each rank that has stalled since the last look; several stalls of one rank are answered once. */
static void answer_stalls(plm_liveness *self)
{
    char flight[PLM_FLIGHT_BYTES];
    for (int i = 0; i < self->board.n_seats; i++) {
        int n = atomic_load(&self->board.seats[i].n_stalls);
        if (n == self->watched[i].n_heard)
            continue;
        self->watched[i].n_heard = n;
        size_t n_pending = plm_table_pending(&self->mpi->table);
        plm_flight_words(self->mpi, flight, sizeof flight);
        parla_log(PARLA_LOG_WARN, "%s %d stalls: %zu request%s of MPI pending here%s", i == self->board.own ? "this rank" : "rank",
                  self->board.seats[i].rank, n_pending, n_pending == 1 ? "" : "s", *flight ? flight : "; no task in flight here");
    }
}

bool plm_liveness_is_speaker(plm_liveness *self)
{
    int i = 0;
    while (i < self->board.own &&
           (plm_seat_presence(&self->board.seats[i]) != PLM_HERE || plm_process_look(self->board.seats[i].process) == PLM_GONE))
        i++;
    return i == self->board.own;
}

static bool is_told_everywhere(plm_liveness *self)
{
    int n_told = atomic_load(&self->board.seats[self->board.own].n_told);
    for (int i = 0; i < self->board.n_seats; i++) {
        plm_seat *seat = &self->board.seats[i];
        if (atomic_load(&seat->n_told) < n_told && plm_seat_presence(seat) == PLM_HERE &&
            plm_process_look(seat->process) == PLM_ALIVE)
            return false;
    }
    return true;
}

void plm_liveness_wait_for_others(plm_liveness *self)
{
    for (int ms = 0; ms < TOLD_MS && !is_told_everywhere(self); ms += 2)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* --- The thread ------------------------------------------------------------------------------------------------------------------ */

/* fds[i] belongs to seat i; the own one to the bell. Returns how long to sleep. */
static int prepare(plm_liveness *self, struct pollfd *fds)
{
    int timeout_ms = LOOK_MS;
    for (int i = 0; i < self->board.n_seats; i++) {
        bool is_watched = i != self->board.own && !self->watched[i].is_done;
        fds[i] = (struct pollfd){.fd = i == self->board.own ? self->board.bell
                                       : is_watched         ? self->watched[i].fd
                                                            : -1,
                                 .events = POLLIN};
        if (is_watched && self->watched[i].fd < 0)
            timeout_ms = BLIND_MS;
    }
    return timeout_ms;
}

static void *thread_main(void *arg)
{
    plm_liveness *self = arg;
    struct pollfd *fds = (struct pollfd *)(void *)(self->watched + self->board.n_seats);
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL); /* handlers run on the program's threads */
    pthread_setname_np(pthread_self(), "parla liveness");
    while (!atomic_load(&self->is_over)) {
        int timeout_ms = prepare(self, fds);
        int n_ready = poll(fds, (nfds_t)self->board.n_seats, timeout_ms);
        bool is_rung = n_ready > 0 && fds[self->board.own].revents;
        bool is_terminated = is_rung && plm_node_board_hear(&self->board) == SIGTERM;
        if (atomic_load(&self->is_over) || (n_ready < 0 && errno != EINTR))
            continue;
        answer_stalls(self);
        int n_told = look_at_all(self, fds, n_ready <= 0 || is_terminated);
        if (is_terminated)
            be_terminated(self, n_told);
        else if (n_told > 0)
            plm_after_deaths(self->mpi); /* all of them are told before anything is done */
    }
    return NULL;
}

/* --- Start and stop ------------------------------------------------------------------------------------------------------------- */

static void watch_others(plm_liveness *self)
{
    int error = 0;
    for (int i = 0; i < self->board.n_seats; i++) {
        bool is_own = i == self->board.own;
        self->watched[i] = (plm_watched){.fd = is_own ? -1 : plm_process_watch(self->board.seats[i].process), .is_done = is_own};
        if (!is_own && self->watched[i].fd < 0 && errno != ESRCH)
            error = errno;
    }
    if (error)
        parla_log(PARLA_LOG_WARN, "pidfd_open is refused (%s): the end of another rank is noticed by looking every %d ms",
                  strerror(error), BLIND_MS);
}

static void close_watches(plm_liveness *self)
{
    for (int i = 0; i < self->board.n_seats; i++)
        if (self->watched[i].fd >= 0)
            close(self->watched[i].fd);
    free(self->watched);
    self->watched = NULL;
}

static bool start_thread(plm_liveness *self)
{
    self->watched = calloc((size_t)self->board.n_seats, sizeof *self->watched + sizeof(struct pollfd));
    if (!self->watched)
        return false;
    watch_others(self);
    self->is_open = pthread_create(&self->thread, NULL, thread_main, self) == 0;
    if (!self->is_open)
        close_watches(self);
    return self->is_open;
}

void plm_liveness_start(plm_liveness *self, parla_mpi *mpi)
{
    const char *why = "";
    *self = (plm_liveness){.mpi = mpi};
    if (mpi->n_ranks == 1)
        return;
    if (!plm_node_board_open(&self->board, mpi->comm, &why)) {
        parla_log(PARLA_LOG_WARN, "the ranks of this node cannot watch each other: %s; the end of one is left to the launcher",
                  why);
        return;
    }
    if (mpi->aborts)
        watch_term(self); /* before the thread, which finds what the handler has written */
    if (!start_thread(self)) {
        parla_log(PARLA_LOG_WARN, "no thread to watch the other ranks: the end of one is left to the launcher");
        unwatch_term(self);
        plm_node_board_set(&self->board, PLM_LEFT, NULL);
        plm_node_board_close(&self->board);
    }
    MPI_Barrier(mpi->comm); /* nobody goes on, and perhaps ends, before all others watch it */
}

void plm_liveness_stop(plm_liveness *self)
{
    if (!self->is_open)
        return;
    if (plm_seat_presence(&self->board.seats[self->board.own]) == PLM_HERE &&
        !plm_is_broken(PLM_BREAK_LEAVE)) /* not over a failure that the others have to see */
        plm_node_board_set(&self->board, PLM_LEFT, NULL);
    unwatch_term(self);
    atomic_store(&self->is_over, true);
    plm_node_board_ring_own(&self->board, 0);
    if (!pthread_equal(self->thread, pthread_self()))
        pthread_join(self->thread, NULL);
    close_watches(self);
    plm_node_board_close(&self->board);
    self->is_open = false;
}

void plm_liveness_give_in(plm_liveness *self, const char *words)
{
    unwatch_term(self);
    if (self->is_open)
        plm_node_board_set(&self->board, PLM_FAILED, words);
}
